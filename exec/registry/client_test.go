package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"canvos.dev/exec/image"
)

// answer is what a transport in a test gives back.
func answer(r *http.Request, code int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Add(header[i], header[i+1])
	}
	return resp
}

// TestDockerHub checks the one registry whose name is not its host, and that a
// push asks for as few tokens as it can.
func TestDockerHub(t *testing.T) {
	var asked, tokens []string
	c := quick()
	c.Keychain = keys{Username: "tester", Password: "correct horse"}
	c.Limits.Connections = 1
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
		}
		asked = append(asked, r.Method+" "+r.URL.String())
		switch {
		case r.URL.Host == "auth.docker.io":
			tokens = append(tokens, strings.Join(r.URL.Query()["scope"], " "))
			return answer(r, 200, `{"token":"abcdef"}`), nil
		case r.Header.Get("Authorization") != "Bearer abcdef":
			return answer(r, 401, "", "WWW-Authenticate", `Bearer realm="https://auth.docker.io/token",service="registry.docker.io"`), nil
		case r.Method == "HEAD":
			return answer(r, 404, ""), nil
		case r.URL.Query().Has("mount"):
			return answer(r, 201, ""), nil
		case r.Method == "POST":
			return answer(r, 202, "", "Location", "http://index.docker.io/v2/acme/store/blobs/uploads/1"), nil
		case strings.Contains(r.URL.Path, "/manifests/"):
			return answer(r, 429, ""), nil
		}
		return answer(r, 201, ""), nil
	})
	base := blobOf(image.Gzip, noise(100<<10), "docker.io/library/debian")
	base.Open = failingOpen(errors.New("the base was read"))
	img := imageOf(t, "docker.io/acme/store:a", "f", "amd64", base)
	_, err := NewPublisher(c, nil, 1).Push(context.Background(), []image.Image{img}, PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "push docker.io/acme/store:a: docker.io is asked too often (429") {
		t.Errorf("error %v", err)
	}
	if want := "HEAD https://index.docker.io/v2/acme/store/manifests/a"; !slices.Contains(asked, want) {
		t.Errorf("asked %q", asked)
	}
	mount := "POST https://index.docker.io/v2/acme/store/blobs/uploads/?from=library%2Fdebian&mount=" + url.QueryEscape(string(base.Digest))
	if !slices.Contains(asked, mount) {
		t.Errorf("no %s in %q", mount, asked)
	}
	if len(tokens) > 3 || !slices.Contains(tokens, "repository:acme/store:pull") || !slices.Contains(tokens, "repository:acme/store:pull,push repository:library/debian:pull") {
		t.Errorf("tokens for %q", tokens)
	}
	for _, a := range asked {
		if strings.Contains(a, " http://") {
			t.Errorf("%s without TLS", a)
		}
	}
}

// TestInterrupted checks that a caller who gives up is not kept waiting, and is told
// that much and not that the registry failed.
func TestInterrupted(t *testing.T) {
	host := startRegistry(t, nil)
	for _, on := range []string{"PATCH upload", "POST uploads", "PUT manifest", "HEAD manifest", "PUT upload"} {
		px := startProxy(t, host)
		ctx, stop := context.WithCancel(context.Background())
		px.hurt(on, 1, func(p *proxy, w httpWriter, r *httpRequest) {
			stop()
			hangs(p, w, r)
		})
		img := imageOf(t, px.host+"/acme/stop:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)))
		begun := time.Now()
		results, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{img}, PushOptions{})
		if !errors.Is(err, context.Canceled) || results[0].Err == nil || time.Since(begun) > 15*time.Second {
			t.Errorf("%s: after %s: %v, %+v", on, time.Since(begun), err, results)
		}
		var e *Error
		if errors.As(err, &e) {
			t.Errorf("%s: blames the registry: %v", on, err)
		}
	}
}

// TestInterruptedByAnError is a caller who gives up since another request of its has
// failed: that one's error is handed on as it is.
func TestInterruptedByAnError(t *testing.T) {
	host := startRegistry(t, nil)
	for _, on := range []string{"POST uploads", "PATCH upload", "PUT upload", "PUT manifest", "HEAD manifest"} {
		px := startProxy(t, host)
		others := Error{Kind: Unavailable, Host: "elsewhere.example", Status: 404, Code: "MANIFEST_INVALID", method: "PUT"}
		cause := others
		ctx, stop := context.WithCancelCause(context.Background())
		px.hurt(on, 1, func(p *proxy, w httpWriter, r *httpRequest) {
			stop(&cause)
			hangs(p, w, r)
		})
		c := quick()
		c.Retried = func(r Retry) { t.Errorf("%s: %s is tried again", on, r.What) }
		img := imageOf(t, px.host+"/acme/stop:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)))
		_, err := NewPublisher(c, nil, 0).Push(ctx, []image.Image{img}, PushOptions{})
		if !errors.Is(err, &cause) || cause != others {
			t.Errorf("%s: %v, %+v", on, err, cause)
		}
	}
}

func TestTagsInPages(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	px.guard = func(w http.ResponseWriter, r *http.Request) bool {
		if kind(r) != "tags" {
			return true
		}
		switch r.URL.Query().Get("last") {
		case "":
			w.Header().Set("Link", `</v2/acme/x/tags/list?last=b&n=2>; rel="next"`)
			io.WriteString(w, `{"name":"acme/x","tags":["a","b"]}`)
		case "b":
			w.Header().Set("Link", `<http://inside.example/v2/acme/x/tags/list?last=c&n=2>; rel=next`)
			io.WriteString(w, `{"name":"acme/x","tags":["c"]}`)
		default:
			io.WriteString(w, `{"name":"acme/x","tags":null}`)
		}
		return false
	}
	tags, err := quick().Tags(context.Background(), px.host+"/acme/x")
	if err != nil || !slices.Equal(tags, []string{"a", "b", "c"}) {
		t.Errorf("%q %v", tags, err)
	}
}

func TestParseChallenge(t *testing.T) {
	for _, c := range []struct {
		headers []string
		scheme  string
		params  map[string]string
	}{
		{nil, "", nil},
		{[]string{"Negotiate"}, "", nil},
		{[]string{`Basic realm="a, b"`}, "basic", map[string]string{"realm": "a, b"}},
		{[]string{`Basic realm="x"`, `bearer Realm="https://a/b?c=d", service=s ,error="invalid_token"`}, "bearer",
			map[string]string{"realm": "https://a/b?c=d", "service": "s", "error": "invalid_token"}},
		{[]string{`Bearer realm="cut`}, "bearer", map[string]string{"realm": "cut"}},
		{[]string{`Bearer nonsense`}, "bearer", map[string]string{}},
	} {
		scheme, params := parseChallenge(c.headers)
		if scheme != c.scheme || !maps.Equal(params, c.params) {
			t.Errorf("%q: %s %v", c.headers, scheme, params)
		}
	}
}

func FuzzParseChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://a/b?c=d",service=s,error="invalid_token"`)
	f.Add(`Basic realm="a, b"`)
	f.Fuzz(func(t *testing.T, h string) {
		scheme, params := parseChallenge([]string{h})
		if (scheme == "") != (params == nil) {
			t.Errorf("%q: %q %v", h, scheme, params)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for s, want := range map[string][2]time.Duration{
		"":                {0, 0},
		"7":               {7 * time.Second, 7 * time.Second},
		"-7":              {0, 0},
		"soon":            {0, 0},
		in(time.Minute):   {55 * time.Second, time.Minute},
		in(-time.Minute):  {0, 0},
		"999999999999":    {time.Hour, 1 << 62},
		" 99999999999999": {0, 0},
	} {
		if got := retryAfter(s); got < want[0] || got > want[1] {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:5000": true, "127.3.2.1": true, "[::1]:5000": true,
		"a.localhost:80": true, "registry.example:5000": false, "10.0.0.1:5000": false, "localhost.example": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("%s is loopback: %t", host, !want)
		}
	}
	for _, c := range []struct {
		host, address string
		want          bool
	}{
		{"a.example", "https://a.example/v2/", true},
		{"a.example", "https://a.example:443/v2/", true},
		{"a.example:443", "https://a.example/v2/", true},
		{"a.example", "http://a.example/v2/", true},
		{"a.example", "https://A.Example/v2/", true},
		{"a.example", "https://a.example:5000/v2/", false},
		{"a.example", "https://b.a.example/v2/", false},
		{"a.example", "https://a.example.evil/v2/", false},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if (&host{name: c.host}).is(u) != c.want {
			t.Errorf("%s is of %s: %t", c.address, c.host, !c.want)
		}
	}
}

// TestErrorText checks that what a registry says stays on one line and is not
// endless.
func TestErrorText(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	px.hurt("HEAD manifest", 1, status(403))
	px.hurt("GET manifest", 1, says(403, "DENIED", strings.Repeat("a\nb\x1b[31m ", 400)))
	ctx := context.Background()
	if _, err := quick().Head(ctx, px.host+"/acme/x:a"); err == nil || err.Error() != fmt.Sprintf("ask for %s/acme/x:a: denied by %s (403 Forbidden)", px.host, px.host) {
		t.Error(err)
	}
	_, _, err := quick().Manifest(ctx, px.host+"/acme/x:a")
	if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 500 {
		t.Error(err)
	}
}
