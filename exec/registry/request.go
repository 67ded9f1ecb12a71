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
	"strconv"
	"strings"
	"time"
)

// request is one question to a host.
type request struct {
	method string
	url    *url.URL
	header map[string]string
	scopes []string // that its token has to cover
	ok     []int    // statuses that are answers and not errors

	body func() (io.ReadCloser, error) // nil: none; called anew for each time it is sent
	size int64                         // of body, in bytes
	sent func(n int64)                 // told of each piece of body; nil: nobody

	most   int64 // bytes of the answer to read, more is an error; 0: it is not wanted
	stream bool  // leave the answer's body to the caller
	// urgent requests go on with something that holds a place already.
	urgent bool
	// bare requests carry no authorisation but their own.
	bare          bool
	authorization string // of a bare request
	// secret says that the body is for the host alone, wherever it redirects to.
	secret bool
	// patience is waited for the answer in addition to Limits.Header, and to what it
	// takes to write the body.
	patience time.Duration
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	url    *url.URL // that answered
	host   string   // as people write it
	body   []byte
	stream io.ReadCloser // if the request wanted it
}

// location is where the answer says to go on.
func (r *reply) location() (*url.URL, error) {
	e := &Error{Kind: Refused, Host: r.host, Status: r.status, Message: "it does not say where to go on"}
	loc := r.header.Get("Location")
	if loc == "" {
		return nil, e
	}
	u, err := r.url.Parse(loc)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		e.Message = "it says to go on at an address that cannot be read"
		return nil, e
	}
	return u, nil
}

const (
	mostHops       = 6 // redirects to follow
	mostChallenges = 2 // 401s to answer: for having no token, and for an old one
)

// do sends a request, obtains what authorisation it takes, and follows redirects.
// An answer that is not ok is an *Error. What proves who asks goes to the host and
// to no other, whatever it redirects to.
func (h *host) do(ctx context.Context, q request) (*reply, error) {
	to := *q.url
	challenges, hops := 0, 0
	for {
		own := h.is(&to)
		if own {
			// A registry behind a proxy that ends TLS often believes that it has none.
			to.Scheme, to.Host = h.scheme(), h.name
		} else if err := h.mayGo(&to, q.secret); err != nil {
			return nil, err
		}
		var with proof
		if own && q.bare {
			with.header = q.authorization
		} else if own {
			var err error
			if with, err = h.auth.authorize(ctx, q.scopes); err != nil {
				return nil, err
			}
		}
		send := h.send
		if own {
			send = h.sendItself
		}
		r, err := send(ctx, q, &to, with.header)
		e := mine(ctx, err)
		switch {
		case e != nil && !own && q.authorization != "" && (e.Status == 401 || e.Status == 403):
			e.Message = fmt.Sprintf("it redirects to %q, which is not sent the credentials", to.Host)
			return nil, e
		case err != nil:
			return nil, err
		case r.status == http.StatusUnauthorized && own && !q.bare:
			if err := h.auth.challenged(r.header, with, challenges == mostChallenges); err != nil {
				return nil, err
			}
			challenges++
			continue
		case isRedirect(r.status) && !slices.Contains(q.ok, r.status):
			if hops++; hops > mostHops {
				return nil, &Error{Kind: Refused, Host: h.shown, Status: r.status, Message: "it redirects without an end"}
			}
			next, err := r.location()
			if err != nil {
				return nil, err
			}
			to = *next
			continue
		}
		return r, nil
	}
}

// mayGo says whether a request may go on at another host.
func (h *host) mayGo(to *url.URL, secret bool) error {
	e := &Error{Kind: Refused, Host: h.shown}
	switch {
	case to.Scheme != "https" && !h.c.mayBePlain(to.Host):
		e.Message = fmt.Sprintf("it sends to %q without TLS", to.Host)
	case secret:
		e.Message = fmt.Sprintf("it redirects to %q, which is not sent the credentials", to.Host)
	default:
		return nil
	}
	return e
}

// is says whether an address is of the host, by whatever of its default ports.
func (h *host) is(u *url.URL) bool {
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return strings.EqualFold(u.Host, h.name) || strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(h.name, port))
}

// at is who answers at an address, as people write it.
func (h *host) at(u *url.URL) string {
	if h.is(u) {
		return h.shown
	}
	return u.Host
}

func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

// send sends a request once. Answers that do deals with itself are no errors.
func (h *host) send(ctx context.Context, q request, to *url.URL, authorization string) (*reply, error) {
	var body *sentBody
	if q.body != nil {
		// Before taking a place: what is opened may be read from this host.
		src, err := q.body()
		if err != nil {
			return nil, err
		}
		body = &sentBody{src: src, sent: q.sent}
		defer body.close()
	}
	era := 0
	if !q.urgent {
		var err error
		if era, err = h.limit.enter(ctx); err != nil {
			if e := mine(ctx, err); e != nil { // the host wants to be left alone
				e.Host, e.method = h.shown, q.method
			}
			return nil, err
		}
		defer h.limit.leave()
	}
	watched, cancel := context.WithCancelCause(ctx)
	var begin opening
	req, err := http.NewRequestWithContext(begin.watch(watched), q.method, to.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("request to %s: %w", to.Host, errors.Unwrap(err))
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if h.c.UserAgent != "" {
		req.Header.Set("User-Agent", h.c.UserAgent)
	}
	patience := h.limits.Header + q.patience
	dog := newWatchdog(cancel)
	if body != nil && q.size != 0 {
		body.dog, body.stall, body.size, body.patience = dog, h.limits.Stall, q.size, patience
		req.Body, req.ContentLength = body, q.size
		dog.arm(h.limits.Header, errNoAnswer)
	} else {
		if q.method == http.MethodPost || q.method == http.MethodPut || q.method == http.MethodPatch {
			req.Body = http.NoBody // so that Content-Length: 0 is sent
		}
		dog.arm(patience, errNoAnswer)
	}
	resp, err := h.c.transport().RoundTrip(req)
	dog.disarm()
	if body != nil {
		if serr := body.failure(); serr != nil {
			if err == nil {
				resp.Body.Close()
			}
			cancel(nil)
			return nil, &sourceError{serr}
		}
	}
	if err != nil {
		if cause := context.Cause(watched); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, h.networkError(ctx, to, err, &Error{method: q.method, deaf: begin.deaf(err)})
	}
	h.mu.Lock()
	h.answered = true
	h.secure = h.secure || h.is(to) && to.Scheme == "https"
	h.mu.Unlock()
	if resp.StatusCode != http.StatusUnauthorized {
		h.limit.open()
	}
	in := &receivedBody{body: resp.Body, dog: dog, stall: h.limits.Stall, watched: watched, ctx: ctx, cancel: cancel, h: h, method: q.method, from: to, status: resp.StatusCode}
	resp.Body = in
	// The header is kept by reply after the body is gone.
	r := &reply{status: resp.StatusCode, header: maps.Clone(resp.Header), url: to, host: h.at(to)}
	passed := r.status == http.StatusUnauthorized && !q.bare && h.is(to) || isRedirect(r.status)
	switch {
	case slices.Contains(q.ok, r.status) && q.stream:
		r.stream = in
		h.limit.well()
		return r, nil
	case slices.Contains(q.ok, r.status) && q.most > 0:
		defer in.Close()
		if r.body, err = io.ReadAll(io.LimitReader(in, q.most+1)); err != nil {
			return nil, err
		}
		if int64(len(r.body)) > q.most {
			return nil, &Error{Kind: Refused, Host: h.at(to), Status: r.status, Message: "its answer is longer than " + strconv.FormatInt(q.most, 10) + " bytes"}
		}
		h.limit.well()
		return r, nil
	case slices.Contains(q.ok, r.status) || passed:
		defer in.Close()
		io.CopyN(io.Discard, in, 64<<10) // a connection that is empty serves again
		h.limit.well()
		return r, nil
	}
	e := h.answerError(q.method, to, resp)
	if e.Kind == Busy {
		h.limit.tooMany(era, e.after)
	}
	return nil, e
}

// sourceError is a failure to read what should have been sent. No other attempt
// helps.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }
