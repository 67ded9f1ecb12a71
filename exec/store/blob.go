package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"canvos.dev/compile/plan"
)

// ErrCorrupt says that a blob is not what its name says. It has been put aside:
// whoever asks again finds it absent.
var ErrCorrupt = errors.New("content does not match its digest")

// Has reports whether a blob of that size is there. Its content is checked when
// it is read.
func (s *Store) Has(d plan.Digest, size int64) bool {
	n, err := s.Size(d)
	return err == nil && n == size
}

// Size of a blob, or an error that is fs.ErrNotExist.
func (s *Store) Size(d plan.Digest) (int64, error) {
	file, err := s.blob(d)
	if err != nil {
		return 0, err
	}
	fi, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (s *Store) blob(d plan.Digest) (string, error) {
	h, err := hexOf(d)
	return filepath.Join(s.dir, "blobs", "sha256", h), err
}

// Open reads a blob. size is what the reader counts on; -1 if it is not known.
// The read that would hand over the last byte fails with ErrCorrupt if the
// content is not what d names, so that even a reader who stops there is safe. A
// blob that is absent is fs.ErrNotExist.
func (s *Store) Open(d plan.Digest, size int64) (io.ReadCloser, error) {
	file, err := s.blob(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	r := &reader{f: f, hash: sha256.New(), left: fi.Size(), want: d, s: s}
	if size >= 0 && fi.Size() != size {
		r.putAside()
		f.Close()
		return nil, fmt.Errorf("read %s from the store: %w: %d bytes instead of %d", d, ErrCorrupt, fi.Size(), size)
	}
	used(file)
	return r, nil
}

// reader must not embed *os.File: its WriteTo would let io.Copy go around Read.
type reader struct {
	f    *os.File
	hash hash.Hash
	left int64
	want plan.Digest
	s    *Store
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.f.Read(p)
	r.hash.Write(p[:n])
	r.left -= int64(n)
	// net/http stops at Content-Length and never sees the end, so the last byte is
	// where the content has to prove itself.
	if r.left <= 0 && n > 0 || err == io.EOF {
		if r.left != 0 || sum(r.hash) != r.want {
			r.putAside()
			r.err = fmt.Errorf("read %s from the store: %w", r.want, ErrCorrupt)
			return 0, r.err
		}
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// putAside takes the blob away, unless somebody has put a new one there.
func (r *reader) putAside() {
	if file, err := r.s.blob(r.want); err == nil && stillAt(r.f, file) {
		os.Rename(file, filepath.Join(r.s.dir, "tmp", "corrupt-"+filepath.Base(file)))
	}
}

// Import copies a blob into the store. What arrives must be d, and size bytes
// long unless size is -1.
func (s *Store) Import(ctx context.Context, r io.Reader, d plan.Digest, size int64) error {
	w, err := s.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	if size >= 0 {
		r = io.LimitReader(r, size+1) // one more, to see that there is none
	}
	buf := make([]byte, 256<<10)
	n, err := io.CopyBuffer(writerOnly{w}, readerOnly{ctx, r}, buf)
	switch {
	case err != nil:
		return err
	case size >= 0 && n != size:
		return fmt.Errorf("%w: %s has another size than %d bytes", ErrCorrupt, d, size)
	case w.Digest() != d:
		return fmt.Errorf("%w: got %s instead of %s", ErrCorrupt, w.Digest(), d)
	}
	return w.Commit()
}

// Put stores a small blob.
func (s *Store) Put(b []byte) (plan.Digest, error) {
	d := plan.DigestOf(b)
	if s.Has(d, int64(len(b))) {
		return d, nil
	}
	w, err := s.Create()
	if err != nil {
		return d, err
	}
	defer w.Abort()
	if _, err := w.Write(b); err != nil {
		return d, err
	}
	return d, w.Commit()
}

// Writer writes a blob whose digest is not known yet. Until Commit it is a
// temporary file; Abort after Commit does nothing.
type Writer struct {
	s      *Store
	f      Eager
	hash   hash.Hash
	growth *growth // nil: nobody follows
	done   bool
}

// Create begins a new blob.
func (s *Store) Create() (*Writer, error) {
	f, err := s.temp()
	if err != nil {
		return nil, err
	}
	return &Writer{s: s, f: Eager{File: f}, hash: sha256.New()}, nil
}

// Write is not buffered: callers write in large pieces.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.growth.add(n)
	w.hash.Write(p[:n])
	if err != nil {
		return n, w.s.explain(err)
	}
	return n, nil
}

// Digest and Size are of what has been written.
func (w *Writer) Digest() plan.Digest { return sum(w.hash) }
func (w *Writer) Size() int64         { return w.f.size }

// Commit makes the blob part of the store, for good: it survives a power cut.
func (w *Writer) Commit() error {
	if w.done {
		return os.ErrClosed
	}
	w.growth.end(nil)
	dst, err := w.s.blob(w.Digest())
	if err == nil {
		err = w.s.publish(w.f.File, dst, true)
	}
	w.done = true
	return err
}

// Abort throws away what was written.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.growth.end(ErrAbandoned)
	os.Remove(w.f.File.Name())
	w.f.File.Close()
}

// publish gives a temporary file its name. Whatever happens, the file is closed
// and the temporary name is gone.
func (s *Store) publish(f *os.File, dst string, durable bool) error {
	err := f.Chmod(0o644)
	if err == nil && durable {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), dst) // still locked: no cleaner takes it before
	}
	if err != nil {
		os.Remove(f.Name())
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && durable {
		err = syncDir(filepath.Dir(dst))
	}
	return s.explain(err)
}

func sum(h hash.Hash) plan.Digest {
	return plan.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// writerOnly and readerOnly hide methods that would go around the checks.
type writerOnly struct{ io.Writer }

type readerOnly struct {
	ctx context.Context
	r   io.Reader
}

func (r readerOnly) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Scratch keeps r for reading it more than once, in memory if it is short and
// else in a temporary file. done throws it away.
func (s *Store) Scratch(r io.Reader) (again io.ReadSeeker, done func(), err error) {
	const short = 1 << 20
	head, err := io.ReadAll(io.LimitReader(r, short))
	if err != nil {
		return nil, nil, err
	}
	if len(head) < short {
		return bytes.NewReader(head), func() {}, nil
	}
	f, err := s.temp()
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		os.Remove(f.Name())
		f.Close()
	}
	if _, err := io.Copy(f, io.MultiReader(bytes.NewReader(head), r)); err != nil {
		done()
		return nil, nil, s.explain(err)
	}
	return f, done, nil
}

// Sum is the digest of all that r holds.
func Sum(ctx context.Context, r io.Reader) (plan.Digest, error) {
	h := sha256.New()
	_, err := io.CopyBuffer(h, readerOnly{ctx, r}, make([]byte, 256<<10))
	return sum(h), err
}
