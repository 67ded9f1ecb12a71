package rootfs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/pgzip"
)

// The stream is what pgzip writes, whatever the cores, the pieces and what was
// written before; the standard library reads it.
func TestGzip(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{1}))
	z := &gzipWriter{}
	for _, size := range []int{0, 1, 100, gzipTail, gzipTail + 1, blockSize - 1, blockSize, blockSize + 1, 3*blockSize + 12345} {
		want := make([]byte, size)
		for i := range want {
			if want[i] = byte(r.IntN(4)) + 'a'; i/4096%3 == 0 {
				want[i] = byte(r.Uint32()) // some does not compress
			}
		}
		var judge bytes.Buffer
		p, err := pgzip.NewWriterLevel(&judge, gzipLevel)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetConcurrency(blockSize, 3); err != nil {
			t.Fatal(err)
		}
		p.ModTime, p.OS = time.Unix(0, 0), 255
		p.Write(want)
		p.Close()
		for _, cores := range []int{1, 2, 4} {
			for _, piece := range []int{1 << 30, 70_001} {
				var got bytes.Buffer
				if err := z.begin(&got, cores); err != nil {
					t.Fatal(err)
				}
				for rest := want; len(rest) > 0; {
					n := min(piece, len(rest))
					if _, err := z.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := z.Close(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), judge.Bytes()) {
					t.Errorf("%d bytes, %d cores, pieces of %d: another stream than pgzip's", size, cores, piece)
				}
				back, err := gzip.NewReader(&got)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(back); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		}
	}
}

type full struct{ left int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// An error of what is written to ends the stream, and what it holds can be used
// again.
func TestGzipFails(t *testing.T) {
	noise := make([]byte, 5*blockSize)
	r := rand.NewChaCha8([32]byte{2})
	r.Read(noise)
	z := &gzipWriter{}
	for _, room := range []int{0, 5, blockSize, 3 * blockSize} {
		if err := z.begin(&full{room}, 2); err != nil {
			t.Fatal(err)
		}
		_, werr := z.Write(noise)
		if err := z.Close(); !errors.Is(err, errFull) || werr != nil && !errors.Is(werr, errFull) {
			t.Errorf("room for %d: %v, %v", room, werr, err)
		}
	}
	var out bytes.Buffer
	if err := z.begin(&out, 2); err != nil {
		t.Fatal(err)
	}
	z.Write(noise)
	if err := z.Close(); err != nil || out.Len() < len(noise) {
		t.Errorf("%d bytes, %v", out.Len(), err)
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
		z := &gzipWriter{}
		for b.Loop() {
			z.begin(io.Discard, 2)
			write(z)
		}
	})
	b.Run("pgzip", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		z, _ := pgzip.NewWriterLevel(io.Discard, gzipLevel)
		for b.Loop() {
			z.Reset(io.Discard)
			z.SetConcurrency(blockSize, 2)
			write(z)
		}
	})
}
