package sandbox

import (
	"bytes"
	"encoding/gob"
	"io"
	"io/fs"
	"sync"
	"time"
)

// What a child asks its parent.
const (
	opDone     = "done" // no question: an answer follows, unless Failed is set
	opStat     = "stat"
	opLstat    = "lstat"
	opReadLink = "readlink"
	opReadDir  = "readdir"
	opOpen     = "open"
	opRead     = "read"
	opClose    = "close"
)

// message is what a child sends.
type message struct {
	Op     string
	Name   string // of a file
	Handle int    // of an open file
	Failed string // why there is no answer
}

// reply is what the parent sends back.
type reply struct {
	Err     string // "" is none
	Kind    errKind
	Info    info
	List    []info // of a directory
	Data    []byte // of a file, or a link's text
	Handle  int    // of a file of which there is more; else 0
	Further bool   // there is more to read
}

// errKind are the errors that callers ask for.
type errKind int

const (
	otherErr errKind = iota
	notExist
	permission
	invalid
)

func (k errKind) err() error {
	switch k {
	case notExist:
		return fs.ErrNotExist
	case permission:
		return fs.ErrPermission
	case invalid:
		return fs.ErrInvalid
	}
	return nil
}

// servedError is an error of the parent's file system, in its words.
type servedError struct {
	text string
	kind errKind
}

func (e *servedError) Error() string { return e.text }
func (e *servedError) Unwrap() error { return e.kind.err() }

// info describes a file. It has no time: no meaning depends on one.
type info struct {
	FileName string
	Bytes    int64
	FileMode fs.FileMode
}

func (i info) Name() string       { return i.FileName }
func (i info) Size() int64        { return i.Bytes }
func (i info) Mode() fs.FileMode  { return i.FileMode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.FileMode.IsDir() }
func (i info) Sys() any           { return nil }

// remote is the parent's file tree as the child sees it: fs.StatFS,
// fs.ReadDirFS, fs.ReadFileFS and fs.ReadLinkFS.
type remote struct {
	mu  sync.Mutex
	enc *gob.Encoder
	dec *gob.Decoder
}

func (r *remote) ask(m message) (reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a reply
	if err := r.enc.Encode(m); err != nil {
		return a, err
	}
	if err := r.dec.Decode(&a); err != nil {
		return a, err
	}
	if a.Err != "" {
		return a, &fs.PathError{Op: m.Op, Path: m.Name, Err: &servedError{a.Err, a.Kind}}
	}
	return a, nil
}

func (r *remote) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: opOpen, Path: name, Err: fs.ErrInvalid}
	}
	a, err := r.ask(message{Op: opOpen, Name: name})
	if err != nil {
		return nil, err
	}
	if a.Info.IsDir() {
		return &openDir{remote: r, name: name, info: a.Info}, nil
	}
	return &openFile{remote: r, name: name, info: a.Info, data: *bytes.NewReader(a.Data), handle: a.Handle, further: a.Further}, nil
}

func (r *remote) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (r *remote) Stat(name string) (fs.FileInfo, error)  { return r.describe(opStat, name) }
func (r *remote) Lstat(name string) (fs.FileInfo, error) { return r.describe(opLstat, name) }

func (r *remote) describe(op, name string) (fs.FileInfo, error) {
	a, err := r.ask(message{Op: op, Name: name})
	if err != nil {
		return nil, err
	}
	return a.Info, nil
}

func (r *remote) ReadLink(name string) (string, error) {
	a, err := r.ask(message{Op: opReadLink, Name: name})
	return string(a.Data), err
}

func (r *remote) ReadDir(name string) ([]fs.DirEntry, error) {
	a, err := r.ask(message{Op: opReadDir, Name: name})
	list := make([]fs.DirEntry, 0, len(a.List))
	for _, i := range a.List {
		list = append(list, fs.FileInfoToDirEntry(i))
	}
	return list, err
}

// openFile holds what was read ahead of a file.
type openFile struct {
	remote  *remote
	name    string
	info    info
	data    bytes.Reader
	handle  int
	further bool
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *openFile) Read(p []byte) (int, error) {
	for f.data.Len() == 0 && f.further {
		a, err := f.remote.ask(message{Op: opRead, Name: f.name, Handle: f.handle})
		if err != nil {
			return 0, err
		}
		f.data.Reset(a.Data)
		f.further = a.Further
	}
	return f.data.Read(p)
}

func (f *openFile) Close() error {
	if f.handle == 0 {
		return nil
	}
	_, err := f.remote.ask(message{Op: opClose, Name: f.name, Handle: f.handle})
	f.handle = 0
	return err
}

type openDir struct {
	remote *remote
	name   string
	info   info
	list   []fs.DirEntry
	read   bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: opRead, Path: d.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.remote.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.list, d.read = list, true
	}
	rest := d.list
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.list = d.list[len(rest):]
	return rest, nil
}
