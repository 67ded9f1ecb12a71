package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
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
