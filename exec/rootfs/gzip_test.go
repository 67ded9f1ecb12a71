package rootfs

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/pgzip"
)

// The stream is what pgzip writes; the standard library reads it.
func TestGzip(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{1}))
	z := newGzipWriter()
	for _, size := range []int{0, 1, 100, gzipTail, gzipTail + 1, gzipBlock - 1, gzipBlock, gzipBlock + 1, 3*gzipBlock + 12345} {
		want := sample(r, size)
		var judge bytes.Buffer
		p, err := pgzip.NewWriterLevel(&judge, gzipLevel)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetConcurrency(gzipBlock, 3); err != nil {
			t.Fatal(err)
		}
		p.ModTime, p.OS = time.Unix(0, 0), 255
		p.Write(want)
		p.Close()
		got := compressed(t, z, want)
		if !bytes.Equal(got, judge.Bytes()) {
			t.Errorf("%d bytes: another stream than pgzip's", size)
		}
		back, err := gzip.NewReader(bytes.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(back); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// BenchmarkGzip compresses the same bytes, half of which do not compress, here and
// with pgzip.
func BenchmarkGzip(b *testing.B) {
	text := make([]byte, 32<<20)
	r := rand.New(rand.NewChaCha8([32]byte{3}))
	for i := range text {
		if text[i] = byte(r.IntN(16)) + 'a'; i < len(text)/2 {
			text[i] = byte(r.Uint32())
		}
	}
	write := func(z io.WriteCloser) {
		for rest := text; len(rest) > 0; rest = rest[min(len(rest), 256<<10):] {
			z.Write(rest[:min(len(rest), 256<<10)])
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("here", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		z := newGzipWriter()
		for b.Loop() {
			z.begin(io.Discard, int64(len(text)), 2)
			write(z)
		}
	})
	b.Run("pgzip", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		z, _ := pgzip.NewWriterLevel(io.Discard, gzipLevel)
		for b.Loop() {
			z.Reset(io.Discard)
			z.SetConcurrency(gzipBlock, 2)
			write(z)
		}
	})
}
