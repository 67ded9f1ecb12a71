package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// manifestTypes are what is asked for: everything that can be an image.
var manifestTypes = strings.Join([]string{
	image.Index, image.Manifest,
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}, ", ")

// mostManifest is twice what every registry takes:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
const mostManifest = 8 << 20 // bytes

// Head is what a reference stands for, without reading it. A reference that is
// not there is fs.ErrNotExist.
func (c *Client) Head(ctx context.Context, reference string) (image.Descriptor, error) {
	r, ref, err := c.named(reference)
	if err != nil {
		return image.Descriptor{}, err
	}
	var d image.Descriptor
	err = c.retry(ctx, r.host, "ask for "+reference, func() (bool, error) {
		a, err := r.do(ctx, request{method: "HEAD", url: r.url("manifests/" + ref.Identifier()), scopes: r.pull(), ok: []int{200}, header: map[string]string{"Accept": manifestTypes}})
		if err != nil {
			return false, err
		}
		d = image.Descriptor{MediaType: a.header.Get("Content-Type"), Digest: plan.Digest(a.header.Get("Docker-Content-Digest"))}
		d.Size, _ = strconv.ParseInt(a.header.Get("Content-Length"), 10, 64)
		return false, nil
	})
	_, byDigest := ref.(name.Digest)
	if err == nil && (!isDigest(d.Digest) || byDigest && string(d.Digest) != ref.Identifier()) {
		// An old registry, or one that is mistaken: only the content itself says.
		_, d, err = c.Manifest(ctx, reference)
	}
	return d, err
}

func isDigest(d plan.Digest) bool {
	sum, ok := strings.CutPrefix(string(d), "sha256:")
	_, err := hex.DecodeString(sum)
	return ok && err == nil && len(sum) == 64
}

// Manifest reads the manifest or index that a reference stands for, and checks
// it against its digest. A reference that is not there is fs.ErrNotExist.
func (c *Client) Manifest(ctx context.Context, reference string) ([]byte, image.Descriptor, error) {
	r, ref, err := c.named(reference)
	if err != nil {
		return nil, image.Descriptor{}, err
	}
	var raw []byte
	var d image.Descriptor
	err = c.retry(ctx, r.host, "read "+reference, func() (bool, error) {
		a, err := r.do(ctx, request{method: "GET", url: r.url("manifests/" + ref.Identifier()), scopes: r.pull(), ok: []int{200}, most: mostManifest, header: map[string]string{"Accept": manifestTypes}})
		if err != nil {
			return false, err
		}
		raw = a.body
		d = image.Descriptor{MediaType: mediaTypeOf(raw, a.header.Get("Content-Type")), Digest: plan.DigestOf(raw), Size: int64(len(raw))}
		want := plan.Digest(a.header.Get("Docker-Content-Digest"))
		if _, ok := ref.(name.Digest); ok {
			want = plan.Digest(ref.Identifier())
		}
		if strings.HasPrefix(string(want), "sha256:") && want != d.Digest {
			return false, &Error{Kind: Corrupt, Host: r.shown, Message: fmt.Sprintf("the manifest is %s instead of %s", d.Digest, line(string(want), 100))}
		}
		return false, nil
	})
	return raw, d, err
}

// mediaTypeOf is what a manifest says that it is, or what its server says.
func mediaTypeOf(raw []byte, served string) string {
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(raw, &m) == nil && m.MediaType != "" {
		return m.MediaType
	}
	served, _, _ = strings.Cut(served, ";")
	return strings.TrimSpace(served)
}

// Tags lists a repository's tags, in the registry's order.
func (c *Client) Tags(ctx context.Context, repo string) ([]string, error) {
	tags, _, err := c.tags(ctx, repo, -1)
	return tags, err
}

// A list of tags that is longer than this is taken for one that has no end.
const (
	mostListPages = 2000
	mostListBytes = 32 << 20 // in memory, about
	mostOldPages  = 3        // in a row, without a new name
)

// tags reads at most so many pages, if pages is not negative; all says whether
// that was the whole list.
func (c *Client) tags(ctx context.Context, repo string, pages int) (tags []string, all bool, err error) {
	r, err := c.repository(repo)
	if err != nil {
		return nil, false, err
	}
	at := r.url("tags/list")
	at.RawQuery = "n=1000"
	endless := func(message string) error {
		return &Error{Kind: Refused, Doing: "list tags of " + r.String(), Host: r.shown, Message: message}
	}
	seen := map[string]bool{}
	bytes, old := 0, 0
	for read := 0; read != pages; read++ {
		if read == mostListPages {
			return nil, false, endless("its list of tags has no end")
		}
		var a *reply
		err := c.retry(ctx, r.host, "list tags of "+r.String(), func() (bool, error) {
			var err error
			a, err = r.do(ctx, request{method: "GET", url: at, scopes: r.pull(), ok: []int{200}, most: mostManifest})
			return false, err
		})
		if e := mine(ctx, err); e != nil && e.Kind == NotFound && read > 0 {
			e.Kind, e.Message = Refused, "its list of tags breaks off"
		}
		if err != nil {
			return nil, false, err
		}
		var page struct{ Tags []string }
		if err := json.Unmarshal(a.body, &page); err != nil {
			return nil, false, fmt.Errorf("list tags of %s: %w", r, err)
		}
		before := len(tags)
		for _, t := range page.Tags {
			if !seen[t] {
				seen[t] = true
				tags = append(tags, t)
				bytes += len(t) + 32
			}
		}
		next, ok := nextPage(a)
		if !ok {
			return tags, true, nil
		}
		if old++; len(tags) > before {
			old = 0
		}
		switch {
		case old > mostOldPages:
			return nil, false, endless("its list of tags goes on without a new name")
		case bytes > mostListBytes:
			return nil, false, endless("its list of tags has no end")
		}
		at.Path, at.RawPath, at.RawQuery = next.Path, next.RawPath, next.RawQuery
	}
	return tags, false, nil
}

// nextPage reads `Link: </v2/…?last=…>; rel="next"`, as RFC 8288 writes it.
func nextPage(a *reply) (*url.URL, bool) {
	for _, l := range a.header.Values("Link") {
		target, params, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(l), "<"), ">")
		if u, err := a.url.Parse(target); ok && err == nil && strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
			return u, true
		}
	}
	return nil, false
}

// Blob reads a blob from its beginning, goes on where it was when the line breaks,
// and checks it: the read that would hand over the last byte fails if the content
// is not what d names. size is in bytes, or -1 if it is not known.
func (c *Client) Blob(ctx context.Context, repo string, d plan.Digest, size int64) (io.ReadCloser, error) {
	r, err := c.repository(repo)
	if err != nil {
		return nil, err
	}
	b := &blobReader{ctx: ctx, r: r, d: d, size: size, doing: fmt.Sprintf("read blob %s of %s", d, r), hash: sha256.New()}
	// So that one that is absent is known at once.
	if err := b.connect(); err != nil {
		return nil, err
	}
	return b, nil
}

type blobReader struct {
	ctx   context.Context
	r     repository
	d     plan.Digest
	size  int64 // -1: not known
	doing string
	hash  hash.Hash
	off   int64
	body  io.ReadCloser // nil: to be asked for, from off on
	err   error         // for good
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	var n int
	b.err = b.r.c.repeat(b.ctx, b.r.host, b.doing, func() (bool, error) {
		if b.body == nil {
			if err := b.ask(); err != nil {
				return false, err
			}
		}
		var err error
		for n == 0 && err == nil {
			n, err = b.body.Read(p)
		}
		if n > 0 {
			return true, nil // an error will come again
		}
		if err == io.EOF && (b.size < 0 || b.off >= b.size) {
			return false, io.EOF
		}
		b.body.Close()
		b.body = nil
		if err == io.EOF {
			err = &Error{Kind: Unreachable, Host: b.r.shown, Err: io.ErrUnexpectedEOF, Message: "the connection ended early"}
		}
		return false, err
	})
	if b.err != io.EOF {
		b.err = explain(b.err, b.doing)
	}
	b.hash.Write(p[:n])
	b.off += int64(n)
	if b.size >= 0 && b.off >= b.size && n > 0 || b.err == io.EOF {
		// net/http and tar stop at the last byte and never see the end.
		if got := plan.Digest("sha256:" + hex.EncodeToString(b.hash.Sum(nil))); got != b.d || b.size >= 0 && b.off != b.size {
			b.err = &Error{Kind: Corrupt, Doing: b.doing, Host: b.r.shown, Message: "what came does not match its digest"}
			return 0, b.err
		}
	}
	return n, b.err
}

// connect asks for the blob, as often as it takes.
func (b *blobReader) connect() error {
	return b.r.c.retry(b.ctx, b.r.host, b.doing, func() (bool, error) { return false, b.ask() })
}

// ask asks for what is missing of the blob, once.
func (b *blobReader) ask() error {
	q := request{method: "GET", url: b.r.url("blobs/" + string(b.d)), scopes: b.r.pull(), ok: []int{200}, stream: true, urgent: b.off > 0}
	if b.off > 0 {
		q.header = map[string]string{"Range": fmt.Sprintf("bytes=%d-", b.off)}
		q.ok = []int{200, 206}
	}
	a, err := b.r.do(b.ctx, q)
	if err != nil {
		return err
	}
	length, known := contentLength(a.header)
	from := int64(0)
	if a.status == http.StatusPartialContent {
		from = b.off
		if at := a.header.Get("Content-Range"); at != "" && !strings.HasPrefix(at, fmt.Sprintf("bytes %d-", b.off)) {
			a.stream.Close()
			return &Error{Kind: Corrupt, Host: b.r.shown, Message: fmt.Sprintf("it goes on elsewhere than at byte %d", b.off)}
		}
	}
	if known && b.size < 0 {
		b.size = from + length
	}
	if known && from+length != b.size {
		a.stream.Close()
		return &Error{Kind: Corrupt, Host: b.r.shown, Message: fmt.Sprintf("it has %d bytes instead of %d", from+length, b.size)}
	}
	if from < b.off { // no ranges here: read again what is there already
		if _, err := io.CopyN(io.Discard, a.stream, b.off-from); err != nil {
			a.stream.Close()
			var e *Error
			if !errors.As(err, &e) && b.ctx.Err() == nil {
				err = &Error{Kind: Unreachable, Host: b.r.shown, Err: err, Message: "the connection ended early"}
			}
			return err
		}
	}
	b.body = a.stream
	return nil
}

func contentLength(h http.Header) (int64, bool) {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return n, err == nil && n >= 0
}

func (b *blobReader) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}
