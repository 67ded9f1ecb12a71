package policy

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
)

var update = flag.Bool("update", false, "rewrite what is wanted to what is seen")

// TestCorpus goes through edits, each with the effect and the findings that it
// must have. An archive holds the files of base, then edits: lines of a small
// language, and after each what is wanted.
//
// An edit that is named after a rule shows it firing, or near to it and not firing;
// each has both. The lines are
//
//	OLD => NEW            in images.cue, once, to nothing if NEW is left out; \n and \t are what they are in Go
//	in NAME OLD => NEW    the same in another file
//	file NAME CONTENT     a file is written
//	rm NAME               or removed, or a directory is with all that is in it
//	copy FROM TO          or copied
//	move FROM TO          or moved
//	base LINE             the same for base, before anything else
//	lock none|old|relock  head has no lock, base's, or its images resolve anew
//	forget LINE           head's lock does not record an image line
//	record LINE           or records that it is not two-node
//	squash                base has no manifest: what is in it was merged long ago
//	published REF CODE REASON   what a registry refuses
//	free REF              what a registry does not have
//	unreachable WHY       a registry that is not there
//	today DATE            2026-01-15 otherwise
//	judge head            by head's policies, not base's
//	policy CUE            and by such policies for all manifests
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no corpus", err)
	}
	edits := 0
	shown := map[string]map[bool]bool{} // rule → whether edits show it firing, and not firing
	for _, rule := range Builtin() {
		shown[rule.ID] = map[bool]bool{}
	}
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := map[string]string{}
		for i := 0; i < len(a.Files); i++ {
			f := a.Files[i]
			edit, ok := strings.CutPrefix(f.Name, "edit ")
			if !ok {
				base[f.Name] = string(f.Data)
				continue
			}
			edits++
			i++
			if i == len(a.Files) || a.Files[i].Name != "want" {
				t.Fatalf("%s: edit %s is not followed by what is wanted", name, edit)
			}
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+edit, func(t *testing.T) {
				r := review(t, base, string(f.Data))
				rule, _, _ := strings.Cut(edit, ":")
				if by, ok := shown[rule]; ok {
					by[slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == rule })] = true
				}
				got := told(r)
				if *update {
					a.Files[i].Data = []byte(got)
				} else if want := string(a.Files[i].Data); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
		if *update {
			if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if edits < 60 {
		t.Errorf("%d edits", edits)
	}
	for _, rule := range Builtin() {
		for _, fires := range []bool{true, false} {
			if !shown[rule.ID][fires] {
				t.Errorf("no edit that is named after %s shows that fires is %t", rule.ID, fires)
			}
		}
	}
}

// told is a review as the corpus writes it.
func told(r Review) string {
	var b strings.Builder
	for _, c := range r.Changes {
		name := c.Family
		if c.Renamed != "" {
			name = c.Renamed + " → " + name
		}
		fmt.Fprintf(&b, "%s %s: %s\n", name, c.Kind, strings.Join(c.Why, "; "))
	}
	n := r.Images
	fmt.Fprintf(&b, "+%d −%d ~%d »%d =%d\n", n.Added, n.Removed, n.Rebuilt, n.Retagged, n.Unchanged)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s", f.Severity, f.Rule)
		if f.Family != "" {
			fmt.Fprintf(&b, " %s", f.Family)
		}
		if f.At.File != "" {
			fmt.Fprintf(&b, " %s:%d", f.At.File, f.At.Line)
		}
		fmt.Fprintf(&b, ": %s\n", f.Message)
		if f.WaivedBy != "" {
			fmt.Fprintf(&b, "  waived by %s\n", f.WaivedBy)
		}
	}
	for _, w := range slices.Concat(r.Waivers.Unused, r.Waivers.Expired) {
		fmt.Fprintf(&b, "waiver %s: %s\n", w.Name, w.Why)
	}
	return b.String() + string(r.Verdict) + "\n"
}

// editing is one edit of the corpus on its way.
type editing struct {
	lock     string
	forget   []string
	record   []string
	squash   bool
	observed Observed
	today    string
	judge    string
	policy   string
}

func review(t *testing.T, files map[string]string, script string) Review {
	t.Helper()
	e := editing{lock: "new", today: "2026-01-15", judge: "base", observed: Observed{Free: map[string]bool{}}}
	base := maps.Clone(files)
	lines := strings.Split(strings.TrimSpace(script), "\n")
	var after []string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "base "); ok {
			alter(t, base, rest)
		} else {
			after = append(after, line)
		}
	}
	head := maps.Clone(base)
	for _, line := range after {
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "lock":
			e.lock = rest
		case "forget":
			e.forget = append(e.forget, rest)
		case "record":
			e.record = append(e.record, rest)
		case "squash":
			e.squash = true
		case "published":
			f := strings.SplitN(rest, " ", 3)
			e.observed.Refusals = append(e.observed.Refusals, Refusal{Reference: f[0], Code: f[1], Reason: f[2]})
		case "free":
			e.observed.Free[rest] = true
		case "unreachable":
			e.observed.Unchecked = rest
		case "today":
			e.today = rest
		case "judge":
			e.judge = rest
		case "policy":
			e.policy = escaped(t, rest)
		case "#", "":
		default:
			alter(t, head, line)
		}
	}
	oldLocks := locks(t, base, locks(t, files, nil, false), false)
	var newLocks map[string]*lock.File
	switch e.lock {
	case "none":
		newLocks = map[string]*lock.File{}
	case "old":
		newLocks = oldLocks
	default:
		newLocks = locks(t, head, oldLocks, e.lock == "relock")
	}
	for _, line := range e.forget {
		for _, lk := range newLocks {
			lk.Forget(line)
		}
	}
	for _, line := range e.record {
		for _, lk := range newLocks {
			if facts, known := lk.Facts[line]; known {
				facts.TwoNode = false
				lk.Facts[line] = facts
			}
		}
	}
	// What is a manifest at one side is one at the other, if there is any CUE.
	dirs := slices.Concat(manifests(base), manifests(head))
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	b, h := state(base, dirs, "main", oldLocks, newLocks), state(head, dirs, "the work tree", newLocks, oldLocks)
	if e.squash {
		b = StateOf(Side{Name: "main"}, nil)
	}
	rules := NewRuleset()
	by := b
	if e.judge == "head" {
		by = h
	}
	for _, m := range by.Manifests {
		rules.Add(m.Name, m.Policies, m.Waivers)
	}
	for _, m := range h.Manifests {
		rules.Propose(m.Name, m.Policies)
	}
	if e.policy != "" {
		policies, waivers, ps := compile.LoadRules(compile.Source{FS: tree(map[string]string{"rules.cue": "package rules\n" + e.policy}), Dir: "."})
		for _, p := range ps {
			t.Fatal(p)
		}
		rules.Add("", policies, waivers)
	}
	return Judge(Compare(b, h), Options{Today: e.today, Observed: e.observed, Rules: rules})
}

// alter carries out one line on files.
func alter(t *testing.T, files map[string]string, line string) {
	t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	name := "images.cue"
	switch verb {
	case "file":
		name, content, _ := strings.Cut(rest, " ")
		files[name] = escaped(t, content)
		return
	case "rm":
		copied(t, files, rest, "", true)
		return
	case "copy", "move":
		from, to, _ := strings.Cut(rest, " ")
		copied(t, files, from, to, verb == "move")
		return
	case "in":
		name, line, _ = strings.Cut(rest, " ")
	}
	from, to, ok := strings.Cut(line+" ", " => ") // to nothing, if that ends the line
	from, to = escaped(t, from), escaped(t, strings.TrimRight(to, " "))
	if !ok || !strings.Contains(files[name], from) {
		t.Fatalf("%q changes nothing", line)
	}
	files[name] = strings.Replace(files[name], from, to, 1)
}

// copied copies a file, or all below a directory, to nowhere if to is empty; and
// takes away the original if it is moved.
func copied(t *testing.T, files map[string]string, from, to string, moved bool) {
	t.Helper()
	some := false
	for name, content := range maps.Clone(files) {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		some = true
		if moved {
			delete(files, name)
		}
		if to != "" {
			files[to+rest] = content
		}
	}
	if !some {
		t.Fatalf("there is no %s", from)
	}
}

func escaped(t *testing.T, s string) string {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return text
}

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

func manifests(files map[string]string) []string {
	dirs, err := compile.Find(tree(files), ".")
	if err != nil {
		panic(err) // it is in memory
	}
	return dirs
}

// locks are complete locks with made-up digests of images; what older ones have
// stays. anew resolves every image to another digest.
func locks(t *testing.T, files map[string]string, older map[string]*lock.File, anew bool) map[string]*lock.File {
	t.Helper()
	all := map[string]*lock.File{}
	for _, dir := range manifests(files) {
		lk := older[dir].Clone()
		j := compile.Judge(compile.Source{FS: tree(files), Dir: dir}, lk)
		if j.Manifest == nil {
			continue
		}
		compile.Complete(j.Manifest, lk)
		for _, q := range compile.Requests(j.Manifest, lk) {
			if _, ok := lk.Source(q.Reference, q.Platform); q.Local || ok && !anew {
				continue
			}
			text := q.Reference + " " + q.Platform
			if anew {
				text += " anew"
			}
			lk.SetSource(q.Reference, q.Platform, lock.Source{Digest: plan.DigestOf([]byte(text)), Size: 1000})
		}
		lk.Prune(compile.Used(j.Manifest, lk))
		all[dir] = lk
	}
	return all
}

func state(files map[string]string, dirs []string, name string, own, other map[string]*lock.File) State {
	var ms []Manifest
	for _, dir := range dirs {
		if !compile.HasCUE(tree(files), dir) {
			continue
		}
		ms = append(ms, Evaluate(Input{Name: dir, Source: compile.Source{FS: tree(files), Dir: dir}, Lock: own[dir], Other: other[dir]}))
	}
	return StateOf(Side{Name: name}, ms)
}
