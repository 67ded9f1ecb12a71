package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"canvos.dev/exec/image"
)

// keys is a keychain of one entry.
type keys authn.AuthConfig

func (k keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

// htpasswd is the line of "tester" with the password "correct horse", by bcrypt at
// its least cost.
const htpasswd = "tester:$2b$04$WCsuSlSmJ6.O6dDdcRl3EOQBEfuakAVWFozJKh6DAFouvqkZVhLRm\n"

func TestBasicAuth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte(htpasswd), 0o600); err != nil {
		t.Fatal(err)
	}
	host := startRegistry(t, map[string]string{"top": fmt.Sprintf("auth: {htpasswd: {realm: canvos, path: %q}}", file)})
	ctx := context.Background()
	img := imageOf(t, host+"/acme/x:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)))
	push := func(k authn.Keychain) error {
		c := quick()
		c.Keychain = k
		_, err := NewPublisher(c, nil, 0).Push(ctx, []image.Image{img}, PushOptions{})
		return err
	}
	if err := push(keys{Username: "tester", Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	c := quick()
	c.Keychain = keys{Username: "tester", Password: "correct horse"}
	wantWhole(t, c, img.Reference, img)
	if err := c.Reach(ctx, img.Reference, true); err != nil {
		t.Error(err)
	}

	for _, k := range []struct {
		name string
		keys authn.Keychain
		want string
	}{
		{"none", nil, host + " wants credentials and there are none"},
		{"wrong", keys{Username: "tester", Password: "battery staple"}, host + " does not accept the credentials (401)"},
		{"empty", keys{}, host + " wants credentials and there are none"},
	} {
		err := push(k.keys)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unauthorized || !strings.Contains(err.Error(), k.want) || !strings.Contains(e.Help(), "docker login "+host) {
			t.Errorf("%s: %v", k.name, err)
		}
		c := quick()
		c.Keychain = k.keys
		if err := c.Reach(ctx, img.Reference, false); !errors.As(err, &e) || e.Kind != Unauthorized {
			t.Errorf("%s: reach: %v", k.name, err)
		}
	}

	t.Run("docker configuration", func(t *testing.T) {
		dir := t.TempDir()
		auth := base64.StdEncoding.EncodeToString([]byte("tester:correct horse"))
		if err := os.WriteFile(filepath.Join(dir, "config.json"), mustJSON(t, map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}}), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("DOCKER_CONFIG", dir)
		if err := push(DockerKeychain(os.Getenv("DOCKER_CONFIG"))); err != nil {
			t.Error(err)
		}
	})
	t.Run("credential helper", func(t *testing.T) {
		dir := t.TempDir()
		helper := "#!/bin/sh\ncat >/dev/null\necho '{\"Username\":\"tester\",\"Secret\":\"correct horse\"}'\n"
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-shelf"), []byte(helper), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), mustJSON(t, map[string]any{"credHelpers": map[string]string{host: "shelf"}}), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("DOCKER_CONFIG", dir)
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		if err := push(DockerKeychain(os.Getenv("DOCKER_CONFIG"))); err != nil {
			t.Error(err)
		}
	})
}

// tokens is a token service, and the guard of a registry that believes it. Its
// tokens are good for a number of requests, so that they expire at a known place.
type tokens struct {
	*httptest.Server
	uses int // of each token

	mu     sync.Mutex
	issued int
	left   map[string]int
	scopes map[string][]string
	given  []string // Authorization headers of those who asked for tokens
}

func startTokens(t *testing.T, p *proxy, uses int) *tokens {
	s := &tokens{uses: uses, left: map[string]int{}, scopes: map[string][]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.ParseForm()
		given := r.Header.Get("Authorization")
		if r.Method == "POST" {
			given = "refresh " + r.Form.Get("refresh_token")
		}
		s.given = append(s.given, given)
		if user, password, _ := r.BasicAuth(); r.Method != "POST" && (user != "tester" || password != "correct horse") {
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no, %s"}]}`, password)
			return
		}
		s.issued++
		token := fmt.Sprintf("secret-token-%d", s.issued)
		s.left[token] = s.uses
		s.scopes[token] = strings.Fields(strings.Join(r.Form["scope"], " "))
		json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
	}))
	t.Cleanup(s.Close)
	p.guard = func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
		repo, _, _ = strings.Cut(repo, "/manifests/")
		repo, _, _ = strings.Cut(repo, "/tags/")
		want := []string{"repository:" + repo + ":pull,push"}
		if r.Method == "GET" || r.Method == "HEAD" {
			want = append(want, "repository:"+repo+":pull")
		}
		from := r.URL.Query().Get("from")
		covered := slices.ContainsFunc(want, func(w string) bool { return slices.Contains(s.scopes[token], w) }) &&
			(from == "" || slices.Contains(s.scopes[token], "repository:"+from+":pull"))
		if s.left[token] > 0 && covered {
			s.left[token]--
			return true
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="canvos test",scope="repository:%s:pull"`, s.URL, repo))
		w.WriteHeader(401)
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"token %s is not good"}]}`, token)
		return false
	}
	return s
}

// TestTokens checks that a push survives that its tokens expire at any place of it.
func TestTokens(t *testing.T) {
	host := startRegistry(t, nil)
	for uses := 1; uses <= 6; uses++ {
		t.Run(fmt.Sprintf("%d uses", uses), func(t *testing.T) {
			px := startProxy(t, host)
			s := startTokens(t, px, uses)
			c := quick()
			c.Keychain = keys{Username: "tester", Password: "correct horse"}
			// One at a time, so that it is known which request finds its token
			// expired; two that share one of a single use may starve each other.
			c.Limits.Connections = 1
			shared := blobOf(image.Gzip, noise(17<<20))
			images := []image.Image{
				imageOf(t, fmt.Sprintf("%s/acme/u%d:a", px.host, uses), "f", "amd64", shared),
				imageOf(t, fmt.Sprintf("%s/acme/u%d-2:a", px.host, uses), "f", "amd64", shared),
			}
			if _, err := NewPublisher(c, nil, 1).Push(context.Background(), images, PushOptions{Jobs: 1}); err != nil {
				t.Fatal(err)
			}
			for _, img := range images {
				wantWhole(t, c, img.Reference, img)
			}
			if n := px.count("POST mount"); n == 0 {
				t.Error("nothing was mounted")
			}
			if s.issued > 40/uses+4 {
				t.Errorf("%d tokens asked for", s.issued)
			}
		})
	}
}

func TestTokenErrors(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	s := startTokens(t, px, 100)
	ctx := context.Background()
	for _, c := range []struct {
		name string
		keys authn.Keychain
		want string
	}{
		{"none", nil, "wants credentials and there are none"},
		{"wrong", keys{Username: "tester", Password: "battery staple"}, "does not accept the credentials (401 no, ***)"},
		{"a token of the person's that is no good", keys{RegistryToken: "stale-registry-token"}, "does not accept the credentials (401)"},
	} {
		cl := quick()
		cl.Keychain = c.keys
		_, err := cl.Head(ctx, px.host+"/acme/x:a")
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unauthorized || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, secret := range []string{"battery", "stale-registry-token", "secret-token"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v holds a secret", c.name, err)
			}
		}
	}
	cl := quick()
	cl.Keychain = keys{IdentityToken: "refresh me"}
	if _, err := cl.Head(ctx, px.host+"/acme/x:a"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
	if last := s.given[len(s.given)-1]; last != "refresh refresh me" {
		t.Errorf("the token service was given %q", last)
	}
	// A token for something else than what is asked.
	s.uses = 0
	cl = quick()
	cl.Keychain = keys{Username: "tester", Password: "correct horse"}
	_, err := cl.Head(ctx, px.host+"/acme/x:a")
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Unauthorized || strings.Contains(err.Error(), "secret-token") {
		t.Error(err)
	}
}

// TestSignedTokens is with a registry that checks real tokens: the first is long
// expired.
func TestSignedTokens(t *testing.T) {
	ca := newCA(t)
	var mu sync.Mutex
	issued := 0
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		issued++
		now := time.Now()
		if issued == 1 {
			now = now.Add(-time.Hour)
		}
		mu.Unlock()
		var access []map[string]any
		for _, s := range r.URL.Query()["scope"] {
			f := strings.Split(s, ":")
			access = append(access, map[string]any{"type": f[0], "name": f[1], "actions": strings.Split(f[2], ",")})
		}
		header := mustJSON(t, map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(ca.der)}})
		claims := mustJSON(t, map[string]any{
			"iss": "canvos test", "aud": r.URL.Query().Get("service"), "sub": "tester", "jti": "1",
			"iat": now.Unix(), "nbf": now.Add(-time.Second).Unix(), "exp": now.Add(5 * time.Minute).Unix(), "access": access,
		})
		signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
		sum := sha256.Sum256([]byte(signed))
		a, b, err := ecdsa.Sign(rand.Reader, ca.key, sum[:])
		if err != nil {
			t.Error(err)
			return
		}
		signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
		json.NewEncoder(w).Encode(map[string]any{"access_token": signed + "." + base64.RawURLEncoding.EncodeToString(signature)})
	}))
	defer auth.Close()
	host := startRegistry(t, map[string]string{"top": fmt.Sprintf("auth: {token: {realm: %q, service: registry, issuer: canvos test, rootcertbundle: %q}}", auth.URL+"/token", ca.file)})
	ctx := context.Background()
	c := quick()
	images := []image.Image{imageOf(t, host+"/acme/x:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)))}
	if _, err := NewPublisher(c, nil, 0).Push(ctx, images, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, c, images[0].Reference, images[0])
	if issued < 2 {
		t.Errorf("%d tokens issued", issued)
	}
}

// authority is a private certificate authority that signs for loopback, itself.
type authority struct {
	file, keyFile string // PEM
	der           []byte
	key           *ecdsa.PrivateKey
}

func newCA(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "canvos test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := authority{file: filepath.Join(dir, "ca.pem"), keyFile: filepath.Join(dir, "key.pem"), der: der, key: key}
	for file, block := range map[string]*pem.Block{a.file: {Type: "CERTIFICATE", Bytes: der}, a.keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestPrivateTLS(t *testing.T) {
	ca := newCA(t)
	host := startRegistry(t, map[string]string{"http": fmt.Sprintf("  tls: {certificate: %q, key: %q}", ca.file, ca.keyFile)})
	ctx := context.Background()
	_, err := quick().Head(ctx, host+"/acme/x:a")
	var e *Error
	if !errors.As(err, &e) || e.Kind != Untrusted || !strings.Contains(e.Help(), "SSL_CERT_FILE") {
		t.Errorf("an unknown authority: %v", err)
	}
	c := quick()
	tr := NewTransport(nil)
	pool := x509.NewCertPool()
	pemBytes, err := os.ReadFile(ca.file)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pemBytes)
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	c.Transport = tr
	img := imageOf(t, host+"/acme/x:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)))
	if _, err := NewPublisher(c, nil, 0).Push(ctx, []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, c, img.Reference, img)

	// The system's pool is read once in a process, so another one has to.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REGISTRY_TEST_ROLE=head", "REGISTRY_TEST_REFERENCE="+img.Reference, "SSL_CERT_FILE="+ca.file)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != string(img.Digest) {
		t.Errorf("with SSL_CERT_FILE: %v %s", err, out)
	}
}

func TestPlainHTTPOnlyWhereAllowed(t *testing.T) {
	host := startRegistry(t, nil)
	_, port, _ := net.SplitHostPort(host)
	named := "registry.example:" + port
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	c := quick()
	tr := NewTransport(nil)
	tr.DialContext = dial
	c.Transport = tr
	_, err := c.Head(context.Background(), named+"/acme/x:a")
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unreachable || !strings.Contains(err.Error(), "plain HTTP") || !strings.Contains(e.Help(), "--plain-http "+named) {
		t.Errorf("not allowed: %v", err)
	}
	c = quick()
	c.Transport = tr
	c.PlainHTTP = func(h string) bool { return h == named }
	if _, err = c.Head(context.Background(), named+"/acme/x:a"); !errors.As(err, &e) || e.Kind != NotFound {
		t.Errorf("allowed: %v", err)
	}
}

// TestBlobStores is a registry that keeps its blobs elsewhere: it redirects reads,
// and gives addresses of another host for uploads. That host, like object stores,
// refuses requests with an authorisation that is not its own.
func TestBlobStores(t *testing.T) {
	host := startRegistry(t, nil)
	px := startProxy(t, host)
	store := startProxy(t, host)
	store.guard = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(400)
			io.WriteString(w, "only one auth mechanism allowed")
			return false
		}
		return true
	}
	s := startTokens(t, px, 1000)
	checked := px.guard
	px.guard = func(w http.ResponseWriter, r *http.Request) bool {
		if !checked(w, r) {
			return false
		}
		switch kind(r) {
		case "blob":
			http.Redirect(w, r, store.URL+r.URL.Path+"?X-Signature=signed-by-the-store", http.StatusTemporaryRedirect)
			return false
		case "uploads":
			rec := httptest.NewRecorder()
			px.pass(rec, r)
			u, _ := url.Parse(rec.Header().Get("Location"))
			u.Host = store.host
			w.Header().Set("Location", u.String())
			w.WriteHeader(rec.Code)
			return false
		}
		return true
	}
	c := quick()
	c.Keychain = keys{Username: "tester", Password: "correct horse"}
	img := imageOf(t, px.host+"/acme/x:a", "f", "amd64", blobOf(image.Gzip, noise(20<<20)), blobOf(image.Gzip, noise(1<<20)))
	if _, err := NewPublisher(c, nil, 0).Push(context.Background(), []image.Image{img}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	store.hurt("GET blob", 2, answerCut(300<<10, func() {}))
	wantWhole(t, c, img.Reference, img)
	if store.count("PATCH upload") == 0 || store.count("GET blob") == 0 || store.done != 2 {
		t.Errorf("the blob store was asked %v", store.counts)
	}
	if s.issued == 0 {
		t.Error("no token was asked for")
	}
	store.hurt("GET blob", 1, says(403, "AccessDenied", "no"))
	_, err := c.Blob(context.Background(), px.host+"/acme/x", img.Blobs[1].Digest, img.Blobs[1].Size)
	if err == nil || strings.Contains(err.Error(), "signed-by-the-store") {
		t.Errorf("error %v", err)
	}
}

// TestWithoutMount is a registry that does not mount: blobs are sent to each
// repository, and mounting is not tried for ever.
func TestWithoutMount(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	px.guard = func(w http.ResponseWriter, r *http.Request) bool {
		if kind(r) == "mount" {
			r.URL.RawQuery = ""
		}
		return true
	}
	shared := blobOf(image.Gzip, noise(100<<10))
	var images []image.Image
	for i := range 12 {
		images = append(images, imageOf(t, fmt.Sprintf("%s/acme/x%d:a", px.host, i), fmt.Sprintf("f%d", i), "amd64", shared))
	}
	if _, err := NewPublisher(quick(), nil, 2).Push(context.Background(), images, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		wantThere(t, img)
	}
	// Some are under way when the first ones are refused.
	if n := px.count("POST mount"); n > 8 {
		t.Errorf("%d mounts tried", n)
	}
	if _, up := px.sums(); up > int64(len(images))*(shared.Size+4096) {
		t.Errorf("%d bytes sent", up)
	}
}

// TestTokensRevokedTogether is a client with several tokens that would do for a
// request, all of which have ended before their time: it takes one new token.
func TestTokensRevokedTogether(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	s := startTokens(t, px, 1000)
	c := quick()
	c.Keychain = keys{Username: "tester", Password: "correct horse"}
	ctx := context.Background()
	r, err := c.repository(px.host + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	d := blobOf(image.Gzip, noise(100)).Digest
	for i := range 5 {
		if _, _, err := r.mount(ctx, d, fmt.Sprintf("x/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	before := s.issued
	clear(s.left)
	s.mu.Unlock()
	for range 3 {
		if _, err := r.has(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	if s.issued != before+1 || before < 5 {
		t.Errorf("%d tokens, then %d more", before, s.issued-before)
	}
}
