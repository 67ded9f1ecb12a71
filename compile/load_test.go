package compile

import (
	"bytes"
	stdflag "flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"golang.org/x/tools/txtar"

	"canvos.dev/compile/problem"
)

var update = stdflag.Bool("update", false, "rewrite the goldens")

// archive is a txtar file as a tree.
func archive(t testing.TB, file string) (*txtar.Archive, fs.FS) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := txtar.FS(a)
	if err != nil {
		t.Fatal(err)
	}
	return a, tree
}

// golden compares, or with -update sets, a file of an archive.
func golden(t *testing.T, file string, a *txtar.Archive, name, got string) {
	t.Helper()
	for i := range a.Files {
		f := &a.Files[i]
		if f.Name != name {
			continue
		}
		if *update {
			f.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.Equal(f.Data, []byte(got)) {
			t.Errorf("%s is\n%s\nnot\n%s", name, got, f.Data)
		}
		return
	}
	if !*update {
		t.Fatalf("%s has no %s; got\n%s", file, name, got)
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listing writes problems out whole.
func listing(ps []*problem.Problem) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&b, p.Error())
		if p.Path != "" {
			fmt.Fprintf(&b, "  path: %s\n", p.Path)
		}
		for _, at := range p.Also {
			fmt.Fprintf(&b, "  also: %s:%d:%d\n", at.File, at.Line, at.Column)
		}
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "  note: %s\n", n)
		}
		if p.Help != "" {
			fmt.Fprintf(&b, "  help: %s\n", p.Help)
		}
	}
	return b.String()
}

// A case of testdata/load is a tree; its comment's second line may name the
// directory, file and tags: "dir=a file=b.cue tag=x=y stdin".
func TestLoad(t *testing.T) {
	files, _ := filepath.Glob("testdata/load/*.txtar")
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, tree := archive(t, file)
			src := Source{FS: tree, Dir: "."}
			for _, word := range strings.Fields(string(a.Comment)) {
				switch k, v, _ := strings.Cut(word, "="); k {
				case "dir":
					src.Dir = v
				case "file":
					src.File = v
				case "tag":
					src.Tags = append(src.Tags, v)
				case "stdin":
					b, err := fs.ReadFile(tree, v)
					if err != nil {
						t.Fatal(err)
					}
					src.Stdin = bytes.NewReader(b)
				}
			}
			m, ps := Load(src)
			for _, p := range ps {
				if p.At.File == "" && p.Code != "CV0002" {
					t.Errorf("no place: %v", p)
				}
				if strings.Contains(p.At.File, schemaShown) {
					t.Errorf("a place in the schema: %v", p)
				}
			}
			golden(t, file, a, "problems", listing(ps))
			if len(ps) == 0 {
				golden(t, file, a, "manifest", shown(m))
			}
		})
	}
}

// Whatever a manifest says, loading it ends without a panic, and every problem
// has a code and a place.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/load/*.txtar")
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range a.Files {
			if strings.HasSuffix(x.Name, ".cue") {
				f.Add(string(x.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 || strings.Contains(text, "for ") || strings.Contains(text, "list.") {
			return // what runs without end is another test's
		}
		m, ps := Load(Source{FS: fstest.MapFS{"images.cue": {Data: []byte(text)}}, Dir: "."})
		if m == nil && len(ps) == 0 {
			t.Fatal("neither a manifest nor a problem")
		}
		for _, p := range ps {
			if p.Code == "" || p.Message == "" || p.At.File == "" && p.Code != "CV0002" {
				t.Errorf("%#v", p)
			}
		}
	})
}

// manifestOf has n families of three images.
func manifestOf(n int) string {
	var b strings.Builder
	b.WriteString("package images\n\ncanvos: \"v4.4.12\"\nregistry: \"docker.io/acme\"\n\nfamilies: {\n")
	for i := range n {
		fmt.Fprintf(&b, "\t\"f%d\": {\n\t\tos: {distribution: \"ubuntu\", version: \"22.04\"}\n\t\tkubernetes: {distribution: \"k3s\", versions: [\"1.28.5\", \"1.29.8\", \"1.30.4\"]}\n\t\ttag: \"t%d\"\n\t}\n", i, i)
	}
	b.WriteString("}\nfamilies: [string]: updateKernel: *false | bool\n")
	return b.String()
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		text := []byte(manifestOf(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, ps := Load(Source{FS: fstest.MapFS{"images.cue": {Data: text}}, Dir: "."})
				if len(ps) > 0 || len(m.Families) != n {
					b.Fatal(listing(ps))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/family")
		})
	}
}

// Hot and cold: what the schema is without its texts must judge the same.
func TestDefinitionsAgree(t *testing.T) {
	ctx := cuecontext.New()
	fast, full := definition(ctx, false), definition(ctx, true)
	files, _ := filepath.Glob("testdata/load/*.txtar")
	for _, file := range files {
		a, _ := archive(t, file)
		for _, f := range a.Files {
			if !strings.HasSuffix(f.Name, ".cue") || strings.Contains(string(f.Data), "import") {
				continue
			}
			v := ctx.CompileBytes(f.Data)
			if v.Err() != nil {
				continue
			}
			quick, slow := v.Unify(fast).Validate(cue.Concrete(true)), v.Unify(full).Validate(cue.Concrete(true))
			if (quick == nil) != (slow == nil) {
				t.Errorf("%s %s: without texts %v, with texts %v", file, f.Name, quick, slow)
			}
		}
	}
}
