package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Account is who the registry of a reference, or repository, is asked as, for a
// person: "acme", "a token", or "" for nobody.
func (c *Client) Account(ctx context.Context, reference string) (string, error) {
	r, err := c.repository(reference)
	if err != nil {
		return "", err
	}
	who, err := r.auth.identity(ctx)
	switch {
	case err != nil:
		return "", err
	case who.Username != "" && who.Username != "<token>":
		return who.Username, nil
	case *who != authn.AuthConfig{}:
		return "a token", nil
	}
	return "", nil
}

// DockerHelper is the program that Docker's configuration asks for the credentials
// of a host: "docker-credential-pass"; "" if they are in the configuration itself,
// or it cannot be read. dir is as for DockerKeychain.
func DockerHelper(dir, host string) string {
	reg, err := name.NewRegistry(host)
	if err != nil {
		return ""
	}
	program, _ := helperOf(dir, reg)
	return program
}
