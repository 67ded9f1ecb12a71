package main

import (
	"io/fs"
	"os"
	"slices"
	"strings"
)

// workTree is the file system below a directory, which nothing read from it
// leaves, also through links: os.Root's. That opens each directory on the way to a
// file, and asks whether the file can be polled; who hashes or copies a tree opens
// thousands, so the system is asked first to open in one call what lies below.
type workTree struct {
	fs.FS          // the whole of top, by os.Root
	top   *os.File // the directory
}

func openWorkTree(dir string) (*workTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	top, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &workTree{FS: root.FS(), top: top}, nil
}

func (w *workTree) Open(name string) (fs.File, error) {
	if fs.ValidPath(name) {
		if f := openBeneath(w.top, name); f != nil {
			return f, nil
		}
	}
	return w.FS.Open(name) // also where the system has no such call, and for the words of errors
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
