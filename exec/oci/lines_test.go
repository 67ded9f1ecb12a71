package oci

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestKeptOf(t *testing.T) {
	out := targetIn(t, filepath.Join(t.TempDir(), "out"))
	for _, ref := range []string{"k3s-1.30.4-v4.4.12-demo", "k3s-1.29.8-v4.4.12-demo", "k3s-1.29.8-v4.4.12-demo-r2", "k3s-1.29.8-v4.4.12-other", "rke2-1.29.8-v4.4.12-demo"} {
		put(t, out, ready(t, "docker.io/acme/ubuntu:"+ref, "f", ref))
	}
	kept, err := KeptOf(t.Context(), out, []string{demoLine, "docker.io/acme/none:k3s-*"}, func(ref string) bool { return strings.HasSuffix(ref, "1.30.4-v4.4.12-demo") })
	if want := "kept  ubuntu:k3s-1.29.8-v4.4.12-demo: no longer declared\nkept  ubuntu:k3s-1.29.8-v4.4.12-demo-r2: no longer declared"; err != nil || decided(kept) != want {
		t.Errorf("%v\n%s", err, decided(kept))
	}
}

func TestInLine(t *testing.T) {
	for _, c := range []struct {
		line, reference string
		want            bool
	}{
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r12", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.10.0-rc.2-demo", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-rx", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-my-demo", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12", false},
		{"a/u:k3s-*-demo", "a/u:k3s-latest-demo", false},
		{"a/u:k3s-*-demo", "a/ubuntu:k3s-1.30.4-v4.4.12-demo", false},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12-r2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.10.0-rc.2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12-demo", false},
		// Of two lines that one could take it for, it is of the first.
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r2", true},
		{"a/u:k3s-*-demo-r2", "a/u:k3s-1.30.4-v4.4.12-demo-r2", false},
		{"a/u:k3s-*-demo-r2", "a/u:k3s-1.30.4-v4.4.12-demo-r2-r2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.10.0-rc.2-r2", true},
		{"a/u:k3s-*-rc.x", "a/u:k3s-1.30.4-v4.10.0-rc.x", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-r2-demo", false},
		{"a/u:kubeadm-*-x", "a/u:kubeadm-fips-1.30.4-v4.4.12-x", false},
		{"a/u:kubeadm-fips-*-x", "a/u:kubeadm-fips-1.30.4-v4.4.12-x", true},
	} {
		if got := InLine(c.line, c.reference); got != c.want {
			t.Errorf("%s, %s: %t", c.line, c.reference, got)
		}
	}
}
