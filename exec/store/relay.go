package store

import (
	"io"
	"sync"
)

// Buffers are for copying. They are memory, not state: what is in them is never
// read before it is written.
var Buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// Relay hands what is written to a writer in a goroutine of its own, so that
// hashing, compressing and writing share the cores. The writer's errors come out
// of Close, which must be called.
type Relay struct {
	full chan *[]byte
	done chan error
	cur  *[]byte
}

// NewRelay begins a relay to w.
func NewRelay(w io.Writer) *Relay {
	r := &Relay{full: make(chan *[]byte, 2), done: make(chan error, 1)}
	go func() {
		var err error
		for b := range r.full {
			if err == nil {
				_, err = w.Write(*b)
			}
			*b = (*b)[:cap(*b)]
			Buffers.Put(b)
		}
		r.done <- err
	}()
	return r
}

// Write never fails.
func (r *Relay) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if r.cur == nil {
			r.cur = Buffers.Get().(*[]byte)
			*r.cur = (*r.cur)[:0]
		}
		c := *r.cur
		k := copy(c[len(c):cap(c)], p)
		*r.cur, p = c[:len(c)+k], p[k:]
		if len(*r.cur) == cap(*r.cur) {
			r.full <- r.cur
			r.cur = nil
		}
	}
	return n, nil
}

// Close waits until all is written.
func (r *Relay) Close() error {
	if r.cur != nil {
		r.full <- r.cur
		r.cur = nil
	}
	close(r.full)
	return <-r.done
}
