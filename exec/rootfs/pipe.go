package rootfs

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// blockSize and the numbers below are part of Format: each changes the bytes.
	blockSize  = 1 << 20
	gzipLevel  = 6
	zstdLevel  = zstd.SpeedDefault
	zstdWindow = 4 << 20

	// A layer below smallSize is not worth a second core, and its buffers.
	smallSize = 1 << 20
	maxCores  = 4
)

// encoders keeps compressors for the next layer, since each holds megabytes. They
// are memory, not state: Reset leaves nothing of the last use.
type encoders struct{ gzip, zstd, zstdSmall sync.Pool }

var spare encoders

// compress begins a compressed stream to w of about size bytes. The bytes depend
// on nothing but what is written: not on size, the number of cores, or the pieces
// they are written in. close must be called, also after an error.
func compress(kind string, w io.Writer, size int64, cores int) (z io.WriteCloser, close func() error, err error) {
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	cores = min(cores, maxCores)
	if size < smallSize {
		cores = 1
	}
	switch kind {
	case "gzip":
		z, _ := spare.gzip.Get().(*gzipWriter)
		if z == nil {
			z = &gzipWriter{}
		}
		if err := z.begin(w, cores); err != nil {
			return nil, nil, err
		}
		return z, func() error {
			err := z.Close()
			z.w = nil
			spare.gzip.Put(z)
			return err
		}, nil
	case "zstd":
		// A second goroutine finds matches while the first encodes: same bytes.
		pool, n := &spare.zstd, 2
		if cores == 1 {
			pool, n = &spare.zstdSmall, 1
		}
		z, _ := pool.Get().(*zstd.Encoder)
		if z == nil {
			z, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderConcurrency(n))
			if err != nil {
				return nil, nil, err
			}
		}
		z.Reset(w)
		return z, func() error {
			err := z.Close()
			if err == nil {
				z.Reset(io.Discard)
				pool.Put(z)
			}
			return err
		}, nil
	}
	return nil, nil, fmt.Errorf("unknown compression %q (known: gzip, zstd)", kind)
}

// relay hands what is written to w in a goroutine of its own, so that hashing
// and compressing share the cores. Errors of w come out of Close.
type relay struct {
	full chan *[]byte
	done chan error
	cur  *[]byte
}

func newRelay(w io.Writer) *relay {
	r := &relay{full: make(chan *[]byte, 2), done: make(chan error, 1)}
	go func() {
		var err error
		for b := range r.full {
			if err == nil {
				_, err = w.Write(*b)
			}
			r.free(b)
		}
		r.done <- err
	}()
	return r
}

func (r *relay) free(b *[]byte) {
	*b = (*b)[:cap(*b)]
	buffers.Put(b)
}

func (r *relay) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if r.cur == nil {
			r.cur = buffers.Get().(*[]byte)
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

func (r *relay) Close() error {
	if r.cur != nil {
		r.full <- r.cur
		r.cur = nil
	}
	close(r.full)
	return <-r.done
}
