package git

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Tree is the file tree of a commit. Names and modes are read at once, contents
// when they are asked for, by one git process. It is safe for concurrent use.
//
// It implements fs.ReadDirFS, fs.StatFS, fs.ReadFileFS and fs.ReadLinkFS. Links
// are followed inside the tree; one that leaves it does not exist. Submodules
// are empty directories.
type Tree struct {
	Commit  string
	entries map[string]*entry

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

type entry struct {
	name string // last element
	mode fs.FileMode
	id   string
	size int64
	kids []string // last elements, sorted; of directories
}

// Tree reads the tree of a revision. Close ends the process that reads contents.
func (r *Repo) Tree(ctx context.Context, rev string) (*Tree, error) {
	commit, err := r.Commit(ctx, rev)
	if err != nil {
		return nil, err
	}
	list, err := r.raw(ctx, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
	if err != nil {
		return nil, err
	}
	t := &Tree{Commit: commit, entries: map[string]*entry{".": {name: ".", mode: fs.ModeDir | 0o755}}}
	for line := range bytes.SplitSeq(list, []byte{0}) {
		if len(line) == 0 {
			continue
		}
		meta, name, _ := strings.Cut(string(line), "\t")
		f := strings.Fields(meta) // mode, type, object, size
		if len(f) != 4 || !fs.ValidPath(name) {
			return nil, fmt.Errorf("git ls-tree: unexpected line %q", line)
		}
		e := &entry{name: path.Base(name), id: f[2]}
		switch f[0] {
		case "120000":
			e.mode = fs.ModeSymlink | 0o777
		case "160000":
			e.mode = fs.ModeDir | 0o755
		case "100755":
			e.mode = 0o755
		default:
			e.mode = 0o644
		}
		e.size, _ = strconv.ParseInt(f[3], 10, 64) // "-" of a submodule is 0
		t.add(name, e)
	}
	for _, e := range t.entries {
		slices.Sort(e.kids)
	}
	t.cmd = r.command(ctx, "cat-file", "--batch")
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReaderSize(out, 1<<16)
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return t, nil
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

// Close ends the reading process.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in.Close()
	return t.cmd.Wait()
}

func (t *Tree) Open(name string) (fs.File, error) {
	p, e, err := t.resolve("open", name)
	if err != nil {
		return nil, err
	}
	if e.mode.IsDir() {
		return &dir{info{e, path.Base(name)}, t.list(p), 0}, nil
	}
	b, err := t.read(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{info{e, path.Base(name)}, bytes.NewReader(b)}, nil
}

func (t *Tree) ReadFile(name string) ([]byte, error) {
	_, e, err := t.resolve("open", name)
	if err != nil {
		return nil, err
	}
	if e.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return t.read(e)
}

func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	_, e, err := t.resolve("stat", name)
	if err != nil {
		return nil, err
	}
	return info{e, path.Base(name)}, nil
}

// Lstat describes the link itself, where name is one.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	e, err := t.lresolve("lstat", name)
	if err != nil {
		return nil, err
	}
	return info{e, e.name}, nil
}

func (t *Tree) ReadLink(name string) (string, error) {
	e, err := t.lresolve("readlink", name)
	if err != nil {
		return "", err
	}
	if e.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	b, err := t.read(e)
	return string(b), err
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
		list = append(list, fs.FileInfoToDirEntry(info{t.entries[path.Join(p, k)], k}))
	}
	return list
}

// lresolve follows the links in the directories of name, not name itself.
func (t *Tree) lresolve(op, name string) (*entry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return t.entries["."], nil
	}
	parent, _, err := t.resolve(op, path.Dir(name))
	if err != nil {
		return nil, err
	}
	if e := t.entries[path.Join(parent, path.Base(name))]; e != nil {
		return e, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
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
		b, err := t.read(e)
		if err != nil {
			return fail(err)
		}
		if path.IsAbs(string(b)) {
			return fail(fs.ErrNotExist)
		}
		rest = append(strings.Split(string(b), "/"), rest...)
	}
	return at, t.entries[at], nil
}

func (t *Tree) read(e *entry) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := io.WriteString(t.in, e.id+"\n"); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	head, err := t.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	f := strings.Fields(head) // object, type, size; or object, "missing"
	if len(f) != 3 {
		return nil, fmt.Errorf("git cat-file: %s (a partial clone lacks it: git fetch --refetch)", strings.TrimSpace(head))
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	b := make([]byte, n+1) // and a newline
	if _, err := io.ReadFull(t.out, b); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return b[:n], nil
}

type info struct {
	e    *entry
	name string
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.e.size }
func (i info) Mode() fs.FileMode  { return i.e.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.e.mode.IsDir() }
func (i info) Sys() any           { return nil }

type file struct {
	info info
	*bytes.Reader
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

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
