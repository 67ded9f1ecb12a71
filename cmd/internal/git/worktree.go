package git

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// WorkTree is the tree of what git tracks, as it lies in the work tree; with
// untracked, of what git would add as well. Nothing that is ignored is in it, no
// repository below, nor git's own directory: none of that is part of a change.
func (r *Repo) WorkTree(ctx context.Context, untracked bool) (*Tree, error) {
	if r.Root == "" {
		return nil, fmt.Errorf("a bare repository has no work tree")
	}
	there, err := r.checkedOut(ctx)
	if err != nil {
		return nil, err
	}
	t, err := r.newTree(ctx)
	if err != nil {
		return nil, err
	}
	for name, f := range there {
		e := &entry{name: path.Base(name), mode: f.mode, disk: name}
		if f.unchanged {
			e.id = f.id
		}
		if f.mode.IsDir() {
			e.disk = "" // a submodule
		}
		t.add(name, e)
	}
	if untracked {
		if err := r.addUntracked(ctx, t); err != nil {
			t.Close()
			return nil, err
		}
	}
	t.sort()
	return t, nil
}

func (r *Repo) addUntracked(ctx context.Context, t *Tree) error {
	list, err := r.top().raw(ctx, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for name := range records(list) {
		fi, err := t.disk.Lstat(name) // a repository below ends with a slash
		if err != nil || strings.HasSuffix(name, "/") {
			continue
		}
		e := &entry{name: path.Base(name), disk: name}
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			e.mode = modeOf("120000")
		case !fi.Mode().IsRegular():
			continue
		case fi.Mode()&0o100 != 0:
			e.mode = modeOf("100755")
		default:
			e.mode = modeOf("100644")
		}
		t.add(name, e)
	}
	return nil
}

// checkedOut is a tracked file that lies in the work tree.
type checkedOut struct {
	mode      fs.FileMode
	id        string
	unchanged bool // it is what git has checked out
}

// checkedOut are the tracked files of the work tree, by path; found once. A bare
// repository has none.
func (r *Repo) checkedOut(ctx context.Context) (map[string]checkedOut, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.there != nil || r.Root == "" {
		return r.there, nil
	}
	list, err := r.top().raw(ctx, "ls-files", "-z", "--stage")
	if err != nil {
		return nil, err
	}
	there := map[string]checkedOut{}
	for line := range records(list) {
		meta, name, _ := strings.Cut(line, "\t")
		f := strings.Fields(meta) // mode, object, stage
		if len(f) != 3 || name == "" {
			return nil, fmt.Errorf("git ls-files: unexpected line %q", line)
		}
		there[name] = checkedOut{modeOf(f[0]), f[1], f[2] == "0"}
	}
	// Unlike diff-files, it looks into files whose times alone have changed.
	list, err = r.top().raw(ctx, "status", "-z", "--porcelain=v2", "--untracked-files=no", "--ignore-submodules=all", "--no-renames")
	if err != nil {
		return nil, err
	}
	for line := range records(list) {
		// 1 XY sub mH mI mW hH hI path; of a conflict u XY sub m1 m2 m3 mW h1 h2 h3 path
		var state, mode, name string
		switch f := strings.SplitN(line, " ", 11); {
		case f[0] == "1" && len(f) >= 9:
			state, mode, name = f[1], f[5], strings.SplitN(line, " ", 9)[8]
		case f[0] == "u" && len(f) == 11:
			state, mode, name = f[1], f[6], f[10]
		default:
			return nil, fmt.Errorf("git status: unexpected line %q", line)
		}
		switch {
		case mode == "000000":
			delete(there, name)
		case !strings.HasSuffix(state, "."):
			there[name] = checkedOut{mode: modeOf(mode)}
		}
	}
	r.there = there
	return there, nil
}

// top is the repository as seen from the top of its work tree.
func (r *Repo) top() *Repo { return &Repo{dir: r.Root} }

// Has tells whether there is anything at a path.
func (t *Tree) Has(name string) bool {
	_, err := t.Stat(name)
	return err == nil
}

// Submodule is the commit that a submodule follows; "" if there is none at a path.
func (t *Tree) Submodule(name string) string {
	if e := t.entries[name]; e != nil && e.mode.IsDir() {
		return e.id
	}
	return ""
}
