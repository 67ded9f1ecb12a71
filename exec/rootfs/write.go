package rootfs

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"time"

	"canvos.dev/exec/store"
)

// Format is the version of the rules that turn a change into bytes: canonical
// headers, their order, the compressors and their versions. It is raised, with
// plan.Plan's, when a released layer would come out otherwise.
const Format = 1

// Options of Write. None of them changes a byte.
type Options struct {
	// Progress is called now and then with the bytes of contents that have been
	// written, of Change.Size.
	Progress func(done, total int64)
	// Cores is how many the compressor may keep busy, each for some megabytes of
	// memory; all if 0.
	Cores int
	// Begun is called with a layer that begins to be made, and that the store never
	// had as far as it knows, before anything is written.
	Begun func(*store.Writer)
}

// Write makes the layer that holds c, or finds it in the store: reused says
// which. A change that is empty makes no layer, and its record is empty. Errors
// leave nothing in the store.
//
// Contents are streamed; memory and the store's temporary files do not grow with
// them.
func Write(ctx context.Context, st *store.Store, c *Change, o Options) (r store.LayerRecord, reused bool, err error) {
	if c.Empty() {
		return store.LayerRecord{}, false, nil
	}
	key := "layer " + string(c.Key())
	if r, ok := st.Layer(key); ok {
		return r, true, nil
	}
	unlock, err := st.Lock(ctx, key)
	if err != nil {
		return r, false, err
	}
	defer unlock()
	if r, ok := st.Layer(key); ok { // another run made it meanwhile
		return r, true, nil
	}
	if st.Record(key, &r) {
		o.Begun = nil // it was made before, and lost
	}
	if r, err = write(ctx, st, c, o); err != nil {
		return store.LayerRecord{}, false, err
	}
	return r, false, st.PutLayer(key, r)
}

func write(ctx context.Context, st *store.Store, c *Change, o Options) (store.LayerRecord, error) {
	w, err := newLayerWriter(ctx, st, c, o)
	if err != nil {
		return store.LayerRecord{}, fmt.Errorf("write layer: %w", err)
	}
	defer w.table.Abort()
	err = w.all()
	r, cerr := w.close(err == nil)
	if err == nil {
		err = cerr
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return store.LayerRecord{}, fmt.Errorf("write layer: %w", err)
	}
	return r, w.table.Commit(r.Digest)
}

// layerWriter is one pass: entries become a tar archive, which is hashed and
// compressed at once, and what comes out of that is hashed and stored at once.
type layerWriter struct {
	ctx     context.Context
	st      *store.Store
	c       *Change
	o       Options
	blob    *store.Writer
	z       io.Writer
	closeZ  func() error
	diff    hash.Hash
	hashing *store.Relay
	tw      *tar.Writer
	raw     int64
	done    int64
	told    int64
	table   *table // of contents, for nothing
	buf     *[]byte
}

func newLayerWriter(ctx context.Context, st *store.Store, c *Change, o Options) (*layerWriter, error) {
	blob, err := st.Create()
	if err != nil {
		return nil, err
	}
	if o.Begun != nil {
		o.Begun(blob)
	}
	w := &layerWriter{ctx: ctx, st: st, c: c, o: o, blob: blob, diff: sha256.New()}
	if w.table, err = newTable(st); err != nil {
		blob.Abort()
		return nil, err
	}
	if w.z, w.closeZ, err = compress(c.compression, blob, c.size+int64(len(c.items))<<10, o.Cores); err != nil {
		w.table.Abort()
		blob.Abort()
		return nil, err
	}
	w.hashing = store.NewRelay(w.diff)
	w.tw = tar.NewWriter(w)
	w.buf = store.Buffers.Get().(*[]byte)
	return w, nil
}

// Write takes the archive.
func (w *layerWriter) Write(p []byte) (int, error) {
	w.raw += int64(len(p))
	w.hashing.Write(p)
	return w.z.Write(p)
}

func (w *layerWriter) close(ok bool) (store.LayerRecord, error) {
	defer w.blob.Abort()
	defer store.Buffers.Put(w.buf)
	var err error
	if ok {
		err = w.tw.Close()
	}
	if cerr := w.closeZ(); err == nil {
		err = cerr
	}
	if cerr := w.hashing.Close(); err == nil {
		err = cerr
	}
	if !ok || err != nil {
		return store.LayerRecord{}, err
	}
	r := store.LayerRecord{
		DiffID:    digest(w.diff),
		Digest:    w.blob.Digest(),
		Size:      w.blob.Size(),
		RawSize:   w.raw,
		MediaType: "application/vnd.oci.image.layer.v1.tar+" + w.c.compression,
	}
	return r, w.blob.Commit()
}

func (w *layerWriter) all() error {
	items := w.c.items
	for len(items) > 0 {
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		if !items[0].inLayers {
			if err := w.item(&items[0]); err != nil {
				return fmt.Errorf("/%s: %w", items[0].path(), err)
			}
			items = items[1:]
			continue
		}
		n := 1
		for n < len(items) && items[n].inLayers && items[n].layer == items[0].layer {
			n++
		}
		if err := w.fromLayer(w.c.layers[items[0].layer], items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	w.tell(true)
	return nil
}

// item writes what is not in a layer.
func (w *layerWriter) item(it *item) error {
	if err := w.header(it); err != nil {
		return err
	}
	if it.ent == nil || it.link != "" || it.ent.blob == nil {
		return nil
	}
	r, err := it.ent.open()
	if err != nil {
		return err
	}
	defer r.Close()
	return w.content(r, it.ent.Size)
}

// fromLayer writes files out of one layer, in the order they have there.
func (w *layerWriter) fromLayer(l *Layer, items []item) error {
	a, err := openArchive(w.ctx, l)
	if err != nil {
		return fmt.Errorf("read layer %s: %w", l.Digest, err)
	}
	defer a.Close()
	for pos := 0; len(items) > 0; pos++ {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read layer %s: %w", l.Digest, err)
		}
		if items[0].ent.pos != pos {
			continue
		}
		if h.Size != items[0].ent.Size {
			return fmt.Errorf("read layer %s: %w: %s has another size than before", l.Digest, store.ErrCorrupt, h.Name)
		}
		n := 1
		for n < len(items) && items[n].ent.pos == pos {
			n++
		}
		if err := w.copies(a, items[:n]); err != nil {
			return fmt.Errorf("/%s: %w", items[0].path(), err)
		}
		items = items[n:]
	}
	if err := a.finish(); err != nil {
		return fmt.Errorf("read layer %s: %w", l.Digest, err)
	}
	return nil
}

// copies writes one content under several names, which are files of their own.
func (w *layerWriter) copies(r io.Reader, items []item) error {
	size := items[0].ent.Size
	if len(items) == 1 {
		if err := w.header(&items[0]); err != nil {
			return err
		}
		return w.content(r, size)
	}
	again, done, err := w.st.Scratch(io.LimitReader(r, size))
	if err != nil {
		return err
	}
	defer done()
	for i := range items {
		if _, err := again.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := w.header(&items[i]); err != nil {
			return err
		}
		if err := w.content(again, size); err != nil {
			return err
		}
	}
	return nil
}

// header writes the one form that an entry has: no names of users, no access
// times, no device of files, nothing that was not asked for.
func (w *layerWriter) header(it *item) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: it.path()}
	switch e := it.ent; {
	case e == nil:
		h.Name = path.Join(it.dir, whiteout+it.name)
		h.Mode, h.ModTime = 0o644, time.Unix(w.c.epoch, 0)
	default:
		h.Typeflag, h.Mode, h.Uid, h.Gid = e.Type, e.Mode, e.UID, e.GID
		h.ModTime = time.Unix(e.Time, 0)
		switch {
		case it.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, it.link
		case e.Type == tar.TypeReg:
			h.Size = e.Size
		case e.Type == tar.TypeDir:
			h.Name += "/"
		case e.Type == tar.TypeSymlink:
			h.Linkname = e.Target
		case e.Type == tar.TypeChar || e.Type == tar.TypeBlock:
			h.Devmajor, h.Devminor = e.Major, e.Minor
		}
		if it.link == "" {
			for k, v := range e.Xattrs {
				if h.PAXRecords == nil {
					h.PAXRecords = map[string]string{}
				}
				h.PAXRecords[xattrPrefix+k] = v
			}
		}
	}
	if err := w.table.add(headerOf(h)); err != nil {
		return err
	}
	return w.tw.WriteHeader(h)
}

func (w *layerWriter) content(r io.Reader, size int64) error {
	for left := size; left > 0; {
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		n, err := r.Read((*w.buf)[:min(left, int64(len(*w.buf)))])
		if n > 0 {
			if _, werr := w.tw.Write((*w.buf)[:n]); werr != nil {
				return werr
			}
			left -= int64(n)
			w.done += int64(n)
			w.tell(false)
		}
		switch {
		case left == 0 && (err == nil || err == io.EOF):
			return nil
		case err == io.EOF:
			return fmt.Errorf("it changed while it was read: %d bytes instead of %d", size-left, size)
		case err != nil:
			return err
		}
	}
	return nil
}

func (w *layerWriter) tell(end bool) {
	if w.o.Progress != nil && (end || w.done-w.told >= 1<<20) {
		w.told = w.done
		w.o.Progress(w.done, w.c.size)
	}
}
