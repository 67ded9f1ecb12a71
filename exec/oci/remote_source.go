package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/store"
)

// remoteHolder reads one repository of a registry.
type remoteHolder struct {
	repository string
	*Remotes
}

// Remotes is how registries are reached. The zero value asks nobody's
// credentials and uses the ordinary transport.
type Remotes struct {
	Keychain  authn.Keychain
	Transport http.RoundTripper
	// PlainHTTP says of a host that it is asked without TLS. Loopback always is.
	PlainHTTP func(host string) bool
}

// naming is how a reference is read: with TLS, but for loopback and what PlainHTTP
// names.
func (r *Remotes) naming(reference string) []name.Option {
	host, _, _ := strings.Cut(reference, "/")
	if r.PlainHTTP != nil && r.PlainHTTP(host) {
		return []name.Option{name.Insecure}
	}
	return nil
}

func (r *Remotes) options(ctx context.Context) []remote.Option {
	opts := []remote.Option{remote.WithContext(ctx)}
	if r.Keychain != nil {
		opts = append(opts, remote.WithAuthFromKeychain(r.Keychain))
	}
	if r.Transport != nil {
		opts = append(opts, remote.WithTransport(r.Transport))
	}
	return opts
}

func (h *remoteHolder) manifest(ctx context.Context, reference string) ([]byte, string, error) {
	ref, err := name.ParseReference(reference, h.naming(reference)...)
	if err != nil {
		return nil, "", err
	}
	d, err := remote.Get(ref, h.options(ctx)...)
	if err != nil {
		return nil, "", absent(err)
	}
	return d.Manifest, string(d.MediaType), nil
}

func (h *remoteHolder) blob(ctx context.Context, d plan.Digest, _ int64) (io.ReadCloser, error) {
	ref, err := name.NewDigest(h.repository+"@"+string(d), h.naming(h.repository)...)
	if err != nil {
		return nil, err
	}
	l, err := remote.Layer(ref, h.options(ctx)...)
	if err != nil {
		return nil, absent(err)
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, absent(err)
	}
	return verified{r}, nil
}

func (h *remoteHolder) known() []string { return nil }

// absent tells a registry's "not found", and what is not what was asked for, from
// other answers.
func absent(err error) error {
	var t *transport.Error
	switch {
	case errors.As(err, &t) && t.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w", fs.ErrNotExist)
	case err != nil && strings.Contains(err.Error(), "does not match requested digest"):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}

// verified tells that the library found content to be another than was asked
// for; its error has a type that only the library can name.
type verified struct{ io.ReadCloser }

func (v verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	if err != nil && strings.Contains(err.Error(), "error verifying") {
		err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return n, err
}
