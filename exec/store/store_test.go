package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"canvos.dev/compile/plan"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// temps is what is in tmp.
func temps(t testing.TB, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "tmp"))
	check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestBlobs(t *testing.T) {
	s := open(t, t.TempDir())
	d, err := s.Put([]byte("hello"))
	check(t, err)
	if d != "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("digest %s", d)
	}
	for _, size := range []int64{5, -1} {
		r, err := s.Open(d, size)
		check(t, err)
		b, err := io.ReadAll(r)
		check(t, err)
		r.Close()
		if string(b) != "hello" {
			t.Errorf("%q", b)
		}
	}
	if !s.Has(d, 5) || s.Has(d, 4) || s.Has(plan.DigestOf(nil), 0) {
		t.Error("Has is wrong")
	}
	if _, err := s.Open(plan.DigestOf([]byte("other")), -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent blob: %v", err)
	}
	for _, bad := range []plan.Digest{"", "sha256:", "sha256:../../../etc/passwd", "md5:00", "sha256:" + plan.Digest(strings.Repeat("A", 64))} {
		if _, err := s.Open(bad, -1); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opened %q: %v", bad, err)
		}
	}
	// An empty blob has no last byte to prove itself at.
	d, err = s.Put(nil)
	check(t, err)
	r, err := s.Open(d, 0)
	check(t, err)
	if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
		t.Errorf("empty blob: %q, %v", b, err)
	}
	r.Close()
	if got := temps(t, s); got != nil {
		t.Errorf("left %v", got)
	}
}

func TestImport(t *testing.T) {
	want := []byte(strings.Repeat("content ", 1000))
	d, size := plan.DigestOf(want), int64(len(want))
	flipped := bytes.Clone(want)
	flipped[4000] ^= 1
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("interrupted"))
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		size int64
		err  string
	}{
		"whole":           {r: bytes.NewReader(want), size: size},
		"unknown size":    {r: bytes.NewReader(want), size: -1},
		"short":           {r: bytes.NewReader(want[:100]), size: size, err: "another size than 8000 bytes"},
		"long":            {r: bytes.NewReader(append(bytes.Clone(want), 0)), size: size, err: "another size than 8000 bytes"},
		"endless":         {r: endless{}, size: size, err: "another size than 8000 bytes"},
		"flipped":         {r: bytes.NewReader(flipped), size: size, err: "content does not match its digest: got sha256:"},
		"failing":         {r: io.MultiReader(bytes.NewReader(want[:4000]), iotest.ErrReader(errors.New("line cut"))), size: size, err: "line cut"},
		"one byte a time": {r: iotest.OneByteReader(bytes.NewReader(want)), size: size},
		"interrupted":     {ctx: ended, r: bytes.NewReader(want), size: size, err: "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			err := s.Import(c.ctx, c.r, d, c.size)
			if c.err == "" {
				check(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, not %q", err, c.err)
			}
			if s.Has(d, size) != (c.err == "") {
				t.Errorf("in the store: %v", s.Has(d, size))
			}
			if got := temps(t, s); got != nil {
				t.Errorf("left %v", got)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A blob that is not what its name says is never handed over whole, and is out
// of the way afterwards.
func TestCorruptBlobs(t *testing.T) {
	want := []byte(strings.Repeat("content ", 100000))
	d, size := plan.DigestOf(want), int64(len(want))
	damage := map[string]func(file string) error{
		"first bit": func(f string) error { return flip(f, 0) },
		"middle":    func(f string) error { return flip(f, size/2) },
		"last bit":  func(f string) error { return flip(f, size-1) },
		"cut":       func(f string) error { return os.Truncate(f, size-1) },
		"empty":     func(f string) error { return os.Truncate(f, 0) },
		"longer":    func(f string) error { return os.Truncate(f, size+1) },
	}
	for name, harm := range damage {
		for _, known := range []int64{size, -1} {
			s := open(t, t.TempDir())
			_, err := s.Put(want)
			check(t, err)
			file, _ := s.blob(d)
			check(t, harm(file))
			got := 0
			r, err := s.Open(d, known)
			if err == nil {
				var n int64
				if known < 0 {
					n, err = io.Copy(io.Discard, r)
				} else { // as net/http reads: no further than the length it was told
					n, err = io.Copy(io.Discard, io.LimitReader(r, size))
				}
				got = int(n)
				r.Close()
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, size %d: %v", name, known, err)
			}
			if got >= int(size) {
				t.Errorf("%s, size %d: all %d bytes came out", name, known, got)
			}
			if _, err := s.Open(d, known); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: still there: %v", name, err)
			}
			check(t, s.Import(t.Context(), bytes.NewReader(want), d, size))
			if !s.Has(d, size) {
				t.Errorf("%s: cannot be mended", name)
			}
		}
	}
}

// A reader that finds damage in an old file leaves the one that replaced it.
func TestMendedWhileRead(t *testing.T) {
	s := open(t, t.TempDir())
	want := []byte(strings.Repeat("x", 1000))
	d, err := s.Put(want)
	check(t, err)
	file, _ := s.blob(d)
	check(t, flip(file, 500))
	r, err := s.Open(d, 1000)
	check(t, err)
	defer r.Close()
	check(t, s.Import(t.Context(), bytes.NewReader(want), d, 1000))
	if _, err := io.ReadAll(r); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damage not seen: %v", err)
	}
	if !s.Has(d, 1000) {
		t.Error("the good blob was put aside")
	}
}

func flip(file string, at int64) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	return err
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	d, err := s.Put([]byte("layer"))
	check(t, err)
	want := LayerRecord{DiffID: plan.DigestOf([]byte("tar")), Digest: d, Size: 5, RawSize: 7, MediaType: "m"}
	if _, ok := s.Layer("key"); ok {
		t.Fatal("found before it was there")
	}
	check(t, s.PutLayer("key", want))
	again := open(t, dir)
	if got, ok := again.Layer("key"); !ok || got != want {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := s.Layer("other"); ok {
		t.Error("found under another key")
	}
	check(t, s.PutLayer("nothing changed", LayerRecord{}))
	if got, ok := s.Layer("nothing changed"); !ok || got != (LayerRecord{}) {
		t.Errorf("empty record: %v, %v", got, ok)
	}
	file := s.named("records", "key")
	whole, err := os.ReadFile(file)
	check(t, err)
	for i := range whole {
		check(t, s.PutLayer("key", want))
		check(t, flip(file, int64(i)))
		if _, ok := s.Layer("key"); ok {
			t.Errorf("record with a flipped bit in byte %d of %d was used", i, len(whole))
		}
		if len(whole) > 40 && i%40 == 0 {
			check(t, os.WriteFile(file, whole[:i], 0o644))
			if _, ok := s.Layer("key"); ok {
				t.Errorf("record cut to %d bytes was used", i)
			}
		}
	}
	// A record whose name was given to another file.
	check(t, s.PutLayer("key", want))
	check(t, os.Rename(file, s.named("records", "other")))
	if _, ok := s.Layer("other"); ok {
		t.Error("record of another key was used")
	}
	// A record whose blob is gone, or is not whole.
	check(t, s.PutLayer("key", want))
	blob, _ := s.blob(d)
	check(t, os.Truncate(blob, 4))
	if _, ok := s.Layer("key"); ok {
		t.Error("record of a cut blob was used")
	}
	check(t, os.Remove(blob))
	if _, ok := s.Layer("key"); ok {
		t.Error("record without its blob was used")
	}
}

func TestContents(t *testing.T) {
	s := open(t, t.TempDir())
	d := plan.DigestOf([]byte("layer"))
	if _, ok := s.Contents(d); ok {
		t.Error("found before it was there")
	}
	want := []byte("a\nb\x00c")
	check(t, s.PutContents(d, want))
	if got, ok := s.Contents(d); !ok || !bytes.Equal(got, want) {
		t.Errorf("%q, %v", got, ok)
	}
	check(t, flip(filepath.Join(s.dir, "contents", string(d[7:])), 69))
	if _, ok := s.Contents(d); ok {
		t.Error("damaged table was used")
	}
}

func TestScratch(t *testing.T) {
	s := open(t, t.TempDir())
	for _, n := range []int{0, 1, 1<<20 - 1, 1 << 20, 3 << 20} {
		want := bytes.Repeat([]byte{7}, n)
		r, done, err := s.Scratch(bytes.NewReader(want))
		check(t, err)
		for range 2 {
			_, err := r.Seek(0, io.SeekStart)
			check(t, err)
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: %d, %v", n, len(got), err)
			}
		}
		done()
		if got := temps(t, s); got != nil {
			t.Errorf("left %v", got)
		}
	}
}

func TestUsageAndPrune(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var blobs []plan.Digest
	start := time.Now().Add(-time.Hour)
	for i := range 5 {
		d, err := s.Put(bytes.Repeat([]byte{byte(i)}, 1000))
		check(t, err)
		blobs = append(blobs, d)
		file, _ := s.blob(d)
		old := start.Add(time.Duration(i) * time.Minute)
		check(t, os.Chtimes(file, old, old))
	}
	u, err := s.Usage()
	check(t, err)
	if u.Blobs != 5 || u.Bytes != 5000 || u.Temp != 0 || u.Free <= 0 {
		t.Errorf("%+v", u)
	}
	other := open(t, dir)
	if _, _, err := s.Prune(t.Context(), Limit{Bytes: 0}); !errors.Is(err, ErrInUse) {
		t.Errorf("pruned while another had it open: %v", err)
	}
	if _, _, err := other.Prune(t.Context(), Limit{Bytes: 0}); !errors.Is(err, ErrInUse) {
		t.Errorf("the failed try gave up its own lock: %v", err)
	}
	check(t, other.Close())
	// The oldest is used again: then it is not the oldest any more.
	r, err := s.Open(blobs[0], 1000)
	check(t, err)
	r.Close()
	n, size, err := s.Prune(t.Context(), Limit{Before: start.Add(90 * time.Second), Bytes: -1})
	check(t, err)
	if n != 1 || size != 1000 || s.Has(blobs[1], 1000) {
		t.Errorf("by age: %d files, %d bytes", n, size)
	}
	n, size, err = s.Prune(t.Context(), Limit{Bytes: 2500})
	check(t, err)
	if n != 2 || size != 2000 || !s.Has(blobs[0], 1000) || !s.Has(blobs[4], 1000) {
		t.Errorf("by size: %d files, %d bytes", n, size)
	}
	n, _, err = s.Prune(t.Context(), Limit{Bytes: -1})
	check(t, err)
	if n != 0 {
		t.Errorf("without a limit %d files went", n)
	}
	if u, err := s.Usage(); err != nil || u.Blobs != 2 {
		t.Errorf("%+v, %v", u, err)
	}
}
