package registry

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"canvos.dev/exec/image"
)

// TestNothingIsLeft checks that whatever goes wrong leaves no connection open, and
// nobody who waits for one.
func TestNothingIsLeft(t *testing.T) {
	page := bytes.Repeat([]byte("busy "), 200<<10)
	says := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			w.Write(page)
		}
	}
	manifest := func(ctx context.Context, c *Client, repo string) {
		c.Manifest(ctx, repo+":a")
	}
	blob := func(read int64) func(context.Context, *Client, string) {
		return func(ctx context.Context, c *Client, repo string) {
			b := blobOf(image.Gzip, page)
			if in, err := c.Blob(ctx, repo, b.Digest, b.Size); err == nil {
				io.CopyN(io.Discard, in, read)
				in.Close()
			}
		}
	}
	push := func(ctx context.Context, c *Client, repo string) {
		img := image.Image{Reference: repo + ":a", Blobs: []image.Blob{blobOf(image.Gzip, noise(20<<20))}}
		NewPublisher(c, nil, 0).Put(ctx, img, nil)
	}
	stop := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.Write(page[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		do     func(context.Context, *Client, string)
	}{
		{"denied", says(403), manifest},
		{"challenged", says(401, "WWW-Authenticate", "Basic"), manifest},
		{"busy", says(429), manifest},
		{"redirected", says(307, "Location", "/v2/again"), manifest},
		{"redirected nowhere", says(307, "Location", "mailto:x"), manifest},
		{"damaged", says(200, "Docker-Content-Digest", "sha256:0"), manifest},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			for range 20 {
				w.Write(page)
			}
		}, manifest},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000000")
			w.Write(page)
		}, manifest},
		{"given up", stop, manifest},
		{"given up in a blob", stop, blob(1 << 30)},
		{"a blob read in part", says(200), blob(1000)},
		{"a blob of another size", says(200, "Content-Length", "10"), blob(1000)},
		{"a session given up", func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case "HEAD":
				w.WriteHeader(404)
			case "POST":
				w.Header().Set("Location", "/upload")
				w.WriteHeader(202)
			default: // without reading on
				says(403)(w, r)
			}
		}, push},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			var mu sync.Mutex
			open := map[net.Conn]bool{}
			s := httptest.NewUnstartedServer(c.answer)
			s.Config.ConnState = func(c net.Conn, state http.ConnState) {
				mu.Lock()
				defer mu.Unlock()
				open[c] = true
				if state == http.StateClosed || state == http.StateHijacked {
					delete(open, c)
				}
			}
			s.Start()
			defer s.Close()
			cl := quick()
			tr := NewTransport(nil)
			cl.Transport = tr
			// Whoever does not give up does not count on what giving up tidies.
			ctx, end := context.WithCancel(context.Background())
			defer end()
			if strings.HasPrefix(c.name, "given up") {
				time.AfterFunc(impatience, end)
			}
			c.do(ctx, cl, strings.TrimPrefix(s.URL, "http://")+"/acme/x")
			tr.CloseIdleConnections()
			for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				mu.Lock()
				left := len(open)
				mu.Unlock()
				// The server and its listener are two.
				if more := runtime.NumGoroutine() - before; left == 0 && more <= 2 {
					return
				} else if time.Since(begun) > 20*time.Second {
					stacks := make([]byte, 1<<20)
					t.Fatalf("%d connections and %d goroutines are left:\n%s", left, more, stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
	}
}
