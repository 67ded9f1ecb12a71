package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
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

	read := func(piece int64) (got []byte, err error) {
		for {
			off := int64(len(got))
			size, err := f.Wait(t.Context(), off+piece)
			if err != nil {
				return got, err
			}
			got = append(got, make([]byte, size-off)...)
			if _, err := f.ReadAt(got[off:], off); err != nil {
				return got, err
			}
			if size < off+piece {
				return got, nil
			}
		}
	}
	var readers sync.WaitGroup
	for _, piece := range []int64{1, 100 << 10, 5 << 20} {
		readers.Go(func() {
			if got, err := read(piece); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
	for at := 0; at < len(want); {
		n := min(1+rand.IntN(100<<10), len(want)-at)
		_, err := w.Write(want[at : at+n])
		check(t, err)
		// What is written can be read before there is more.
		size, err := f.Wait(t.Context(), int64(at+n))
		piece := make([]byte, n)
		_, rerr := f.ReadAt(piece, int64(at))
		if err != nil || rerr != nil || size != int64(at+n) || !bytes.Equal(piece, want[at:at+n]) {
			t.Fatalf("at %d: %d bytes, %v, %v", at, size, err, rerr)
		}
		at += n
	}
	check(t, w.Commit())
	readers.Wait()
	if got, err := read(1 << 20); err != nil || !bytes.Equal(got, want) {
		t.Errorf("once it is whole: %d bytes, %v", len(got), err)
	}
	if n, err := f.ReadAt(make([]byte, 1), int64(len(want))); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// TestFollowEnds is every way in which waiting for more may end.
func TestFollowEnds(t *testing.T) {
	given := errors.New("given up")
	for name, c := range map[string]struct {
		end  func(w *Writer, stop func(error))
		want error
	}{
		"committed": {func(w *Writer, _ func(error)) { w.Commit() }, nil},
		"aborted":   {func(w *Writer, _ func(error)) { w.Abort() }, ErrAbandoned},
		"given up":  {func(_ *Writer, stop func(error)) { stop(given) }, given},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := followed(t)
			_, err := w.Write([]byte("some"))
			check(t, err)
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			ended := make(chan error)
			go func() {
				n, err := f.Wait(ctx, 5)
				if err == nil && n != 4 {
					t.Errorf("%d bytes of 4", n)
				}
				ended <- err
			}()
			select {
			case err := <-ended:
				t.Fatalf("did not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			c.end(w, stop)
			if err := <-ended; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestFollowAborted is a blob that ended before anybody asked: it will never be whole,
// so that what there is need not be read.
func TestFollowAborted(t *testing.T) {
	w, f := followed(t)
	_, err := w.Write([]byte("some"))
	check(t, err)
	w.Abort()
	if n, err := f.Wait(t.Context(), 1); n != 0 || !errors.Is(err, ErrAbandoned) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
