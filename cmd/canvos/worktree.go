package main

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
)

// workTree is the file system below a directory, which nothing read from it
// leaves, also through links: os.Root's. That finds its way from the root name
// by name for every file that is opened; who hashes or copies a tree opens
// thousands of the same directory, so the directories last used stay open.
type workTree struct {
	fs.FS // the whole of root
	root  *os.Root

	mu   sync.Mutex
	near []openDir // the one used last comes last
}

type openDir struct {
	name string
	root *os.Root
}

// nearDirs is how many directories stay open: one on each level of a deep tree.
const nearDirs = 16

func openWorkTree(dir string) (*workTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &workTree{FS: root.FS(), root: root}, nil
}

func (w *workTree) Open(name string) (fs.File, error) {
	if dir, base := path.Split(name); dir != "" && fs.ValidPath(name) {
		if r := w.dir(path.Clean(dir)); r != nil {
			if f, err := r.Open(base); err == nil {
				return f, nil
			}
		}
	}
	return w.FS.Open(name) // also the way of links that leave the directory, and of errors
}

// dir is a directory, opened; nil if it cannot be.
func (w *workTree) dir(name string) *os.Root {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open(name)
}

func (w *workTree) open(name string) *os.Root {
	if i := slices.IndexFunc(w.near, func(d openDir) bool { return d.name == name }); i >= 0 {
		d := w.near[i]
		w.near = append(slices.Delete(w.near, i, i+1), d)
		return d.root
	}
	above := w.root
	if parent := path.Dir(name); parent != "." {
		if above = w.open(parent); above == nil {
			return nil
		}
	}
	r, err := above.OpenRoot(path.Base(name))
	if err != nil {
		return nil // it may be a link that leaves the one above
	}
	if len(w.near) == nearDirs {
		w.near[0].root.Close() // not before who opens a file in it has done so
		w.near = slices.Delete(w.near, 0, 1)
	}
	w.near = append(w.near, openDir{name, r})
	return r
}

func (w *workTree) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := w.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.(*os.File).ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// What the root can do by itself, it does.
func (w *workTree) ReadFile(name string) ([]byte, error)   { return fs.ReadFile(w.FS, name) }
func (w *workTree) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(w.FS, name) }
func (w *workTree) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(w.FS, name) }
func (w *workTree) ReadLink(name string) (string, error)   { return fs.ReadLink(w.FS, name) }
