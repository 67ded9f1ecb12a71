package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"canvos.dev/exec/image"
)

// making is a blob that is made as the test wishes.
type making struct {
	mu     sync.Mutex
	change sync.Cond
	b      []byte
	err    error // of a read that has read all; nil: it waits
	opened int
	closed bool // nobody reads it any more
}

func begin() *making {
	m := &making{}
	m.change.L = &m.mu
	return m
}

// grow adds content, and says what a read at its end meets.
func (m *making) grow(b []byte, end error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b, m.err = append(m.b, b...), end
	m.change.Broadcast()
}

func (m *making) Open() io.ReadCloser {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
	return &makingReader{m: m}
}

func (m *making) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

type makingReader struct {
	m      *making
	off    int
	closed bool
}

func (r *makingReader) Read(p []byte) (int, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	for r.off == len(r.m.b) {
		if r.closed {
			return 0, os.ErrClosed
		}
		if r.m.err != nil {
			return 0, r.m.err
		}
		r.m.change.Wait()
	}
	n := copy(p, r.m.b[r.off:])
	r.off += n
	return n, nil
}

func (r *makingReader) Close() error {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.closed = true
	r.m.change.Broadcast()
	return nil
}

func (m *making) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// eventually waits for what must come true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for begun := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestAhead is a blob that is sent while it is made, and found by the images that
// need it.
func TestAhead(t *testing.T) {
	registries(t, func(t *testing.T, host string) {
		ctx := context.Background()
		px := startProxy(t, host)
		j, err := OpenJournal(filepath.Join(t.TempDir(), "journal"))
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		var telling sync.Mutex
		var brought []entry
		j.tell = func(e entry) {
			telling.Lock()
			defer telling.Unlock()
			brought = append(brought, e)
		}
		p := NewPublisher(quick(), j, 0)
		p.Client.Retried = func(r Retry) { t.Errorf("%+v", r) }
		big := blobOf(image.Gzip, noise(24<<20))
		images := []image.Image{
			imageOf(t, px.host+"/acme/one:a", "one", "amd64", big),
			imageOf(t, px.host+"/acme/two:a", "two", "amd64", big),
		}
		whole, _ := big.Open(ctx)
		content, _ := io.ReadAll(whole)

		m := begin()
		s := p.Ahead(ctx, images[0].Reference, m)
		if s == nil {
			t.Fatal("it would rather have it whole")
		}
		half := len(content) / 2
		m.grow(content[:half], nil)
		eventually(t, "half of it is sent", func() bool { _, up := px.sums(); return up == int64(half) })
		m.grow(content[half:], io.EOF)
		s.Finish(big)

		var sums [2]image.Progress
		for i, img := range images {
			if i == 1 { // for the first, a session, the blob and its end, and the config
				if px.count("POST uploads") != 2 || px.count("PATCH upload") != 1 || px.count("PUT upload") != 2 || px.count("HEAD blob") != 0 {
					t.Errorf("requests: %v", px.counts)
				}
			}
			if err := p.Put(ctx, img, sumInto(&sums[i])); err != nil {
				t.Fatal(err)
			}
			if err := p.Tag(ctx, images[i:i+1]); err != nil {
				t.Fatal(err)
			}
			wantThere(t, img)
		}
		if rest := s.End(); rest != (image.Progress{}) {
			t.Errorf("%+v is left to report", rest)
		}
		configs := [2]int64{images[0].Blobs[0].Size, images[1].Blobs[0].Size}
		if sums[0] != (image.Progress{Uploaded: big.Size + configs[0]}) || sums[1] != (image.Progress{Uploaded: configs[1], Mounted: big.Size}) {
			t.Errorf("reported %+v", sums)
		}
		if px.count("PATCH upload") != 1 || px.count("POST mount") != 1 {
			t.Errorf("requests: %v", px.counts)
		}
		if _, up := px.sums(); up > big.Size+big.Size/100 {
			t.Errorf("%d bytes sent of %d", up, big.Size)
		}
		if !slices.ContainsFunc(brought, func(e entry) bool {
			return e.Did == "blob" && e.Repository == px.host+"/acme/one" && e.Digest == big.Digest
		}) {
			t.Errorf("journal: %+v", brought)
		}
		if !m.isClosed() || m.opened != 1 {
			t.Errorf("opened %d times, closed %t", m.opened, m.isClosed())
		}
	})
}

// TestAheadFaults is what may happen to a blob that is sent while it is made: it is
// sent as if it had not been.
func TestAheadFaults(t *testing.T) {
	host := startRegistry(t, nil)
	for i, c := range []struct {
		on    string
		times int
		name  string
		do    hurting
	}{
		{"POST uploads", 1, "503", status(503)},
		{"POST uploads", 1, "429", status(429, "Retry-After", "1")},
		{"POST uploads", 1, "403", says(403, "DENIED", "requested access to the resource is denied")},
		{"POST uploads", 1, "401", status(401)},
		{"POST uploads", 1, "reset", resets},
		{"POST uploads", 1, "hang", hangs},
		{"PATCH upload", 1, "500", status(500)},
		{"PATCH upload", 2, "500", status(500)},
		{"PATCH upload", 1, "reset", resets},
		{"PATCH upload", 1, "hang", hangs},
		{"PATCH upload", 1, "stall", stalls},
		{"PATCH upload", 1, "cut", cuts(9 << 20)},
		{"PATCH upload", 1, "bit flipped", flips},
		{"PATCH upload", 1, "411", status(411)},
		{"PATCH upload", 1, "413", status(413)},
		{"PATCH upload", 1, "session gone", says(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")},
		{"PATCH upload", 1, "lost reply", lostReply},
		{"PUT upload", 1, "500", status(500)},
		{"PUT upload", 1, "lost reply", lostReply},
		{"PUT upload", 1, "session gone", status(404)},
		{"PUT upload", 1, "hang", hangs},
	} {
		t.Run(fmt.Sprintf("%s %s %d", c.on, c.name, c.times), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			px := startProxy(t, host)
			px.hurt(c.on, c.times, c.do)
			repo := fmt.Sprintf("%s/acme/a%d", px.host, i)
			content := noise(24 << 20)
			big := blobOf(image.Gzip, content)
			images := []image.Image{
				imageOf(t, repo+":a", "f", "amd64", big),
				imageOf(t, repo+":b", "f", "amd64", big, blobOf(image.Gzip, noise(100))),
				imageOf(t, repo+"-2:a", "f", "amd64", big),
			}
			cl := meeting(c.name)
			cl.Retried = func(r Retry) { wantTold(t, r) }
			p := NewPublisher(cl, nil, 0)
			m := begin()
			s := p.Ahead(ctx, images[0].Reference, m)
			for at := 0; at < len(content); at += 4 << 20 {
				m.grow(content[at:at+4<<20], nil)
				time.Sleep(10 * time.Millisecond)
			}
			m.grow(nil, io.EOF)
			s.Finish(big)
			var sum image.Progress
			if _, err := p.Push(ctx, images, PushOptions{Progress: summed(&sum)}); err != nil {
				t.Fatal(err)
			}
			s.End()
			wantSurvived(t, px, c.times, host, images, sum)
			if _, distinct := bytesOf(images); sum.Uploaded != distinct {
				t.Errorf("reported %+v of %d distinct bytes", sum, distinct)
			}
			if !m.isClosed() {
				t.Error("it is still read")
			}
			next := p.Ahead(ctx, images[0].Reference, begin())
			if next != nil {
				next.End()
			}
			if arrived := c.on == "PUT upload" || c.name == "bit flipped"; arrived != (next != nil) {
				t.Errorf("another is sent ahead: %t", next != nil)
			}
		})
	}
}

// TestAheadGivenUp is a blob that is never finished, or whose run ends.
func TestAheadGivenUp(t *testing.T) {
	broken := errors.New("the disk is full")
	for name, give := range map[string]func(m *making, stop func()){
		"not made":       func(m *making, _ func()) { m.grow(nil, broken) },
		"not finished":   func(*making, func()) {},
		"run ended":      func(_ *making, stop func()) { stop() },
		"made, not kept": func(m *making, _ func()) { m.grow(nil, io.EOF) },
	} {
		t.Run(name, func(t *testing.T) {
			px := startProxy(t, startRegistry(t, nil))
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			p := NewPublisher(quick(), nil, 0)
			p.Client.Retried = func(r Retry) { t.Errorf("%+v", r) }
			m := begin()
			s := p.Ahead(ctx, px.host+"/acme/x:a", m)
			m.grow(noise(1<<20), nil)
			eventually(t, "it is sent", func() bool { _, up := px.sums(); return up > 0 })
			give(m, stop)
			s.End()
			if !m.isClosed() {
				t.Error("it is still read")
			}
			if px.count("PUT upload") != 0 {
				t.Errorf("requests: %v", px.counts)
			}
			if name != "run ended" && px.count("DELETE upload") != 1 {
				t.Errorf("the session was left to the registry: %v", px.counts)
			}
		})
	}
}

// TestAheadForNobody is a blob that is whole, and that no image asks for since the run
// is over: it is in flight, so it arrives, and the next run need not send it.
func TestAheadForNobody(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	p := NewPublisher(quick(), nil, 0)
	content := noise(8 << 20)
	b := blobOf(image.Gzip, content)
	img := imageOf(t, px.host+"/acme/x:a", "x", "amd64", b)
	m := begin()
	s := p.Ahead(t.Context(), img.Reference, m)
	m.grow(content, io.EOF)
	s.Finish(b)
	if rest := s.End(); rest != (image.Progress{Uploaded: b.Size}) {
		t.Errorf("reported %+v of %d bytes", rest, b.Size)
	}
	px.reset()
	if _, err := NewPublisher(quick(), nil, 0).Push(t.Context(), []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if px.sentAgain(string(b.Digest)) {
		t.Error("it was sent again")
	}
	wantThere(t, img)
}

// TestAheadOfWhatIsThere is a blob that another step made as well, and that arrived
// before this was finished.
func TestAheadOfWhatIsThere(t *testing.T) {
	ctx := context.Background()
	px := startProxy(t, startRegistry(t, nil))
	p := NewPublisher(quick(), nil, 0)
	content := noise(2 << 20)
	b := blobOf(image.Gzip, content)
	img := imageOf(t, px.host+"/acme/x:a", "x", "amd64", b)
	m := begin()
	s := p.Ahead(ctx, img.Reference, m)
	m.grow(content[:1<<20], nil)
	var sum image.Progress
	if err := p.Put(ctx, img, sumInto(&sum)); err != nil {
		t.Fatal(err)
	}
	m.grow(content[1<<20:], io.EOF)
	s.Finish(b)
	s.End()
	if px.count("PUT upload") != 2 || px.count("DELETE upload") != 1 || !m.isClosed() { // the blob and the config, once each
		t.Errorf("requests: %v", px.counts)
	}
	if all, _ := bytesOf([]image.Image{img}); sum.Uploaded != all || sum.Mounted != 0 {
		t.Errorf("reported %+v of %d bytes", sum, all)
	}
}

// TestAheadBroughtByAnother is a blob that did not arrive ahead, and that another image
// of the repository was the first to bring then.
func TestAheadBroughtByAnother(t *testing.T) {
	ctx := context.Background()
	p := NewPublisher(quick(), nil, 0)
	b := blobOf(image.Gzip, noise(100))
	img := image.Image{Reference: startRegistry(t, nil) + "/acme/x:a", Blobs: []image.Blob{b}}
	r, err := p.Client.repository(img.Reference)
	if err != nil {
		t.Fatal(err)
	}
	_, _, end := p.blobs.begin(r, b.Digest)
	p.blobs.sentAhead(r, b.Digest, &meter{})
	var sum image.Progress
	done := make(chan error)
	go func() { done <- p.Put(ctx, img, sumInto(&sum)) }()
	eventually(t, "the image is about to wait", func() bool {
		p.blobs.mu.Lock()
		defer p.blobs.mu.Unlock()
		return len(p.blobs.aheads) == 0
	})
	p.blobs.mu.Lock()
	p.blobs.learn(r, b.Digest)
	p.blobs.mu.Unlock()
	end(errNotAhead)
	if err := <-done; err != nil || sum != (image.Progress{Mounted: b.Size}) {
		t.Errorf("reported %+v of %d bytes, %v", sum, b.Size, err)
	}
}

// TestNotAhead is when a registry would rather have blobs that are whole.
func TestNotAhead(t *testing.T) {
	host := startRegistry(t, nil)
	reference := host + "/acme/x:a"
	for name, prepare := range map[string]func(t *testing.T, p *Publisher){
		"one is sent already": func(t *testing.T, p *Publisher) {
			s := p.Ahead(t.Context(), host+"/acme/other:a", begin())
			t.Cleanup(func() { s.End() })
		},
		"one has failed": func(t *testing.T, p *Publisher) {
			px := startProxy(t, host)
			px.hurt("PATCH upload", 1, status(500))
			p.Client.Transport = redirectAll(px.host)
			failed := make(chan struct{})
			p.Client.Retried = func(Retry) { close(failed) }
			m := begin()
			s := p.Ahead(t.Context(), host+"/acme/other:a", m)
			m.grow(noise(100), io.EOF)
			<-failed
			s.End()
		},
		"an earlier run was interrupted": func(t *testing.T, p *Publisher) {
			file := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(file, []byte(`{"did":"tag","references":["x"]}`+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var err error
			if p.Journal, err = OpenJournal(file); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Journal.Close() })
		},
		"bodies have a limit": func(t *testing.T, p *Publisher) {
			r, err := p.Client.repository(reference)
			if err != nil {
				t.Fatal(err)
			}
			r.shorten(100 << 20)
		},
		"it is busy": func(t *testing.T, p *Publisher) {
			px := startProxy(t, host)
			px.hurt("HEAD manifest", 1, status(429))
			p.Client.Transport = redirectAll(px.host)
			if _, err := p.Client.Head(t.Context(), reference); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		},
		"it lacked what it was thought to have": func(t *testing.T, p *Publisher) {
			r, err := p.Client.repository(reference)
			if err != nil {
				t.Fatal(err)
			}
			p.blobs.forget(r, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPublisher(quick(), nil, 0)
			prepare(t, p)
			m := begin()
			if s := p.Ahead(t.Context(), reference, m); s != nil {
				t.Error("sent ahead")
				s.End()
			} else if m.isClosed() || m.opened != 0 {
				t.Error("it was not for the publisher to close")
			}
		})
	}
}

// redirectAll sends every request to another address.
func redirectAll(host string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host = host
		return http.DefaultTransport.RoundTrip(r)
	})
}
