package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"strings"

	"canvos.dev/exec/store"
)

// header is one entry of a layer's table of contents: what a tar header says, as
// far as it matters in an image. Its place in the table is the entry's number in
// the archive.
type header struct {
	Type         byte
	Name, Link   string
	Mode         int64
	UID, GID     int
	Time         int64
	Size         int64
	Major, Minor int64
	Xattrs       map[string]string
}

const (
	xattrPrefix = "SCHILY.xattr."
	// What no honest image has: such archives are refused before they fill the
	// memory, or the disk.
	maxEntries = 8 << 20
	maxSize    = 1 << 40
)

// keepXattr tells what belongs to a file from what belongs to the machine it was
// on, such as SELinux labels.
func keepXattr(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "user.")
}

func headerOf(h *tar.Header) header {
	t := header{
		Type: h.Typeflag, Name: h.Name, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Time: h.ModTime.Unix(),
	}
	for k, v := range h.PAXRecords {
		if name, ok := strings.CutPrefix(k, xattrPrefix); ok && keepXattr(name) {
			if t.Xattrs == nil {
				t.Xattrs = map[string]string{}
			}
			t.Xattrs[name] = v
		}
	}
	switch t.Type {
	case tar.TypeCont, tar.TypeGNUSparse:
		t.Type, t.Size = tar.TypeReg, h.Size
	case tar.TypeReg:
		t.Size = h.Size
	case tar.TypeLink, tar.TypeSymlink:
		t.Link = h.Linkname
	case tar.TypeChar, tar.TypeBlock:
		t.Major, t.Minor = h.Devmajor, h.Devminor
	}
	if t.Type == tar.TypeSymlink {
		t.Mode = 0o777
	}
	return t
}

// Scan reads a layer once for its table of contents and keeps that in the store.
// FromLayers does so by itself; who downloads several layers at a time may scan
// each when it is there.
func Scan(ctx context.Context, st *store.Store, l *Layer) error {
	_, err := contents(ctx, st, l)
	return err
}

func contents(ctx context.Context, st *store.Store, l *Layer) ([]header, error) {
	if t, ok := keptContents(st, l); ok {
		return t, nil
	}
	unlock, err := st.Lock(ctx, "contents "+string(l.Digest))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if t, ok := keptContents(st, l); ok {
		return t, nil
	}
	t, err := scan(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", l.Digest, err)
	}
	return t, keepContents(st, l, t)
}

func scan(ctx context.Context, l *Layer) ([]header, error) {
	a, err := openArchive(ctx, l)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	var t []header
	for {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(t) == maxEntries {
			return nil, fmt.Errorf("more than %d entries", maxEntries)
		}
		if h.Size > maxSize {
			return nil, fmt.Errorf("%q claims to be %d bytes long", h.Name, h.Size)
		}
		t = append(t, headerOf(h))
	}
	return t, a.finish()
}

// contentsVersion begins every kept table, which is its headers one after another,
// so that no second copy of a long one is ever in memory. It is raised when that or
// headerOf changes.
const contentsVersion = "canvos contents 2\n"

func keptContents(st *store.Store, l *Layer) ([]header, bool) {
	b, ok := st.Contents(l.Digest)
	if !ok {
		return nil, false
	}
	b, ok = bytes.CutPrefix(b, []byte(contentsVersion))
	if !ok {
		return nil, false
	}
	var t []header
	for d := gob.NewDecoder(bytes.NewReader(b)); len(t) <= maxEntries; {
		var h header
		switch err := d.Decode(&h); err {
		case nil:
			t = append(t, h)
		case io.EOF:
			return t, true
		default:
			return nil, false
		}
	}
	return nil, false
}

func keepContents(st *store.Store, l *Layer, t []header) error {
	w, err := newTable(st)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i := range t {
		if err := w.add(t[i]); err != nil {
			return err
		}
	}
	return w.Commit(l.Digest)
}

// table is a table of contents that is kept while its layer is made.
type table struct {
	*store.ContentsWriter
	headers *gob.Encoder
}

func newTable(st *store.Store) (*table, error) {
	w, err := st.CreateContents()
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, contentsVersion); err != nil {
		w.Abort()
		return nil, err
	}
	return &table{w, gob.NewEncoder(w)}, nil
}

func (t *table) add(h header) error { return t.headers.Encode(&h) }
