package store

import (
	"errors"
	"io"
	"os"
	"sync"
)

// ErrAbandoned says that a blob that was followed will never be whole.
var ErrAbandoned = errors.New("it was not written to its end")

// Following reads a blob while it is written.
type Following struct {
	f *os.File
	g *growth
}

// Follow lets the blob be read while it is written. It is called before the first
// Write, and the Following closed by who asked for it.
func (w *Writer) Follow() (*Following, error) {
	f, err := os.Open(w.f.File.Name())
	if err != nil {
		return nil, err
	}
	if w.growth == nil {
		w.growth = &growth{}
		w.growth.changed.L = &w.growth.mu
	}
	return &Following{f, w.growth}, nil
}

// Open reads the blob from its beginning. A reader that has read all there is waits
// for more: to the end, which is when Commit is called, or ErrAbandoned. Its content
// is not checked: its digest is not known yet. Closing a reader ends a Read that
// waits.
func (f *Following) Open() io.ReadCloser { return &follower{f: f.f, g: f.g} }

// Close is called when no reader reads any more.
func (f *Following) Close() error { return f.f.Close() }

// growth is how far a file is written.
type growth struct {
	mu      sync.Mutex
	changed sync.Cond
	size    int64
	ended   bool
	err     error // once it has ended
}

func (g *growth) add(n int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += int64(n)
	g.changed.Broadcast()
}

func (g *growth) end(err error) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.ended, g.err = true, err
		g.changed.Broadcast()
	}
}

type follower struct {
	f      *os.File
	g      *growth
	off    int64
	closed bool // g.mu is held
}

func (r *follower) Read(p []byte) (int, error) {
	n, err := r.wait()
	if err != nil || len(p) == 0 {
		return 0, err
	}
	k, err := r.f.ReadAt(p[:min(int64(len(p)), n)], r.off)
	r.off += int64(k)
	return k, err
}

// wait is until there is something to read, and says how much.
func (r *follower) wait() (int64, error) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	for {
		switch left := r.g.size - r.off; {
		case r.closed:
			return 0, os.ErrClosed
		case r.g.err != nil:
			return 0, r.g.err
		case left > 0:
			return left, nil
		case r.g.ended:
			return 0, io.EOF
		}
		r.g.changed.Wait()
	}
}

func (r *follower) Close() error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.closed = true
	r.g.changed.Broadcast()
	return nil
}
