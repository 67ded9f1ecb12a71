package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// auth is how a host wants to be told who asks. Nothing is known before its first
// 401: hosts that want nothing are asked nothing.
//
// The protocol is that of https://distribution.github.io/distribution/spec/auth/.
type auth struct {
	h        *host
	registry name.Registry

	mu      sync.Mutex
	scheme  string // "", "basic", "bearer"
	realm   string
	service string
	who     *authn.AuthConfig
	tokens  map[string]*tokenSlot // by scopes
	issued  int                   // tokens, ever
	secrets []string
}

// tokenSlot is the token for some scopes.
type tokenSlot struct {
	scopes  []string
	gate    chan struct{} // whoever holds it may fetch
	value   string
	number  int // of the token, in the order in which they came
	expires time.Time
}

// proof is what a request is sent with.
type proof struct {
	header string // "" if it needs none
	issued int    // tokens, when it was chosen
}

// covers says whether the token is good for scopes: one that may pull and push may
// pull.
func (s *tokenSlot) covers(scopes []string) bool {
	return s.value != "" && time.Now().Before(s.expires) && !slices.ContainsFunc(scopes, func(want string) bool {
		return !slices.Contains(s.scopes, want) && !slices.Contains(s.scopes, strings.TrimSuffix(want, ":pull")+":pull,push")
	})
}

// authorize is the proof for a request.
func (a *auth) authorize(ctx context.Context, scopes []string) (proof, error) {
	a.mu.Lock()
	scheme := a.scheme
	a.mu.Unlock()
	if scheme == "" {
		return proof{}, nil
	}
	who, err := a.identity(ctx)
	if err != nil {
		return proof{}, err
	}
	switch {
	case who.RegistryToken != "":
		return proof{header: "Bearer " + who.RegistryToken}, nil
	case scheme == "basic" && who.Username == "" && who.Password == "":
		return proof{}, a.refused(http.StatusUnauthorized, "")
	case scheme == "basic":
		return proof{header: basic(who)}, nil
	}
	return a.token(ctx, who, scopes)
}

// identity is what the keychain has for the host, asked once.
func (a *auth) identity(ctx context.Context) (*authn.AuthConfig, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.who != nil {
		return a.who, nil
	}
	who := &authn.AuthConfig{}
	if a.h.c.Keychain != nil {
		found, err := authn.Resolve(ctx, a.h.c.Keychain, a.registry)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return nil, cause
		}
		if err != nil {
			return nil, fmt.Errorf("read credentials for %s: %w", a.h.shown, err)
		}
		if who, err = authn.Authorization(ctx, found); err != nil {
			return nil, fmt.Errorf("read credentials for %s: %w", a.h.shown, err)
		}
	}
	a.who = who
	a.secrets = append(a.secrets, who.Password, who.IdentityToken, who.RegistryToken, who.Auth, strings.TrimPrefix(basic(who), "Basic "))
	return who, nil
}

func basic(who *authn.AuthConfig) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(who.Username+":"+who.Password))
}

func (a *auth) anonymous() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.who == nil || *a.who == authn.AuthConfig{}
}

// token is one that covers scopes and is not about to expire.
func (a *auth) token(ctx context.Context, who *authn.AuthConfig, scopes []string) (proof, error) {
	slot, found := a.find(scopes)
	if found.header != "" {
		return found, nil
	}
	select {
	case slot.gate <- struct{}{}: // so that many who need it fetch it once
		defer func() { <-slot.gate }()
	case <-ctx.Done():
		return proof{}, context.Cause(ctx)
	}
	if _, found := a.find(scopes); found.header != "" {
		return found, nil
	}
	var value string
	var expires time.Time
	err := a.h.c.repeat(ctx, a.h, "fetch a token for "+a.h.shown, func() (bool, error) {
		var err error
		value, expires, err = a.fetch(ctx, who, scopes)
		return false, err
	})
	if err != nil {
		return proof{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued++
	slot.value, slot.number, slot.expires = value, a.issued, expires
	a.secrets = append(a.secrets, value)
	return proof{"Bearer " + value, a.issued}, nil
}

// find is a token that covers scopes, if there is one, and else where to put it.
func (a *auth) find(scopes []string) (slot *tokenSlot, found proof) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.Join(scopes, " ")
	if a.tokens[key] == nil {
		a.tokens[key] = &tokenSlot{scopes: scopes, gate: make(chan struct{}, 1)}
	}
	if slot = a.tokens[key]; slot.covers(scopes) {
		return slot, proof{"Bearer " + slot.value, a.issued}
	}
	for _, other := range a.tokens {
		if other.covers(scopes) {
			return slot, proof{"Bearer " + other.value, a.issued}
		}
	}
	return slot, proof{}
}

// fetch asks the token service.
func (a *auth) fetch(ctx context.Context, who *authn.AuthConfig, scopes []string) (string, time.Time, error) {
	var none time.Time
	a.mu.Lock()
	realm, service := a.realm, a.service
	a.mu.Unlock()
	u, err := url.Parse(realm)
	if err != nil || u.Host == "" {
		return "", none, &Error{Kind: Refused, Host: a.h.shown, Message: "it names a token service whose address cannot be read"}
	}
	reg, err := name.NewRegistry(u.Host)
	if err != nil {
		return "", none, &Error{Kind: Refused, Host: a.h.shown, Message: "it names a token service whose address cannot be read"}
	}
	server := a.h.c.host(reg)
	q := request{method: "GET", ok: []int{200}, bare: true, most: 1 << 20, header: map[string]string{}}
	form := u.Query()
	if service != "" {
		form.Set("service", service)
	}
	switch {
	case who.IdentityToken != "":
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", who.IdentityToken)
		form.Set("client_id", "canvos")
		form.Set("scope", strings.Join(scopes, " "))
		body := form.Encode()
		u.RawQuery = ""
		q.method, q.size, q.secret = "POST", int64(len(body)), true
		q.body = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		q.header["Content-Type"] = "application/x-www-form-urlencoded"
	default:
		for _, s := range scopes {
			form.Add("scope", s)
		}
		u.RawQuery = form.Encode()
		if who.Username != "" || who.Password != "" {
			q.authorization = basic(who)
		}
	}
	q.url = u
	asked := time.Now()
	r, err := server.do(ctx, q)
	if e := mine(ctx, err); e != nil {
		// It is the registry that the person has named.
		e.Message = a.hide(e.Message)
		if e.Status == 400 || e.Status == 401 || e.Status == 403 {
			return "", none, a.refused(http.StatusUnauthorized, e.Message)
		}
		return "", none, err
	} else if err != nil {
		return "", none, err
	}
	var t struct {
		Token       string
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if json.Unmarshal(r.body, &t); t.Token == "" {
		t.Token = t.AccessToken
	}
	if t.Token == "" {
		return "", none, &Error{Kind: Refused, Host: a.h.shown, Message: "its token service gives no token"}
	}
	life := time.Duration(t.ExpiresIn) * time.Second
	if life <= 0 {
		life = time.Minute // as the protocol says
	}
	return t.Token, asked.Add(life * 9 / 10), nil
}

// challenged takes a 401 in. used is what did not do; last says that there will be no
// other attempt.
func (a *auth) challenged(h http.Header, used proof, last bool) error {
	scheme, params := parseChallenge(h.Values("WWW-Authenticate"))
	basicAgain := scheme == "basic" && strings.HasPrefix(used.header, "Basic ")
	a.mu.Lock()
	given := a.who != nil && a.who.RegistryToken != ""
	a.mu.Unlock()
	if last || scheme == "" || basicAgain || given {
		if params["error"] == "insufficient_scope" {
			return a.refused(http.StatusForbidden, "")
		}
		return a.refused(http.StatusUnauthorized, "")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scheme, a.realm, a.service = scheme, params["realm"], params["service"]
	// What has ended one token before its time, a new key or a restart, has most
	// likely ended all that are as old: none of them is worth a request.
	for _, slot := range a.tokens {
		if slot.number <= used.issued {
			slot.value = ""
		}
	}
	return nil
}

// refused is the Error of credentials that do not do.
func (a *auth) refused(status int, message string) error {
	e := &Error{Kind: Unauthorized, Host: a.h.shown, Status: status, Message: message}
	if a.anonymous() {
		e.Err = errNoCredentials
	} else if status == http.StatusForbidden {
		e.Kind = Denied
	}
	return e
}

// hide blanks what is secret.
func (a *auth) hide(s string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, secret := range a.secrets {
		if len(secret) >= 4 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

// parseChallenge picks the best of a 401's challenges, as RFC 9110 section 11.3
// writes them: `Bearer realm="https://…",service="…"`.
func parseChallenge(headers []string) (scheme string, params map[string]string) {
	known := []string{"bearer", "basic"}
	best := len(known)
	for _, h := range headers {
		name, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		rank := slices.Index(known, strings.ToLower(name))
		if rank < 0 || rank >= best {
			continue
		}
		best, scheme, params = rank, known[rank], map[string]string{}
		for rest = strings.TrimSpace(rest); rest != ""; {
			key, after, ok := strings.Cut(rest, "=")
			if !ok {
				break
			}
			value := ""
			if quoted, ok := strings.CutPrefix(after, `"`); ok {
				value, rest, _ = strings.Cut(quoted, `"`)
				_, rest, _ = strings.Cut(rest, ",")
			} else {
				value, rest, _ = strings.Cut(after, ",")
			}
			params[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
			rest = strings.TrimSpace(rest)
		}
	}
	return scheme, params
}
