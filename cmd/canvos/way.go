package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"

	"golang.org/x/net/http/httpproxy"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/exec/registry"
)

// way is how registries are reached, besides what the environment says. The zero
// value adds nothing to that.
type way struct {
	httpProxy, httpsProxy, noProxy string
	roots                          [][]byte // PEM: authorities that are trusted too
}

// wayOf is what a manifest says of it: its build block. Only a manifest that is
// trusted may say so, since credentials take that way.
func wayOf(m *manifest, b compile.Build) (way, error) {
	var files []string
	for _, c := range b.Certificates {
		files = append(files, c.V)
	}
	return readWay(m.src.FS, m.src.Dir, view.SavedBuild{HTTPProxy: b.HTTPProxy.V, HTTPSProxy: b.HTTPSProxy.V, NoProxy: b.NoProxy.V, Certificates: files})
}

// readWay reads the certificates of a build block, which lie below dir.
func readWay(fsys fs.FS, dir string, b view.SavedBuild) (way, error) {
	w := way{httpProxy: b.HTTPProxy, httpsProxy: b.HTTPSProxy, noProxy: b.NoProxy}
	for _, name := range b.Certificates {
		pem, err := fs.ReadFile(fsys, path.Join(dir, name))
		if err != nil {
			return way{}, fail(exitError, "build.certificates in the manifest names it", "read %s: %v", name, unpathed(err))
		}
		w.roots = append(w.roots, pem)
	}
	return w, nil
}

// and is the way of several manifests at once: the first proxies, all authorities.
func (w way) and(other way) way {
	return way{
		cmp.Or(w.httpProxy, other.httpProxy), cmp.Or(w.httpsProxy, other.httpsProxy), cmp.Or(w.noProxy, other.noProxy),
		slices.Concat(w.roots, other.roots),
	}
}

// registries is who speaks to them in this run: with Docker's credentials, through
// the proxies of the manifest, else of the environment, and without TLS only where
// that was allowed.
func (d *door) registries(r *access) *registry.Client {
	r.once.Do(func() {
		t := registry.NewTransport(d.proxy(r.way))
		if len(r.way.roots) > 0 {
			pool, err := x509.SystemCertPool()
			if err != nil {
				pool = x509.NewCertPool()
			}
			for _, pem := range r.way.roots {
				pool.AppendCertsFromPEM(pem)
			}
			t.TLSClientConfig = &tls.Config{RootCAs: pool}
		}
		r.client = &registry.Client{
			Keychain:  registry.DockerKeychain(d.env("DOCKER_CONFIG")),
			Transport: t,
			PlainHTTP: func(host string) bool { return slices.Contains(r.plainHTTP, host) },
			UserAgent: "canvos",
		}
	})
	return r.client
}

// proxy is which one a request takes. golang.org/x/net knows the rules of NO_PROXY
// that everybody else follows.
func (d *door) proxy(w way) func(*http.Request) (*url.URL, error) {
	either := func(own, upper, lower string) string { return cmp.Or(own, d.env(upper), d.env(lower)) }
	of := (&httpproxy.Config{
		HTTPProxy:  either(w.httpProxy, "HTTP_PROXY", "http_proxy"),
		HTTPSProxy: either(w.httpsProxy, "HTTPS_PROXY", "https_proxy"),
		NoProxy:    either(w.noProxy, "NO_PROXY", "no_proxy"),
	}).ProxyFunc()
	return func(q *http.Request) (*url.URL, error) { return of(q.URL) }
}
