package rootfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The stream is the same whatever the cores, the pieces, the size that was
// announced and what was written before, and is read as one.
func TestZstd(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{4}))
	z := newZstdWriter()
	for _, size := range []int{0, 1, 100, zstdBlock - 1, zstdBlock, zstdBlock + 1, 2*zstdBlock + 12345} {
		want := make([]byte, size)
		for i := range want {
			if want[i] = byte(r.IntN(4)) + 'a'; i/4096%3 == 0 {
				want[i] = byte(r.Uint32()) // some does not compress
			}
		}
		var first []byte
		for _, cores := range []int{1, 2, 4} {
			for _, piece := range []int{1 << 30, 70_001} {
				var got bytes.Buffer
				if err := z.begin(&got, int64(piece), cores); err != nil {
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
				if first == nil {
					first = bytes.Clone(got.Bytes())
				}
				if !bytes.Equal(got.Bytes(), first) {
					t.Errorf("%d bytes, %d cores, pieces of %d: another stream", size, cores, piece)
				}
				back, err := zstd.NewReader(&got)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(back); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%d bytes: %v", size, err)
				}
				back.Close()
			}
		}
	}
}
