package rootfs

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// node is a name in a tree. Trees share nodes: one may be changed only by the
// edit that made it, and copying a node copies the list of its children, not
// them.
type node struct {
	name  string
	ent   *Entry
	kids  []*node // of a directory, sorted by name
	owner *edit
}

func (n *node) find(name string) (int, bool) {
	// Archives mostly come sorted, so the end is where most names belong.
	if k := len(n.kids); k > 0 && n.kids[k-1].name < name {
		return k, false
	}
	return slices.BinarySearchFunc(n.kids, name, func(k *node, name string) int { return cmp.Compare(k.name, name) })
}

func (n *node) kid(name string) *node {
	if i, ok := n.find(name); ok {
		return n.kids[i]
	}
	return nil
}

// edit makes a new tree out of an old one, copying only what it changes.
type edit struct {
	root *node
}

func (t *Tree) edit() *edit {
	e := &edit{}
	e.root = e.mine(t.root)
	return e
}

// mine is n, or a copy of it that may be changed.
func (e *edit) mine(n *node) *node {
	if n.owner == e {
		return n
	}
	return &node{n.name, n.ent, slices.Clone(n.kids), e}
}

// kid is the child of dir, which must be e's, ready to be changed; nil if there
// is none.
func (e *edit) kid(dir *node, name string) *node {
	i, ok := dir.find(name)
	if !ok {
		return nil
	}
	dir.kids[i] = e.mine(dir.kids[i])
	return dir.kids[i]
}

// at is the node at a path that exists and goes through no link, ready to be
// changed.
func (e *edit) at(names []string) *node {
	n := e.root
	for _, name := range names {
		n = e.kid(n, name)
	}
	return n
}

// put makes name in dir, which must be e's, stand for ent and nothing else.
func (e *edit) put(dir *node, name string, ent *Entry) *node {
	n := &node{name: name, ent: ent, owner: e}
	if i, ok := dir.find(name); ok {
		dir.kids[i] = n
	} else {
		dir.kids = slices.Insert(dir.kids, i, n)
	}
	return n
}

// drop removes name from dir, which must be e's.
func (dir *node) drop(name string) {
	if i, ok := dir.find(name); ok {
		dir.kids = slices.Delete(dir.kids, i, i+1)
	}
}

// maxLinks is how many links a path may go through, as in Linux.
const maxLinks = 40

// place is where a path leads.
type place struct {
	path    string
	names   []string // of what exists, from the root on; no link among them but a last one that was not followed
	node    *node    // nil if something is missing
	missing []string // names that do not exist, the first below names
	link    string   // the link that leads nowhere, if that is why
	target  string   // its text
}

// walk goes down p from the root, as the kernel would if the tree were its root
// directory: links on the way are followed, ".." stops at the root. A last name
// that is a link is followed if follow is set.
func (root *node) walk(p string, follow bool) (place, error) {
	at := place{path: p}
	stack := []*node{root}
	todo := split(p)
	links, rest := 0, -1 // rest: how much of todo comes after the link being followed
	for len(todo) > 0 {
		name := todo[0]
		if name == "." {
			todo = todo[1:]
			continue
		}
		here := stack[len(stack)-1]
		if !here.ent.dir() {
			return at, &fs.PathError{Op: "find", Path: p, Err: fmt.Errorf("/%s is %s, not a directory", strings.Join(at.names, "/"), here.ent.kind())}
		}
		if name == ".." {
			todo = todo[1:]
			if len(stack) > 1 {
				stack, at.names = stack[:len(stack)-1], at.names[:len(at.names)-1]
			}
			continue
		}
		k := here.kid(name)
		if k == nil {
			if rest < 0 || len(todo) <= rest {
				at.link, at.target = "", ""
			}
			if at.link == "" && slices.Contains(todo, "..") {
				return at, &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
			}
			at.missing = todo
			return at, nil
		}
		todo = todo[1:]
		if k.ent.Type != tar.TypeSymlink || !follow && len(todo) == 0 {
			stack, at.names = append(stack, k), append(at.names, name)
			continue
		}
		if links++; links > maxLinks {
			return at, &fs.PathError{Op: "find", Path: p, Err: fmt.Errorf("too many links")}
		}
		if rest < 0 || len(todo) <= rest {
			rest = len(todo)
			at.link, at.target = "/"+path.Join(strings.Join(at.names, "/"), name), k.ent.Target
		}
		todo = append(split(k.ent.Target), todo...)
		if path.IsAbs(k.ent.Target) {
			stack, at.names = stack[:1], nil
		}
	}
	at.node, at.link, at.target = stack[len(stack)-1], "", ""
	return at, nil
}

// absent is the error for a place where something is missing.
func (at place) absent() error {
	if at.link != "" {
		return &fs.PathError{Op: "find", Path: at.path, Err: fmt.Errorf("%s is a link to %s, which does not exist%w", at.link, at.target, silent{fs.ErrNotExist})}
	}
	return &fs.PathError{Op: "find", Path: at.path, Err: fs.ErrNotExist}
}

// silent is an error that is there to be asked for, not to be read.
type silent struct{ error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.error }
