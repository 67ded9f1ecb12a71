package plan

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

func hash(t *testing.T, fsys fs.FS, name string) Digest {
	t.Helper()
	d, _, err := HashTree(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The format is a promise to every lock file, so it is spelt out here by hand.
func TestHashTreeFormat(t *testing.T) {
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	m := tree(map[string]string{"d/a/x": "one", "d/a-b": "four"})
	m["d/run"] = &fstest.MapFile{Data: []byte("#!"), Mode: 0o4711}
	m["d/z"] = &fstest.MapFile{Data: []byte("/nowhere"), Mode: fs.ModeSymlink | 0o777}

	want := "canvos tree 1\x00" +
		"a-b\x000644\x004\x00" + sum("four") + "\x00" +
		"a/x\x000644\x003\x00" + sum("one") + "\x00" +
		"run\x000755\x002\x00" + sum("#!") + "\x00" +
		"z\x00link\x008\x00" + sum("/nowhere") + "\x00"
	d, size, err := HashTree(m, "d")
	if err != nil || d != DigestOf([]byte(want)) || size != 4+3+2+8 {
		t.Errorf("tree: %s, %d, %v", d, size, err)
	}
	if d := hash(t, m, "d/a/x"); d != DigestOf([]byte("canvos tree 1\x00\x000644\x003\x00"+sum("one")+"\x00")) {
		t.Errorf("file: %s", d)
	}
	if d := hash(t, m, "d/z"); d != DigestOf([]byte("canvos tree 1\x00\x00link\x008\x00"+sum("/nowhere")+"\x00")) {
		t.Errorf("link: %s", d)
	}
	sub, _ := fs.Sub(m, "d")
	if hash(t, sub, ".") != d {
		t.Error("the root of a tree hashes differently from the same tree by name")
	}
}

func TestHashTreeSeesWhatGitSees(t *testing.T) {
	base := tree(map[string]string{"a": "1", "b/c": "2"})
	want := hash(t, base, ".")

	same := tree(map[string]string{"a": "1", "b/c": "2", ".git/HEAD": "ref", "b/.git": "gitdir: x"})
	same["a"].Mode = 0o600
	same["a"].ModTime = time.Unix(5, 0)
	same["empty"] = &fstest.MapFile{Mode: fs.ModeDir | 0o700}
	if hash(t, same, ".") != want {
		t.Error("owner, time, mode bits, empty directories or .git changed the digest")
	}
	for name, change := range map[string]func(fstest.MapFS){
		"content":    func(m fstest.MapFS) { m["a"].Data = []byte("x") },
		"executable": func(m fstest.MapFS) { m["a"].Mode = 0o744 },
		"name":       func(m fstest.MapFS) { m["A"] = m["a"]; delete(m, "a") },
		"more":       func(m fstest.MapFS) { m["d"] = &fstest.MapFile{} },
		"kind":       func(m fstest.MapFS) { m["a"].Mode = fs.ModeSymlink },
	} {
		m := tree(map[string]string{"a": "1", "b/c": "2"})
		change(m)
		if hash(t, m, ".") == want {
			t.Errorf("%s: the digest stayed", name)
		}
	}
}

func TestHashTreeOnDisk(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "1", "b/c": "2"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../outside", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	m := tree(map[string]string{"a": "1", "b/c": "2"})
	m["l"] = &fstest.MapFile{Data: []byte("../../outside"), Mode: fs.ModeSymlink}
	if hash(t, os.DirFS(dir), ".") != hash(t, m, ".") {
		t.Error("a tree on disk and the same tree in memory differ")
	}

	l, err := net.Listen("unix", filepath.Join(dir, "b", "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := HashTree(os.DirFS(dir), "."); err == nil || !strings.Contains(err.Error(), "b/sock: neither a file") {
		t.Errorf("socket: %v", err)
	}
}

func TestHashTreeErrors(t *testing.T) {
	if _, _, err := HashTree(tree(nil), "gone"); err == nil {
		t.Error("a missing path has a digest")
	}
	if _, _, err := HashTree(tree(map[string]string{"d/.wh.passwd": ""}), "d"); err == nil || !strings.Contains(err.Error(), "d/.wh.passwd") {
		t.Errorf("whiteout name: %v", err)
	}
}

func BenchmarkHashTree(b *testing.B) {
	m := fstest.MapFS{}
	for i := range 2000 {
		m[fmt.Sprintf("d%d/f%d", i%20, i)] = &fstest.MapFile{Data: make([]byte, 4096), Mode: 0o644}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := HashTree(m, "."); err != nil {
			b.Fatal(err)
		}
	}
}

// A remembered tree is hashed once, and looks as it does from outside.
func TestRemembered(t *testing.T) {
	tree := fstest.MapFS{"d/a": {Data: []byte("one")}, "d/b": {Data: []byte("two"), Mode: 0o755}, "d/l": {Data: []byte("a"), Mode: fs.ModeSymlink}}
	want, _, err := HashTree(tree, "d")
	if err != nil {
		t.Fatal(err)
	}
	r := Remembered(tree)
	got, size, err := HashTree(r, "d")
	if err != nil || got != want || size != 7 {
		t.Fatalf("%s, %d, %v; want %s", got, size, err, want)
	}
	tree["d/a"] = &fstest.MapFile{Data: []byte("changed")}
	if got, _, _ := HashTree(r, "d"); got != want {
		t.Error("hashed again")
	}
	tree["d/new"] = &fstest.MapFile{}
	if entries, err := WalkTree(r, "d"); err != nil || len(entries) != 3 {
		t.Errorf("walked again: %v, %v", entries, err)
	}
	if got, _, _ := HashTree(Remembered(tree), "d"); got == want {
		t.Error("a new run does not see the change")
	}
	if _, _, err := HashTree(r, "nosuch"); err == nil {
		t.Error("what is not there has a digest")
	}
	if err := fstest.TestFS(r, "d/a", "d/b"); err != nil {
		t.Error(err)
	}
}
