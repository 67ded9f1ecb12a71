package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// startRegistry runs Debian's docker-registry for the length of a test. more is
// lines of its configuration, by section.
func startRegistry(t testing.TB, more map[string]string) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage:\n  filesystem: {rootdirectory: %q}\n%s\nhttp:\n  addr: %s\n%s\n%s\n",
		filepath.Join(dir, "data"), more["storage"], host, more["http"], more["top"])
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker-registry", "serve", file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (.ci/setup installs it)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", host); err == nil {
			c.Close()
			return host
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("docker-registry does not start: %s", out.String())
		}
	}
}

// proxy stands before a registry, counts, and does harm.
type proxy struct {
	*httptest.Server
	host    string
	forward http.Handler
	guard   func(http.ResponseWriter, *http.Request) bool // false: it has answered

	mu     sync.Mutex
	counts map[string]int // by "METHOD kind"
	total  int
	up     int64          // bytes of request bodies
	sent   map[string]int // PUTs that ended an upload, by digest
	harm   []*harm
	done   int // harm
}

// harm is done to the next requests of a kind.
type harm struct {
	on    string // "PATCH upload"
	times int
	do    func(p *proxy, w http.ResponseWriter, r *http.Request)
}

var kinds = []struct {
	re   *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`/blobs/uploads/.+`), "upload"}, {regexp.MustCompile(`/blobs/uploads/?$`), "uploads"},
	{regexp.MustCompile(`/blobs/`), "blob"}, {regexp.MustCompile(`/manifests/`), "manifest"},
	{regexp.MustCompile(`/tags/list`), "tags"}, {regexp.MustCompile(`/v2/$`), "ping"},
}

func kind(r *http.Request) string {
	if r.URL.Query().Has("mount") {
		return "mount"
	}
	for _, k := range kinds {
		if k.re.MatchString(r.URL.Path) {
			return k.name
		}
	}
	return "other"
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	p := &proxy{counts: map[string]int{}, sent: map[string]int{}}
	to := &url.URL{Scheme: "http", Host: target}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // so that the registry names the proxy in addresses
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			panic(http.ErrAbortHandler)
		},
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		on := r.Method + " " + kind(r)
		p.mu.Lock()
		p.counts[on]++
		p.total++
		if on == "PUT upload" {
			p.sent[r.URL.Query().Get("digest")]++
		}
		var h *harm
		for _, x := range p.harm {
			if x.on == on && x.times > 0 {
				x.times--
				p.done++
				h = x
				break
			}
		}
		guard := p.guard
		p.mu.Unlock()
		r.Body = &countingBody{r.Body, p}
		if guard != nil && !guard(w, r) {
			return
		}
		if h != nil {
			h.do(p, w, r)
			return
		}
		p.pass(w, r)
	}))
	p.host = strings.TrimPrefix(p.URL, "http://")
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *proxy) hurt(on string, times int, do func(*proxy, http.ResponseWriter, *http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.harm = append(p.harm, &harm{on, times, do})
}

func (p *proxy) pass(w http.ResponseWriter, r *http.Request) { p.forward.ServeHTTP(w, r) }

type (
	httpWriter  = http.ResponseWriter
	httpRequest = http.Request
)

// failingOpen is the Open of a blob that cannot be read.
func failingOpen(err error) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return nil, err }
}

func (p *proxy) guarded(by func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guard = by
}

// reset forgets what was counted.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts, p.total, p.up, p.harm, p.done = map[string]int{}, 0, 0, nil, 0
	p.sent = map[string]int{}
}

func (p *proxy) count(on string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[on]
}

// sentAgain says whether an upload of that digest ended since reset.
func (p *proxy) sentAgain(digest string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[digest] != 0
}

func (p *proxy) sums() (total int, up int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total, p.up
}

type countingBody struct {
	io.ReadCloser
	p *proxy
}

func (b *countingBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	b.p.mu.Lock()
	b.p.up += int64(n)
	b.p.mu.Unlock()
	return n, err
}

// quick is a client that does not wait long.
func quick() *Client {
	return &Client{UserAgent: "canvos-test", Limits: Limits{Pause: 2 * time.Millisecond, Header: 30 * time.Second, Stall: 30 * time.Second}}
}

// blobOf is a blob of bytes that are in memory.
func blobOf(mediaType string, b []byte, from ...string) image.Blob {
	return image.Blob{
		Descriptor: image.Descriptor{MediaType: mediaType, Digest: plan.DigestOf(b), Size: int64(len(b))},
		From:       from,
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

// sumInto is the progress of a Put, added up.
func sumInto(sum *image.Progress) func(image.Progress) {
	return func(p image.Progress) {
		sum.Uploaded += p.Uploaded
		sum.Mounted += p.Mounted
	}
}

// summed is the same of a Push.
func summed(sum *image.Progress) func(string, image.Progress) {
	add := sumInto(sum)
	return func(_ string, p image.Progress) { add(p) }
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// imageOf is an image of layers, with a config that says what it is.
func imageOf(t testing.TB, reference, family, arch string, layers ...image.Blob) image.Image {
	t.Helper()
	config := blobOf(image.Config, mustJSON(t, map[string]any{
		"os": "linux", "architecture": arch, "author": reference, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
	}))
	m := map[string]any{"schemaVersion": 2, "mediaType": image.Manifest, "config": config.Descriptor}
	var ds []image.Descriptor
	for _, l := range layers {
		ds = append(ds, l.Descriptor)
	}
	m["layers"] = ds
	raw := mustJSON(t, m)
	return image.Image{
		Reference: reference, Family: family, Manifest: raw,
		Descriptor: image.Descriptor{MediaType: image.Manifest, Digest: plan.DigestOf(raw), Size: int64(len(raw))},
		Blobs:      append([]image.Blob{config}, layers...),
	}
}

// indexOf is an index of images.
func indexOf(t testing.TB, reference, family string, children ...image.Image) image.Image {
	t.Helper()
	var ds []image.Descriptor
	for i := range children {
		d := children[i].Descriptor
		d.Platform = &image.Platform{OS: "linux", Architecture: []string{"amd64", "arm64"}[i]}
		ds = append(ds, d)
		children[i].Reference, children[i].Family = "", ""
	}
	raw := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": image.Index, "manifests": ds})
	return image.Image{
		Reference: reference, Family: family, Manifest: raw, Children: children,
		Descriptor: image.Descriptor{MediaType: image.Index, Digest: plan.DigestOf(raw), Size: int64(len(raw))},
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantThere checks, with a client of its own, that a reference is an image and all
// its blobs are there and whole.
func wantThere(t testing.TB, img image.Image) {
	t.Helper()
	wantWhole(t, quick(), img.Reference, img)
}

func wantWhole(t testing.TB, c *Client, at string, img image.Image) {
	t.Helper()
	ctx := context.Background()
	raw, d, err := c.Manifest(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	if d.Digest != img.Digest || !bytes.Equal(raw, img.Manifest) {
		t.Fatalf("%s is %s, want %s", at, d.Digest, img.Digest)
	}
	r, err := c.repository(at)
	if err != nil {
		t.Fatal(err)
	}
	repo := r.String()
	for _, b := range img.Blobs {
		in, err := c.Blob(ctx, repo, b.Digest, b.Size)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, in); err != nil || n != b.Size {
			t.Fatalf("blob %s: %d bytes, %v", b.Digest, n, err)
		}
		in.Close()
	}
	for _, child := range img.Children {
		wantWhole(t, c, repo+"@"+string(child.Digest), child)
	}
}
