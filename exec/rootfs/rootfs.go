// Package rootfs knows root filesystems without unpacking them: the merged view
// of an image's layers, what the actions of a plan change in it, and the layer
// that holds the change. Contents stay where they are, in blobs and local files,
// until a layer is written; each is then read once, in order.
//
// It reads and writes blobs through package store and what it is handed; it
// knows no registries, references or manifests of images.
//
// The way of a Files step:
//
//	base, err := rootfs.FromLayers(ctx, st, "debian:12", layers)
//	change, tree, err := base.Apply(ctx, *step.Op.Files, sources)
//	record, reused, err := rootfs.Write(ctx, st, change, rootfs.Options{})
//
// tree is what the next step's Apply begins from. It must come from Apply, also
// when the step's layer was in the store already: Apply reads no contents and is
// cheap, and a tree made from the step's own layer would name the same contents
// by other places, which is another layer for the next step.
package rootfs

import (
	"archive/tar"
	"context"
	"io"
	"iter"
	"path"
	"strings"

	"canvos.dev/compile/plan"
)

// Layer is a tar archive that trees are made of.
type Layer struct {
	// Digest names the blob.
	Digest plan.Digest
	// Open reads the blob: a tar archive, plain or compressed with gzip or zstd,
	// as its first bytes tell. The reader must fail, at the last byte at the
	// latest, if the bytes are not what Digest names; it is always read to its
	// end. It may be opened several times, also at once.
	Open func(context.Context) (io.ReadCloser, error)
}

// Tree is a root filesystem. It never changes; Apply makes another that shares
// what is the same. It may be used by several goroutines.
type Tree struct {
	name   string
	root   *node
	layers []*Layer // that hold contents, in the order they are read in
}

// Entry is what a path stands for. The names of one file share their *Entry.
type Entry struct {
	Type         byte // of archive/tar: TypeReg, TypeDir, TypeSymlink, TypeChar, TypeBlock or TypeFifo
	Mode         int64
	UID, GID     int
	Time         int64 // seconds since 1970
	Size         int64
	Target       string // of a symbolic link
	Major, Minor int64  // of a device
	Xattrs       map[string]string

	content
	origin string // name of the tree it came from
	linked bool   // it may have several names
}

// content is where the bytes of a file are: entry number pos of a layer, or
// behind open. Files without bytes have none.
type content struct {
	layer *Layer
	pos   int
	*blob
}

// blob is content outside layers.
type blob struct {
	sum  plan.Digest
	open func() (io.ReadCloser, error)
}

// noTime is the time of what has none, such as files of a work tree; it becomes
// the epoch of the step.
const noTime = -1 << 62

// Empty is a tree of which nothing is there but the root.
func Empty(name string) *Tree {
	return &Tree{name: name, root: &node{ent: &Entry{Type: tar.TypeDir, Mode: 0o755}}}
}

// Name is the name the tree was made with: a reference, for people.
func (t *Tree) Name() string { return t.name }

// Stat finds what p stands for, following links inside the tree. The error is
// fs.ErrNotExist if nothing is there.
func (t *Tree) Stat(p string) (*Entry, error) {
	at, err := t.root.walk(p, true)
	if err != nil {
		return nil, err
	}
	if at.node == nil {
		return nil, at.absent()
	}
	return at.node.ent, nil
}

// All goes through the tree below the root, each directory before what is in it,
// names sorted by bytes. Paths have no leading slash.
func (t *Tree) All() iter.Seq2[string, *Entry] {
	return func(yield func(string, *Entry) bool) { t.root.each("", yield) }
}

func (n *node) each(at string, yield func(string, *Entry) bool) bool {
	for _, k := range n.kids {
		p := path.Join(at, k.name)
		if !yield(p, k.ent) || !k.each(p, yield) {
			return false
		}
	}
	return true
}

// Source is what a Copy reads from.
type Source struct {
	*Tree
	WorkingDir string // of the image's config; where FromWorkdir begins
}

func (e *Entry) dir() bool { return e.Type == tar.TypeDir }

// kind is the word for what e is.
func (e *Entry) kind() string {
	switch e.Type {
	case tar.TypeReg:
		return "a file"
	case tar.TypeDir:
		return "a directory"
	case tar.TypeSymlink:
		return "a link to " + e.Target
	case tar.TypeFifo:
		return "a fifo"
	}
	return "a device"
}

func split(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}
