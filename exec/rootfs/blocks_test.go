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
