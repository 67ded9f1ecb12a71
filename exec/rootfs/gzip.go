package rootfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// gzipWriter writes one gzip stream (RFC 1952) in blocks of blockSize bytes, which
// are compressed at once, each knowing the end of the one before. Its bytes depend
// on nothing but what is written: not on the number of cores, the pieces it is
// written in, or who is fastest. They are those of github.com/klauspost/pgzip,
// which needs half as much memory again.
type gzipWriter struct {
	w     io.Writer
	cur   *gzipBlock
	tail  []byte // of the block before
	crc   uint32
	size  uint32
	zs    []*flate.Writer
	free  chan *gzipBlock
	work  chan *gzipBlock // to whoever is free
	order chan *gzipBlock // in the order that they are written
	ended chan error

	mu  sync.Mutex
	err error
}

// gzipBlock is a piece of the input and what became of it.
type gzipBlock struct {
	in, tail []byte
	out      bytes.Buffer
	last     bool
	ready    chan error
}

const (
	gzipTail   = 16 << 10                                   // bytes of a block that the next may refer to
	gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // deflate; no name, no time, no system
)

// begin makes g a new stream to w that keeps some cores busy; the zero value is
// ready for that. Buffers of the last stream are used again. Close must follow.
func (g *gzipWriter) begin(w io.Writer, cores int) error {
	blocks := cores + 1 // one is filled, the others compressed or written
	for len(g.zs) < cores {
		z, err := flate.NewWriterDict(io.Discard, gzipLevel, nil)
		if err != nil {
			return err
		}
		g.zs = append(g.zs, z)
	}
	old := g.free
	*g = gzipWriter{
		w: w, zs: g.zs, tail: g.tail[:0],
		free: make(chan *gzipBlock, blocks), work: make(chan *gzipBlock, blocks), order: make(chan *gzipBlock, blocks), ended: make(chan error, 1),
	}
	for range blocks {
		select {
		case b := <-old:
			g.free <- b
		default:
			g.free <- &gzipBlock{in: make([]byte, 0, blockSize), tail: make([]byte, 0, gzipTail), ready: make(chan error, 1)}
		}
	}
	for _, z := range g.zs[:cores] {
		go compressBlocks(g.work, z)
	}
	go g.write()
	return nil
}

func (g *gzipWriter) Write(p []byte) (int, error) {
	n := len(p)
	g.crc = crc32.Update(g.crc, crc32.IEEETable, p)
	g.size += uint32(n)
	for len(p) > 0 {
		if g.cur == nil {
			g.cur = <-g.free
			g.cur.in = g.cur.in[:0]
		}
		k := min(len(p), blockSize-len(g.cur.in))
		g.cur.in = append(g.cur.in, p[:k]...)
		p = p[k:]
		if len(g.cur.in) == blockSize {
			g.send(false)
			if err := g.failed(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

// send hands the current block on.
func (g *gzipWriter) send(last bool) {
	b := g.cur
	b.last, b.tail = last, append(b.tail[:0], g.tail...)
	g.tail = append(g.tail[:0], b.in[max(0, len(b.in)-gzipTail):]...)
	g.cur = nil
	g.order <- b
	g.work <- b
}

// compressBlocks works until there is no more.
func compressBlocks(work <-chan *gzipBlock, z *flate.Writer) {
	for b := range work {
		b.out.Reset()
		z.ResetDict(&b.out, b.tail)
		_, err := z.Write(b.in)
		if err == nil {
			err = z.Flush()
		}
		if err == nil && b.last {
			err = z.Close()
		}
		b.ready <- err
	}
}

// write writes what is ready, in order. After an error it only takes blocks back.
func (g *gzipWriter) write() {
	_, err := io.WriteString(g.w, gzipHeader)
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

func (g *gzipWriter) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Close ends the stream, and all that works for it.
func (g *gzipWriter) Close() error {
	if g.cur == nil {
		g.cur = <-g.free
		g.cur.in = g.cur.in[:0]
	}
	g.send(true)
	close(g.work)
	close(g.order)
	if err := <-g.ended; err != nil {
		return err
	}
	_, err := g.w.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, g.crc), g.size))
	return err
}
