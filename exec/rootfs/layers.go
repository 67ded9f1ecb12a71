package rootfs

import (
	"archive/tar"
	"context"
	"fmt"
	"path"
	"strings"

	"canvos.dev/exec/store"
)

// FromLayers is the merged view of an image's layers, lowest first: what a
// container would see. name says in errors what the tree is. Layers that the
// store has no table of contents for are read once.
//
// Names that leave the root, links to what is not there and whiteouts of strange
// names are errors: no honest tool writes them.
func FromLayers(ctx context.Context, st *store.Store, name string, layers []*Layer) (*Tree, error) {
	t := Empty(name)
	e := t.edit()
	for _, l := range layers {
		headers, err := contents(ctx, st, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := e.layer(name, l, headers, true); err != nil {
			return nil, fmt.Errorf("%s: layer %s: %w", name, l.Digest, err)
		}
	}
	return &Tree{name, e.root, layers}, nil
}

// FromArchive is what a tar archive holds; its metadata is kept as it is. Names
// that mean something in layers, such as .wh.x, are refused.
func FromArchive(ctx context.Context, st *store.Store, name string, l *Layer) (*Tree, error) {
	headers, err := contents(ctx, st, l)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	e := Empty(name).edit()
	if err := e.layer(name, l, headers, false); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Tree{name, e.root, []*Layer{l}}, nil
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh." // what else begins so is the bookkeeping of a file system of old
)

// layer lays the entries of one layer over the tree.
func (e *edit) layer(origin string, l *Layer, headers []header, whiteouts bool) error {
	names := make([][]string, len(headers))
	for i := range headers {
		n, err := inside(headers[i].Name)
		if err != nil {
			return err
		}
		names[i] = n
	}
	// Whiteouts are about lower layers, wherever they stand in the archive.
	for i := range headers {
		n := names[i]
		if len(n) == 0 || !strings.HasPrefix(n[len(n)-1], whiteout) {
			continue
		}
		if !whiteouts {
			return fmt.Errorf("%q: a name that begins with %s cannot be put in an image", headers[i].Name, whiteout)
		}
		if err := e.whiteOut(n); err != nil {
			return err
		}
	}
	for i := range headers {
		if err := e.entry(origin, l, i, &headers[i], names[i]); err != nil {
			return err
		}
	}
	return nil
}

// inside splits the name of an entry, and refuses those that leave the root.
func inside(name string) ([]string, error) {
	if strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("%q: a name cannot hold a zero byte", name)
	}
	parts := split(name)
	kept := parts[:0]
	for i, p := range parts {
		switch {
		case p == ".":
			continue
		case p == "..":
			return nil, fmt.Errorf("%q leaves the archive", name)
		case i < len(parts)-1 && strings.HasPrefix(p, whiteout) && !strings.HasPrefix(p, aufs):
			return nil, fmt.Errorf("%q is below a whiteout", name)
		}
		kept = append(kept, p)
	}
	return kept, nil
}

func (e *edit) whiteOut(names []string) error {
	dir, last := names[:len(names)-1], names[len(names)-1]
	gone := strings.TrimPrefix(last, whiteout)
	switch {
	case last == opaque:
	case strings.HasPrefix(last, aufs):
		return nil
	case gone == "" || gone == "." || gone == "..":
		return fmt.Errorf("%q removes nothing that could be there", path.Join(names...))
	}
	at, err := e.root.walk(path.Join(dir...), true)
	if err != nil || at.node == nil || !at.node.ent.dir() {
		return nil // nothing there to remove
	}
	if last == opaque {
		e.at(at.names).kids = nil
	} else {
		e.at(at.names).drop(gone)
	}
	return nil
}

// entry puts one entry of a layer in its place. Parents are found as unpackers
// find them: a link on the way is followed, inside the root. The last name is
// not: a directory over a link replaces it.
func (e *edit) entry(origin string, l *Layer, pos int, h *header, names []string) error {
	for _, n := range names {
		if strings.HasPrefix(n, whiteout) {
			return nil // dealt with, or aufs's
		}
	}
	switch h.Type {
	case tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeDir, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	case tar.TypeXGlobalHeader:
		return nil // a comment of the tool that made the archive
	default:
		return fmt.Errorf("%q is of type %q, which no image can hold", h.Name, h.Type)
	}
	if len(names) == 0 {
		if h.Type != tar.TypeDir {
			return fmt.Errorf("%q is the root and no directory", h.Name)
		}
		e.root.ent = h.entry(origin, l, pos)
		return nil
	}
	last := names[len(names)-1]
	dir, err := e.parents(origin, names[:len(names)-1])
	if err != nil {
		return fmt.Errorf("%q: %w", h.Name, err)
	}
	if h.Type == tar.TypeLink {
		ent, err := e.linked(h.Link)
		if err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
		e.put(dir, last, ent)
		return nil
	}
	ent := h.entry(origin, l, pos)
	if old := dir.kid(last); old != nil && old.ent.dir() && ent.dir() {
		e.kid(dir, last).ent = ent
		return nil
	}
	e.put(dir, last, ent)
	return nil
}

// parents is the directory at a path, ready to be changed; what is missing of it
// is made.
func (e *edit) parents(origin string, names []string) (*node, error) {
	// Nearly always the way is there and free of links.
	n := e.root
	for i, name := range names {
		k := n.kid(name)
		if k == nil || !k.ent.dir() {
			return e.makeParents(origin, n, names, i)
		}
		n = e.kid(n, name)
	}
	return n, nil
}

func (e *edit) makeParents(origin string, n *node, names []string, i int) (*node, error) {
	if n.kid(names[i]) != nil {
		at, err := e.root.walk(path.Join(names...), true)
		if err != nil {
			return nil, err
		}
		if at.link != "" {
			return nil, at.absent()
		}
		if at.node != nil && !at.node.ent.dir() {
			return nil, fmt.Errorf("it lies below /%s, which is %s", path.Join(at.names...), at.node.ent.kind())
		}
		n, names, i = e.at(at.names), at.missing, 0
	}
	for _, name := range names[i:] {
		n = e.put(n, name, &Entry{Type: tar.TypeDir, Mode: 0o755, origin: origin})
	}
	return n, nil
}

// linked is the file a hard link names, in this layer or a lower one.
func (e *edit) linked(name string) (*Entry, error) {
	names, err := inside(name)
	if err != nil {
		return nil, err
	}
	at, err := e.root.walk(path.Join(names...), false)
	switch {
	case err != nil:
		return nil, err
	case at.node == nil:
		return nil, fmt.Errorf("hard link to %q, which is not there", name)
	case at.node.ent.dir():
		return nil, fmt.Errorf("hard link to %q, which is a directory", name)
	}
	at.node.ent.linked = true // only this tree's nodes can hold it: entries are made anew for every tree
	return at.node.ent, nil
}

func (h *header) entry(origin string, l *Layer, pos int) *Entry {
	e := &Entry{
		Type: h.Type, Mode: h.Mode, UID: h.UID, GID: h.GID, Time: h.Time, Size: h.Size, Target: h.Link,
		Major: h.Major, Minor: h.Minor, Xattrs: h.Xattrs, origin: origin,
	}
	if e.Type == tar.TypeReg && e.Size > 0 {
		e.content = content{layer: l, pos: pos}
	}
	return e
}
