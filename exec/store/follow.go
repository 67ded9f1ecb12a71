package store

import (
	"context"
	"errors"
	"os"
	"sync"
)

// ErrAbandoned says that a blob that was followed will never be whole.
var ErrAbandoned = errors.New("it was not written to its end")

// Following reads a blob while it is written. Its content is not checked: its
// digest is not known yet.
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

// Wait waits until n bytes are written, and says how many there are. If they are
// fewer, it is the whole blob: Commit was called. One that will never be whole is
// ErrAbandoned.
func (f *Following) Wait(ctx context.Context, n int64) (size int64, err error) {
	g := f.g
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock() // or the wait below might begin after it was broken off
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.size < n && !g.ended && ctx.Err() == nil {
		g.changed.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.size, context.Cause(ctx)
}

// ReadAt reads what is written.
func (f *Following) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Close is called when nobody reads any more.
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
