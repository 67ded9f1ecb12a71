package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

const (
	// A blob below small is sent without asking whether it is there: the answer
	// would cost as much.
	small = 64 << 10
	// From large on, a blob goes by PATCH, which registries that can resume.
	large = 16 << 20
	// leastChunk is what every registry takes in one request.
	leastChunk = 5 << 20
	// commitRate is the bytes a second at which a registry checks what it was
	// sent, at least.
	commitRate = 8 << 20
	// worthwhile is a progress that starts the counting of attempts anew.
	worthwhile = 1 << 20
)

// commitTime is what a registry may take to write and check n bytes.
func commitTime(n int64) time.Duration { return time.Duration(n/commitRate) * time.Second }

// has asks whether a blob is there, as who is about to send it.
func (r repository) has(ctx context.Context, d plan.Digest) (bool, error) {
	return r.hasFor(ctx, d, r.push())
}

func (r repository) hasFor(ctx context.Context, d plan.Digest, scopes []string) (bool, error) {
	_, err := r.do(ctx, request{method: "HEAD", url: r.url("blobs/" + string(d)), scopes: scopes, ok: []int{200}})
	var e *Error
	if errors.As(err, &e) && e.Kind == NotFound {
		return false, nil
	}
	return err == nil, err
}

// mount makes a blob of another repository of the host part of this one. If the
// registry would rather be sent it, session is where to.
func (r repository) mount(ctx context.Context, d plan.Digest, from string) (mounted bool, session *url.URL, err error) {
	u := r.url("blobs/uploads/")
	u.RawQuery = url.Values{"mount": {string(d)}, "from": {from}}.Encode()
	scopes := append(r.push(), "repository:"+from+":pull")
	a, err := r.do(ctx, request{method: "POST", url: u, scopes: scopes, ok: []int{201, 202}})
	if err != nil || a.status == 201 {
		return err == nil, nil, err
	}
	session, err = a.location()
	return false, session, err
}

// session begins an upload.
func (r repository) session(ctx context.Context) (*url.URL, error) {
	a, err := r.do(ctx, request{method: "POST", url: r.url("blobs/uploads/"), scopes: r.push(), ok: []int{202}})
	if err != nil {
		return nil, err
	}
	return a.location()
}

// cancel ends an upload session, if the registry cares to.
func (r repository) cancel(ctx context.Context, session *url.URL) {
	r.do(ctx, request{method: "DELETE", url: session, scopes: r.push(), ok: []int{204}})
}

// upload sends one blob into a repository. It is attempted until it is there; what
// an attempt reached is kept for the next.
type upload struct {
	r     repository
	b     image.Blob
	meter *meter

	ask     bool     // whether it is there, before anything is sent
	session *url.URL // nil: none begun
	cut     bool     // the session has broken, so off has to be asked for
	off     int64    // what the session holds
	// A transport may read a body for a moment after it has answered.
	best atomic.Int64 // the most bytes that any attempt sent
	told atomic.Int64 // bytes reported as sent
}

// attempt does all that is still to do. found says that it was there already.
func (u *upload) attempt(ctx context.Context) (moved, found bool, err error) {
	if u.ask {
		if found, err = u.r.has(ctx, u.b.Digest); err != nil {
			return false, false, err
		}
		if found && u.best.Load() == u.b.Size { // it was sent, and the answer lost
			u.settle(u.b.Size)
			return true, false, nil
		}
		if found {
			u.settle(0)
			return true, true, nil
		}
	}
	best := u.best.Load()
	off := u.off
	err = u.send(ctx)
	if err == nil {
		return true, false, nil
	}
	u.ask = true // the answer, and not the blob, may have been lost
	moved = u.best.Load() >= best+worthwhile || u.off >= off+worthwhile
	if e := mine(ctx, err); e != nil {
		switch {
		case e.uploadLost():
			e.again, u.session = true, nil
		case e.Status == 413 && u.r.shorten(u.b.Size):
			e.again, u.session = true, nil
		default:
			u.cut = true
		}
	}
	return moved, false, err
}

func (u *upload) send(ctx context.Context) error {
	if u.cut {
		u.resume(ctx)
	}
	if u.session == nil {
		u.off = 0
		var err error
		if u.session, err = u.r.session(ctx); err != nil {
			return err
		}
	}
	chunk := u.r.longest()
	if u.off == 0 && u.b.Size < large && (chunk == 0 || u.b.Size <= chunk) {
		err := u.put(ctx, u.piece(ctx, 0, u.b.Size))
		if err != nil {
			u.session = nil
		}
		return err
	}
	for u.off < u.b.Size {
		n := u.b.Size - u.off
		if chunk > 0 {
			n = min(n, chunk)
		}
		if err := u.patch(ctx, u.piece(ctx, u.off, n), n < u.b.Size); err != nil {
			return err
		}
	}
	return u.put(ctx, request{header: map[string]string{}})
}

// patch adds a piece to the session: what comes next, or the whole blob.
func (u *upload) patch(ctx context.Context, q request, part bool) error {
	q.method, q.url, q.ok = "PATCH", u.session, []int{202, 204, 201}
	if part {
		q.header["Content-Range"] = fmt.Sprintf("%d-%d", u.off, u.off+q.size-1)
	}
	a, err := u.r.do(ctx, q)
	if err != nil {
		return err
	}
	u.off += q.size
	if next, err := a.location(); err == nil {
		u.session = next
	}
	return nil
}

// put ends the session.
func (u *upload) put(ctx context.Context, q request) error {
	at := *u.session
	// Not by Values.Encode alone: the state in it is the registry's, to the letter.
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&digest="+url.QueryEscape(string(u.b.Digest)), "&")
	q.method, q.url, q.ok, q.scopes = "PUT", &at, []int{201, 204}, u.r.push()
	q.patience = commitTime(u.b.Size)
	_, err := u.r.do(ctx, q)
	return err
}

// piece is a request with n bytes of the blob, from off on.
func (u *upload) piece(ctx context.Context, off, n int64) request {
	return u.sending(off, n, func() (io.ReadCloser, error) {
		src, err := u.b.Open(ctx)
		if err != nil {
			return nil, &sourceError{err}
		}
		// What is skipped is read, since the source checks the whole.
		if _, err := io.CopyN(io.Discard, src, off); err != nil {
			src.Close()
			return nil, &sourceError{err}
		}
		return &limited{r: io.LimitReader(src, n), c: src}, nil
	})
}

// sending is a request with the n bytes from off on that open reads.
func (u *upload) sending(off, n int64, open func() (io.ReadCloser, error)) request {
	var sent atomic.Int64
	return request{
		size: n, scopes: u.r.push(), header: map[string]string{"Content-Type": "application/octet-stream"},
		body: func() (io.ReadCloser, error) {
			sent.Store(0)
			u.settle(off)
			return open()
		},
		sent: func(k int64) {
			at := off + sent.Add(k)
			u.best.Store(max(u.best.Load(), at))
			u.told.Add(k)
			u.meter.add(k, 0)
		},
	}
}

// settle reports what has arrived in place of what was sent: the rest is lost.
func (u *upload) settle(arrived int64) {
	u.meter.add(arrived-u.told.Swap(arrived), 0)
}

// resume asks how far a broken session came. Registries that dropped it answer
// 404, and it begins anew.
func (u *upload) resume(ctx context.Context) {
	u.cut = false
	if u.session == nil {
		return
	}
	a, err := u.r.do(ctx, request{method: "GET", url: u.session, scopes: u.r.push(), ok: []int{204}})
	if err != nil {
		u.session = nil
		return
	}
	_, end, ok := strings.Cut(a.header.Get("Range"), "-")
	last, err := strconv.ParseInt(end, 10, 64)
	if !ok || err != nil || last < 0 || last >= u.b.Size {
		u.session = nil
		return
	}
	u.off = 0
	if last > 0 { // "0-0" is what an empty session says, too
		u.off = last + 1
	}
	if next, err := a.location(); err == nil {
		u.session = next
	}
}

// limited is a part of a source.
type limited struct {
	r io.Reader
	c io.Closer
}

func (l *limited) Read(p []byte) (int, error) { return l.r.Read(p) }
func (l *limited) Close() error               { return l.c.Close() }

// longest is the longest body that the host takes; 0 if it takes any.
func (h *host) longest() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chunk
}

// shorten notes that a body was too long; it says whether a shorter one is worth
// trying. Proxies in front of registries have such limits.
func (h *host) shorten(size int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.chunk
	if was == 0 {
		was = size
	}
	h.chunk = max(min(was/2, 64<<20), leastChunk)
	return h.chunk < was
}
