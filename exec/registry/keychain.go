package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// DockerKeychain is Docker's configuration and the credential helpers it names,
// as the docker command would use them. What a helper that fails has written is not
// part of the error: it may be the credentials. dir is what DOCKER_CONFIG says; ""
// is Docker's own place.
func DockerKeychain(dir string) authn.Keychain { return dockerKeychain{dir} }

type dockerKeychain struct{ dir string }

func (k dockerKeychain) Resolve(of authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), of)
}

// ResolveContext does not wait for a helper longer than ctx lasts.
func (k dockerKeychain) ResolveContext(ctx context.Context, of authn.Resource) (authn.Authenticator, error) {
	var who authn.Authenticator
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		who, err = authn.DefaultKeychain.Resolve(of)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, helperError(err, k.dir, of)
	}
	return who, nil
}

// harmless is what well-known helpers say when they cannot be used.
var harmless = []string{
	"credentials not found in native keychain",
	"no credentials server URL",
	"no credentials username",
	"pass not initialized",
	"Cannot autolaunch D-Bus without X11 $DISPLAY",
	"The name org.freedesktop.secrets was not provided by any .service files",
	"User interaction is not allowed.",
}

// helperError is an error of Docker's keychain without what a helper has written,
// which the library puts into its text:
//
//	error getting credentials - err: exit status 1, out: `…`
func helperError(err error, dir string, of authn.Resource) error {
	program, key := helperOf(dir, of)
	text, failed := strings.CutPrefix(err.Error(), "error getting credentials - err: ")
	switch _, garbled := errors.AsType[*json.SyntaxError](err); {
	case failed:
		why, wrote, _ := strings.Cut(text, ", out: `")
		why = line(why, 200)
		if program != "" && !strings.Contains(why, program) {
			why = program + ": " + why
		}
		wrote = strings.TrimSpace(strings.TrimSuffix(wrote, "`"))
		switch {
		case wrote == "":
			return errors.New(why)
		case slices.Contains(harmless, wrote):
			return errors.New(why + ": " + wrote)
		case program == "":
			return errors.New(why + "; what the credential helper wrote may be secret")
		}
		return fmt.Errorf("%s; what it wrote may be secret, and is shown by: echo %s | %s get", why, key, program)
	case program != "":
		return fmt.Errorf("%s: what it says cannot be read", program)
	case garbled && !strings.HasPrefix(err.Error(), "parsing config file"):
		return errors.New("what a credential helper says cannot be read")
	}
	return err
}

// helperOf is the helper that Docker's configuration names for a host, and what it
// is asked for; "" if there is none.
func helperOf(dir string, of authn.Resource) (program, key string) {
	file, err := config.Load(dir)
	if err != nil {
		return "", ""
	}
	key = of.RegistryStr()
	if key == name.DefaultRegistry {
		key = authn.DefaultAuthKey
	}
	helper := file.CredentialsStore
	if own, ok := file.CredentialHelpers[key]; ok {
		helper = own
	}
	if helper == "" {
		return "", ""
	}
	return "docker-credential-" + helper, key
}
