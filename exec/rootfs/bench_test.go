package rootfs

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/store"
)

// BenchmarkLayer makes one layer of a local tree, half random bytes and half Go
// sources, in a cold store. peak-MB is the largest heap seen while it ran.
func BenchmarkLayer(b *testing.B) {
	for _, compression := range []string{"gzip", "zstd"} {
		for _, megabytes := range []int{64, 512} {
			b.Run(fmt.Sprintf("%s/%dMB", compression, megabytes), func(b *testing.B) {
				dir := b.TempDir()
				fill(b, filepath.Join(dir, "tree"), megabytes)
				fsys := os.DirFS(dir)
				tree, digest, size, err := ReadLocal(Local{Name: "tree", FS: fsys, Path: "tree"})
				if err != nil {
					b.Fatal(err)
				}
				files := plan.Files{Epoch: "2020-04-16T12:00:00Z", Compression: compression, Actions: []plan.Action{{Copy: &plan.Copy{Source: digest, From: "/", To: "/opt"}}}}
				b.SetBytes(size)
				b.ReportAllocs()
				runtime.GC()
				peak, stop := watchHeap()
				for b.Loop() {
					st, err := store.Open(b.TempDir())
					if err != nil {
						b.Fatal(err)
					}
					c, _, err := Empty("nothing").Apply(b.Context(), files, func(plan.Digest) (Source, error) { return Source{Tree: tree}, nil })
					if err != nil {
						b.Fatal(err)
					}
					if _, _, err := Write(b.Context(), st, c, Options{}); err != nil {
						b.Fatal(err)
					}
					st.Close()
				}
				stop()
				b.ReportMetric(float64(peak.Load())/1e6, "peak-MB")
			})
		}
	}
}

// fill makes a tree of about so many megabytes: random files, and copies of the
// Go sources of the standard library.
func fill(b *testing.B, dir string, megabytes int) {
	b.Helper()
	half := int64(megabytes) * 1e6 / 2
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(os.MkdirAll(dir, 0o755))
	for i := range 4 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("random", i)))
		must(err)
		_, err = io.CopyN(f, rand.Reader, half/4)
		must(err)
		must(f.Close())
	}
	root, err := osexec.Command("go", "env", "GOROOT").Output()
	must(err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "net", "http", "server.go"))
	must(err)
	left := half
	for i := 0; left > 0; i++ {
		// Each file is another one, so that nothing is found in the last.
		n, err := rand.Int(rand.Reader, big.NewInt(1e9))
		must(err)
		content := strings.ReplaceAll(string(text), "http", n.String())
		must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("source%05d.go", i)), []byte(content), 0o644))
		left -= int64(len(content))
	}
}

func watchHeap() (peak *atomic.Uint64, stop func()) {
	peak = &atomic.Uint64{}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var m runtime.MemStats
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapInuse))
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}
