package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
)

// opening is how the beginning of a connection went.
type opening struct{ tls, got atomic.Bool }

func (o *opening) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { o.tls.Store(true) },
		GotConn:           func(httptrace.GotConnInfo) { o.got.Store(true) },
	})
}

// deaf says of an error that the other side has not answered to the opening of TLS
// in TLS: with something else, or not at all. Whoever has shown a certificate, or
// has sent an alert, speaks it, however that ended.
func (o *opening) deaf(err error) bool {
	if withoutTLS(err) {
		return true
	}
	if !o.tls.Load() || o.got.Load() {
		return false
	}
	for _, is := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, errNoAnswer} {
		if errors.Is(err, is) {
			return true
		}
	}
	slow, ok := errors.AsType[net.Error](err)
	return ok && slow.Timeout()
}

// withoutTLS says that the other side answered to the opening of TLS in something
// else.
func withoutTLS(err error) bool {
	e, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok && e.Conn != nil // set for the first record alone
}

// sendItself sends a request to the host itself, and without TLS if that is allowed
// and the host turns out not to speak it. It is allowed until the host has answered
// in TLS once, and is remembered once it has answered without, be it to the opening.
func (h *host) sendItself(ctx context.Context, q request, to *url.URL, authorization string) (*reply, error) {
	r, err := h.send(ctx, q, to, authorization)
	e := mine(ctx, err)
	if e == nil || !e.deaf || to.Scheme != "https" || !h.mayGoPlain() {
		return r, err
	}
	to.Scheme = "http"
	r, plain := h.send(ctx, q, to, authorization)
	switch p := mine(ctx, plain); {
	case withoutTLS(e.Err):
	case p == nil && plain != nil:
		return nil, plain
	case p != nil && p.Status == 0:
		e.Message = fmt.Sprintf("it answers neither with TLS (%s) nor without (%s)", e.Message, p.Message)
		return nil, e
	case p != nil && p.Status == 400 && p.Code == "":
		return nil, e // which is how servers answer that do speak TLS
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plain = !h.secure
	return r, plain
}

func (h *host) mayGoPlain() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tlsFree && !h.secure // another request may have found it plain meanwhile
}
