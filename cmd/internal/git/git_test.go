package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
