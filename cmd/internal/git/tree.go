package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Tree is a file tree: of a commit, or of the work tree as far as git knows it.
// Names and modes are read at once, sizes and contents when they are asked for.
// It is safe for concurrent use.
//
// It implements fs.ReadDirFS, fs.StatFS, fs.ReadFileFS and fs.ReadLinkFS. Links
// are followed inside the tree; one that leaves it does not exist. Submodules
// are empty directories. A name that is not UTF-8 is listed and cannot be opened,
// as in any fs.FS.
type Tree struct {
	Commit  string // "" of the work tree
	entries map[string]*entry
	objects objects
	disk    *os.Root // of the work tree; nil if nothing is read from it

	mu      sync.Mutex
	missing error // the first thing that a partial clone lacks
}

type entry struct {
	name string // last element
	mode fs.FileMode
	id   string   // of its object; "" if it is on disk alone
	disk string   // its path in the work tree, if it is read there
	size int64    // once it was asked for
	kids []string // last elements, sorted; of directories

	sized bool
}

// Tree reads the tree of a revision. Close ends the processes that read contents.
//
// What is checked out and unchanged is read from the work tree: line ends and
// large files are there as filters have made them, which is how everybody but git
// sees them.
func (r *Repo) Tree(ctx context.Context, rev string) (*Tree, error) {
	commit, err := r.Commit(ctx, rev)
	if err != nil {
		return nil, err
	}
	there, err := r.checkedOut(ctx)
	if err != nil {
		return nil, err
	}
	list, err := r.raw(ctx, "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	t, err := r.newTree(ctx)
	if err != nil {
		return nil, err
	}
	t.Commit = commit
	for line := range records(list) {
		meta, name, _ := strings.Cut(line, "\t")
		f := strings.Fields(meta) // mode, type, object
		if len(f) != 3 || name == "" {
			t.Close()
			return nil, fmt.Errorf("git ls-tree: unexpected line %q", line)
		}
		e := &entry{name: path.Base(name), mode: modeOf(f[0]), id: f[2]}
		if was, ok := there[name]; ok && was.unchanged && was.id == e.id && e.mode.IsRegular() {
			e.disk = name
		}
		t.add(name, e)
	}
	t.sort()
	return t, nil
}

// newTree is a tree of which nothing is known yet.
func (r *Repo) newTree(ctx context.Context) (*Tree, error) {
	t := &Tree{entries: map[string]*entry{".": {name: ".", mode: fs.ModeDir | 0o755}}, objects: objects{ctx: ctx, repo: r}}
	if r.Root == "" {
		return t, nil
	}
	var err error
	if t.disk, err = os.OpenRoot(r.Root); err != nil {
		return nil, fmt.Errorf("open the work tree: %w", err)
	}
	return t, nil
}

// modeOf is a mode of git's as one of ours.
func modeOf(mode string) fs.FileMode {
	switch mode {
	case "120000":
		return fs.ModeSymlink | 0o777
	case "160000": // a submodule
		return fs.ModeDir | 0o755
	case "100755":
		return 0o755
	}
	return 0o644
}

// records are what git ends with NUL.
func records(list []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range bytes.SplitSeq(list, []byte{0}) {
			if len(line) > 0 && !yield(string(line)) {
				return
			}
		}
	}
}

func (t *Tree) add(name string, e *entry) {
	t.entries[name] = e
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		d, ok := t.entries[dir]
		if !ok {
			d = &entry{name: path.Base(dir), mode: fs.ModeDir | 0o755}
			t.entries[dir] = d
		}
		d.kids = append(d.kids, path.Base(name))
		if ok || dir == "." {
			return
		}
		name = dir
	}
}

func (t *Tree) sort() {
	for _, e := range t.entries {
		slices.Sort(e.kids)
	}
}

// Close ends the reading processes.
func (t *Tree) Close() error {
	err := t.objects.close()
	if t.disk != nil {
		err = errors.Join(err, t.disk.Close())
	}
	return err
}

// Missing is what a partial clone lacked, if anything that was asked for: a
// *MissingError. Who looks for files takes one that cannot be read for another
// tool's, so this says it for certain.
func (t *Tree) Missing() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.missing
}

// missed remembers what a partial clone lacks.
func (t *Tree) missed(p string, err error) error {
	var m *MissingError
	if errors.As(err, &m) {
		m.Path = p
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.missing == nil {
			t.missing = m
		}
	}
	return err
}

func (t *Tree) Open(name string) (fs.File, error) {
	p, e, err := t.resolve("open", name)
	if err != nil {
		return nil, err
	}
	if e.mode.IsDir() {
		return &dir{info{t, p, e, path.Base(name)}, t.list(p), 0}, nil
	}
	content, err := t.open(p, e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{info{t, p, e, path.Base(name)}, content}, nil
}

// mostRead is how much of one file is read into memory. Whoever takes more reads
// it bit by bit.
const mostRead = 64 << 20

func (t *Tree) ReadFile(name string) ([]byte, error) {
	p, e, err := t.resolve("open", name)
	if err != nil {
		return nil, err
	}
	if e.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	b, err := t.read(p, e, mostRead)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	p, e, err := t.resolve("stat", name)
	if err != nil {
		return nil, err
	}
	return info{t, p, e, path.Base(name)}, nil
}

// Lstat describes the link itself, where name is one.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	p, e, err := t.lresolve("lstat", name)
	if err != nil {
		return nil, err
	}
	return info{t, p, e, e.name}, nil
}

func (t *Tree) ReadLink(name string) (string, error) {
	p, e, err := t.lresolve("readlink", name)
	if err != nil {
		return "", err
	}
	if e.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return t.link(p, e)
}

func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	p, e, err := t.resolve("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return t.list(p), nil
}

func (t *Tree) list(p string) []fs.DirEntry {
	d := t.entries[p]
	list := make([]fs.DirEntry, 0, len(d.kids))
	for _, k := range d.kids {
		at := path.Join(p, k)
		list = append(list, fs.FileInfoToDirEntry(info{t, at, t.entries[at], k}))
	}
	return list
}

// lresolve follows the links in the directories of name, not name itself.
func (t *Tree) lresolve(op, name string) (string, *entry, error) {
	if !fs.ValidPath(name) {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return ".", t.entries["."], nil
	}
	parent, _, err := t.resolve(op, path.Dir(name))
	if err != nil {
		return "", nil, err
	}
	at := path.Join(parent, path.Base(name))
	if e := t.entries[at]; e != nil {
		return at, e, nil
	}
	return "", nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// resolve follows all links; it gives the path where it ended.
func (t *Tree) resolve(op, name string) (string, *entry, error) {
	fail := func(err error) (string, *entry, error) {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	if e := t.entries[name]; e != nil && e.mode&fs.ModeSymlink == 0 {
		return name, e, nil // no link on the way, or it would not be in the list
	}
	at, rest := ".", strings.Split(name, "/")
	for hops := 0; len(rest) > 0; {
		elem := rest[0]
		rest = rest[1:]
		switch elem {
		case ".", "":
			continue
		case "..":
			if at == "." {
				return fail(fs.ErrNotExist)
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, elem)
		e := t.entries[next]
		if e == nil {
			return fail(fs.ErrNotExist)
		}
		if e.mode&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return fail(fmt.Errorf("too many links"))
		}
		text, err := t.link(next, e)
		if err != nil {
			return fail(err)
		}
		if path.IsAbs(text) {
			return fail(fs.ErrNotExist)
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	return at, t.entries[at], nil
}

// mostLink is how long a link may be: no system has longer ones.
const mostLink = 4096

func (t *Tree) link(p string, e *entry) (string, error) {
	if e.disk != "" {
		return t.disk.Readlink(e.disk)
	}
	b, err := t.read(p, e, mostLink)
	return string(b), err
}

// open opens a file's content.
func (t *Tree) open(p string, e *entry) (io.ReadCloser, error) {
	if e.disk != "" {
		f, err := t.disk.Open(e.disk)
		if err == nil {
			return f, nil
		}
		if e.id == "" || !errors.Is(err, fs.ErrNotExist) {
			return nil, unpathed(err)
		} // of a sparse checkout: it is unchanged, and not there
	}
	content, err := t.objects.open(e.id)
	return content, t.missed(p, err)
}

// read reads a file of at most so many bytes.
func (t *Tree) read(p string, e *entry, most int64) ([]byte, error) {
	content, err := t.open(p, e)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	b, err := io.ReadAll(io.LimitReader(content, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it is larger than %d KiB", most>>10)
	}
	return b, err
}

// sizeOf is a file's size; 0 of what cannot be read, which says so then.
func (t *Tree) sizeOf(p string, e *entry) int64 {
	if e.mode.IsDir() {
		return 0
	}
	t.mu.Lock()
	size, known := e.size, e.sized
	t.mu.Unlock()
	if known {
		return size
	}
	size = -1
	if e.disk != "" {
		if fi, err := t.disk.Lstat(e.disk); err == nil {
			size = fi.Size()
		}
	}
	if size < 0 && e.id != "" {
		n, err := t.objects.size(e.id)
		_ = t.missed(p, err)
		size = n
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e.size, e.sized = max(size, 0), true
	return e.size
}

// unpathed is the system's answer without a path that is added again.
func unpathed(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

type info struct {
	tree *Tree
	at   string
	e    *entry
	name string
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.tree.sizeOf(i.at, i.e) }
func (i info) Mode() fs.FileMode  { return i.e.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.e.mode.IsDir() }
func (i info) Sys() any           { return nil }

type file struct {
	info info
	io.ReadCloser
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

type dir struct {
	info info
	list []fs.DirEntry
	next int
}

func (d *dir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *dir) Close() error               { return nil }
func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.list[d.next:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.next += len(rest)
	return rest, nil
}
