package registry

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"canvos.dev/exec/image"
)

// ear listens for a server, and knows who opens TLS and who does not.
type ear struct {
	net.Listener
	hello func(n int64, c net.Conn) bool // of the nth opening of TLS; false: it took care of it

	hellos, plain atomic.Int64
	heard         chan net.Conn
	closed        chan struct{}
	once          sync.Once
}

func listen(t *testing.T, hello func(n int64, c net.Conn) bool) *ear {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{Listener: l, hello: hello, heard: make(chan net.Conn), closed: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go e.hear(c)
		}
	}()
	return e
}

func (e *ear) hear(c net.Conn) {
	r := bufio.NewReader(c)
	first, err := r.Peek(1)
	if err != nil {
		c.Close()
		return
	}
	if first[0] != 0x16 { // a record of a handshake
		e.plain.Add(1)
	} else if n := e.hellos.Add(1); e.hello != nil && !e.hello(n, c) {
		return
	}
	select {
	case e.heard <- heardConn{c, r}:
	case <-e.closed:
		c.Close()
	}
}

func (e *ear) Accept() (net.Conn, error) {
	select {
	case c := <-e.heard:
		return c, nil
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

func (e *ear) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Listener.Close()
}

type heardConn struct {
	net.Conn
	r io.Reader
}

func (c heardConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// What servers without TLS do when it is opened to them.
var deaf = map[string]func(c net.Conn){
	"HTTP/1.0": func(c net.Conn) { io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n") },
	"HTTP/0.9": func(c net.Conn) { io.WriteString(c, "<!DOCTYPE HTML>\n<title>Error response</title>\n") },
	"end":      func(net.Conn) {},
	"reset":    func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
	"silence":  func(c net.Conn) { io.Copy(io.Discard, c) },
}

func deafServer(t *testing.T, do func(net.Conn), answer http.HandlerFunc) (*ear, string) {
	e := listen(t, func(_ int64, c net.Conn) bool {
		do(c)
		c.Close()
		return false
	})
	s := &http.Server{Handler: answer}
	go s.Serve(e)
	t.Cleanup(func() { s.Close() })
	return e, e.Addr().String()
}

// TestServersWithoutTLS is a push to servers that have never heard of TLS, where that
// is allowed, and the error where it is not.
func TestServersWithoutTLS(t *testing.T) {
	for name, do := range deaf {
		t.Run(name, func(t *testing.T) {
			reg := startProxy(t, startRegistry(t, nil))
			e, host := deafServer(t, do, reg.Config.Handler.ServeHTTP)
			c := quick()
			if name == "silence" {
				c.Limits.Header = impatience
			}
			img := imageOf(t, host+"/acme/x:a", "f", "amd64", blobOf(image.Gzip, noise(100<<10)))
			if _, err := NewPublisher(c, nil, 0).Push(context.Background(), []image.Image{img}, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			wantWhole(t, c, img.Reference, img)
			if e.hellos.Load() != 1 {
				t.Errorf("TLS was tried %d times", e.hellos.Load())
			}

			_, port, _ := net.SplitHostPort(host)
			named := "registry.example:" + port
			tr := NewTransport(nil)
			tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, host)
			}
			c = quick()
			c.Transport, c.Limits = tr, Limits{Pause: time.Millisecond, Header: impatience}
			before := e.plain.Load()
			_, err := c.Head(context.Background(), named+"/acme/x:a")
			x, ok := errors.AsType[*Error](err)
			if !ok || x.Kind != Unreachable || !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "plain HTTP") || !strings.Contains(x.Help(), "--plain-http "+named) {
				t.Errorf("not allowed: %v", err)
			}
			if e.plain.Load() != before {
				t.Error("asked without TLS, though that was not allowed")
			}
		})
	}
}

// TestNeitherTLSNorHTTP is a port of something else: the error says so, and does not
// recommend what is allowed already.
func TestNeitherTLSNorHTTP(t *testing.T) {
	_, host := deafServer(t, deaf["end"], func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := quick().Head(context.Background(), host+"/acme/x:a")
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Unreachable || !strings.Contains(err.Error(), "it answers neither with TLS (EOF) nor without (EOF)") || strings.Contains(e.Help(), "plain-http") {
		t.Errorf("%v, %q", err, e.Help())
	}
}

// TestTLSIsKept are servers that do speak TLS: whatever is wrong with it, nothing is
// asked without.
func TestTLSIsKept(t *testing.T) {
	ca := newCA(t)
	cert, err := tls.LoadX509KeyPair(ca.file, ca.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if parsed, err := x509.ParseCertificate(ca.der); err != nil {
		t.Fatal(err)
	} else {
		trusted.AddCert(parsed)
	}
	end := func(c net.Conn) bool { c.Close(); return false }
	for _, c := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		hello  func(n int64, c net.Conn) bool
		kinds  []Kind // of one question after the other
		plain  int64  // connections
	}{
		{"a certificate of nobody's", &tls.Config{}, &tls.Config{RootCAs: x509.NewCertPool()}, nil, []Kind{Untrusted}, 0},
		{"a certificate of another host", &tls.Config{}, &tls.Config{RootCAs: trusted, ServerName: "registry.example"}, nil, []Kind{Untrusted}, 0},
		{"a certificate that is too old", &tls.Config{}, &tls.Config{RootCAs: trusted, Time: func() time.Time { return time.Now().Add(24 * time.Hour) }}, nil, []Kind{Untrusted}, 0},
		{"a certificate that is wanted", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, &tls.Config{RootCAs: trusted}, nil, []Kind{Unreachable}, 0},
		{"another version", &tls.Config{MinVersion: tls.VersionTLS13}, &tls.Config{RootCAs: trusted, MaxVersion: tls.VersionTLS12}, nil, []Kind{Unreachable}, 0},
		{"a weak moment at first", &tls.Config{}, &tls.Config{RootCAs: trusted}, func(n int64, c net.Conn) bool { return n > 1 || end(c) }, []Kind{NotFound, NotFound}, 1},
		{"a weak moment later", &tls.Config{}, &tls.Config{RootCAs: trusted}, func(n int64, c net.Conn) bool { return n != 2 || end(c) }, []Kind{NotFound, NotFound}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := listen(t, c.hello)
			s := httptest.NewUnstartedServer(http.HandlerFunc(http.NotFound))
			s.Listener.Close()
			c.server.Certificates = []tls.Certificate{cert}
			s.Listener, s.TLS = e, c.server
			s.Config.ErrorLog = log.New(discard{}, "", 0)
			s.StartTLS()
			defer s.Close()
			cl := quick()
			tr := NewTransport(nil)
			tr.TLSClientConfig, tr.DisableKeepAlives = c.client, true
			cl.Transport = tr
			for i, kind := range c.kinds {
				_, err := cl.Head(context.Background(), e.Addr().String()+"/acme/x:a")
				if x, ok := errors.AsType[*Error](err); !ok || x.Kind != kind {
					t.Errorf("%d: %v", i, err)
				}
			}
			if e.plain.Load() != c.plain {
				t.Errorf("%d connections without TLS", e.plain.Load())
			}
		})
	}
}
