package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// lying changes the header of the registry's answer. A length is changed for good:
// the rest of the body is left out, or never comes.
func lying(name, value string) hurting {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(&lyingWriter{ResponseWriter: w, name: name, value: value}, r)
	}
}

type lyingWriter struct {
	http.ResponseWriter
	name, value string
}

func (w *lyingWriter) WriteHeader(code int) {
	w.Header().Del(w.name)
	if w.value != "" {
		w.Header().Set(w.name, w.value)
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *lyingWriter) Write(p []byte) (int, error) {
	if n, err := strconv.Atoi(w.value); err == nil && w.name == "Content-Length" && n < len(p) {
		w.ResponseWriter.Write(p[:n])
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// TestLies is a registry whose headers say something else than what it has: whatever
// they say, nothing is taken for what it is not.
func TestLies(t *testing.T) {
	host := startRegistry(t, nil)
	ctx := context.Background()
	img := imageOf(t, host+"/acme/lies:a", "f", "amd64", blobOf(image.Gzip, noise(100<<10)))
	if _, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	other := "sha256:" + strings.Repeat("0", 64)
	head := func(c *Client, repo string) (plan.Digest, error) {
		d, err := c.Head(ctx, repo+":a")
		return d.Digest, err
	}
	byTag := func(c *Client, repo string) (plan.Digest, error) {
		_, d, err := c.Manifest(ctx, repo+":a")
		return d.Digest, err
	}
	byDigest := func(c *Client, repo string) (plan.Digest, error) {
		_, d, err := c.Manifest(ctx, repo+"@"+string(img.Digest))
		return d.Digest, err
	}
	headByDigest := func(c *Client, repo string) (plan.Digest, error) {
		d, err := c.Head(ctx, repo+"@"+string(img.Digest))
		return d.Digest, err
	}
	tag := func(c *Client, repo string) (plan.Digest, error) {
		img := img
		img.Reference = repo + ":b"
		return img.Digest, NewPublisher(c, nil, 0).Tag(ctx, []image.Image{img})
	}
	blob := func(c *Client, repo string) (plan.Digest, error) {
		b := img.Blobs[1]
		in, err := c.Blob(ctx, repo, b.Digest, b.Size)
		if err == nil {
			defer in.Close()
			_, err = io.Copy(io.Discard, in)
		}
		return img.Digest, err
	}
	for _, c := range []struct {
		on, name, value string
		do              func(c *Client, repo string) (plan.Digest, error)
		want            string // error; "": the right digest all the same
	}{
		{"HEAD manifest", "Docker-Content-Digest", "", head, ""},
		{"HEAD manifest", "Docker-Content-Digest", "sha256:123", head, ""},
		{"HEAD manifest", "Docker-Content-Digest", "latest", head, ""},
		{"HEAD manifest", "Docker-Content-Digest", other, headByDigest, ""},
		{"GET manifest", "Docker-Content-Digest", "", byTag, ""},
		{"GET manifest", "Docker-Content-Digest", "sha512:123", byTag, ""},
		{"GET manifest", "Docker-Content-Digest", other, byTag, "the manifest is " + string(img.Digest) + " instead of " + other},
		{"GET manifest", "Docker-Content-Digest", "sha256:" + strings.Repeat("long", 1000), byTag, "the manifest is " + string(img.Digest) + " instead of sha256:longlong"},
		{"GET manifest", "Docker-Content-Digest", other, byDigest, ""},
		{"PUT manifest", "Docker-Content-Digest", "", tag, ""},
		{"PUT manifest", "Docker-Content-Digest", other, tag, "it took the manifest for " + other},
		{"GET manifest", "Content-Length", "20", byTag, "the manifest is sha256:"},
		{"GET manifest", "Content-Length", "20", byDigest, "the manifest is sha256:"},
		{"GET manifest", "Content-Length", "5000", byDigest, "unexpected EOF"},
		{"GET blob", "Content-Length", "20", blob, "it has 20 bytes instead of 102400"},
		{"GET blob", "Content-Length", "102401", blob, "it has 102401 bytes instead of 102400"},
		{"GET blob", "Content-Length", "", blob, ""},
	} {
		t.Run(fmt.Sprintf("%s %s %.20s", c.on, c.name, c.value), func(t *testing.T) {
			px := startProxy(t, host)
			px.hurt(c.on, 100, lying(c.name, c.value))
			cl := quick()
			got, err := c.do(cl, px.host+"/acme/lies")
			if px.done == 0 {
				t.Fatal("nobody was lied to")
			}
			if c.want == "" {
				if err != nil || got != img.Digest {
					t.Errorf("%s, %v", got, err)
				}
			} else if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), c.want) || e.Doing == "" || len(err.Error()) > 500 {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestOtherRanges is a registry that goes on with a blob at another place than it was
// asked to.
func TestOtherRanges(t *testing.T) {
	host := startRegistry(t, nil)
	ctx := context.Background()
	big := blobOf(image.Gzip, noise(3<<20))
	img := imageOf(t, host+"/acme/ranges:a", "f", "amd64", big)
	if _, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"bytes=0-", "bytes=5-"} {
		px := startProxy(t, host)
		px.hurt("GET blob", 1, answerCut(1<<20, func() {}))
		px.hurt("GET blob", 2, func(p *proxy, w httpWriter, r *httpRequest) {
			r.Header.Set("Range", other)
			lying("Content-Length", "")(p, w, r)
		})
		c := quick()
		in, err := c.Blob(ctx, px.host+"/acme/ranges", big.Digest, big.Size)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, in); n != big.Size || err != nil || px.done != 3 {
			t.Errorf("%s: %d bytes after %d faults, %v", other, n, px.done, err)
		}
	}
}
