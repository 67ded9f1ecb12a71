package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"canvos.dev/exec/image"
)

// impatience is how long a test waits for what does not come; a busy machine takes
// less for what does.
const impatience = time.Second

type hurting = func(*proxy, http.ResponseWriter, *http.Request)

// status answers instead of the registry.
func status(code int, header ...string) hurting {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// says answers with an error as registries write them.
func says(code int, name, message string) hurting {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, name, message)
	}
}

// resets closes the connection.
func resets(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	c, _, _ := w.(http.Hijacker).Hijack()
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// hangs never answers.
func hangs(_ *proxy, _ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // so that the server sees the client leave
	<-r.Context().Done()
}

// stalls takes some of the body and no more.
func stalls(_ *proxy, _ http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, 1<<20)
	time.Sleep(2 * impatience) // longer than the client waits
	panic(http.ErrAbortHandler)
}

// lostReply lets the registry do it and the client never hear of it.
func lostReply(p *proxy, _ http.ResponseWriter, r *http.Request) {
	p.pass(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// flips changes a bit on the way to the registry.
func flips(p *proxy, w http.ResponseWriter, r *http.Request) {
	r.Body = &hurtBody{ReadCloser: r.Body, flip: true}
	p.pass(w, r)
}

// cuts ends the body after some bytes, for both sides.
func cuts(after int64) hurting {
	return func(p *proxy, _ http.ResponseWriter, r *http.Request) {
		r.Body = &hurtBody{ReadCloser: r.Body, left: after, cut: true}
		func() {
			defer func() { recover() }()
			p.pass(httptest.NewRecorder(), r)
		}()
		panic(http.ErrAbortHandler)
	}
}

type hurtBody struct {
	io.ReadCloser
	flip, cut bool
	left      int64
}

func (b *hurtBody) Read(p []byte) (int, error) {
	if b.cut && b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if b.cut {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.flip && n > 0 {
		p[0] ^= 1
		b.flip = false
	}
	return n, err
}

// answerCut ends an answer after some bytes of its body.
func answerCut(after int64, then func()) hurting {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(&hurtWriter{ResponseWriter: w, left: after, then: then}, r)
	}
}

type hurtWriter struct {
	http.ResponseWriter
	left int64
	then func()
	flip bool
}

func (w *hurtWriter) Write(p []byte) (int, error) {
	if w.flip && len(p) > 0 {
		p = bytes.Clone(p)
		p[len(p)/2] ^= 1
		w.flip = false
		return w.ResponseWriter.Write(p)
	}
	if w.then == nil {
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if w.left <= 0 {
		w.ResponseWriter.(http.Flusher).Flush()
		w.then()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func answerFlip(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.pass(&hurtWriter{ResponseWriter: w, flip: true}, r)
}

// TestFaultsEndWell is the table of faults that a push has to survive, in front of
// a real registry.
func TestFaultsEndWell(t *testing.T) {
	host := startRegistry(t, nil)
	for i, c := range []struct {
		on    string
		times int
		name  string
		do    hurting
	}{
		{"POST uploads", 2, "503", status(503)},
		{"POST uploads", 4, "503", status(503)},
		{"POST uploads", 4, "429 with seconds", status(429, "Retry-After", "1")},
		{"POST uploads", 1, "429 with a date", func(p *proxy, w httpWriter, r *httpRequest) {
			status(429, "Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))(p, w, r)
		}},
		{"POST uploads", 3, "429 without a word", status(429)},
		{"POST uploads", 1, "reset", resets},
		{"POST uploads", 1, "hang", hangs},
		{"POST mount", 2, "503", status(503)},
		{"POST mount", 2, "429", status(429)},
		{"POST mount", 1, "reset", resets},
		{"POST mount", 1, "403", status(403)},
		{"PATCH upload", 1, "500", status(500)},
		{"PATCH upload", 1, "reset", resets},
		{"PATCH upload", 1, "hang", hangs},
		{"PATCH upload", 1, "stall", stalls},
		{"PATCH upload", 1, "cut", cuts(9 << 20)},
		{"PATCH upload", 3, "cut", cuts(9 << 20)},
		{"PATCH upload", 1, "bit flipped", flips},
		{"PATCH upload", 1, "session gone", says(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")},
		{"PATCH upload", 2, "413", status(413)},
		{"PATCH upload", 1, "lost reply", lostReply},
		{"PUT upload", 1, "500", status(500)},
		{"PUT upload", 1, "lost reply", lostReply},
		{"PUT upload", 2, "bit flipped", flips},
		{"PUT upload", 1, "cut", cuts(100)},
		{"PUT upload", 1, "session gone", status(404)},
		{"PUT upload", 1, "hang", hangs},
		{"PUT manifest", 4, "503", status(503)},
		{"PUT manifest", 1, "lost reply", lostReply},
		{"PUT manifest", 1, "bit flipped", flips},
		{"PUT manifest", 1, "blob unknown", says(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")},
		{"PUT manifest", 1, "hang", hangs},
		{"HEAD manifest", 3, "503", status(503)},
		{"HEAD manifest", 1, "reset", resets},
		{"HEAD blob", 2, "502", status(502)},
	} {
		t.Run(fmt.Sprintf("%s %s %d", c.on, c.name, c.times), func(t *testing.T) {
			t.Parallel()
			px := startProxy(t, host)
			px.hurt(c.on, c.times, c.do)
			repo := fmt.Sprintf("%s/acme/f%d", px.host, i)
			// 24 MiB go by PATCH, the rest by one PUT; the second image mounts.
			big, middle := blobOf(image.Gzip, noise(24<<20)), blobOf(image.Gzip, noise(1<<20))
			images := []image.Image{
				imageOf(t, repo+":a", "f", "amd64", big, middle, blobOf(image.Gzip, noise(100))),
				imageOf(t, repo+"-2:a", "f", "amd64", middle),
			}
			cl := meeting(c.name)
			var mu sync.Mutex
			var waits []time.Duration
			cl.Retried = func(r Retry) {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, r.Wait)
				wantTold(t, r)
			}
			var sum image.Progress
			_, err := NewPublisher(cl, nil, 0).Push(context.Background(), images, PushOptions{Progress: summed(&sum)})
			if err != nil {
				t.Fatal(err)
			}
			wantSurvived(t, px, c.times, host, images, sum)
			if strings.HasPrefix(c.name, "429 with ") && waits[0] < 500*time.Millisecond {
				t.Errorf("came back after %s, though told to wait", waits)
			}
		})
	}
}

// meeting is a client that is as patient as a fault needs.
func meeting(fault string) *Client {
	c := quick()
	if fault == "hang" || fault == "stall" {
		c.Limits.Header, c.Limits.Stall = impatience, impatience
	}
	return c
}

// wantSurvived checks that a fault happened so many times, that images are there all
// the same, behind the proxy, and that all of their bytes were reported.
func wantSurvived(t *testing.T, px *proxy, times int, host string, images []image.Image, sum image.Progress) {
	t.Helper()
	if px.done != times {
		t.Errorf("the fault happened %d times instead of %d: %v", px.done, times, px.counts)
	}
	for _, img := range images {
		img.Reference = strings.Replace(img.Reference, px.host, host, 1)
		wantThere(t, img)
	}
	if all, _ := bytesOf(images); sum.Uploaded+sum.Mounted != all {
		t.Errorf("reported %+v of %d bytes", sum, all)
	}
}

// wantTold checks what is said of a failed attempt: what was being done, and, apart
// from that, what became of it.
func wantTold(t *testing.T, r Retry) {
	t.Helper()
	deed, thing, _ := strings.Cut(r.What, " ")
	if text := r.Err.Error(); deed == "" || thing == "" || strings.Contains(text, deed+" ") || strings.Contains(text, thing) {
		t.Errorf("%q failed: %q", r.What, text)
	}
}

// TestFaultsEndClearly is what no patience helps against: it ends at once, in an
// error that says what is wrong.
func TestFaultsEndClearly(t *testing.T) {
	host := startRegistry(t, nil)
	for _, c := range []struct {
		name, on string
		do       hurting
		kind     Kind
		requests int // of that kind, at most
		want     string
	}{
		{"denied", "POST uploads", says(403, "DENIED", "requested access to the resource is denied"), Denied, 3,
			"denied by HOST (403 DENIED requested access to the resource is denied)"},
		{"no such repository", "POST uploads", says(404, "NAME_UNKNOWN", "repository name not known to registry"), NotFound, 3,
			"not found (404 NAME_UNKNOWN repository name not known to registry)"},
		{"read-only", "POST uploads", status(405), ReadOnly, 3, "HOST is read-only (405 Method Not Allowed)"},
		{"immutable tag, one way", "PUT manifest", says(400, "TAG_INVALID", "the image tag 'a' is immutable"), Immutable, 1,
			"the tag is immutable (400 TAG_INVALID the image tag 'a' is immutable)"},
		{"immutable tag, another", "PUT manifest", says(412, "PRECONDITION", "configured as Immutable"), Immutable, 1,
			"the tag is immutable (412 PRECONDITION configured as Immutable)"},
		{"manifest refused", "PUT manifest", says(400, "MANIFEST_INVALID", "manifest invalid"), Refused, 2,
			"refused by HOST (400 MANIFEST_INVALID manifest invalid)"},
		{"credentials wanted", "POST uploads", func(_ *proxy, w httpWriter, _ *httpRequest) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		}, Unauthorized, 4, "HOST wants credentials and there are none"},
		{"a long rest", "POST uploads", status(429, "Retry-After", "3600"), Busy, 3, "HOST is asked too often, and wants to be left alone for 1h0m0s"},
		{"a rest for ever", "POST uploads", status(429, "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), Busy, 3, "HOST is asked too often, and wants to be left alone for"},
		{"a long failure", "PUT manifest", status(503, "Retry-After", "3600"), Unavailable, 1, "HOST is out of order, and wants to be left alone for 1h0m0s (503 Service Unavailable)"},
		{"for ever out of order", "PUT manifest", status(503), Unavailable, 6, "HOST is out of order (503 Service Unavailable)"},
		{"for ever busy", "PUT manifest", status(429), Busy, 6, "HOST is asked too often"},
		{"for ever silent", "PUT manifest", hangs, Unreachable, 6, "HOST: it does not answer for 250ms"},
		{"for ever broken", "PUT upload", flips, Refused, 3 * 6, "DIGEST_INVALID"},
		{"redirects for ever", "HEAD manifest", func(_ *proxy, w httpWriter, r *httpRequest) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, Refused, 8, "it redirects without an end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			px := startProxy(t, host)
			px.hurt(c.on, 1000, c.do)
			cl := quick()
			if c.name == "for ever silent" {
				cl.Limits.Header = 250 * time.Millisecond
			}
			img := imageOf(t, px.host+"/acme/clear:a", "f", "amd64", blobOf(image.Gzip, noise(1000)), blobOf(image.Gzip, noise(1000)))
			_, err := NewPublisher(cl, nil, 0).Push(context.Background(), []image.Image{img}, PushOptions{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Kind != c.kind || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "HOST", px.host)) {
				t.Errorf("%s: %v", e.Kind, err)
			}
			if !strings.Contains(err.Error(), px.host+"/acme/clear") {
				t.Errorf("it does not say what: %v", err)
			}
			if n := px.count(c.on); n > c.requests {
				t.Errorf("%d requests", n)
			}
			if _, err := quick().Head(context.Background(), host+"/acme/clear:a"); err == nil {
				t.Error("the tag has moved")
			}
		})
	}
}

func TestHostsThatAreNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, c := range []struct {
		reference string
		kind      Kind
		want      string
	}{
		{"nowhere.invalid/acme/x:a", UnknownHost, `ask for nowhere.invalid/acme/x:a: there is no host "nowhere.invalid"`},
		{closed + "/acme/x:a", Unreachable, "ask for " + closed + "/acme/x:a: " + closed + ": connection refused"},
	} {
		cl := quick()
		if c.kind == UnknownHost { // resolvers of test machines differ
			cl.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
			})
		}
		tries := 1
		cl.Retried = func(Retry) { tries++ }
		_, err := cl.Head(context.Background(), c.reference)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.want) || e.Help() == "" {
			t.Errorf("%s: %v", c.reference, err)
		}
		if tries > 3 {
			t.Errorf("%s: tried %d times", c.reference, tries)
		}
	}
}

// TestHostThatDies is one that has answered.
func TestHostThatDies(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(s.URL, "http://")
	cl := quick()
	if _, err := cl.Head(t.Context(), host+"/acme/x:a"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.Close()
	_, err := cl.Head(t.Context(), host+"/acme/x:b")
	e, ok := errors.AsType[*Error](err)
	if !ok || err.Error() != "ask for "+host+"/acme/x:b: "+host+": connection refused" || !strings.Contains(e.Help(), "answered before") {
		t.Errorf("%v", err)
	}
}

// TestProxyThatIsNotThere is a proxy whose name nobody knows, which says nothing of
// the registry's.
func TestProxyThatIsNotThere(t *testing.T) {
	tr := NewTransport(func(*http.Request) (*url.URL, error) {
		return &url.URL{Scheme: "http", Host: "proxy.invalid:3128", User: url.UserPassword("tester", "correct horse")}, nil
	})
	tr.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	c := quick()
	c.Transport = tr
	_, err := c.Head(context.Background(), "registry.example/acme/x:a")
	if want := "ask for registry.example/acme/x:a: registry.example: proxyconnect tcp: dial tcp: lookup proxy.invalid: no such host"; err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestReadingFaults is the same for what is read.
func TestReadingFaults(t *testing.T) {
	host := startRegistry(t, nil)
	ctx := context.Background()
	big := blobOf(image.Gzip, noise(9<<20))
	img := imageOf(t, host+"/acme/read:a", "f", "amd64", big)
	if _, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	pause := func() { time.Sleep(2 * impatience) }
	for _, c := range []struct {
		name, on string
		times    int
		do       hurting
		most     float64 // bytes read, as a multiple of the blob
	}{
		{"blob cut", "GET blob", 1, answerCut(3<<20, func() {}), 1.2},
		{"blob cut often", "GET blob", 20, answerCut(400<<10, func() {}), 1.2},
		{"blob stalls", "GET blob", 1, answerCut(3<<20, pause), 1.2},
		{"blob 503", "GET blob", 4, status(503), 1},
		{"blob hangs", "GET blob", 1, hangs, 1},
		{"no ranges", "GET blob", 2, func(p *proxy, w httpWriter, r *httpRequest) {
			r.Header.Del("Range")
			answerCut(5<<20, func() {})(p, w, r)
		}, 3},
		{"manifest 503", "GET manifest", 4, status(503), 1},
		{"manifest damaged", "GET manifest", 2, answerFlip, 1},
		{"manifest cut", "GET manifest", 2, answerCut(30, func() {}), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			px := startProxy(t, host)
			px.hurt(c.on, c.times, c.do)
			cl := quick()
			cl.Limits.Header, cl.Limits.Stall = 30*time.Second, 30*time.Second
			if c.name == "blob stalls" || c.name == "blob hangs" {
				cl.Limits.Header, cl.Limits.Stall = impatience, impatience
			}
			cl.Retried = func(r Retry) { wantTold(t, r) }
			wantWhole(t, cl, strings.Replace(img.Reference, host, px.host, 1), img)
			if px.done != c.times {
				t.Errorf("the fault happened %d times instead of %d", px.done, c.times)
			}
		})
	}
	t.Run("blob damaged", func(t *testing.T) {
		px := startProxy(t, host)
		px.hurt("GET blob", 1, answerFlip)
		r, err := quick().Blob(ctx, px.host+"/acme/read", big.Digest, big.Size)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Corrupt || n >= big.Size {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("blob of another size", func(t *testing.T) {
		_, err := quick().Blob(ctx, host+"/acme/read", big.Digest, big.Size-1)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Corrupt {
			t.Error(err)
		}
	})
	t.Run("size not known", func(t *testing.T) {
		r, err := quick().Blob(ctx, host+"/acme/read", big.Digest, -1)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != big.Size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// TestLongRest is a host that wants to be left alone for longer than anybody waits:
// who asks later, and who waits for a place already, is told so at once.
func TestLongRest(t *testing.T) {
	for _, rest := range []string{"999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		px := startProxy(t, startRegistry(t, nil))
		waiting := make(chan error)
		c := quick()
		c.Limits.Connections = 1
		px.hurt("HEAD manifest", 10, func(p *proxy, w httpWriter, r *httpRequest) {
			go func() {
				_, err := c.Tags(context.Background(), p.host+"/acme/x")
				waiting <- err
			}()
			time.Sleep(50 * time.Millisecond) // so that it waits, most of the time
			status(429, "Retry-After", rest)(p, w, r)
		})
		_, err := c.Head(context.Background(), px.host+"/acme/x:a")
		_, _, later := c.Manifest(context.Background(), px.host+"/acme/x:a")
		for _, err := range []error{err, later, <-waiting} {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != Busy || e.Host != px.host || !strings.Contains(err.Error(), "wants to be left alone for") {
				t.Errorf("%s: %v", rest, err)
			}
		}
		if total, _ := px.sums(); total != 1 {
			t.Errorf("asked %d times", total)
		}
	}
}

// TestYielding checks that a busy host is asked by fewer at once, and that all
// comes back.
func TestYielding(t *testing.T) {
	l := newLimiter(16)
	ctx := context.Background()
	enter := func() int {
		t.Helper()
		era, err := l.enter(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return era
	}
	enter()
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	if _, err := l.enter(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two requests before the first answer: %v", err)
	}
	l.open()
	l.leave()
	var eras []int
	for range 16 {
		eras = append(eras, enter())
	}
	for _, era := range eras { // all of them are told, once is meant
		l.tooMany(era, 0)
		l.leave()
	}
	if l.now != 8 {
		t.Errorf("limit %d after sixteen answers to one wave", l.now)
	}
	l.tooMany(enter(), 30*time.Millisecond)
	l.leave()
	begun := time.Now()
	enter()
	l.leave()
	if l.now != 4 || time.Since(begun) < 20*time.Millisecond {
		t.Errorf("limit %d, waited %s", l.now, time.Since(begun))
	}
	for range 200 {
		l.well()
	}
	if l.now != 16 {
		t.Errorf("limit %d after good answers", l.now)
	}
}
