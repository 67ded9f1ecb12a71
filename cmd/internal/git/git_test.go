package git

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// repo makes a repository with two commits and a branch that left after the
// first; git is run with no configuration but the one given here.
func repo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	sh(t, dir, `
git init -q -b main .
git config user.name t; git config user.email t@example.com
mkdir -p edge/overlay bin
printf 'a: 1\n' > edge/images.cue
printf 'motd\n' > edge/overlay/motd
printf '#!/bin/sh\n' > bin/run; chmod +x bin/run
ln -s images.cue edge/alias.cue
ln -s ../edge bin/up
ln -s /etc/passwd out
ln -s ../../escape edge/escape
ln -s loop loop
git add -A; git commit -qm one
git branch side
git mv edge/images.cue edge/fleet.cue; printf 'a: 2\n' >> edge/fleet.cue
git commit -qam two`)
	return dir
}

func sh(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func tree(t *testing.T, dir, rev string) *Tree {
	t.Helper()
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := r.Tree(context.Background(), rev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func TestTreeIsTheRevision(t *testing.T) {
	dir := repo(t)
	// What lies in the work tree is not what is read.
	sh(t, dir, "printf 'a: 9' > edge/fleet.cue")
	tr := tree(t, dir, "main~1")
	for name, want := range map[string]string{
		"edge/images.cue":  "a: 1\n",
		"edge/alias.cue":   "a: 1\n",
		"bin/up/alias.cue": "a: 1\n",
	} {
		if b, err := fs.ReadFile(tr, name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"out", "edge/escape", "loop", "edge/fleet.cue", "nosuch"} {
		if _, err := fs.ReadFile(tr, name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if fi, err := tr.Lstat("bin/run"); err != nil || fi.Mode() != 0o755 {
		t.Errorf("bin/run: %v, %v", fi, err)
	}
	if s, err := tr.ReadLink("edge/alias.cue"); err != nil || s != "images.cue" {
		t.Errorf("alias.cue is a link to %q, %v", s, err)
	}
}

func TestTreeIsAnFS(t *testing.T) {
	dir := repo(t)
	sh(t, dir, "git rm -q out loop edge/escape edge/alias.cue; git commit -qm tidy") // TestFS wants links that resolve
	if err := fstest.TestFS(tree(t, dir, "HEAD"), "edge/fleet.cue", "edge/overlay/motd", "bin/run"); err != nil {
		t.Error(err)
	}
}

func TestHistory(t *testing.T) {
	ctx := context.Background()
	dir := repo(t)
	r, err := Open(ctx, filepath.Join(dir, "edge"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Prefix != "edge" {
		t.Errorf("prefix %q", r.Prefix)
	}
	base, err := r.MergeBase(ctx, "main", "side")
	if err != nil {
		t.Fatal(err)
	}
	if one, _ := r.Commit(ctx, "side"); base != one {
		t.Errorf("merge base %s, want %s", base, one)
	}
	moved, err := r.Renames(ctx, "main~1", "main")
	if err != nil || moved["edge/images.cue"] != "edge/fleet.cue" {
		t.Errorf("renames: %v, %v", moved, err)
	}
	if _, err := r.Commit(ctx, "nosuch"); err == nil || !strings.Contains(err.Error(), `unknown revision "nosuch"`) {
		t.Errorf("unknown revision: %v", err)
	}
	if _, err := r.Commit(ctx, "--output=x"); err == nil {
		t.Error("an option was taken for a revision")
	}
	if up := r.Upstream(ctx); up != "" {
		t.Errorf("upstream %q of a repository without a remote", up)
	}
}

// TestUpstream checks that a branch is not compared with its own copy.
func TestUpstream(t *testing.T) {
	ctx := context.Background()
	dir := repo(t)
	out := t.TempDir()
	sh(t, out, "git clone -q '"+dir+"' clone")
	clone := filepath.Join(out, "clone")
	sh(t, clone, "git config user.name t; git config user.email t@example.com")
	for _, c := range []struct{ do, want string }{
		{"true", "origin/main"},
		{"git checkout -q -b feature/pr origin/side", "origin/side"},
		{"git push -q -u origin feature/pr", "origin/main"},
		{"git remote set-head origin -d", "origin/main"},
		{"git branch -q --set-upstream-to origin/side", "origin/side"},
		{"git checkout -q -b local main; git branch -q --set-upstream-to main", "main"},
		{"git checkout -q --detach", "origin/main"},
		{"git checkout -q feature/pr; git branch -q --set-upstream-to origin/feature/pr; git branch -q -r -d origin/main", ""},
	} {
		sh(t, clone, c.do)
		r, err := Open(ctx, clone)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Upstream(ctx); got != c.want {
			t.Errorf("after %s: %q, want %q", c.do, got, c.want)
		}
	}
}

func TestClones(t *testing.T) {
	ctx := context.Background()
	dir := repo(t)
	out := t.TempDir()
	sh(t, out, "git clone -q --bare '"+dir+"' bare; git clone -q --depth 1 'file://"+dir+"' shallow")

	if b, err := fs.ReadFile(tree(t, filepath.Join(out, "bare"), "main~1"), "edge/images.cue"); err != nil || string(b) != "a: 1\n" {
		t.Errorf("bare: %q, %v", b, err)
	}
	r, err := Open(ctx, filepath.Join(out, "shallow"))
	if err != nil {
		t.Fatal(err)
	}
	if up := r.Upstream(ctx); up != "origin/main" {
		t.Errorf("upstream %q", up)
	}
	var missing *HistoryError
	if _, err := r.Tree(ctx, "main~1"); !errors.As(err, &missing) {
		t.Errorf("shallow: %v", err)
	}
	if _, err := Open(ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("no repository: %v", err)
	}
}

func workTree(t *testing.T, dir string, untracked bool) *Tree {
	t.Helper()
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := r.WorkTree(context.Background(), untracked)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// TestWorkTree checks what of a work tree is there: what git tracks, as it lies
// there, and what it would add if that is wanted; never what is ignored, git's
// own, or another repository's.
func TestWorkTree(t *testing.T) {
	dir := repo(t)
	sh(t, dir, `
printf 'a: 9\n' > edge/fleet.cue
rm bin/run; mkdir bin/run; printf 'x\n' > bin/run/me
printf '.env\n' > .gitignore; printf 'TOKEN\n' > .env; printf 'TOKEN\n' > edge/.env
printf 'new\n' > edge/new.cue; chmod +x edge/new.cue
ln -s ../.env edge/leak
git init -q below; printf 'b: 1\n' > below/images.cue
git -c protocol.file.allow=always submodule -q add "$PWD" sub
touch edge/overlay/motd`)
	for _, untracked := range []bool{false, true} {
		tr := workTree(t, filepath.Join(dir, "edge"), untracked)
		for name, want := range map[string]string{"edge/fleet.cue": "a: 9\n", "edge/overlay/motd": "motd\n"} {
			if b, err := fs.ReadFile(tr, name); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		}
		for _, name := range []string{".env", "edge/.env", "edge/leak", ".git/config", "below/images.cue", "sub/edge/fleet.cue", "edge/images.cue", "out"} {
			if b, err := fs.ReadFile(tr, name); err == nil {
				t.Errorf("%s was read: %q", name, b)
			}
		}
		for _, name := range []string{"edge/new.cue", "bin/run/me"} {
			if tr.Has(name) != untracked {
				t.Errorf("untracked %v: %s is there: %v", untracked, name, tr.Has(name))
			}
		}
		if fi, err := tr.Stat("edge/new.cue"); untracked && (err != nil || fi.Mode() != 0o755 || fi.Size() != 4) {
			t.Errorf("new.cue: %v, %v", fi, err)
		}
		if fi, err := tr.Stat("sub"); err != nil || !fi.IsDir() {
			t.Errorf("the submodule: %v, %v", fi, err)
		}
	}
	// Half a merge leaves what lies there.
	sh(t, dir, "git reset -q --hard; rm -rf bin/run; git checkout -q side; printf 'a: 3\n' >> edge/images.cue; git commit -qam three; ! git merge -q main 2>/dev/null")
	if b, err := fs.ReadFile(workTree(t, dir, false), "edge/fleet.cue"); err != nil || !strings.Contains(string(b), "<<<<<<<") {
		t.Errorf("in a conflict: %q, %v", b, err)
	}
}

// TestFilters checks that what is checked out is read as it is checked out, also
// from the commit, and that a sparse checkout hides nothing.
func TestFilters(t *testing.T) {
	dir := repo(t)
	sh(t, dir, `
printf 'edge/overlay/* text eol=crlf\n' > .gitattributes
printf 'motd\nmore\n' > edge/overlay/motd
git add -A; git commit -qm crlf
rm edge/overlay/motd; git checkout -q edge/overlay/motd
[ -z "$(git status --porcelain)" ]`)
	read := func(tr *Tree, name string) string {
		b, err := fs.ReadFile(tr, name)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	for _, tr := range []*Tree{workTree(t, dir, true), tree(t, dir, "HEAD")} {
		if got := read(tr, "edge/overlay/motd"); got != "motd\r\nmore\r\n" {
			t.Errorf("%q", got)
		}
		if fi, err := tr.Stat("edge/overlay/motd"); err != nil || fi.Size() != 12 {
			t.Errorf("size %d, %v", fi.Size(), err)
		}
	}
	if got := read(tree(t, dir, "HEAD~1"), "edge/overlay/motd"); got != "motd\n" {
		t.Errorf("what is not checked out: %q", got)
	}
	sh(t, dir, "git sparse-checkout set bin")
	if got := read(workTree(t, dir, true), "edge/fleet.cue"); got != "a: 1\na: 2\n" {
		t.Errorf("sparse: %q", got)
	}
}

// TestOddNames checks that a name that is not UTF-8 keeps nothing from being read.
func TestOddNames(t *testing.T) {
	dir := repo(t)
	sh(t, dir, `printf x > "$(printf 'edge/caf\351.txt')"; mkdir "$(printf 'l\351')"; printf x > "$(printf 'l\351/x')"; git add -A; git commit -qm odd`)
	for _, tr := range []*Tree{tree(t, dir, "HEAD"), workTree(t, dir, true)} {
		if b, err := fs.ReadFile(tr, "edge/fleet.cue"); err != nil || string(b) != "a: 1\na: 2\n" {
			t.Errorf("%q, %v", b, err)
		}
		list, err := fs.ReadDir(tr, "edge")
		if err != nil || !slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == "caf\xe9.txt" }) {
			t.Errorf("%v, %v", list, err)
		}
		if _, err := fs.ReadFile(tr, "edge/caf\xe9.txt"); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%v", err)
		}
	}
}

// TestPartial checks that a clone without contents says so, fetches nothing, and
// reads what it has.
func TestPartial(t *testing.T) {
	dir := repo(t)
	out := t.TempDir()
	sh(t, dir, "git config uploadpack.allowFilter true")
	sh(t, out, "git clone -q --filter=blob:none 'file://"+dir+"' partial")
	clone := filepath.Join(out, "partial")
	tr := tree(t, clone, "main~1")
	if b, err := fs.ReadFile(tr, "edge/overlay/motd"); err != nil || string(b) != "motd\n" {
		t.Errorf("what is checked out: %q, %v", b, err)
	}
	if tr.Missing() != nil {
		t.Error(tr.Missing())
	}
	var missing *MissingError
	if _, err := fs.ReadFile(tr, "edge/images.cue"); !errors.As(err, &missing) || missing.Path != "edge/images.cue" {
		t.Errorf("%v", err)
	}
	if !errors.As(tr.Missing(), &missing) {
		t.Errorf("it is forgotten: %v", tr.Missing())
	}
	// What the message says helps.
	sh(t, clone, "git fetch -q --refetch --no-filter")
	if b, err := fs.ReadFile(tree(t, clone, "main~1"), "edge/images.cue"); err != nil || string(b) != "a: 1\n" {
		t.Errorf("fetched: %q, %v", b, err)
	}
}

// TestLargeFiles checks that a large file is read bit by bit, and not at all into
// memory, nor as a link.
func TestLargeFiles(t *testing.T) {
	dir := repo(t)
	sh(t, dir, `
head -c 70000000 /dev/zero > large
git update-index --add --cacheinfo "120000,$(git hash-object -w large),long"
git add large; git commit -qm large; rm large; git checkout -q HEAD~1`)
	tr := tree(t, dir, "main")
	f, err := tr.Open("large")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, f); err != nil || n != 70000000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	f.Close()
	if f, err = tr.Open("large"); err == nil {
		err = f.Close() // half read is no error
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := fs.ReadFile(tr, "large"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
	if _, err := fs.Stat(tr, "long/x"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}
