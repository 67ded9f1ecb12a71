package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// TestTagsWithoutEnd are lists of tags that never end, in all ways that there are: each
// is an error after a bounded number of requests, and none is taken for a whole list.
func TestTagsWithoutEnd(t *testing.T) {
	host := startRegistry(t, nil)
	var n atomic.Int64
	page := func(w http.ResponseWriter, next string, names ...string) {
		w.Header().Set("Link", `</v2/acme/x/tags/list?`+next+`>; rel="next"`)
		fmt.Fprintf(w, `{"name":"acme/x","tags":["%s"]}`, strings.Join(names, `","`))
	}
	for _, c := range []struct {
		name string
		page func(w http.ResponseWriter, i int64)
		most int64 // requests
		want string
	}{
		{"the same page", func(w http.ResponseWriter, _ int64) { page(w, "last=b", "a", "b") }, 10, "goes on without a new name"},
		{"the same names", func(w http.ResponseWriter, i int64) { page(w, fmt.Sprint("last=", i), "a", "b") }, 10, "goes on without a new name"},
		{"no names", func(w http.ResponseWriter, i int64) { page(w, fmt.Sprint("last=", i)) }, 10, "goes on without a new name"},
		{"a new name on each page", func(w http.ResponseWriter, i int64) { page(w, fmt.Sprint("last=", i), fmt.Sprint("v", i)) }, mostListPages, "has no end"},
		{"long names", func(w http.ResponseWriter, i int64) {
			page(w, fmt.Sprint("last=", i), fmt.Sprint(strings.Repeat("v", 4<<20), i))
		}, 20, "has no end"},
		{"one page", func(w http.ResponseWriter, _ int64) { page(w, "last=b", strings.Repeat("v", mostManifest)) }, 1, "its answer is longer than"},
		{"a page that is gone", func(w http.ResponseWriter, i int64) {
			if i > 1 {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			page(w, "last=b", "b")
		}, 2, "(404 its list of tags breaks off)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			px := startProxy(t, host)
			px.guard = func(w http.ResponseWriter, r *http.Request) bool {
				if kind(r) != "tags" {
					return true
				}
				if i := n.Add(1); i <= 3*mostListPages {
					c.page(w, i)
				}
				return false
			}
			n.Store(0)
			repo := px.host + "/acme/x"
			tags, err := quick().Tags(context.Background(), repo)
			if e, ok := errors.AsType[*Error](err); !ok || errors.Is(err, fs.ErrNotExist) || e.Doing != "list tags of "+repo || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d tags, %v", len(tags), err)
			}
			if n.Load() > c.most {
				t.Errorf("%d pages read", n.Load())
			}
			// Neither tag is in what was read of the list; both are asked for.
			n.Store(0)
			px.reset()
			p := NewPublisher(quick(), nil, 0)
			for _, tag := range []string{"one", "two"} {
				if pub, err := p.Published(context.Background(), repo+":"+tag, ""); pub != nil || err != nil {
					t.Errorf("%+v, %v", pub, err)
				}
			}
			if got := px.count("GET manifest"); got != 2 {
				t.Errorf("%d tags were asked for", got)
			}
		})
	}
}

// TestTagsInEmptyPages is a registry that leaves out, page by page, what the person
// may not see: an empty page is no end, and a name that comes twice is one.
func TestTagsInEmptyPages(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	px.guard = func(w http.ResponseWriter, r *http.Request) bool {
		pages := []string{`"a"`, ``, ``, `"a","b"`}
		i, _ := strconv.Atoi(r.URL.Query().Get("last"))
		if i+1 < len(pages) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/acme/x/tags/list?last=%d>; rel="next"`, i+1))
		}
		fmt.Fprintf(w, `{"name":"acme/x","tags":[%s]}`, pages[i])
		return false
	}
	if tags, err := quick().Tags(context.Background(), px.host+"/acme/x"); err != nil || strings.Join(tags, " ") != "a b" {
		t.Errorf("%q, %v", tags, err)
	}
}

// TestAnswersAreBounded sends answers of a gigabyte in place of each that is read into
// memory: no more is read of them than there is room for.
func TestAnswersAreBounded(t *testing.T) {
	const endless = 1 << 30
	var sent atomic.Int64
	pour := func(w http.ResponseWriter, code int) {
		w.WriteHeader(code)
		block := bytes.Repeat([]byte(" "), 64<<10)
		for range endless / len(block) {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	ctx := context.Background()
	d := image.Descriptor{MediaType: image.Config, Digest: plan.Digest("sha256:" + strings.Repeat("0", 64))}
	content := func(size int64) func(c *Client, repo string) error {
		return func(c *Client, repo string) error {
			d := d
			d.Size = size
			_, err := NewPublisher(c, nil, 0).Content(ctx, repo, d)
			return err
		}
	}
	manifest := func(c *Client, repo string) error {
		_, _, err := c.Manifest(ctx, repo+":a")
		return err
	}
	for _, c := range []struct {
		name string
		code int
		ask  func(c *Client, repo string) error
		want string
	}{
		{"manifest", 200, manifest, "its answer is longer than 8388608 bytes"},
		{"tags", 200, func(c *Client, repo string) error {
			_, err := c.Tags(ctx, repo)
			return err
		}, "its answer is longer than 8388608 bytes"},
		{"ping", 200, func(c *Client, repo string) error { return c.Reach(ctx, repo, false) }, ""},
		{"error", 400, manifest, "(400 Bad Request)"},
		{"challenge", 401, manifest, "wants credentials and there are none"},
		{"redirect", 307, manifest, "it redirects without an end"},
		{"config", 200, content(100), "what came does not match its digest"},
		{"config of no size", 200, content(-1), "it has no size that a config has"},
		{"config of a large size", 200, content(endless), "it has no size that a config has"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				if c.code == 307 {
					w.Header().Set("Location", r.URL.Path)
				}
				pour(w, c.code)
			}))
			defer s.Close()
			sent.Store(0)
			err := c.ask(quick(), strings.TrimPrefix(s.URL, "http://")+"/acme/x")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
			s.CloseClientConnections()
			if n := sent.Load(); n > 6*(mostManifest+8<<20) { // what is under way is not read
				t.Errorf("%d bytes read", n)
			}
		})
	}
	t.Run("token", func(t *testing.T) {
		px := startProxy(t, startRegistry(t, nil))
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { pour(w, 200) }))
		defer s.Close()
		px.hurt("HEAD manifest", 1, status(401, "WWW-Authenticate", `Bearer realm="`+s.URL+`"`))
		_, err := quick().Head(ctx, px.host+"/acme/x:a")
		if err == nil || !strings.Contains(err.Error(), "its answer is longer than 1048576 bytes") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("header", func(t *testing.T) {
		px := startProxy(t, startRegistry(t, nil))
		px.hurt("HEAD manifest", 10, status(404, "Docker-Content-Digest", strings.Repeat("a", 1<<20)))
		_, err := quick().Head(ctx, px.host+"/acme/x:a")
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Unreachable || len(err.Error()) > 500 {
			t.Errorf("error %.500v", err)
		}
	})
}
