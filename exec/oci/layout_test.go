package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

func targetIn(t testing.TB, dir string) *Layout {
	t.Helper()
	st, err := store.Open(t.TempDir())
	check(t, err)
	t.Cleanup(func() { st.Close() })
	return &Layout{Dir: dir, Store: st}
}

// ready is an image of some blobs.
func ready(t testing.TB, reference, family string, layers ...string) image.Image {
	t.Helper()
	var zipped [][]byte
	for i, l := range layers {
		zipped = append(zipped, zip(t, tarOf(t, file(fmt.Sprint(i), l))))
	}
	b := build(t, amd64, how{}, zipped...)
	img := image.Image{Reference: reference, Family: family, Manifest: b.raw, Descriptor: image.Descriptor{MediaType: image.Manifest, Digest: b.digest(), Size: int64(len(b.raw))}}
	for i, content := range append([][]byte{b.config}, zipped...) {
		typ := image.Gzip
		if i == 0 {
			typ = image.Config
		}
		img.Blobs = append(img.Blobs, image.Blob{
			Descriptor: image.Descriptor{MediaType: typ, Digest: plan.DigestOf(content), Size: int64(len(content))},
			Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		})
	}
	return img
}

// Whether a directory can be published into is known before anything is put there,
// and asking leaves nothing behind.
func TestLayoutThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		make func(dir string)
		want string
	}{
		"full": {func(dir string) { check(t, os.WriteFile(filepath.Join(dir, "notes"), nil, 0o644)) }, "no OCI layout, and not empty: it holds notes"},
		"version": {func(dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o644))
		}, "of a version that is not known"},
		"file": {func(dir string) {
			check(t, os.Remove(dir))
			check(t, os.WriteFile(dir, nil, 0o644))
		}, "is a file"},
		"new":   {func(dir string) { check(t, os.Remove(dir)) }, ""},
		"empty": {func(string) {}, ""},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		check(t, os.Mkdir(dir, 0o755))
		c.make(dir)
		l := targetIn(t, dir)
		_, published := l.Published(t.Context(), "docker.io/acme/ubuntu:1", "")
		for _, err := range []error{l.Writable(), published} {
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "blobs")); err == nil {
			t.Errorf("%s: asking wrote to it", name)
		}
	}
}

// put publishes images of one family, and counts.
func put(t testing.TB, l *Layout, family ...image.Image) (p image.Progress) {
	t.Helper()
	for _, img := range family {
		check(t, l.Put(t.Context(), img, func(q image.Progress) { p.Uploaded += q.Uploaded; p.Mounted += q.Mounted }))
	}
	check(t, l.Tag(t.Context(), family))
	return p
}

func TestLayoutTarget(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	l := targetIn(t, filepath.Join(t.TempDir(), "deep", "out"))
	if p, err := l.Published(t.Context(), "docker.io/acme/b:1", ""); p != nil || err != nil {
		t.Errorf("without a layout: %v, %v", p, err)
	}
	one, two := ready(t, "docker.io/acme/b:1", "f", "base", "one"), ready(t, "docker.io/acme/a:1", "f", "base", "two")
	first := put(t, l, one, two)
	if base := one.Blobs[1].Size; first.Mounted != base || first.Uploaded == 0 {
		t.Errorf("%+v; the shared layer has %d bytes", first, base)
	}
	check(t, l.Put(t.Context(), ready(t, "docker.io/acme/c:1", "g", "untagged"), func(image.Progress) {}))
	sound(t, l)
	if got := strings.Join(tagsIn(t, l), " "); got != "docker.io/acme/a:1 docker.io/acme/b:1" {
		t.Errorf("tags %s", got)
	}
	p, err := l.Published(t.Context(), "docker.io/acme/b:1", "")
	if err != nil || p.Digest != one.Digest || string(p.Manifest) != string(one.Manifest) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = l.Published(t.Context(), "docker.io/acme/b:1", one.Digest); err != nil || p.Digest != one.Digest || p.Manifest != nil {
		t.Errorf("known: %+v, %v", p, err)
	}
	// A tag moves; what others have put into the list stays.
	index := filepath.Join(l.Dir, "index.json")
	b, err := os.ReadFile(index)
	check(t, err)
	check(t, os.WriteFile(index, bytes.Replace(b, []byte(`"manifests":[`), []byte(`"manifests":[{"mediaType":"`+image.Manifest+`","digest":"`+string(two.Digest)+`","size":`+fmt.Sprint(two.Size)+`,"annotations":{"other":"kept"}},`), 1), 0o644))
	put(t, l, ready(t, "docker.io/acme/b:1", "f", "base", "new"))
	b, err = os.ReadFile(index)
	check(t, err)
	if got := strings.Join(tagsIn(t, l), " "); got != " docker.io/acme/a:1 docker.io/acme/b:1" || !bytes.Contains(b, []byte(`{"other":"kept"}`)) || bytes.Contains(b, []byte(one.Digest)) {
		t.Errorf("tags %q, list %s", got, b)
	}
	tags, err := l.Tags(t.Context(), "docker.io/acme/b")
	if err != nil || strings.Join(tags, " ") != "docker.io/acme/b:1" {
		t.Errorf("tags of a repository: %v, %v", tags, err)
	}
}

// What is there is believed only if it is what its name says.
func TestLayoutMendsWhatIsDamaged(t *testing.T) {
	img := ready(t, "docker.io/acme/a:1", "f", strings.Repeat("base", 1000), "top")
	for name, damage := range map[string]func([]byte) []byte{
		"another byte": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":          func(b []byte) []byte { return b[:len(b)/2] },
		"longer":       func(b []byte) []byte { return append(b, 0) },
		"empty":        func([]byte) []byte { return nil },
	} {
		for _, d := range []image.Descriptor{img.Descriptor, img.Blobs[0].Descriptor, img.Blobs[1].Descriptor} {
			l := targetIn(t, filepath.Join(t.TempDir(), "out"))
			put(t, l, img)
			file := l.file(d.Digest)
			b, err := os.ReadFile(file)
			check(t, err)
			check(t, os.WriteFile(file, damage(b), 0o600))
			next := &Layout{Dir: l.Dir, Store: l.Store} // another run
			if p, err := next.Published(t.Context(), img.Reference, ""); err != nil || (p == nil) != (d.Digest == img.Digest) {
				t.Errorf("%s: published %+v, %v", name, p, err)
			}
			put(t, next, img)
			sound(t, next)
		}
	}
}

func TestLayoutRefusesOtherDirectories(t *testing.T) {
	img := ready(t, "docker.io/acme/a:1", "f", "x")
	for name, c := range map[string]struct{ file, content, want string }{
		"not empty":     {"notes.txt", "mine", "is no OCI layout, and not empty: it holds notes.txt"},
		"other version": {"oci-layout", `{"imageLayoutVersion":"2.0.0"}`, "is an OCI layout of a version that is not known"},
		"no JSON":       {"oci-layout", `layout`, "is an OCI layout of a version that is not known"},
	} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o644))
		err := targetIn(t, dir).Put(t.Context(), img, func(image.Progress) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		entries, _ := os.ReadDir(dir)
		if b, _ := os.ReadFile(filepath.Join(dir, c.file)); len(entries) != 1 || string(b) != c.content {
			t.Errorf("%s: something was written there", name)
		}
	}
	l := targetIn(t, t.TempDir()) // empty is a layout to be
	put(t, l, img)
	check(t, os.WriteFile(filepath.Join(l.Dir, "index.json"), []byte("{"), 0o644))
	if _, err := l.Published(t.Context(), img.Reference, ""); err == nil || !strings.Contains(err.Error(), "read the layout "+l.Dir) {
		t.Errorf("broken list: %v", err)
	}
	if err := l.Tag(t.Context(), []image.Image{img}); err == nil {
		t.Error("a broken list was replaced")
	}
}

// Content that is not what its descriptor says never gets that name.
func TestLayoutTakesNothingWrong(t *testing.T) {
	img := ready(t, "docker.io/acme/a:1", "f", strings.Repeat("base", 1000))
	broken := errors.New("the line broke")
	for name, open := range map[string]func(context.Context) (io.ReadCloser, error){
		"cannot be opened": func(context.Context) (io.ReadCloser, error) { return nil, broken },
		"breaks off": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("abc"), failing{broken})), nil
		},
		"is shorter": func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil },
		"is longer": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(make([]byte, img.Blobs[1].Size+1))), nil
		},
		"is another": func(context.Context) (io.ReadCloser, error) {
			st, err := store.Open(t.TempDir())
			check(t, err)
			b := img.Blobs[1]
			check(t, os.WriteFile(filepath.Join(st.Dir(), "blobs", "sha256", strings.TrimPrefix(string(b.Digest), "sha256:")), make([]byte, b.Size), 0o644))
			return st.Open(b.Digest, b.Size)
		},
	} {
		bad := img
		bad.Blobs = append([]image.Blob{img.Blobs[0]}, image.Blob{Descriptor: img.Blobs[1].Descriptor, Open: open})
		l := targetIn(t, filepath.Join(t.TempDir(), "out"))
		if err := l.Put(t.Context(), bad, func(image.Progress) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(l.file(img.Blobs[1].Digest)); err == nil {
			t.Errorf("%s: it got the name", name)
		}
		sound(t, l)
		put(t, l, img)
		sound(t, l)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestLayoutSharedByMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	shared := targetIn(t, dir)
	var wg sync.WaitGroup
	for i := range 16 {
		l := shared
		if i%2 == 1 {
			l = targetIn(t, dir) // as another process, with another store
		}
		wg.Go(func() {
			img := ready(t, fmt.Sprintf("docker.io/acme/x:%02d", i), "f", "base", fmt.Sprint(i/4))
			put(t, l, img)
		})
	}
	wg.Wait()
	if got := len(tagsIn(t, shared)); got != 16 {
		t.Errorf("%d tags of 16 are there", got)
	}
	sound(t, shared)
}

// A corrupt blob in the store is fetched or made again, in the same run.
func TestStoreIsMended(t *testing.T) {
	for _, what := range []string{"another byte", "cut", "gone"} {
		for _, contents := range []bool{true, false} {
			l, d := whole(t)
			out, want := l.apply(d)
			blobs := filepath.Join(l.sources.Store.Dir(), "blobs", "sha256")
			entries, err := os.ReadDir(blobs)
			check(t, err)
			for _, e := range entries {
				name := filepath.Join(blobs, e.Name())
				b, err := os.ReadFile(name)
				check(t, err)
				switch what {
				case "another byte":
					b[len(b)*3/4] ^= 1
					check(t, os.WriteFile(name, b, 0o644))
				case "cut":
					check(t, os.WriteFile(name, b[:len(b)-1], 0o644))
				case "gone":
					check(t, os.Remove(name))
				}
			}
			if !contents {
				check(t, os.RemoveAll(filepath.Join(l.sources.Store.Dir(), "contents")))
				check(t, os.Mkdir(filepath.Join(l.sources.Store.Dir(), "contents"), 0o755))
			}
			check(t, os.RemoveAll(out.Dir))
			retries := 0
			e := &Engine{Sources: &Sources{Store: l.sources.Store, Root: l.fs, Places: l.sources.Places}, Target: &Layout{Dir: out.Dir, Store: l.sources.Store}, Jobs: 2}
			got, err := e.Run(t.Context(), d.Plan, func(ev exec.Event) {
				if ev.Kind == exec.Retry {
					retries++
				}
			})
			if err != nil || digests(got) != digests(want) {
				t.Errorf("%s: %v, %s instead of %s", what, err, digests(got), digests(want))
			}
			if (retries > 0) != (what == "another byte") {
				t.Errorf("%s: %d retries", what, retries)
			}
			sound(t, out)
		}
	}
}
