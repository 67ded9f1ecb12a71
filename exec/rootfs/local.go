package rootfs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"

	"canvos.dev/compile/plan"
)

// Local is a file or tree of a work tree.
type Local struct {
	Name string // for errors: "file:overlay/etc"
	FS   fs.FS
	Path string // in FS
	// Digest is what plan.HashTree said of it when the plan was made.
	Digest plan.Digest
	// Without is left out: paths below Path, "image.json".
	Without []string
	// Modes are those of single files, and of directories with something in them,
	// by their absolute path in the tree: {"/usr/bin/sudo": "4755"}.
	Modes map[string]string
}

// FromLocal is the tree of l.Path; of a single file, a root that holds it under
// its own name. It holds what plan.WalkTree lists, 0:0, directories 0755, all
// with the time of the step. Every file is read once, to know its digest. What
// has changed since the plan was made is an error, here and when a layer is
// written.
func FromLocal(l Local) (*Tree, error) {
	t, digest, _, err := ReadLocal(l)
	if err == nil && digest != l.Digest {
		return nil, fmt.Errorf("%s: it has changed since the plan was made", l.Name)
	}
	return t, err
}

// ReadLocal is FromLocal for who does not know the digest yet: it says what it is,
// and how many bytes the files hold. What changes later is an error when a layer
// is written.
func ReadLocal(l Local) (t *Tree, digest plan.Digest, size int64, err error) {
	entries, digest, size, err := plan.SumTree(l.FS, l.Path)
	if err == nil {
		t, err = l.tree(entries)
	}
	if err != nil {
		return nil, "", 0, fmt.Errorf("%s: %w", l.Name, err)
	}
	return t, digest, size, nil
}

func (l *Local) tree(entries []plan.TreeEntry) (*Tree, error) {
	e := Empty(l.Name).edit()
	for _, te := range entries {
		if l.leftOut(te.Path) {
			continue
		}
		in := te.Path
		if in == "" {
			in = path.Base(l.Path)
		}
		ent, err := l.entry(te)
		if err != nil {
			return nil, err
		}
		names := split(in)
		dir := e.root
		for _, name := range names[:len(names)-1] {
			sub := e.kid(dir, name)
			if sub == nil {
				sub = e.put(dir, name, &Entry{Type: tar.TypeDir, Mode: 0o755, Time: noTime, origin: l.Name})
			}
			dir = sub
		}
		e.put(dir, names[len(names)-1], ent)
	}
	for p, m := range l.Modes {
		if err := e.setMode(p, m); err != nil {
			return nil, fmt.Errorf("mode of %s: %w", p, err)
		}
	}
	return &Tree{name: l.Name, root: e.root}, nil
}

// LocalArchive is a local tar archive, as FromArchive takes it.
func LocalArchive(l Local) (*Layer, error) {
	entries, digest, _, err := plan.SumTree(l.FS, l.Path)
	switch {
	case err != nil:
	case digest != l.Digest:
		err = fmt.Errorf("it has changed since the plan was made")
	case len(entries) != 1 || entries[0].Path != "" || entries[0].Mode == "link":
		err = fmt.Errorf("it is no file, so no archive")
	default:
		e := entries[0]
		return &Layer{e.Sum, func(context.Context) (io.ReadCloser, error) { return openChecked(l.FS, l.Path, e.Sum, e.Size) }}, nil
	}
	return nil, fmt.Errorf("%s: %w", l.Name, err)
}

func (l *Local) leftOut(p string) bool {
	for _, w := range l.Without {
		if p == w || strings.HasPrefix(p, w+"/") {
			return true
		}
	}
	return false
}

func (l *Local) entry(te plan.TreeEntry) (*Entry, error) {
	ent := &Entry{Type: tar.TypeReg, Time: noTime, origin: l.Name}
	if te.Mode == "link" {
		ent.Type, ent.Mode, ent.Target = tar.TypeSymlink, 0o777, te.Link
		return ent, nil
	}
	var err error
	if ent.Mode, err = parseMode(te.Mode); err != nil {
		return nil, err
	}
	if ent.Size = te.Size; te.Size > 0 {
		below, sum, size := te.Path, te.Sum, te.Size // a tree has many: no more than is needed
		ent.content.blob = &blob{sum, func() (io.ReadCloser, error) { return openChecked(l.FS, path.Join(l.Path, below), sum, size) }}
	}
	return ent, nil
}

// setMode is for a tree that is being made.
func (e *edit) setMode(p, mode string) error {
	m, err := parseMode(mode)
	if err != nil {
		return err
	}
	if err := clean(p); err != nil {
		return err
	}
	at, err := e.root.walk(p, false)
	switch {
	case err != nil:
		return err
	case at.node == nil:
		return at.absent()
	case at.node.ent.Type == tar.TypeSymlink:
		return fmt.Errorf("a link has no mode")
	}
	e.at(at.names).ent.Mode = m
	return nil
}

// openChecked reads a file that must still hold what it held.
func openChecked(fsys fs.FS, file string, want plan.Digest, size int64) (io.ReadCloser, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	return &checked{f: f, hash: sha256.New(), left: size, want: want, name: file}, nil
}

type checked struct {
	f    fs.File
	hash hash.Hash
	left int64
	want plan.Digest
	name string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.hash.Write(p[:n])
	c.left -= int64(n)
	if c.left < 0 || c.left == 0 && n > 0 && digest(c.hash) != c.want || err == io.EOF && c.left != 0 {
		return 0, fmt.Errorf("%s changed while it was read", c.name)
	}
	return n, err
}

func (c *checked) Close() error { return c.f.Close() }

func digest(h hash.Hash) plan.Digest {
	return plan.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}
