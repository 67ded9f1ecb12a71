package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// sessions is a registry that hashes what it is sent and keeps nothing; unlike
// docker-registry, it keeps a session whose connection broke.
type sessions struct {
	*httptest.Server
	host string

	mu      sync.Mutex
	n       int
	at      map[string]*session
	done    map[string]int64 // size of what was sent, by digest
	got     int64            // bytes, of all uploads
	cut     func(at int64) int64
	longest int64 // body; 0: any
}

type session struct {
	hash hash.Hash
	size int64
}

func startSessions(t *testing.T) *sessions {
	s := &sessions{at: map[string]*session{}, done: map[string]int64{}}
	s.Server = httptest.NewServer(s)
	s.host = strings.TrimPrefix(s.URL, "http://")
	t.Cleanup(s.Close)
	return s
}

func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	u := s.at[r.URL.Path]
	s.mu.Unlock()
	switch {
	case r.Method == "HEAD":
		w.WriteHeader(404)
	case r.Method == "POST":
		s.mu.Lock()
		s.n++
		path := fmt.Sprintf("%s%d", r.URL.Path, s.n)
		s.at[path] = &session{hash: sha256.New()}
		s.mu.Unlock()
		w.Header().Set("Location", path+"?_state=letters+and%2Fslashes")
		w.WriteHeader(202)
	case u == nil:
		w.WriteHeader(404)
	case r.URL.Query().Get("_state") != "letters and/slashes":
		w.WriteHeader(400)
	case s.longest > 0 && r.ContentLength > s.longest:
		w.WriteHeader(413)
	case r.Method == "PATCH":
		if begin := r.Header.Get("Content-Range"); begin != "" && !strings.HasPrefix(begin, fmt.Sprintf("%d-", u.size)) {
			w.WriteHeader(416)
			return
		}
		body := io.Reader(r.Body)
		if s.cut != nil {
			body = io.LimitReader(body, s.cut(u.size))
		}
		n, err := io.Copy(u.hash, body)
		u.size += n
		s.mu.Lock()
		s.got += n
		s.mu.Unlock()
		if err != nil || n < r.ContentLength {
			panic(http.ErrAbortHandler)
		}
		s.answer(w, r, u, 202)
	case r.Method == "GET":
		s.answer(w, r, u, 204)
	case r.Method == "PUT":
		n, _ := io.Copy(u.hash, r.Body)
		u.size += n
		d := r.URL.Query().Get("digest")
		if d != "sha256:"+hex.EncodeToString(u.hash.Sum(nil)) {
			says(400, "DIGEST_INVALID", "provided digest did not match uploaded content")(nil, w, r)
			return
		}
		s.mu.Lock()
		s.done[d] = u.size
		s.mu.Unlock()
		w.WriteHeader(201)
	}
}

func (s *sessions) answer(w http.ResponseWriter, r *http.Request, u *session, code int) {
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(u.size-1, 0)))
	w.Header().Set("Location", r.URL.RequestURI())
	w.WriteHeader(code)
}

// stream is a blob that is nowhere: it is made when it is read.
func stream(seed byte, size int64) image.Blob {
	open := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)), nil
	}
	h := sha256.New()
	r, _ := open(nil)
	io.Copy(h, r)
	return image.Blob{Descriptor: image.Descriptor{MediaType: image.Gzip, Digest: plan.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Size: size}, Open: open}
}

func ensure(s *sessions, c *Client, b ...image.Blob) (image.Progress, error) {
	var sum image.Progress
	img := image.Image{Reference: s.host + "/acme/x:a", Blobs: b}
	err := NewPublisher(c, nil, 0).Put(context.Background(), img, sumInto(&sum))
	return sum, err
}

// TestResumedUploads cuts an upload again and again, more often than there are
// attempts: each gets further, so all of them are worth another one.
func TestResumedUploads(t *testing.T) {
	s := startSessions(t)
	s.cut = func(int64) int64 { return 3 << 20 }
	b := stream(1, 50<<20)
	sum, err := ensure(s, quick(), b)
	if err != nil {
		t.Fatal(err)
	}
	if s.done[string(b.Digest)] != b.Size || s.got != b.Size || sum.Uploaded != b.Size {
		t.Errorf("%d bytes there, %d sent, %d reported, of %d", s.done[string(b.Digest)], s.got, sum.Uploaded, b.Size)
	}
	s.cut = func(at int64) int64 { return max(0, 20<<20-at) } // and here nobody gets further
	tries := 0
	c := quick()
	c.Retried = func(Retry) { tries++ }
	// How often it gets a little further, before it does not any more, is up to
	// the machine.
	if _, err := ensure(s, c, stream(2, 50<<20)); err == nil || tries > 60 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// TestShortBodies is a proxy that takes no long bodies: blobs go in pieces.
func TestShortBodies(t *testing.T) {
	s := startSessions(t)
	s.longest = 10 << 20
	a, b := stream(1, 50<<20), stream(2, 12<<20)
	if _, err := ensure(s, quick(), a, b); err != nil {
		t.Fatal(err)
	}
	if s.done[string(a.Digest)] != a.Size || s.done[string(b.Digest)] != b.Size {
		t.Errorf("there is %v", s.done)
	}
	s.longest = 1 << 20 // nobody is that narrow
	_, err := ensure(s, quick(), stream(3, 50<<20))
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 413 {
		t.Errorf("error %v", err)
	}
}

// TestFlatMemory sends half a gigabyte, eight blobs at once, and counts every
// byte that is allocated for it, freed or not.
func TestFlatMemory(t *testing.T) {
	s := startSessions(t)
	var blobs []image.Blob
	var total int64
	for i := range 8 {
		blobs = append(blobs, stream(byte(i+1), 64<<20))
		total += blobs[i].Size
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ensure(s, quick(), blobs...); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d MiB sent, %.1f MiB allocated", total>>20, float64(allocated)/(1<<20))
	if allocated > 16<<20 { // both sides: the registry is in this process, too
		t.Errorf("%d bytes allocated for %d sent", allocated, total)
	}
}

// TestBrokenSource is a blob that cannot be read as it should be: nothing is tried
// twice, and the error is the source's.
func TestBrokenSource(t *testing.T) {
	s := startSessions(t)
	for _, size := range []int64{1 << 20, 40 << 20} {
		boom := errors.New("sector not found")
		for name, open := range map[string]func(context.Context) (io.ReadCloser, error){
			"open": failingOpen(boom),
			"read": func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("some"), errReader{boom})), nil
			},
			"short": func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("some")), nil },
		} {
			b := image.Blob{Descriptor: image.Descriptor{Digest: "sha256:" + plan.Digest(strings.Repeat("0", 64)), Size: size}, Open: open}
			tries := 0
			c := quick()
			c.Retried = func(Retry) { tries++ }
			sum, err := ensure(s, c, b)
			if want := errors.Is(err, boom) || name == "short" && errors.Is(err, io.ErrUnexpectedEOF); !want || tries != 0 {
				t.Errorf("%s: %d tries, %v", name, tries, err)
			}
			if sum.Uploaded != 0 {
				t.Errorf("%s: %d bytes reported", name, sum.Uploaded)
			}
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestSourceOfAnotherRegistry is a blob that is read from a registry which fails: that
// one has been asked often enough, and the upload is not attempted again for it.
func TestSourceOfAnotherRegistry(t *testing.T) {
	s := startSessions(t)
	for _, size := range []int64{1 << 20, 40 << 20} {
		down := &Error{Kind: Unavailable, Status: 503, Doing: "read blob of elsewhere", Host: "elsewhere.example"}
		for name, open := range map[string]func(context.Context) (io.ReadCloser, error){
			"open": failingOpen(down),
			"read": func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("some"), errReader{down})), nil
			},
		} {
			tries := 0
			c := quick()
			c.Retried = func(Retry) { tries++ }
			b := image.Blob{Descriptor: image.Descriptor{Digest: "sha256:" + plan.Digest(strings.Repeat("0", 64)), Size: size}, Open: open}
			if _, err := ensure(s, c, b); !errors.Is(err, down) || tries != 0 {
				t.Errorf("%s: %d tries, %v", name, tries, err)
			}
		}
	}
}
