package compile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/problem"
)

// The corpus of testdata/check: an archive holds a manifest with something wrong
// in bad/, the exact problems, and in good/ the manifest mended as they say. It
// is named by the code it is about; the second line of its comment may name a
// file or a tag ("file=b.cue tag=x=y") for the bad one.
type specimen struct {
	name, file string
	archive    *txtar.Archive
	tree       fs.FS
}

func corpus(t *testing.T) []specimen {
	t.Helper()
	files, err := filepath.Glob("testdata/check/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var all []specimen
	for _, file := range files {
		a, tree := archive(t, file)
		all = append(all, specimen{strings.TrimSuffix(filepath.Base(file), ".txtar"), file, a, tree})
	}
	return all
}

// judged is all that is wrong with one of an archive's manifests.
func (s specimen) judged(t *testing.T, dir string) []*problem.Problem {
	t.Helper()
	src := Source{FS: s.tree, Dir: dir}
	if dir == "bad" {
		for _, word := range strings.Fields(string(s.archive.Comment)) {
			if v, ok := strings.CutPrefix(word, "file="); ok {
				src.File = v
			} else if v, ok := strings.CutPrefix(word, "tag="); ok {
				src.Tags = append(src.Tags, v)
			}
		}
	}
	var lk *lock.File
	if text, err := fs.ReadFile(s.tree, lock.Name); err == nil {
		if lk, err = lock.Read(text); err != nil {
			t.Fatal(err)
		}
	}
	return Judge(src, lk).Problems
}

func TestCorpus(t *testing.T) {
	code := regexp.MustCompile(`^CV0[0-9]{3}`)
	for _, s := range corpus(t) {
		t.Run(s.name, func(t *testing.T) {
			bad := s.judged(t, "bad")
			golden(t, s.file, s.archive, "problems", listing(bad))
			for _, p := range bad {
				if p.At.File == "" && p.Code != "CV0002" {
					t.Errorf("%s has no place", p.Code)
				}
			}
			about := code.FindString(s.name)
			if about != "" && has(bad, about) == nil {
				t.Errorf("%s is not found in bad/", about)
			}
			if _, err := fs.Stat(s.tree, "good"); err != nil {
				return
			}
			good := s.judged(t, "good")
			if about != "" && has(good, about) != nil {
				t.Errorf("%s is found in good/:\n%s", about, listing(good))
			}
			for _, p := range good {
				if p.Severity == problem.Error {
					t.Errorf("good/ has an error:\n%s", listing(good))
					break
				}
			}
		})
	}
}

// Every code of these rooms has a manifest that shows it, and no help is empty.
func TestCorpusIsWhole(t *testing.T) {
	shown := map[string]bool{}
	for _, s := range corpus(t) {
		for _, p := range s.judged(t, "bad") {
			shown[p.Code] = true
			if e, _ := problem.Lookup(p.Code); e.Room == "compile" && p.Help == "" {
				t.Errorf("%s: %s suggests nothing", s.name, p.Code)
			}
		}
	}
	for _, e := range problem.Codes() {
		if (e.Room == "load" || e.Room == "compile") && !shown[e.Code] {
			t.Errorf("%s (%s) is in no archive of testdata/check", e.Code, e.Title)
		}
	}
}

// The examples are what the documentation tells people to copy: nothing is
// wrong with them, not even a warning.
func TestExamples(t *testing.T) {
	dirs, err := filepath.Glob("../examples/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, dir := range dirs {
		m, ps := Load(Source{FS: os.DirFS(dir), Dir: "."})
		if m != nil {
			ps = append(ps, Check(m)...)
		}
		if len(ps) > 0 {
			t.Errorf("%s:\n%s", dir, listing(ps))
		}
	}
}

// A secret that was written into a manifest is not repeated by what is said of
// it.
func TestSecretsAreNotRepeated(t *testing.T) {
	for _, s := range corpus(t) {
		if s.name != "CV0103-secret" {
			continue
		}
		ps := s.judged(t, "bad")
		if len(ps) < 2 {
			t.Fatalf("%s", listing(ps))
		}
		for _, p := range ps {
			if !p.Hide {
				t.Errorf("%s shows its line", p.Code)
			}
		}
		if text := listing(ps); strings.Contains(text, "C1234") {
			t.Errorf("the token is in\n%s", text)
		}
		return
	}
	t.Fatal("the corpus has no secret")
}

// Whatever a manifest says, judging it ends without a panic, and every problem
// has a place, a path or file, and words.
func FuzzJudge(f *testing.F) {
	files, _ := filepath.Glob("testdata/check/*.txtar")
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
		for _, p := range Judge(Source{FS: fstest.MapFS{"images.cue": {Data: []byte(text)}}, Dir: "."}, nil).Problems {
			if _, known := problem.Lookup(p.Code); !known || p.Message == "" || p.At.File == "" && p.Code != "CV0002" {
				t.Errorf("%#v", p)
			}
		}
	})
}
