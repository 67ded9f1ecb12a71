package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shelf makes a credential helper of a shell script, and Docker's configuration that
// names it for a host.
func shelf(t *testing.T, host, script string) {
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-shelf"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), mustJSON(t, map[string]any{"credHelpers": map[string]string{host: "shelf"}}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestHelpersThatFail checks that an error names the helper and how it ended, and holds
// nothing that it wrote but what is known to be harmless.
func TestHelpersThatFail(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	px.guard = func(w httpWriter, _ *httpRequest) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(401)
		return false
	}
	read := "ask for HOST/acme/x:a: read credentials for HOST: docker-credential-shelf: "
	for _, c := range []struct{ name, script, want string }{
		{"secret", "echo bad HELPERSECRET thing; exit 3", read + "exit status 3; what it wrote may be secret, and is shown by: echo HOST | docker-credential-shelf get"},
		{"silence", "exit 1", read + "exit status 1"},
		{"killed", "kill -9 $$", read + "signal: killed"},
		{"harmless", "echo pass not initialized; exit 1", read + "exit status 1: pass not initialized"},
		{"harmless beside a secret", "echo pass not initialized; echo HELPERSECRET; exit 1", read + "exit status 1; what it wrote may be secret, and is shown by: echo HOST | docker-credential-shelf get"},
		{"as the library says it", "echo ', out: `HELPERSECRET`'; exit 1", read + "exit status 1; what it wrote may be secret, and is shown by: echo HOST | docker-credential-shelf get"},
		{"no JSON", "echo HELPERSECRET", read + "what it says cannot be read"},
		{"half of it", `printf '{"Username":"tester","Secret":"HELPERSECRET'`, read + "what it says cannot be read"},
		{"other JSON", `echo '{"Username":"tester","Secret":["HELPERSECRET"]}'`, read + "what it says cannot be read"},
		{"nobody", "echo credentials not found in native keychain; exit 1", "ask for HOST/acme/x:a: HOST wants credentials and there are none (401)"},
		{"no helper", "", `ask for HOST/acme/x:a: read credentials for HOST: exec: "docker-credential-shelf": executable file not found in $PATH`},
	} {
		t.Run(c.name, func(t *testing.T) {
			shelf(t, px.host, c.script)
			cl := quick()
			cl.Keychain = DockerKeychain(os.Getenv("DOCKER_CONFIG"))
			_, err := cl.Head(context.Background(), px.host+"/acme/x:a")
			if err == nil || err.Error() != strings.ReplaceAll(c.want, "HOST", px.host) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("named by nobody", func(t *testing.T) { // as by a configuration of Podman's
		shelf(t, "elsewhere.example", "")
		r, err := quick().repository(px.host + "/acme/x:a")
		if err != nil {
			t.Fatal(err)
		}
		err = helperError(errors.New("error getting credentials - err: exit status 1, out: `HELPERSECRET`"), os.Getenv("DOCKER_CONFIG"), r.auth.registry)
		if err.Error() != "exit status 1; what the credential helper wrote may be secret" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("waits for a person", func(t *testing.T) {
		shelf(t, px.host, `while [ -e "$0" ]; do sleep 0.1; done`)
		cl := quick()
		cl.Keychain = DockerKeychain(os.Getenv("DOCKER_CONFIG"))
		ctx, stop := context.WithTimeoutCause(context.Background(), 100*time.Millisecond, errors.New("enough"))
		defer stop()
		begun := time.Now()
		if _, err := cl.Head(ctx, px.host+"/acme/x:a"); err == nil || !strings.HasSuffix(err.Error(), "enough") || time.Since(begun) > 30*time.Second {
			t.Errorf("error %v after %s", err, time.Since(begun))
		}
	})
}
