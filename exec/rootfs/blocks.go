package rootfs

import (
	"bytes"
	"io"
	"sync"
)

// blockWriter cuts what is written into blocks, which are compressed at once and
// written in order. The bytes depend on nothing but what is written: not on the
// number of cores, the pieces it is written in, or who is fastest.
type blockWriter struct {
	size int // of a block
	tail int // how much of a block's end the next may refer to

	w     io.Writer
	cur   *block
	last  []byte // the tail of the block before
	zs    []blockCompressor
	free  chan *block
	work  chan *block // to whoever is free
	order chan *block // in the order that they are written
	ended chan error

	mu  sync.Mutex
	err error
}

// blockCompressor compresses one block after another, of a stream or of several.
type blockCompressor interface {
	// compress writes to b.out what b.in becomes.
	compress(b *block) error
}

// block is a piece of the input and what became of it.
type block struct {
	in, tail []byte
	out      bytes.Buffer
	last     bool // of the stream; it may be empty
	ready    chan error
}

// begin starts a new stream of about size bytes to w, of which a head is written
// already, and keeps some cores busy. Buffers and compressors of the last stream
// are used again. end must follow.
func (g *blockWriter) begin(w io.Writer, size int64, cores int, compressor func() (blockCompressor, error)) error {
	blocks := cores + 1 // one is filled, the others compressed or written
	for len(g.zs) < cores {
		z, err := compressor()
		if err != nil {
			return err
		}
		g.zs = append(g.zs, z)
	}
	old := g.free
	g.w, g.cur, g.last, g.err = w, nil, g.last[:0], nil
	g.free, g.work, g.order = make(chan *block, blocks), make(chan *block, blocks), make(chan *block, blocks)
	g.ended = make(chan error, 1)
	room := int(min(int64(g.size), size))
	for range blocks {
		var b *block
		select {
		case b = <-old:
		default:
			b = &block{tail: make([]byte, 0, g.tail), ready: make(chan error, 1)}
		}
		if cap(b.in) < room {
			b.in = make([]byte, 0, room)
		}
		g.free <- b
	}
	for _, z := range g.zs[:cores] {
		go compressBlocks(g.work, z)
	}
	go g.write()
	return nil
}

func (g *blockWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if g.cur == nil {
			g.take()
		}
		k := min(len(p), g.size-len(g.cur.in))
		g.cur.in = append(g.cur.in, p[:k]...)
		p = p[k:]
		if len(g.cur.in) == g.size {
			g.send(false)
			if err := g.failed(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

func (g *blockWriter) take() {
	g.cur = <-g.free
	g.cur.in = g.cur.in[:0]
}

// send hands the current block on.
func (g *blockWriter) send(last bool) {
	b := g.cur
	b.last, b.tail = last, append(b.tail[:0], g.last...)
	g.last = append(g.last[:0], b.in[max(0, len(b.in)-g.tail):]...)
	g.cur = nil
	g.order <- b
	g.work <- b
}

// compressBlocks works until there is no more.
func compressBlocks(work <-chan *block, z blockCompressor) {
	for b := range work {
		b.out.Reset()
		b.ready <- z.compress(b)
	}
}

// write writes what is ready, in order. After an error it only takes blocks back.
func (g *blockWriter) write() {
	var err error
	for b := range g.order {
		if cerr := <-b.ready; err == nil {
			err = cerr
		}
		if err == nil {
			_, err = g.w.Write(b.out.Bytes())
		}
		if err != nil {
			g.mu.Lock()
			g.err = err
			g.mu.Unlock()
		}
		g.free <- b
	}
	g.ended <- err
}

func (g *blockWriter) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// end writes what is left, and ends all that works for the stream.
func (g *blockWriter) end() error {
	if g.cur == nil {
		g.take()
	}
	g.send(true)
	close(g.work)
	close(g.order)
	err := <-g.ended
	g.w = nil
	return err
}
