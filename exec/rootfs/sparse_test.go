package rootfs

import (
	"bytes"
	"io"
	"os"
	"testing"

	"canvos.dev/compile/plan"
)

// Every form in which GNU tar writes sparse files comes out as a plain file. The
// archives of testdata/sparse hold one file "s": "begin", 9 MiB of which no byte
// is stored, "end"; made by
//
//	tar --sparse --format=gnu -cf gnu.tar s
//	tar --sparse --format=posix --sparse-version=V -cf V.tar s
func TestSparse(t *testing.T) {
	want := make([]byte, 9<<20+3)
	copy(want, "begin")
	copy(want[9<<20:], "end")
	for _, name := range []string{"gnu", "0.0", "0.1", "1.0"} {
		b, err := os.ReadFile("testdata/sparse/" + name + ".tar")
		check(t, err)
		st := testStore(t)
		img := image(t, st, "img", layerOf(b))
		c, _ := apply(t, Empty("base"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/s", To: "/s"}})
		if c.Size() != int64(len(want)) {
			t.Errorf("%s: size %d", name, c.Size())
		}
		r, _, err := Write(t.Context(), st, c, Options{})
		check(t, err)
		a, err := openArchive(t.Context(), ofRecord(st, r))
		check(t, err)
		h, err := a.Next()
		check(t, err)
		got, err := io.ReadAll(a)
		check(t, err)
		a.Close()
		if h.Typeflag != '0' || len(h.PAXRecords) > 0 || !bytes.Equal(got, want) {
			t.Errorf("%s: type %c, %v, %d bytes", name, h.Typeflag, h.PAXRecords, len(got))
		}
	}
}
