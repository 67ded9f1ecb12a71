package rootfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"canvos.dev/exec/store"
)

// archive reads the tar archive in a layer's blob.
type archive struct {
	*tar.Reader
	blob  io.ReadCloser
	plain io.Reader
	close func()
}

func openArchive(ctx context.Context, l *Layer) (*archive, error) {
	blob, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	plain, done, err := decompress(stoppable{ctx, blob})
	if err != nil {
		blob.Close()
		return nil, err
	}
	return &archive{tar.NewReader(plain), blob, plain, done}, nil
}

// finish reads what is left of the blob, since only the last byte proves the
// others.
func (a *archive) finish() error {
	buf := store.Buffers.Get().(*[]byte)
	defer store.Buffers.Put(buf)
	if _, err := io.CopyBuffer(discard{}, readOnly{a.blob}, *buf); err != nil {
		return err
	}
	return nil
}

func (a *archive) Close() error {
	a.close()
	return a.blob.Close()
}

// decompress reads gzip, zstd or neither, as the first bytes tell.
func decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, fmt.Errorf("read gzip: %w", err)
		}
		return z, func() { z.Close() }, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		// 128 MiB is the largest window that zstd makes when it is not asked for more.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("read zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// stoppable is a reader that fails when ctx ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// readOnly and discard hide the methods by which io.CopyBuffer would avoid the
// buffer it is given.
type readOnly struct{ io.Reader }

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
