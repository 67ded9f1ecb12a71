package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// stranger is a host that was not meant: it keeps what it is sent.
type stranger struct {
	*httptest.Server

	mu   sync.Mutex
	sent []string // method, authorization and body
}

func startStranger(t *testing.T, answer http.HandlerFunc) *stranger {
	s := &stranger{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.sent = append(s.sent, strings.TrimSpace(r.Method+" "+r.Header.Get("Authorization")+" "+string(body)))
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// elsewhere is the address of a server by another name.
func (s *stranger) elsewhere() string { return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }

// TestTokenServiceRedirects is one that sends those who ask for a token to another
// host: that host is sent neither password nor refresh token.
func TestTokenServiceRedirects(t *testing.T) {
	password, refresh := keys{Username: "tester", Password: "correct horse"}, keys{IdentityToken: "refresh me"}
	no := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	yes := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"for anybody"}`) }
	for _, c := range []struct {
		name   string
		keys   authn.Keychain
		answer http.HandlerFunc
		sent   string
		want   string
	}{
		{"password", password, no, "GET", `REG does not accept the credentials (401 it redirects to "STRANGER", which is not sent the credentials)`},
		{"password, and a token for anybody", password, yes, "GET", ""},
		{"refresh token", refresh, yes, "", `refused by REG (it redirects to "STRANGER", which is not sent the credentials)`},
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprintf("%s %d", c.name, code), func(t *testing.T) {
				s := startStranger(t, c.answer)
				var reg *httptest.Server
				reg = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/token": // by way of an address of its own
						http.Redirect(w, r, "/tokens", code)
					case r.URL.Path == "/tokens":
						http.Redirect(w, r, s.elsewhere()+"/steal", code)
					case r.Header.Get("Authorization") == "Bearer for anybody":
						w.WriteHeader(http.StatusNotFound)
					default:
						w.Header().Set("WWW-Authenticate", `Bearer realm="`+reg.URL+`/token"`)
						w.WriteHeader(http.StatusUnauthorized)
					}
				}))
				t.Cleanup(reg.Close)
				host := strings.TrimPrefix(reg.URL, "http://")
				cl := quick()
				cl.Keychain = c.keys
				_, err := cl.Head(context.Background(), host+"/acme/x:a")
				if got := strings.Join(s.sent, "\n"); got != c.sent {
					t.Errorf("the other host was sent %q", got)
				}
				want := strings.NewReplacer("REG", host, "STRANGER", strings.TrimPrefix(s.elsewhere(), "http://")).Replace(c.want)
				e, ok := errors.AsType[*Error](err)
				if !ok || want == "" && e.Kind != NotFound || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// TestRedirectsKeepTLS is a registry that sends all that it is asked to another host,
// by way of its own without TLS: its token goes to itself alone, over TLS.
func TestRedirectsKeepTLS(t *testing.T) {
	content := []byte(`{"schemaVersion":2}`)
	var asked []string
	c := quick()
	c.Keychain = keys{Username: "tester", Password: "correct horse"}
	c.Limits.Connections = 1
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
		}
		given, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		asked = append(asked, strings.TrimSpace(r.URL.Scheme+" "+r.URL.Host+" "+given))
		switch {
		case r.URL.Host == "auth.example":
			return answer(r, 200, `{"token":"abcdef"}`), nil
		case r.URL.Host == "store.example" && r.Method == "POST":
			return answer(r, 202, "", "Location", "/v2/acme/store/blobs/uploads/1"), nil
		case r.URL.Host == "store.example" && r.Method == "PUT":
			return answer(r, 201, ""), nil
		case r.URL.Host == "store.example" && r.Method == "DELETE":
			return answer(r, 204, ""), nil
		case r.URL.Host == "store.example":
			return answer(r, 200, string(content), "Docker-Content-Digest", string(plan.DigestOf(content))), nil
		case given != "Bearer":
			return answer(r, 401, "", "WWW-Authenticate", `Bearer realm="https://auth.example/token"`), nil
		case r.URL.RawQuery != "again":
			return answer(r, 307, "", "Location", "http://REG.example:80"+r.URL.Path+"?again"), nil
		}
		return answer(r, 307, "", "Location", "https://store.example"+r.URL.Path), nil
	})
	ctx := context.Background()
	if _, err := c.Head(ctx, "reg.example/acme/store:a"); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Manifest(ctx, "reg.example/acme/store:a"); err != nil {
		t.Error(err)
	}
	if b, err := c.Blob(ctx, "reg.example/acme/store", plan.DigestOf(content), -1); err != nil {
		t.Error(err)
	} else if _, err := io.ReadAll(b); err != nil {
		t.Error(err)
	}
	if err := c.Reach(ctx, "reg.example/acme/store:a", true); err != nil {
		t.Error(err)
	}
	img := imageOf(t, "reg.example/acme/store:a", "f", "amd64", blobOf(image.Gzip, noise(100)))
	p := NewPublisher(c, nil, 1)
	if err := p.Put(ctx, img, nil); err != nil {
		t.Error(err)
	}
	if err := p.Tag(ctx, []image.Image{img}); err != nil {
		t.Error(err)
	}
	slices.Sort(asked)
	if got := slices.Compact(asked); !slices.Equal(got, []string{"https auth.example Basic", "https reg.example", "https reg.example Bearer", "https store.example"}) {
		t.Errorf("asked %q", got)
	}
}

// TestBlobStoreRefuses is a blob store that turns away what the registry sent to it:
// that is an error, of the store, and no upload and no blob.
func TestBlobStoreRefuses(t *testing.T) {
	for _, code := range []int{401, 403} {
		s := startStranger(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example/token"`)
			w.WriteHeader(code)
		})
		reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case "HEAD":
				w.WriteHeader(404)
			case "POST":
				w.Header().Set("Location", s.elsewhere()+"/upload")
				w.WriteHeader(202)
			default:
				http.Redirect(w, r, s.elsewhere()+"/blob", http.StatusTemporaryRedirect)
			}
		}))
		t.Cleanup(reg.Close)
		host := strings.TrimPrefix(reg.URL, "http://")
		small, large := blobOf(image.Gzip, noise(1000)), blobOf(image.Gzip, noise(20<<20))
		put := func(b image.Blob) error {
			img := image.Image{Reference: host + "/acme/x:a", Blobs: []image.Blob{b}}
			return NewPublisher(quick(), nil, 0).Put(context.Background(), img, nil)
		}
		_, blob := quick().Blob(context.Background(), host+"/acme/x", small.Digest, 0)
		for doing, err := range map[string]error{"read blob": blob, "push blob": put(small), "push blob ": put(large)} {
			want := fmt.Sprintf(": refused by %s (%d", strings.TrimPrefix(s.elsewhere(), "http://"), code)
			if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Refused || !strings.HasPrefix(err.Error(), doing) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", doing, err)
			}
		}
		s.Close()
		_, err := quick().Blob(context.Background(), host+"/acme/x", small.Digest, 0)
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Unreachable || "http://"+e.Host != s.elsewhere() {
			t.Errorf("closed: %v", err)
		}
	}
}

// TestUploadAddresses is a registry that says in all ways that there are where to send
// a blob to: by PUT, and by PATCH and PUT.
func TestUploadAddresses(t *testing.T) {
	for _, c := range []struct {
		name, location string // REG and STORE are hosts
		want           string // "": it is uploaded
	}{
		{"absolute", "http://REG/upload?_state=a%2Fb", ""},
		{"path", "/upload?_state=a%2Fb", ""},
		{"relative", "../../../../../upload?_state=a%2Fb", ""},
		{"no scheme", "//REG/upload?_state=a%2Fb", ""},
		{"scheme of a proxy behind", "https://REG/upload?_state=a%2Fb", ""},
		{"another host", "http://STORE/upload?_state=a%2Fb", ""},
		{"another host without TLS", "http://store.example/upload", `refused by REG (it sends to "store.example" without TLS)`},
		{"missing", "", "refused by REG (202 it does not say where to go on)"},
		{"no address", "http://REG/%zz", "refused by REG (202 it says to go on at an address that cannot be read)"},
		{"no host", "https:///upload", "refused by REG (202 it says to go on at an address that cannot be read)"},
		{"no HTTP", "ftp://REG/upload", "refused by REG (202 it says to go on at an address that cannot be read)"},
		{"mail", "mailto:store", "refused by REG (202 it says to go on at an address that cannot be read)"},
	} {
		for _, size := range []int{1000, 17 << 20} {
			t.Run(fmt.Sprintf("%s %d", c.name, size), func(t *testing.T) {
				b := blobOf(image.Gzip, noise(size))
				var regs, stores atomic.Int64 // bytes
				take := func(at *atomic.Int64) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path != "/upload" || r.URL.Query().Get("_state") != "a/b" {
							w.WriteHeader(400)
							return
						}
						n, _ := io.Copy(io.Discard, r.Body)
						at.Add(n)
						if r.Method == "PATCH" {
							w.WriteHeader(202) // without an address: it stays the same
						} else {
							w.WriteHeader(201)
						}
					}
				}
				store := httptest.NewServer(take(&stores))
				defer store.Close()
				var names *strings.Replacer
				reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == "HEAD":
						w.WriteHeader(404)
					case r.Method == "POST":
						if c.location != "" {
							w.Header().Set("Location", names.Replace(c.location))
						}
						w.WriteHeader(202)
					default:
						take(&regs)(w, r)
					}
				}))
				defer reg.Close()
				host := strings.TrimPrefix(reg.URL, "http://")
				names = strings.NewReplacer("REG", host, "STORE", strings.TrimPrefix(store.URL, "http://"))
				cl := quick()
				tries := 0
				cl.Retried = func(Retry) { tries++ }
				img := image.Image{Reference: host + "/acme/x:a", Blobs: []image.Blob{b}}
				err := NewPublisher(cl, nil, 0).Put(context.Background(), img, nil)
				if c.want == "" {
					to := map[bool]*atomic.Int64{true: &stores, false: &regs}[strings.Contains(c.location, "STORE")]
					if err != nil || to.Load() != b.Size || regs.Load()+stores.Load() != b.Size {
						t.Errorf("the registry has %d bytes, the store %d: %v", regs.Load(), stores.Load(), err)
					}
				} else if err == nil || !strings.HasSuffix(err.Error(), names.Replace(": "+c.want)) || tries != 0 {
					t.Errorf("%d tries, %v", tries, err)
				}
			})
		}
	}
}
