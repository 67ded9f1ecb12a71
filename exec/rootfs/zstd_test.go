package rootfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What is written is read back.
func TestZstd(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{4}))
	z := newZstdWriter()
	for _, size := range []int{0, 1, 100, zstdBlock - 1, zstdBlock, zstdBlock + 1, 2*zstdBlock + 12345} {
		want := sample(r, size)
		back, err := zstd.NewReader(bytes.NewReader(compressed(t, z, want)))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(back); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
		back.Close()
	}
}
