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
	grown  chan struct{} // closed and replaced when there is more
	b      []byte
	end    error // io.EOF: it is whole; nil: there will be more
	waited bool  // somebody wants it
	closed bool  // nobody reads it any more
}

func begin() *making { return &making{grown: make(chan struct{})} }

// grow adds content, and says what waits for more meets.
func (m *making) grow(b []byte, end error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b, m.end = append(m.b, b...), end
	close(m.grown)
	m.grown = make(chan struct{})
}

func (m *making) Wait(ctx context.Context, n int64) (int64, error) {
	for {
		m.mu.Lock()
		m.waited = true
		size, end, grown := int64(len(m.b)), m.end, m.grown
		m.mu.Unlock()
		switch {
		case end != nil && end != io.EOF:
			return 0, end
		case size >= n || end == io.EOF:
			return size, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (m *making) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *making) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
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
		m.grow(content[:large-1], nil) // which is not worth a request
		m.grow(content[large-1:large+1], nil)
		eventually(t, "what there is is sent", func() bool { _, up := px.sums(); return up == large+1 })
		m.grow(content[large+1:], io.EOF)
		s.Finish(big)

		var sums [2]image.Progress
		for i, img := range images {
			if i == 1 { // for the first, a session, the blob in two pieces and its end, and the config
				if px.count("POST uploads") != 2 || px.count("PATCH upload") != 2 || px.count("PUT upload") != 2 || px.count("HEAD blob") != 0 {
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
		if px.count("PATCH upload") != 2 || px.count("POST mount") != 1 {
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
		if !m.isClosed() {
			t.Error("it is still read")
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
		after int // requests that go well
	}{
		{"POST uploads", 1, "503", status(503), 0},
		{"POST uploads", 1, "429", status(429, "Retry-After", "1"), 0},
		{"POST uploads", 1, "403", says(403, "DENIED", "requested access to the resource is denied"), 0},
		{"POST uploads", 1, "401", status(401), 0},
		{"POST uploads", 1, "reset", resets, 0},
		{"POST uploads", 1, "hang", hangs, 0},
		{"PATCH upload", 1, "500", status(500), 0},
		{"PATCH upload", 2, "500", status(500), 0},
		{"PATCH upload", 1, "reset", resets, 0},
		{"PATCH upload", 1, "hang", hangs, 0},
		{"PATCH upload", 1, "stall", stalls, 0},
		{"PATCH upload", 1, "cut", cuts(9 << 20), 0},
		{"PATCH upload", 1, "bit flipped", flips, 0},
		{"PATCH upload", 1, "411", status(411), 0},
		{"PATCH upload", 1, "413", status(413), 0},
		{"PATCH upload", 1, "session gone", says(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"), 0},
		{"PATCH upload", 1, "lost reply", lostReply, 0},
		{"PATCH upload", 1, "500", status(500), 1},
		{"PATCH upload", 1, "reset", resets, 1},
		{"PATCH upload", 1, "stall", stalls, 1},
		{"PATCH upload", 1, "cut", cuts(3 << 20), 1},
		{"PATCH upload", 1, "413", status(413), 1},
		{"PATCH upload", 1, "401", status(401), 1},
		{"PATCH upload", 1, "bit flipped", flips, 1},
		{"PATCH upload", 1, "out of order", status(416), 1},
		{"PATCH upload", 1, "session gone", says(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"), 1},
		{"PATCH upload", 1, "lost reply", lostReply, 1},
		{"PUT upload", 1, "500", status(500), 0},
		{"PUT upload", 1, "lost reply", lostReply, 0},
		{"PUT upload", 1, "session gone", status(404), 0},
		{"PUT upload", 1, "hang", hangs, 0},
	} {
		t.Run(fmt.Sprintf("%s %s %d after %d", c.on, c.name, c.times, c.after), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			px := startProxy(t, host)
			px.hurt(c.on, c.after, (*proxy).pass)
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
			wantSurvived(t, px, c.after+c.times, host, images, sum)
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
			m.grow(noise(large), nil)
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

// TestAheadTogether is several blobs that are made at the same time.
func TestAheadTogether(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	p := NewPublisher(quick(), nil, 0)
	var made [2]*making
	var sent [2]image.Sending
	var blobs [2]image.Blob
	for i := range made {
		made[i] = begin()
		sent[i] = p.Ahead(t.Context(), px.host+"/acme/x:a", made[i])
		content := noise(large)
		blobs[i] = blobOf(image.Gzip, content)
		made[i].grow(content, nil)
	}
	eventually(t, "both are sent", func() bool { _, up := px.sums(); return up == 2*large })
	for i := range made {
		made[i].grow(nil, io.EOF)
		sent[i].Finish(blobs[i])
	}
	img := imageOf(t, px.host+"/acme/x:a", "x", "amd64", blobs[:]...)
	var sum image.Progress
	if err := p.Put(t.Context(), img, sumInto(&sum)); err != nil {
		t.Fatal(err)
	}
	for i := range sent {
		sent[i].End()
	}
	if all, _ := bytesOf([]image.Image{img}); sum != (image.Progress{Uploaded: all}) || px.count("PATCH upload") != 2 {
		t.Errorf("reported %+v of %d bytes; requests: %v", sum, all, px.counts)
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
			} else if m.isClosed() || m.waited {
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
