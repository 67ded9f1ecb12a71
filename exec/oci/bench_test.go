package oci

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// payload fills a directory with size bytes: half noise, half files of the Go
// installation, which are texts, libraries and programs.
func payload(t testing.TB, dir string, size int64) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Join(dir, "files"), 0o755))
	for i, left := 0, size/2; left > 0; i++ {
		n := min(left, 16<<20)
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("noise%d", i)), []byte(noise(uint64(i), int(n))), 0o644))
		left -= n
	}
	root := strings.TrimSpace(runProgram(t, "go", "env", "GOROOT"))
	left := size / 2
	for round := 0; left > 0; round++ {
		check(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || left <= 0 {
				return err
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			b = b[:min(int64(len(b)), left)]
			left -= int64(len(b))
			rel, _ := filepath.Rel(root, name)
			to := filepath.Join(dir, "files", strconv.Itoa(round), rel)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.WriteFile(to, b, 0o644)
		}))
	}
}

// assemble is an image of the directory "tree" of a module over a small base, in
// a process of its own. It prints how long the run took, the size of what it made
// and the most memory that the process had, in kilobytes.
func assemble() {
	t := process{}
	l := newLab(t, Rule{"docker.io", "oci:images"})
	for name, content := range layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, file("etc/os-release", ""))}) {
		to := filepath.Join(os.Getenv("OCI_TEST_MODULE"), "images", name)
		check(t, os.MkdirAll(filepath.Dir(to), 0o755))
		check(t, os.WriteFile(to, content, 0o644))
	}
	l.sources.Root = os.DirFS(os.Getenv("OCI_TEST_MODULE"))
	digest, size, err := plan.HashTree(l.sources.Root, "tree")
	check(t, err)
	d := draw(t)
	d.Sources = append(d.Sources, plan.Source{Reference: "file:tree", Digest: digest, Size: size})
	top := d.step("files", plan.Op{Files: &plan.Files{Epoch: epoch, Compression: os.Getenv("OCI_TEST_COMPRESSION"), Actions: []plan.Action{
		{Copy: &plan.Copy{Source: digest, From: "/", To: "/opt"}},
	}}}, d.base(d.source(l, baseImage, amd64), amd64))
	d.image(published, "demo", plan.ImageOp{}, top)
	st, err := store.Open(os.Getenv("OCI_TEST_STORE"))
	check(t, err)
	l.sources.Store = st
	e := &Engine{Sources: l.sources, Target: nowhere{}, Jobs: 2}
	if os.Getenv("OCI_TEST_TARGET") == "layout" {
		e.Target = &Layout{Dir: os.Getenv("OCI_TEST_OUT"), Store: st}
	}
	begun := time.Now()
	r, err := e.Run(context.Background(), d.Plan, func(exec.Event) {})
	check(t, err)
	took := time.Since(begun)
	status, err := os.ReadFile("/proc/self/status")
	check(t, err)
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println(took.Nanoseconds(), r.Bytes.Uploaded, strings.Fields(after)[0])
}

// nowhere is a target that has everything.
type nowhere struct{}

func (nowhere) Published(context.Context, string, plan.Digest) (*image.Published, error) {
	return nil, nil
}
func (nowhere) Tag(context.Context, []image.Image) error { return nil }
func (nowhere) Put(_ context.Context, img image.Image, progress func(image.Progress)) error {
	for _, b := range img.Blobs {
		progress(image.Progress{Uploaded: b.Size})
	}
	return nil
}

// BenchmarkImage makes an image with one large layer in a cold store, alone and
// with publishing it into a layout, and compares that with
//
//	tar | zstd -3 -T2 | sha256sum
//
// of the same tree, turn about. "×tar" is the ratio of the medians in time, and
// "×tar-cpu" in time of processors, which says more on a busy machine; "peak-MiB"
// is the most memory that the process had.
func BenchmarkImage(b *testing.B) {
	for _, size := range []int64{64 << 20, 512 << 20, 4 << 30} {
		module := b.TempDir()
		payload(b, filepath.Join(module, "tree"), size)
		for _, compression := range []string{"gzip", "zstd"} {
			for _, target := range []string{"store", "layout"} {
				b.Run(fmt.Sprintf("%dMiB/%s/%s", size>>20, compression, target), func(b *testing.B) {
					benchmarkImage(b, module, size, compression, target)
				})
			}
		}
	}
}

func benchmarkImage(b *testing.B, module string, size int64, compression, target string) {
	b.SetBytes(size)
	var ours, theirs, oursCPU, theirsCPU []float64
	peak := 0.0
	for b.Loop() {
		work := b.TempDir()
		cmd := child(b, "assemble", filepath.Join(work, "out"), "OCI_TEST_MODULE="+module, "OCI_TEST_STORE="+filepath.Join(work, "store"), "OCI_TEST_COMPRESSION="+compression, "OCI_TEST_TARGET="+target)
		out, err := cmd.Output()
		check(b, err)
		var ns, made, kilobytes float64
		_, err = fmt.Sscan(string(out), &ns, &made, &kilobytes)
		check(b, err)
		if made < float64(size)/2 { // the noise alone
			b.Fatalf("an image of %v bytes was made of %d", made, size)
		}
		ours, oursCPU, peak = append(ours, ns), append(oursCPU, processors(cmd)), max(peak, kilobytes/1024)
		check(b, os.RemoveAll(work))

		begun := time.Now()
		cmd = osexec.Command("sh", "-c", `tar -C "$1" -cf - tree | zstd -3 -T2 -q | sha256sum`, "sh", module)
		check(b, cmd.Run())
		theirs, theirsCPU = append(theirs, float64(time.Since(begun))), append(theirsCPU, processors(cmd))
	}
	b.ReportMetric(median(ours)/1e9, "s/image")
	b.ReportMetric(median(ours)/median(theirs), "×tar")
	b.ReportMetric(median(oursCPU)/median(theirsCPU), "×tar-cpu")
	b.ReportMetric(peak, "peak-MiB")
}

func processors(cmd *osexec.Cmd) float64 {
	return float64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// BenchmarkNothingToDo is a run over a warm store and a complete layout.
func BenchmarkNothingToDo(b *testing.B) {
	l, d := whole(b)
	out, _ := l.apply(d)
	b.ReportAllocs()
	for b.Loop() {
		target := &Layout{Dir: out.Dir, Store: l.sources.Store}
		_, err := (&Engine{Sources: l.sources, Target: target, Jobs: 2}).Run(b.Context(), d.Plan, func(exec.Event) {})
		check(b, err)
	}
}

// BenchmarkDecide compares a thousand images with a layout that has them all.
func BenchmarkDecide(b *testing.B) {
	l := newLab(b, Rule{"docker.io/acme/base", "oci:bases"})
	l.writeAll("bases", layoutOf(b, map[string]built{baseImage: plainImage(b, amd64, dir("etc"))}))
	d := draw(b)
	top := d.files(d.base(d.source(l, baseImage, amd64), amd64), write("/n", "n"))
	op := plan.ImageOp{Epoch: epoch, Platforms: []string{amd64}, Annotations: demo.Annotations(), Facts: demo}
	step := d.step("image", plan.Op{Image: &op}, top)
	for i := range 1000 {
		d.Images = append(d.Images, plan.Image{Reference: fmt.Sprintf("docker.io/acme/ubuntu:k3s-1.30.%d-v4.4.12-demo", i), Line: demoLine, Family: "demo", Platforms: op.Platforms, Facts: demo, Step: step})
	}
	check(b, d.Seal())
	out, _ := l.apply(d)
	b.ReportAllocs()
	for b.Loop() {
		ds, err := Decide(b.Context(), d.Plan, Comparison{Target: &Layout{Dir: out.Dir, Store: l.sources.Store}, Store: l.sources.Store, Jobs: 2})
		check(b, err)
		if ds[999].Action != Unchanged {
			b.Fatal(ds[999])
		}
	}
}
