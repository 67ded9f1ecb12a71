package oci

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
)

// metered is a registry that counts the bytes that it is sent and the uploads that
// end in a blob.
type metered struct {
	host string

	mu    sync.Mutex
	bytes int64
	ended int
}

func newMetered(t *testing.T) *metered {
	t.Helper()
	m := &metered{}
	h := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
			m.ended++
		}
		m.mu.Unlock()
		r.Body = meteredBody{r.Body, m}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	m.host = strings.TrimPrefix(s.URL, "http://")
	return m
}

type meteredBody struct {
	io.ReadCloser
	m *metered
}

func (b meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.mu.Lock()
	b.m.bytes += int64(n)
	b.m.mu.Unlock()
	return n, err
}

// take is what was counted since it was last called.
func (m *metered) take() (bytes int64, ended int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bytes, ended = m.bytes, m.ended
	m.bytes, m.ended = 0, 0
	return
}

// watched notes what is sent ahead, and by which reference.
type watched struct {
	*registry.Publisher
	begun func() // called once something is sent ahead; nil: nothing is
	mu    sync.Mutex
	sent  []string
}

func (w *watched) Ahead(ctx context.Context, reference string, b image.Unfinished) image.Sending {
	s := w.Publisher.Ahead(ctx, reference, b)
	if s != nil {
		w.mu.Lock()
		w.sent = append(w.sent, reference)
		w.mu.Unlock()
		if w.begun != nil {
			w.begun()
		}
	}
	return s
}

// overlaid is a plan of two images, in repositories of their own, that share a layer
// with an overlay.
func overlaid(t *testing.T, l *lab, host, tag, content string) *drawn {
	t.Helper()
	l.fs["overlay/big"] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	d := draw(t)
	both := d.files(d.base(d.source(l, baseImage, amd64), amd64), plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/", To: "/"}})
	d.image(host+"/acme/one:"+tag, "one", plan.ImageOp{}, both)
	d.image(host+"/acme/two:"+tag, "two", plan.ImageOp{}, d.files(both, write("/two", tag)))
	return inLine(d)
}

// publish compares a plan and carries it out with a publisher of its own.
func (l *lab) publish(d *drawn) (*watched, exec.Result, error) {
	l.t.Helper()
	w := &watched{Publisher: registry.NewPublisher(&registry.Client{}, nil, 0)}
	_, err := Decide(l.t.Context(), d.Plan, Comparison{Target: w, Store: l.sources.Store, Jobs: 2})
	check(l.t, err)
	r, err := (&Engine{Sources: l.sources, Target: w, Jobs: 2}).Run(l.t.Context(), d.Plan, func(exec.Event) {})
	return w, r, err
}

// A large layer is sent while it is made where it cannot be already, and once.
func TestLayerIsSentWhileItIsMade(t *testing.T) {
	reg := newMetered(t)
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, file("base", "x"))}))
	elsewhere := l.again()
	// Noise, so that what is sent is as large as what is made.
	first, second := noise(1, aheadSize+1<<20), noise(2, aheadSize+1<<20)
	for _, c := range []struct {
		name         string
		lab          *lab
		tag, content string
		ahead, sent  bool
	}{
		{"an empty repository", l, "1", first, true, true},
		{"nothing new", l, "1", first, false, false},
		{"another machine, a published repository", elsewhere, "1", first, false, false},
		{"a change", l, "2", second, true, true},
		{"a small one", l, "3", noise(3, aheadSize/2), false, true},
		{"a new machine's change, where others have published", l.again(), "4", noise(4, aheadSize), false, true},
		{"the other machine's change, where it has published, too", elsewhere, "5", noise(5, aheadSize), true, true},
	} {
		d := overlaid(t, c.lab, reg.host, c.tag, c.content)
		w, r, err := c.lab.publish(d)
		check(t, err)
		want := ""
		if c.ahead {
			want = d.Images[0].Reference
		}
		if got := strings.Join(w.sent, " "); got != want {
			t.Errorf("%s: sent ahead for %q, want %q", c.name, got, want)
		}
		bytes, _ := reg.take()
		size := int64(0)
		if c.sent {
			size = int64(len(c.content))
		}
		if low, high := size, size+size/20+64<<10; bytes < low || bytes > high || r.Bytes.Uploaded > bytes || r.Bytes.Uploaded < low {
			t.Errorf("%s: sent %d bytes and said %d, want %d to %d", c.name, bytes, r.Bytes.Uploaded, low, high)
		}
		for _, i := range d.Images {
			pub, err := w.Published(t.Context(), i.Reference, "")
			check(t, err)
			var m manifest
			check(t, json.Unmarshal(pub.Manifest, &m))
			for _, b := range m.Layers {
				in, err := w.Client.Blob(t.Context(), repository(i.Reference), b.Digest, b.Size)
				check(t, err)
				_, err = io.Copy(io.Discard, in) // it is checked by its digest
				check(t, err)
				check(t, in.Close())
			}
		}
	}
}

// An interrupted run ends what is in flight: a layer that is whole arrives.
func TestLayerArrivesWhenItsRunIsInterrupted(t *testing.T) {
	reg := newMetered(t)
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, file("base", "x"))}))
	const size = aheadSize + 1<<20
	d := overlaid(t, l, reg.host, "1", noise(1, size))
	ctx, stop := context.WithCancel(t.Context())
	w := &watched{Publisher: registry.NewPublisher(&registry.Client{}, nil, 0), begun: stop}
	r, err := (&Engine{Sources: l.sources, Target: w, Jobs: 2}).Run(ctx, d.Plan, func(exec.Event) {})
	if !errors.Is(err, context.Canceled) || len(w.sent) != 1 || r.Bytes.Uploaded < size {
		t.Errorf("sent ahead for %q, said %d bytes, %v", w.sent, r.Bytes.Uploaded, err)
	}
	if bytes, ended := reg.take(); bytes != r.Bytes.Uploaded || ended != 1 {
		t.Errorf("sent %d bytes and said %d, %d uploads ended", bytes, r.Bytes.Uploaded, ended)
	}
	_, _, err = l.publish(d)
	check(t, err)
	if bytes, _ := reg.take(); bytes > size/20 {
		t.Errorf("%d bytes sent again", bytes)
	}
}

// torn is a module whose overlay/big can be read once, and to its half after that.
type torn struct {
	fs.FS
	opened atomic.Int64
}

func (t *torn) Open(name string) (fs.File, error) {
	f, err := t.FS.Open(name)
	if name == "overlay/big" && err == nil && t.opened.Add(1) > 1 {
		return &tornFile{f, 2 * aheadSize}, nil
	}
	return f, err
}

type tornFile struct {
	fs.File
	left int
}

func (f *tornFile) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, errors.New("input/output error")
	}
	n, err := f.File.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// A layer that cannot be made is nowhere, though much of it was sent.
func TestLayerThatIsNotMadeIsNotSent(t *testing.T) {
	reg := newMetered(t)
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, file("base", "x"))}))
	d := overlaid(t, l, reg.host, "1", noise(1, 4*aheadSize))
	l = l.again() // which has not read it
	l.sources.Root = &torn{FS: l.fs}
	w, r, err := l.publish(d)
	if err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("error %v", err)
	}
	if len(w.sent) != 1 {
		t.Errorf("sent ahead for %q", w.sent)
	}
	if bytes, ended := reg.take(); bytes == 0 || ended != 0 || r.Bytes.Uploaded != 0 {
		t.Errorf("sent %d bytes, %d uploads ended, said %d", bytes, ended, r.Bytes.Uploaded)
	}
}
