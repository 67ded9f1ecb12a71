package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A storyProxy stands before a registry, writes down what is asked, and does harm.
type storyProxy struct {
	forward  http.Handler
	target   string
	over     <-chan struct{}
	hold     *regexp.Regexp // the first that matches is never answered
	redirect *regexp.Regexp // answered with the registry's own address
	refuse   *regexp.Regexp // answered with status
	status   int
	saying   string

	mu   sync.Mutex
	log  string
	held string // written when somebody is held
}

// startProxy stands before the registry at TARGET until the story ends, and names
// itself in a variable. Requests are "METHOD URI"; each is a line in VARIABLE.log:
//
//	proxy VARIABLE TARGET [tls CA.pem] [hold REGEXP] [redirect REGEXP] [answer STATUS REGEXP saying WORDS]
//	proxy VARIABLE held
//
// It is a proxy as well, in the sense of HTTPS_PROXY: a tunnel to TARGET, whatever
// host it is asked for. The second form waits until a request is held.
func startProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: proxy VARIABLE TARGET [option...]")
	}
	held := ts.MkAbs(args[0] + ".held")
	if args[1] == "held" {
		for range 400 {
			if _, err := os.Stat(held); err == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		ts.Fatalf("%s holds nothing", args[0])
	}
	over := make(chan struct{})
	p := &storyProxy{target: args[1], over: over, log: ts.MkAbs(args[0] + ".log"), held: held}
	p.forward = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: p.target})
		r.Out.Host = r.In.Host // so that the registry names the proxy in addresses
		r.SetXForwarded()
	}}
	ca := ""
	for rest := args[2:]; len(rest) > 0; {
		word := func() string {
			if len(rest) == 0 {
				ts.Fatalf("proxy: an option lacks its value")
			}
			w := rest[0]
			rest = rest[1:]
			return w
		}
		switch option := word(); option {
		case "tls":
			ca = ts.MkAbs(word())
		case "hold":
			p.hold = regexp.MustCompile(word())
		case "redirect":
			p.redirect = regexp.MustCompile(word())
		case "answer":
			var err error
			p.status, err = strconv.Atoi(word())
			ts.Check(err)
			p.refuse = regexp.MustCompile(word())
		case "saying":
			p.saying = word()
		default:
			ts.Fatalf("proxy: no option %q", option)
		}
	}
	s := httptest.NewUnstartedServer(p)
	if ca == "" {
		s.Start()
	} else {
		s.StartTLS()
		ts.Check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644))
	}
	ts.Defer(func() {
		close(over)
		s.CloseClientConnections()
		s.Close()
	})
	ts.Setenv(args[0], strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://"))
}

func (p *storyProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + r.URL.RequestURI()
	if r.Method == http.MethodConnect {
		line = r.Method + " " + r.Host
	}
	p.mu.Lock()
	hold := p.hold != nil && p.hold.MatchString(line)
	if hold {
		p.hold = nil
		line = "HELD " + line
	}
	f, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		fmt.Fprintln(f, line)
		f.Close()
	}
	p.mu.Unlock()
	switch {
	case r.Method == http.MethodConnect:
		p.tunnel(w)
	case hold:
		os.WriteFile(p.held, nil, 0o644)
		select {
		case <-p.over:
		case <-r.Context().Done():
		}
	case p.redirect != nil && p.redirect.MatchString(line):
		http.Redirect(w, r, "http://"+filepath.Join(p.target, r.URL.RequestURI()), http.StatusTemporaryRedirect)
	case p.refuse != nil && p.refuse.MatchString(line):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(p.status)
		fmt.Fprintf(w, `{"errors": [{"code": "DENIED", "message": %q}]}`, p.saying)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// tunnel carries bytes to the target.
func (p *storyProxy) tunnel(w http.ResponseWriter) {
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	go func() {
		io.Copy(to, from)
		to.Close()
	}()
	io.Copy(from, to)
}
