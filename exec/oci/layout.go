package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// Layout is an OCI image layout that images are published into. Blobs are there
// before what names them, index.json is replaced in one step, and what is there
// already is believed only if its bytes are what its name says. Other programs
// may read it at any time; other canvos processes may write it too.
type Layout struct {
	Dir   string
	Store *store.Store // holds the blobs' locks

	beginning sync.Mutex
	begun     bool

	mu      sync.Mutex
	known   bool                 // to be a layout, or to become one
	checked map[plan.Digest]bool // blobs that were written or read whole by us
	read    *readList            // index.json as it was read last
}

// readList is index.json, and the file that it was read from.
type readList struct {
	file  os.FileInfo
	index index
	named map[string]image.Descriptor // by reference
}

var _ image.Target = (*Layout)(nil)

// Published is what the layout has under a reference. A layout that does not
// exist holds nothing.
func (l *Layout) Published(_ context.Context, reference string, known plan.Digest) (*image.Published, error) {
	list, err := l.list()
	if err != nil {
		return nil, err
	}
	d, ok := list.named[reference]
	if !ok {
		return nil, nil
	}
	p := &image.Published{Descriptor: d}
	if _, err := os.Stat(l.file(d.Digest)); err == nil && d.Digest == known {
		return p, nil
	}
	raw, err := os.ReadFile(l.file(d.Digest))
	if errors.Is(err, fs.ErrNotExist) || err == nil && plan.DigestOf(raw) != d.Digest {
		return nil, nil // damaged: as good as absent
	}
	p.Manifest = raw
	return p, err
}

// Tags are the references of a repository in the layout, sorted.
func (l *Layout) Tags(_ context.Context, of string) ([]string, error) {
	list, err := l.list()
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range list.named {
		if repository(name) == of {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Content is a blob of the layout.
func (l *Layout) Content(_ context.Context, _ string, d image.Descriptor) ([]byte, error) {
	b, err := os.ReadFile(l.file(d.Digest))
	if err == nil && plan.DigestOf(b) != d.Digest {
		err = fmt.Errorf("%s in %s is damaged", d.Digest, l.Dir)
	}
	return b, err
}

// Put writes the blobs and manifests of an image.
func (l *Layout) Put(ctx context.Context, img image.Image, progress func(image.Progress)) error {
	if err := l.begin(); err != nil {
		return err
	}
	for _, c := range img.Children {
		if err := l.Put(ctx, c, progress); err != nil {
			return err
		}
	}
	for _, b := range img.Blobs {
		if err := l.blob(ctx, b, progress); err != nil {
			return err
		}
	}
	if l.sound(ctx, img.Digest, img.Size) {
		return nil
	}
	return l.write(img.Digest, img.Manifest)
}

// begin makes the layout if there is none, and clears it of what was left
// unfinished. It does so once.
func (l *Layout) begin() error {
	l.beginning.Lock()
	defer l.beginning.Unlock()
	if l.begun {
		return nil
	}
	if err := l.make(); err != nil {
		return err
	}
	for _, dir := range []string{l.Dir, filepath.Join(l.Dir, "blobs", "sha256")} {
		if err := clean(dir); err != nil {
			return err
		}
	}
	l.begun = true
	return nil
}

func (l *Layout) make() error {
	is, err := l.look()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(l.Dir, "blobs", "sha256"), 0o755); err != nil || is {
		return err
	}
	return replaceFile(filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// look says whether the directory is a layout. One that cannot be made a layout is
// an error: it is of another version, or holds something else.
func (l *Layout) look() (is bool, err error) {
	if fi, err := os.Stat(l.Dir); err == nil && !fi.IsDir() {
		return false, fmt.Errorf("%s is a file, and no OCI layout", l.Dir)
	}
	b, err := os.ReadFile(filepath.Join(l.Dir, "oci-layout"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		entries, err := os.ReadDir(l.Dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, e := range entries {
			if e.Name() != "blobs" && !strings.HasPrefix(e.Name(), ".") {
				return false, fmt.Errorf("%s is no OCI layout, and not empty: it holds %s", l.Dir, e.Name())
			}
		}
		return false, nil
	case err != nil:
		return false, err
	}
	var v struct {
		Version string `json:"imageLayoutVersion"`
	}
	if json.Unmarshal(b, &v) != nil || !strings.HasPrefix(v.Version, "1.") {
		return false, fmt.Errorf("%s is an OCI layout of a version that is not known: %s", l.Dir, b)
	}
	return true, nil
}

// Writable is an error if images cannot be published into the layout: it could not
// be made, or may not be written. It changes nothing.
func (l *Layout) Writable() error {
	if _, err := l.look(); err != nil {
		return err
	}
	for _, dir := range []string{l.Dir, filepath.Join(l.Dir, "blobs"), filepath.Join(l.Dir, "blobs", "sha256")} {
		dir = existing(dir) // in which it would be made
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("write to %s: %w", dir, err)
		}
	}
	return nil
}

// existing is a directory, or the nearest above that is there.
func existing(dir string) string {
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func (l *Layout) blob(ctx context.Context, b image.Blob, progress func(image.Progress)) error {
	unlock, err := l.Store.Lock(ctx, "layout "+l.Dir+" "+string(b.Digest))
	if err != nil {
		return err
	}
	defer unlock()
	if l.sound(ctx, b.Digest, b.Size) {
		progress(image.Progress{Mounted: b.Size})
		return nil
	}
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	in := &telling{Reader: r, progress: progress} // which fails if it is not what the digest names
	err = writeFrom(l.file(b.Digest), in, func() error {
		if in.size != b.Size {
			return fmt.Errorf("%d bytes arrived instead of %d", in.size, b.Size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.believe(b.Digest)
	return nil
}

// telling says how much was read.
type telling struct {
	io.Reader
	size     int64
	progress func(image.Progress)
}

func (t *telling) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if t.size += int64(n); n > 0 {
		t.progress(image.Progress{Uploaded: int64(n)})
	}
	return n, err
}

// Weigh is how many bytes of a blob Put would write.
func (l *Layout) Weigh(_ context.Context, _ string, b image.Blob) (send int64, sure bool, err error) {
	if fi, err := os.Stat(l.file(b.Digest)); err == nil && fi.Size() == b.Size {
		return 0, true, nil
	}
	return b.Size, true, nil
}

// sound says whether a blob is there, whole. It is read once a run.
func (l *Layout) sound(ctx context.Context, d plan.Digest, size int64) bool {
	l.mu.Lock()
	known := l.checked[d]
	l.mu.Unlock()
	if known {
		return true
	}
	f, err := os.Open(l.file(d))
	if err != nil {
		return false
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() != size {
		return false
	}
	got, err := store.Sum(ctx, f)
	if err != nil || got != d {
		return false
	}
	l.believe(d)
	return true
}

func (l *Layout) believe(d plan.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.checked == nil {
		l.checked = map[plan.Digest]bool{}
	}
	l.checked[d] = true
}

func (l *Layout) write(d plan.Digest, b []byte) error {
	if err := replaceFile(l.file(d), b); err != nil {
		return err
	}
	l.believe(d)
	return nil
}

// Tag names the images of a family in index.json, which is replaced in one step
// under a lock.
func (l *Layout) Tag(ctx context.Context, family []image.Image) error {
	unlock, err := lockDir(l.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	l.mu.Lock()
	l.read = nil // what somebody else named must not be lost because two lists look alike
	l.mu.Unlock()
	read, err := l.list()
	if err != nil {
		return err
	}
	moved := map[string]bool{}
	for _, img := range family {
		moved[img.Reference] = true
	}
	list := read.index
	list.Manifests = slices.DeleteFunc(slices.Clone(list.Manifests), func(d image.Descriptor) bool { return moved[d.Annotations[refName]] })
	for _, img := range family {
		d := img.Descriptor
		d.Annotations = map[string]string{refName: img.Reference}
		list.Manifests = append(list.Manifests, d)
	}
	slices.SortFunc(list.Manifests, func(a, b image.Descriptor) int {
		return strings.Compare(a.Annotations[refName]+" "+string(a.Digest), b.Annotations[refName]+" "+string(b.Digest))
	})
	b, err := plan.Canonical(list)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(l.Dir, "index.json"), b)
}

// list is index.json; empty if there is none yet. It is parsed again when the
// file is another one. A directory that is no layout, and cannot become one, is an
// error.
func (l *Layout) list() (*readList, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		if _, err := l.look(); err != nil {
			return nil, err
		}
		l.known = true
	}
	empty := &readList{index: index{SchemaVersion: 2, MediaType: image.Index, Manifests: []image.Descriptor{}}}
	f, err := os.Open(filepath.Join(l.Dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if r := l.read; r != nil && os.SameFile(r.file, info) && r.file.ModTime().Equal(info.ModTime()) {
		return r, nil
	}
	r := &readList{file: info, index: empty.index, named: map[string]image.Descriptor{}}
	b, err := io.ReadAll(f)
	if err == nil {
		err = json.Unmarshal(b, &r.index)
	}
	if err != nil {
		return nil, fmt.Errorf("read the layout %s: %w", l.Dir, err)
	}
	for _, d := range r.index.Manifests {
		if name := d.Annotations[refName]; name != "" {
			r.named[name] = d
		}
	}
	l.read = r
	return r, nil
}

func (l *Layout) file(d plan.Digest) string {
	return filepath.Join(l.Dir, filepath.FromSlash(blobName(d)))
}

// lockDir waits until nobody else changes the layout's list.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

func replaceFile(name string, b []byte) error {
	return writeFrom(name, strings.NewReader(string(b)), func() error { return nil })
}

// writeFrom gives a file the content of r in one step, for good: whoever reads it
// sees nothing, the old content, or all of the new one. good has the last word.
func writeFrom(name string, r io.Reader, good func() error) error {
	f, err := temporary(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	disk := store.NewRelay(&store.Eager{File: f}) // while the next is read, and hashed
	_, err = io.CopyBuffer(disk, r, make([]byte, 256<<10))
	if werr := disk.Close(); err == nil {
		err = werr
	}
	if err == nil {
		err = good()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), name) // still locked: no cleaner takes it before
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

const unfinished = ".new-"

// temporary makes a file that clean leaves alone as long as it is open.
func temporary(dir string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, unfinished+"*")
		if err != nil {
			return nil, err
		}
		// A cleaner may take it in the moment before it is locked.
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err == nil {
			if _, err = os.Stat(f.Name()); err == nil {
				return f, nil
			}
		}
		f.Close()
		os.Remove(f.Name())
		if !errors.Is(err, fs.ErrNotExist) && err != unix.EINTR {
			return nil, err
		}
	}
}

// clean removes what runs that were killed left behind.
func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unfinished) {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // it got its name, or another cleaner came first
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.Remove(f.Name())
		}
		f.Close()
	}
	return nil
}
