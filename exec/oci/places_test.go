package oci

import (
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	places, err := NewPlaces("sites/a", []Rule{
		{"docker.io", "mirror.example/hub/"},
		{"docker.io/acme", "oci:layouts/acme"},
		{"docker.io/acme/base:22.04", "dir:../stand-ins/base"},
		{"docker.io/acme/tools/", "oci-archive:tools.tar"},
		{"quay.io/x", "docker-archive:./x.tar"},
		{"quay.io/x@sha256:12", "oci:pinned"},
		{"quay.io/y:1", "oci:y"},
	})
	check(t, err)
	for reference, want := range map[string]string{
		"docker.io/library/debian:12":    "mirror.example/hub/library/debian:12",
		"docker.io.evil/x:1":             "docker.io.evil/x:1",
		"docker.io/acme/base:22.04":      "dir:sites/stand-ins/base",
		"docker.io/acme/base:22.04-arm":  "oci:sites/a/layouts/acme docker.io/acme/base:22.04-arm base:22.04-arm",
		"docker.io/acme/other:1":         "oci:sites/a/layouts/acme docker.io/acme/other:1 other:1",
		"docker.io/acme:1":               "oci:sites/a/layouts/acme docker.io/acme:1 1",
		"docker.io/acmeother:1":          "mirror.example/hub/acmeother:1",
		"docker.io/acme/tools/x@sha256:": "oci-archive:sites/a/tools.tar docker.io/acme/tools/x@sha256: x@sha256:",
		"docker.io/acme/toolsmith:1":     "oci:sites/a/layouts/acme docker.io/acme/toolsmith:1 toolsmith:1",
		"quay.io/x:2":                    "docker-archive:sites/a/x.tar quay.io/x:2 2",
		"quay.io/x@sha256:12":            "oci:sites/a/pinned quay.io/x@sha256:12",
		"quay.io/x@sha256:123":           "docker-archive:sites/a/x.tar quay.io/x@sha256:123 sha256:123",
		"quay.io/y:1":                    "oci:sites/a/y quay.io/y:1",
		"quay.io/y:12":                   "quay.io/y:12",
	} {
		p := places.find(reference)
		if got := strings.TrimSpace(p.String() + " " + strings.Join(p.names, " ")); got != want {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
		if places.Local(reference) != (len(p.names) > 0 || strings.HasPrefix(want, "dir:")) {
			t.Errorf("%s: local is %t", reference, places.Local(reference))
		}
		if name, ok := places.File(reference); ok != places.Local(reference) || !strings.Contains(want, name) {
			t.Errorf("%s: its file is %q, %t", reference, name, ok)
		}
	}
	if p := (Places{}).find("docker.io/a:1"); p.String() != "docker.io/a:1" {
		t.Errorf("without rules: %s", p)
	}
	for _, bad := range []string{"oci:../../..", "dir:../../../etc", "oci-archive:/etc/x.tar"} {
		if _, err := NewPlaces("sites/a", []Rule{{"docker.io", bad}}); err == nil || !strings.Contains(err.Error(), "outside of the module") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
