package rootfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

type full struct{ left int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// sample is size bytes, some of which do not compress.
func sample(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		if b[i] = byte(r.IntN(4)) + 'a'; i/4096%3 == 0 {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

// compressed is the stream that z makes of b, which is the same whatever the cores,
// the pieces, the size that was announced and what was written before.
func compressed(t *testing.T, z compressor, b []byte) []byte {
	t.Helper()
	var first []byte
	for _, cores := range []int{1, 2, 4} {
		for _, piece := range []int{1 << 30, 70_001} {
			var got bytes.Buffer
			if err := z.begin(&got, int64(piece), cores); err != nil {
				t.Fatal(err)
			}
			for rest := b; len(rest) > 0; {
				n := min(piece, len(rest))
				if _, err := z.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = got.Bytes()
			}
			if !bytes.Equal(got.Bytes(), first) {
				t.Errorf("%d bytes, %d cores, pieces of %d: another stream", len(b), cores, piece)
			}
		}
	}
	return first
}

// An error of what is written to ends the stream, and what it holds can be used
// again.
func TestCompressorFails(t *testing.T) {
	noise := make([]byte, 20<<20)
	r := rand.NewChaCha8([32]byte{2})
	r.Read(noise)
	for kind, pool := range compressors {
		z := pool.New().(compressor)
		for _, room := range []int{0, 5, 1 << 20, 12 << 20} {
			err := z.begin(&full{room}, int64(len(noise)), 2)
			if err == nil {
				_, werr := z.Write(noise)
				if err = z.Close(); werr != nil && !errors.Is(werr, errFull) {
					t.Errorf("%s: room for %d: %v", kind, room, werr)
				}
			}
			if !errors.Is(err, errFull) {
				t.Errorf("%s: room for %d: %v", kind, room, err)
			}
		}
		var out bytes.Buffer
		if err := z.begin(&out, int64(len(noise)), 2); err != nil {
			t.Fatal(err)
		}
		z.Write(noise)
		if err := z.Close(); err != nil || out.Len() < len(noise) {
			t.Errorf("%s: %d bytes, %v", kind, out.Len(), err)
		}
	}
}
