package rootfs

import (
	"fmt"
	"io"
	"runtime"
	"sync"
)

const (
	// A layer below smallSize is not worth a second core, and its buffers.
	smallSize = 1 << 20
	maxCores  = 4
)

// compressor is a kind of compressed stream. The bytes depend on nothing but what
// is written: not on size, the number of cores, or the pieces they are written in.
// They are part of Format, with all that the constants beside each kind say.
type compressor interface {
	io.WriteCloser
	// begin starts a new stream to w of about size bytes. Close must follow, also
	// after an error; then the next may begin.
	begin(w io.Writer, size int64, cores int) error
}

// compressors are those of the layers before, by their names in a plan, since each
// holds megabytes.
var compressors = map[string]*sync.Pool{
	"gzip": {New: func() any { return newGzipWriter() }},
	"zstd": {New: func() any { return newZstdWriter() }},
}

// compress begins a compressed stream to w of about size bytes. close must be
// called, also after an error.
func compress(kind string, w io.Writer, size int64, cores int) (z io.Writer, close func() error, err error) {
	pool, ok := compressors[kind]
	if !ok {
		return nil, nil, fmt.Errorf("unknown compression %q (known: gzip, zstd)", kind)
	}
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	cores = min(cores, maxCores)
	if size < smallSize {
		cores = 1
	}
	c := pool.Get().(compressor)
	if err := c.begin(w, size, cores); err != nil {
		return nil, nil, err
	}
	return c, func() error {
		err := c.Close()
		pool.Put(c)
		return err
	}, nil
}
