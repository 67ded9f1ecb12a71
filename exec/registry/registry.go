// Package registry speaks the distribution protocol of OCI registries: it reads
// manifests and blobs, and publishes images with as few requests and bytes as
// there can be.
//
// Names, Docker's configuration and credential helpers are go-containerregistry's;
// requests, authorisation, retries and uploads are its own, since a run that
// publishes hundreds of images over a bad line has to survive what the library
// gives up at. It never touches files but the journal, and reads no environment but
// where Docker's configuration lies.
package registry

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Client reads and writes registries. The zero value is ready, asks for nobody's
// credentials and uses no proxy; its fields are set before the first use. It
// remembers tokens, and how much each host can bear, for its whole life. Its
// methods may be called at once from several goroutines.
type Client struct {
	// Keychain knows credentials; see DockerKeychain.
	Keychain authn.Keychain
	// Transport carries requests; nil is NewTransport(nil).
	Transport http.RoundTripper
	// PlainHTTP says of a host, with its port, that it may be asked without TLS,
	// which is done if it does not answer in TLS. Loopback always may.
	PlainHTTP func(host string) bool
	UserAgent string
	Limits    Limits
	// Retried is told of each failed attempt that will be repeated. It may be
	// called from several goroutines at once.
	Retried func(Retry)

	mu    sync.Mutex
	hosts map[string]*host
	plain http.RoundTripper // what a nil Transport stands for
}

// Limits are patience and greed. Fields that are 0 have the default in
// parentheses.
type Limits struct {
	Connections int           // requests to one host at once (16)
	Attempts    int           // in a row without any progress (6)
	Pause       time.Duration // before the second attempt, doubled for each after it up to 20 s (200 ms)
	Header      time.Duration // from the end of a request to its answer (60 s)
	Stall       time.Duration // between two bytes of a body (60 s)
}

func (l Limits) filled() Limits {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.Connections == 0 {
		l.Connections = 16
	}
	if l.Attempts == 0 {
		l.Attempts = 6
	}
	or(&l.Pause, 200*time.Millisecond)
	or(&l.Header, time.Minute)
	or(&l.Stall, time.Minute)
	return l
}

// NewTransport is the transport for registries. proxy is as of http.Transport;
// nil is none. It speaks HTTP/1.1 only: several uploads over one HTTP/2
// connection share its window, and fall together.
func NewTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	one := new(http.Protocols)
	one.SetHTTP1(true)
	return &http.Transport{
		Proxy:               proxy,
		DialContext:         (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		Protocols:           one,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: 15 * time.Second,
		WriteBufferSize:     128 << 10,
		ReadBufferSize:      64 << 10,
		// An address that a blob store has signed takes some kilobytes.
		MaxResponseHeaderBytes: 256 << 10,
		// Blobs are compressed already, and must arrive as they are.
		DisableCompression: true,
	}
}

// host is what a client knows of one registry.
type host struct {
	c      *Client
	name   string // with its port
	shown  string // as people write it
	limits Limits
	limit  *limiter
	auth   auth
	// tlsFree says that it may be, and plain that it is, spoken to without TLS.
	tlsFree bool

	mu       sync.Mutex
	plain    bool
	answered bool  // once, whatever it was
	secure   bool  // it has answered in TLS
	chunk    int64 // the longest body it takes; 0 if it takes any
}

// host is the one of that name.
func (c *Client) host(reg name.Registry) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := reg.RegistryStr()
	if h := c.hosts[key]; h != nil {
		return h
	}
	if c.hosts == nil {
		c.hosts = map[string]*host{}
	}
	l := c.Limits.filled()
	h := &host{c: c, name: key, shown: key, limits: l, limit: newLimiter(l.Connections)}
	if key == name.DefaultRegistry {
		h.shown = "docker.io" // which is a name, and no host that answers
	}
	h.tlsFree = c.mayBePlain(key)
	h.auth = auth{h: h, registry: reg, tokens: map[string]*tokenSlot{}}
	c.hosts[key] = h
	return h
}

func (c *Client) mayBePlain(host string) bool {
	return isLoopback(host) || c.PlainHTTP != nil && c.PlainHTTP(host)
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func (c *Client) transport() http.RoundTripper {
	if c.Transport != nil {
		return c.Transport
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plain == nil {
		c.plain = NewTransport(nil)
	}
	return c.plain
}

// repository is one of a host, and how its blobs and manifests are addressed.
type repository struct {
	*host
	path string // "acme/store"
}

// repository of a reference, or of a repository's name.
func (c *Client) repository(reference string) (repository, error) {
	r, _, err := c.named(reference)
	return r, err
}

// named is what a reference names within its repository.
func (c *Client) named(reference string) (repository, name.Reference, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return repository{}, nil, err
	}
	return repository{c.host(ref.Context().Registry), ref.Context().RepositoryStr()}, ref, nil
}

func (r repository) String() string { return r.shown + "/" + r.path }

// url of something below the repository: "blobs/sha256:…".
func (r repository) url(rest string) *url.URL {
	return &url.URL{Scheme: r.scheme(), Host: r.name, Path: "/v2/" + r.path + "/" + rest}
}

func (r repository) pull() []string { return []string{"repository:" + r.path + ":pull"} }
func (r repository) push() []string { return []string{"repository:" + r.path + ":pull,push"} }

func (h *host) scheme() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.plain {
		return "http"
	}
	return "https"
}

// Reach asks a registry whether it is there and takes the credentials for a
// repository; with push, whether it would take a blob.
func (c *Client) Reach(ctx context.Context, reference string, push bool) error {
	r, err := c.repository(reference)
	if err != nil {
		return err
	}
	if !push {
		return c.retry(ctx, r.host, "reach "+r.shown, func() (bool, error) {
			_, err := r.do(ctx, request{method: "GET", url: &url.URL{Scheme: r.scheme(), Host: r.name, Path: "/v2/"}, ok: []int{200}})
			return false, err
		})
	}
	return c.retry(ctx, r.host, "push to "+r.String(), func() (bool, error) {
		session, err := r.session(ctx)
		if err == nil {
			r.cancel(ctx, session)
		}
		return false, err
	})
}
