package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"canvos.dev/compile"
	"canvos.dev/compile/policy"
)

// plainText is everything of a manifest that a review could see.
func plainText(t testing.TB, m policy.Manifest) string {
	t.Helper()
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "null", "[]") // on the way, what is empty may become nothing
	for _, p := range append(m.Problems, m.Stale...) {
		text += fmt.Sprintln(p, p.Also, p.Hide)
	}
	return text
}

// TestApartIsTheSame checks that a manifest means the same wherever it is
// evaluated: every example, with its lock, and every text that Load is tried on.
func TestApartIsTheSame(t *testing.T) {
	d := &door{limits: untrusted()}
	try := func(name string, files fs.FS, q evaluation) {
		got, err := d.evaluateApart(t.Context(), &budget{all: untrustedTime}, files, q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if want := evaluate(files, q); plainText(t, got) != plainText(t, want) {
			t.Errorf("%s: apart it is\n%s\nnot\n%s", name, plainText(t, got), plainText(t, want))
		}
	}
	root, err := os.OpenRoot("../..")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dirs, err := compile.Find(root.FS(), "examples")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("examples: %q, %v", dirs, err)
	}
	for _, dir := range dirs {
		q := evaluation{Name: dir, Dir: dir, Prefix: "/module/", From: "/module"}
		if q.Lock, err = lockText(root.FS(), dir); err != nil {
			t.Fatal(err)
		}
		try(dir, root.FS(), q)
		q.Lock, q.Other, q.Prefix = nil, q.Lock, "main:"
		try(dir+" without lock", root.FS(), q)
	}
	judged := fstest.MapFS{"images.cue": {Data: []byte(`package images

canvos: "v4.9.38"
registry: "docker.io/acme"
_form: =~"^v[0-9]+"
families: store: {os: {distribution: "ubuntu", version: "22.04"}, kubernetes: {distribution: "k3s", versions: ["1.33.6"]}, tag: "v1", labels: {}}
policies: "tag-form": {severity: "deny", message: "m", #require: after: tag: _form}
waivers: one: {rule: "tag-form", target: "store", reason: "r", owner: "o", expires: "2999-12-31"}
`)}}
	try("policies", judged, evaluation{Name: "m", Dir: "."})
	if m := evaluate(judged, evaluation{Dir: "."}); m.Policies.CUE == nil || m.Waivers.CUE == nil {
		t.Error("policies were not compared")
	}
	if m := evaluate(root.FS(), evaluation{Dir: dirs[0]}); len(m.Families) == 0 {
		t.Errorf("%s has no families: nothing was compared", dirs[0])
	}
}

// attacks are texts that reach for what is not theirs, or that burn. A text that
// is harmless to canvos stands here too, since it is not to others.
var attacks = []struct {
	name string
	more string            // after a manifest's first lines
	file map[string]string // beside it
	want string            // in the only problem; "" is none at all
}{
	// Files.
	{"embed a file", "", map[string]string{"more.cue": "@extern(embed)\npackage images\n_x: string @embed(file=\"cue.mod/module.cue\",type=text)\n"}, "@extern reads files"},
	{"embed by a path that leaves", "", map[string]string{"more.cue": "@extern(embed)\npackage images\n_x: string @embed(file=\"../../etc/passwd\",type=text)\n"}, "@extern reads files"},
	{"embed a link", "", map[string]string{"more.cue": "@extern(embed)\npackage images\n_x: string @embed(file=\"pw.txt\",type=text)\n", "pw.txt": "-> /etc/passwd"}, "path escapes from parent"},
	{"embed in an import", "import \"example.com/m/lib\"\n_x: lib.x\n", map[string]string{
		"lib/lib.cue": "@extern(embed)\npackage lib\nx: string @embed(file=\"pw.txt\",type=text)\n", "lib/pw.txt": "-> /etc/passwd",
	}, "CV0"},
	{"a package that is a link", "import \"example.com/m/lib\"\n_x: lib\n", map[string]string{"lib": "-> /etc"}, "lib"},
	{"an overlay that is a link", "families: f: {overlay: {\"/etc\": \"out\"}}\n", map[string]string{"out": "-> /etc"}, "its link out leads to \"/etc\""},
	{"an overlay that leaves", "families: f: {overlay: {\"/etc\": \"../../../etc\"}}\n", nil, "above the module"},
	{"a program of another language", "", map[string]string{"more.cue": "@extern(\"wasm\")\npackage images\n_f: _ @extern(\"x.wasm\",abi=c,sig=\"func(int64): int64\")\n"}, "@extern reads files"},
	// Network.
	{"a module of a registry", "import \"evil.example/x@v0\"\n_x: x\n", map[string]string{
		"cue.mod/module.cue": "module: \"example.com/m@v0\"\nlanguage: version: \"v0.17.0\"\ndeps: \"evil.example/x@v0\": v: \"v0.0.1\"\n",
	}, "cannot be"},
	{"a module that is a directory", "import \"evil.example/x@v0\"\n_x: x\n", map[string]string{
		"cue.mod/module.cue":       "module: \"example.com/m@v0\"\nlanguage: version: \"v0.17.0\"\ndeps: \"evil.example/x@v0\": v: \"v0.0.1\"\n",
		"cue.mod/local-module.cue": "deps: \"evil.example/x@v0\": replaceWith: \"/etc\"\n",
	}, "cannot be"},
	{"a schema of its own", "families: f: {tag: \"NOT A TAG\"}\n", map[string]string{
		"cue.mod/pkg/canvos.dev/schema/schema.cue": "package schema\n#Families: {...}\n",
		"cue.mod/local-module.cue":                 "deps: \"canvos.dev@v0\": replaceWith: \"./weak\"\n", "weak/schema/schema.cue": "package schema\n#Families: {...}\n",
	}, "tag"},
	// Processes: inert, as only cue cmd runs them.
	{"a command", "import \"tool/exec\"\n_x: exec.Run & {cmd: \"touch /tmp/owned\"}\n", nil, ""},
	{"a tool file", "", map[string]string{"x_tool.cue": "package images\nimport \"tool/exec\"\ncommand: vet: exec.Run & {cmd: \"touch /tmp/owned\"}\n"}, ""},
	// Loops.
	{"a loop of loops", "import \"list\"\n_n: list.Range(0, 3000, 1)\n_x: [for a in _n for b in _n for c in _n if a+b+c < 0 {a}]\n", nil, "longer than 2s"},
	{"a range", "import \"list\"\n_x: list.Range(0, 100000000, 1)\n", nil, "not evaluated: it"},
	{"a template", "import \"text/template\"\n_x: template.Execute(\"{{range $a := .}}{{range $b := $}}{{range $c := $}}{{range $d := $}}{{end}}{{end}}{{end}}{{end}}\", [" + strings.Repeat("1,", 300) + "])\n", nil, "longer than 2s"},
	{"products of disjunctions", "_x: {}" + ladder(14, " & ({a%d: 1} | {b%[1]d: 1} | {c%[1]d: %[2]d} | {d%[1]d: 1})") + "\n", nil, "not evaluated: it"},
	{"recursion", "_f: {n: int, r: {if n > 0 {(_f & {\"n\": n - 1}).r}}}\n_x: (_f & {n: 1000000}).r\n", nil, "CV0"},
	// Memory.
	{"text that doubles", "_s0: \"xxxxxxxxxxxxxxxx\"\n" + ladder(40, "_s%d: _s%[2]d + _s%[2]d\n"), nil, "not evaluated: it"},
	{"text that doubles by interpolation", "_s0: \"xxxxxxxxxxxxxxxx\"\n" + ladder(40, "_s%d: \"\\(_s%[2]d)\\(_s%[2]d)\"\n"), nil, "not evaluated: it"},
	{"lists of lists", "_l0: [1, 1]\n" + ladder(40, "_l%d: [_l%[2]d, _l%[2]d]\n") + "families: f: {labels: x: \"\\(_l40)\"}\n", nil, "CV0"},
	{"structs of structs, written out", "#s0: {a: \"x\", b: \"x\"}\n" + ladder(40, "#s%d: {a: #s%[2]d, b: #s%[2]d}\n") + "catalog: \"v9.9.9\": #s40\n", nil, "not evaluated: it"},
	{"structs of structs, in a rule", "#s0: {a: \"x\", b: \"x\"}\n" + ladder(40, "#s%d: {a: #s%[2]d, b: #s%[2]d}\n") + "policies: x: {severity: \"deny\", message: \"m\", #require: after: tag: \"x\", when: after: #s40}\n", nil, ""},
	{"structs of structs, hidden", "_s0: {a: \"x\", b: \"x\"}\n" + ladder(40, "_s%d: {a: _s%[2]d, b: _s%[2]d}\n"), nil, ""},
	{"YAML of aliases", "import \"encoding/yaml\"\n_x: yaml.Unmarshal(\"a0: &a0 [x, x]\\n" + strings.ReplaceAll(ladder(30, "a%d: &a%[1]d [*a%[2]d, *a%[2]d]\n"), "\n", "\\n") + "\")\n", nil, "CV0"},
	{"a repeated text", "import \"strings\"\n_x: strings.Repeat(\"xxxxxxxx\", 1000000000)\n", nil, "CV0"},
	{"a repeated list", "import \"list\"\n_x: list.Repeat([1, 2, 3], 1000000000)\n", nil, "CV0"},
	{"a huge power", "import \"math\"\n_x: math.Pow(10, 1000000000)\n", nil, "CV0"},
	{"a huge shift", "_x: 1 << 100000000000\nimport \"math\"\n", nil, "CV0"},
	{"a huge exponent", "_x: 1e100000000\n", nil, ""},
	{"many families", "import \"list\"\nfamilies: {for i in list.Range(0, 100000, 1) {\"f\\(i)\": {tag: \"t\\(i)\"}}}\n", nil, "not evaluated: it"},
	// Stacks.
	{"operators", "_x: 1" + strings.Repeat(" + 1", 40_000) + "\n", nil, "40000 operators"},
	{"more operators than a text may have", "_x: 1" + strings.Repeat("+1", 1_000_000) + "\n", nil, "more than 1024 KiB"},
	{"as many operators as fit", "_x: 1" + strings.Repeat("+1", 500_000) + "\n", nil, "CV0010"},
	{"brackets", "_x: " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "\n", nil, "CV0"},
	{"signs", "_x: " + strings.Repeat("-", 900_000) + "1\n", nil, "CV0"},
	{"parts", strings.Repeat("_a: 1\n", 100_000), nil, "more than 200000 parts"},
	{"a structural cycle", "_x: {a: _x}\n", nil, "CV0"},
	{"a regular expression", "_x: \"" + strings.Repeat("a", 5000) + "\" =~ \"^(a+)+$\"\n", nil, ""},
	{"a regular expression that is large", "_x: \"a\" =~ \"((a{100}){100}){100}\"\n", nil, "CV0"},
}

// ladder is n lines, each with its number and the one before.
func ladder(n int, format string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, format, i, i-1)
	}
	return b.String()
}

// attacked is the tree of an attack, and its directory.
func attacked(t *testing.T, more string, beside map[string]string) (files fs.FS, dir string) {
	dir = t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(file), 0o777)
		if to, ok := strings.CutPrefix(text, "-> "); ok && err == nil {
			err = os.Symlink(to, file)
		} else if err == nil {
			err = os.WriteFile(file, []byte(text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	imports := ""
	for line := range strings.Lines(more) {
		if strings.HasPrefix(line, "import ") {
			imports += line
			more = strings.Replace(more, line, "", 1)
		}
	}
	write("cue.mod/module.cue", "module: \"example.com/m@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write("images.cue", "package images\n"+imports+`canvos: "v4.4.12"
registry: "docker.io/acme"
families: f: {os: {distribution: "ubuntu", version: "22.04"}, kubernetes: {distribution: "k3s", versions: ["1.30.4"]}}
families: [string]: {os: {distribution: "ubuntu", version: "22.04"}, kubernetes: {distribution: "k3s", versions: ["1.30.4"]}}
`+more)
	for name, text := range beside {
		write(name, text)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root.FS(), dir
}

// TestAttacks checks that each attack ends in one clear line within seconds, and
// that none got anything.
func TestAttacks(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			t.Errorf("%v connected", c.RemoteAddr())
		}
	}()
	t.Setenv("CUE_REGISTRY", listener.Addr().String()+"+insecure")
	l := untrusted()
	l.Wall = 2 * time.Second
	d := &door{limits: l}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			files, _ := attacked(t, a.more, a.file)
			started := time.Now()
			m, err := d.evaluateApart(t.Context(), &budget{all: untrustedTime}, files, evaluation{Name: "m", Dir: "."})
			took := time.Since(started)
			if err != nil {
				t.Fatal(err)
			}
			if took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			var lines []string
			for _, p := range onlyErrors(m.Problems) {
				lines = append(lines, p.Error())
				if strings.Contains(p.Error()+p.Help+strings.Join(p.Notes, ""), "root:") {
					t.Errorf("it read a file: %s", p)
				}
			}
			text := strings.Join(lines, "\n")
			t.Logf("%v: %.200s", took.Round(time.Millisecond), text)
			switch {
			case a.want == "" && text != "":
				t.Errorf("%s", text)
			case !strings.Contains(text, a.want):
				t.Errorf("%q, want %q", text, a.want)
			case len(lines) > 3 || len(text) > 1000 || a.want != "" && strings.Count(lines[0], "\n") > 0:
				t.Errorf("that is no clear line: %d lines, %d bytes", len(lines), len(text))
			}
		})
	}
}

// burning are the attacks that a rule may hold in what is computed when it is tried;
// none is there when it is read, since the tag is not known then.
var burning = []struct{ name, lines, want string }{
	{"a loop of loops", "_n: list.Range(0, 3000, 1)\n_x: len([for a in _n for b in _n for c in _n if a+b+c < len(#after.tag)-5 {a}])\n", "longer than"},
	{"a range", "_x: len(list.Range(0, len(#after.tag)*100000000, 1))\n", "not evaluated: it"},
	{"products of disjunctions", "_y: {t: #after.tag}" + ladder(14, " & ({a%d: 1} | {b%[1]d: 1} | {c%[1]d: %[2]d} | {d%[1]d: 1})") + "\n_x: len(_y.t)\n", "not evaluated: it"},
	{"text that doubles", "_s0: \"xxxxxxxxxxxxxxxx\\(#after.tag)\"\n" + ladder(40, "_s%d: _s%[2]d + _s%[2]d\n") + "_x: len(_s40)\n", "not evaluated: it"},
	{"structs of structs, written out", "_s0: {a: #after.tag, b: \"x\"}\n" + ladder(40, "_s%d: {a: _s%[2]d, b: _s%[2]d}\n") + "_x: len(json.Marshal(_s40))\n", "not evaluated: it"},
	{"operators", "_x: len(#after.tag)" + strings.Repeat(" + 1", 40_000) + "\n", "40000 operators"},
}

// TestPolicyAttacks checks that what is written for policy list and policy test is
// read with the same limits, and that rules are tried with them.
func TestPolicyAttacks(t *testing.T) {
	l := untrusted()
	l.Wall = time.Second
	try := func(t *testing.T, dir string, cases bool) string {
		t.Helper()
		var out, said strings.Builder
		d := &door{limits: l, dir: dir, out: &out, err: &said, env: func(string) string { return "" }, format: "text"}
		started := time.Now()
		_, err := d.tryRules(t.Context(), []string{"images.cue"}, false, cases)
		text := said.String()
		t.Logf("%v: %v: %.300s", time.Since(started).Round(time.Millisecond), err, text)
		switch {
		case time.Since(started) > 8*time.Second:
			t.Errorf("it took %v", time.Since(started))
		case strings.Contains(text, "root:"), strings.Contains(text, "goroutine"), len(text) > 4000:
			t.Errorf("it says %.4000s", text)
		case err == nil && text != "":
			t.Errorf("without an error it says %s", text)
		}
		return text
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			_, dir := attacked(t, a.more, a.file)
			text := try(t, dir, true)
			if strings.Contains(a.want, "longer") && !strings.Contains(text, "longer than") {
				t.Errorf("%q, want that it takes too long", text)
			}
		})
	}
	for _, b := range burning {
		t.Run("when tried: "+b.name, func(t *testing.T) {
			_, dir := attacked(t, "import \"list\"\nimport \"encoding/json\"\n_used: [list, json]\npolicies: burn: {\nseverity: \"deny\"\nmessage: \"burn\"\n#after: _\n"+b.lines+
				"#violations: [if #after != null if _x > 0 {message: \"burned\"}]\ncases: one: {fires: true, after: tag: \"v1\"}\n}\n", nil)
			if text := try(t, dir, true); !strings.Contains(text, b.want) || strings.Count(text, "error[") != 1 {
				t.Errorf("%q, want %q", text, b.want)
			}
		})
	}
}

// TestReadOnce checks that a file is read once, however often it is named.
func TestReadOnce(t *testing.T) {
	var overlay strings.Builder
	for i := range 50 {
		fmt.Fprintf(&overlay, "families: f: overlay: \"/opt/%d\": \"large\"\n", i)
	}
	tree, _ := attacked(t, overlay.String(), map[string]string{"large": strings.Repeat("0", 1<<20)})
	files := &counting{FS: tree}
	d := &door{limits: untrusted()}
	m, err := d.evaluateApart(t.Context(), &budget{all: untrustedTime}, files, evaluation{Name: "m", Dir: "."})
	if err != nil || len(onlyErrors(m.Problems)) > 0 {
		t.Fatal(err, m.Problems)
	}
	if n := files.read.Load(); n != 1<<20 {
		t.Errorf("%d bytes of it were read", n)
	}
}

// counting counts what is read of a large file.
type counting struct {
	fs.FS
	read atomic.Int64
}

func (c *counting) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if err == nil && name == "large" {
		f = countingFile{f, &c.read}
	}
	return f, err
}

type countingFile struct {
	fs.File
	read *atomic.Int64
}

func (f countingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.read.Add(int64(n))
	return n, err
}

// TestBudget checks that many manifests take no longer than there is time for all
// of them, and that each that was not read says so.
func TestBudget(t *testing.T) {
	files, _ := attacked(t, "import \"list\"\n_n: list.Range(0, 3000, 1)\n_x: [for a in _n for b in _n for c in _n if a+b+c < 0 {a}]\n", nil)
	l := untrusted()
	l.Wall = time.Second
	d := &door{limits: l}
	b := &budget{all: 2500 * time.Millisecond}
	started := time.Now()
	for n := range 20 {
		m, err := d.evaluateApart(t.Context(), b, files, evaluation{Name: "m", Dir: "."})
		if err != nil || len(m.Problems) != 1 {
			t.Fatal(err, m.Problems)
		}
		want := "it takes longer than 1s"
		if n > 1 {
			want = "what is read with it takes longer than 2.5s"
		}
		if got := m.Problems[0].Message; !strings.HasSuffix(got, want) {
			t.Errorf("the %d.: %q, want %q", n+1, got, want)
		}
	}
	if took := time.Since(started); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
}

// honest is a manifest of so many families.
func honest(families int) fs.FS {
	var b strings.Builder
	b.WriteString("package images\n\ncanvos: \"v4.4.12\"\nregistry: \"docker.io/acme\"\n\n")
	for i := range families {
		fmt.Fprintf(&b, "families: \"store-%d\": {\n\tos: {distribution: \"ubuntu\", version: \"22.04\"}\n\tkubernetes: {distribution: \"k3s\", versions: [\"1.29.8\", \"1.30.4\"]}\n\ttag: \"s%d\"\n}\n", i, i)
	}
	return fstest.MapFS{"images.cue": {Data: []byte(b.String())}}
}

// BenchmarkApart compares an evaluation in a process of its own with one in this
// process, in one run.
func BenchmarkApart(b *testing.B) {
	d := &door{limits: untrusted()}
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files, q := honest(n), evaluation{Name: "m", Dir: "."}
			var here, apart time.Duration
			for b.Loop() {
				started := time.Now()
				want := evaluate(files, q)
				here += time.Since(started)
				started = time.Now()
				got, err := d.evaluateApart(context.Background(), &budget{all: untrustedTime}, files, q)
				apart += time.Since(started)
				if err != nil || len(got.Families) != n || got.Plan.Digest != want.Plan.Digest {
					b.Fatal(len(got.Families), err)
				}
			}
			b.ReportMetric(float64(here.Milliseconds())/float64(b.N), "ms/here")
			b.ReportMetric(float64(apart.Milliseconds())/float64(b.N), "ms/apart")
			b.ReportMetric(float64(apart)/float64(here), "ratio")
		})
	}
}
