package store

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// followed begins a blob and follows it.
func followed(t *testing.T) (*Writer, *Following) {
	t.Helper()
	w, err := open(t, t.TempDir()).Create()
	check(t, err)
	t.Cleanup(w.Abort)
	f, err := w.Follow()
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return w, f
}

// TestFollow is a blob that is read by several while it is written, and by one that
// comes when it is whole.
func TestFollow(t *testing.T) {
	w, f := followed(t)
	want := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(want)

	read := func() ([]byte, error) {
		r := f.Open()
		defer r.Close()
		return io.ReadAll(r)
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			if got, err := read(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
	early := f.Open()
	defer early.Close()
	piece := make([]byte, len(want))
	for at := 0; at < len(want); {
		n := min(1+rand.IntN(100<<10), len(want)-at)
		_, err := w.Write(want[at : at+n])
		check(t, err)
		// What is written can be read before there is more.
		k, err := io.ReadFull(early, piece[:n])
		if err != nil || !bytes.Equal(piece[:k], want[at:at+n]) {
			t.Fatalf("at %d: %d bytes of %d, %v", at, k, n, err)
		}
		at += n
	}
	check(t, w.Commit())
	if n, err := early.Read(piece); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	readers.Wait()
	if got, err := read(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("once it is whole: %d bytes, %v", len(got), err)
	}
}

// TestFollowEnds is every way in which a Read that waits for more may end.
func TestFollowEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*Writer, io.Closer)
		want error
	}{
		"committed": {func(w *Writer, _ io.Closer) { w.Commit() }, io.EOF},
		"aborted":   {func(w *Writer, _ io.Closer) { w.Abort() }, ErrAbandoned},
		"closed":    {func(_ *Writer, r io.Closer) { r.Close() }, os.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := followed(t)
			_, err := w.Write([]byte("some"))
			check(t, err)
			r := f.Open()
			_, err = io.ReadFull(r, make([]byte, 4))
			check(t, err)
			ended := make(chan error)
			go func() {
				n, err := r.Read(make([]byte, 4))
				if n != 0 {
					t.Errorf("%d bytes of nothing", n)
				}
				ended <- err
			}()
			select {
			case err := <-ended:
				t.Fatalf("did not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			c.end(w, r)
			if err := <-ended; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			r.Close()
		})
	}
}

// TestFollowAborted is a reader that has not read what there was: it will never be
// whole, so it need not be read.
func TestFollowAborted(t *testing.T) {
	w, f := followed(t)
	_, err := w.Write([]byte("some"))
	check(t, err)
	w.Abort()
	r := f.Open()
	defer r.Close()
	if b, err := io.ReadAll(r); len(b) != 0 || !errors.Is(err, ErrAbandoned) {
		t.Errorf("%q, %v", b, err)
	}
}
