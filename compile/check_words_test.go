package compile

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/problem"
)

// A change of a manifest that was right, and what is then said: a code, and a
// part of message, note or help. Without a code nothing is.
type sentence struct {
	change func(*Manifest, *Family)
	code   string
	says   string
}

func image(reference string) func(*Manifest, *Family) {
	return func(_ *Manifest, f *Family) { f.OS.Image = value(reference, 11) }
}

func system(distribution, version, image string) func(*Manifest, *Family) {
	return func(_ *Manifest, f *Family) {
		f.OS.Distribution.V, f.OS.Version.V = distribution, version
		if image != "" {
			f.OS.Image = value(image, 11)
		}
	}
}

func versionsAre(list ...string) func(*Manifest, *Family) {
	return func(_ *Manifest, f *Family) {
		f.Kubernetes.Versions = nil
		for _, v := range list {
			f.Kubernetes.Versions = append(f.Kubernetes.Versions, value(v, 12))
		}
	}
}

func kubernetes(distribution string) func(*Manifest, *Family) {
	return func(_ *Manifest, f *Family) { f.Kubernetes.Distribution.V = distribution }
}

func source(reference, place string) func(*Manifest, *Family) {
	return func(m *Manifest, _ *Family) { m.Sources = []SourceRule{{reference, value(place, 30)}} }
}

func entry(tag, from, json string) func(*Manifest, *Family) {
	return func(m *Manifest, _ *Family) {
		e := CatalogEntry{Release: tag, JSON: []byte(json), At: value("", 30).At}
		if from != "" {
			e.From = value(from, 30)
		}
		m.Catalog = []CatalogEntry{e}
	}
}

func epoch(text string) func(*Manifest, *Family) {
	return func(m *Manifest, _ *Family) { m.Epoch = value(text, 5) }
}

func ofFamily(change func(*Family)) func(*Manifest, *Family) {
	return func(_ *Manifest, f *Family) { change(f) }
}

var sentences = []sentence{
	{system("redhat", "9", ""), "CV0111", `write "rhel"`},
	{system("sle", "15", ""), "CV0111", `write "sles"`},
	{system("ubunto", "22.04", ""), "CV0111", `write "ubuntu"`},
	{system("plan9", "", ""), "CV0111", "take one of ubuntu"},
	{system("ubuntu", "", ""), "CV0112", `set os.version: "22.04"`},
	{system("ubuntu", "22.04.3", ""), "CV0112", `write "22.04"`},
	{system("ubuntu", "22.05", ""), "CV0112", `write "22.04" or "24.04"`},
	{system("opensuse-leap", "15", ""), "CV0112", `write it as "15.6"`},

	{versionsAre("1.23.5"), "CV0107", "nearest here: 1.24.6, 1.30.4 (newest)"},
	{versionsAre("1.29.7"), "CV0107", "nearest here: 1.29.8, 1.29.6, 1.30.4 (newest)"},
	{versionsAre("1.99.0"), "CV0107", "no release has it for k3s"},
	{versionsAre("<1.20"), "CV0116", `write "1.24.x"`},
	{versionsAre("1.30.4-k3s1"), "CV0109", `write "1.30.4"`},
	{versionsAre("^1.29"), "CV0109", `write "1.29.x"`},
	{versionsAre("1.30"), "CV0109", `write "1.30.x"`},
	{versionsAre("v1.30.4"), "CV0109", `write "1.30.4"`},
	{kubernetes("k8s"), "CV0108", `write "k3s"`},
	{kubernetes("openshift"), "CV0108", "take one of those"},

	{image("stig"), "CV0115", "neither tag nor digest"},
	{image("localhost/base:1"), "CV0126", "localhost/base:1"},
	{image("registry.acme.internal/base@sha256:1"), "CV0115", "is not a digest"},
	{image("mirror.acme.internal/kairos-ubuntu:22.04-core-amd64-generic-v3.0.14"), "CV0222", "mirrors.base"},
	{image("registry.acme.internal/base/opensuse-leap:15.5"), "CV0221", "tells of opensuse-leap"},
	{image("registry.acme.internal/base/image:x86_64"), "", ""},
	{image("registry.acme.internal/base/image:aarch64"), "CV0221", "tells of arm64, it is used for amd64"},
	{system("opensuse-leap", "15.6", "registry.acme.internal/base/leap:15.5"), "CV0221", "tells of version 15.5"},
	{system("rhel", "9.4", "registry.acme.internal/base/rhel:8.10"), "CV0221", "tells of version 8"},
	{system("rhel", "9.4", "registry.acme.internal/base/ubi9-init:9.4"), "", ""},

	{source("docker.io/acme", "oci:"), "CV0133", "names nothing"},
	{source("DOCKER.io/acme", "oci:file"), "CV0133", "is not a registry host"},
	{source("docker.io/Acme", "oci:file"), "CV0133", "is not the beginning of a reference"},
	{source("docker.io/acme", "mirror.example.com/"), "CV0133", "ends with a slash"},
	{source("docker.io/acme", "mirror.example.com/A"), "CV0133", "is not a registry"},
	{source("docker.io/acme", "docker-archve:x.tar"), "CV0133", `write "docker-archive:x.tar"`},
	{source("docker.io/acme", "mirror_.example.com/a"), "CV0133", "is not a registry host"},
	{source("docker.io/acme", "oci:file"), "CV0133", `write "oci-archive:file"`},
	{source("docker.io/acme/a:1", "dir:file"), "CV0133", `write "docker-archive:file"`},
	{source("docker.io/acme", "localhost:5000/mirror"), "", ""},
	{source("docker.io/acme", "mirror:5000/mirror"), "", ""},
	{source("docker.io/acme", "mirror.example.com"), "", ""},
	{source("docker.io", "oci:brought-for-the-build"), "", ""},
	{source("registry.example.com:5000/a/b@sha256:"+strings.Repeat("0", 64), "dir:tree"), "", ""},

	{entry("v4.10.3", "v4.9.38", `{"kubernetes": {"k3s": ["1.36"]}}`), "CV0132", `lists "1.36" for k3s`},
	{entry("v4.10.3", "v4.9.38", `{"kubernetes": {"k3s": "1.36.0"}}`), "CV0132", "is a string"},
	{entry("v4.10.3", "", `{"agentVersion": "v4.10.3"}`), "CV0132", "has no kubernetes, no stylus, no luetRepo"},
	{entry("v4.10.a", "v4.9.38", `{}`), "", ""},
	{entry("v4.10.xy", "v4.9.38", `{}`), "CV0132", "is not named as a release"},
	{entry("v4.10.3-rc.1", "v4.9.38", `{}`), "", ""},

	{epoch("1969-12-31T23:59:59Z"), "CV0114", "before 1970"},
	{epoch("2100-02-29T00:00:00Z"), "CV0114", "not a day of the calendar"},
	{epoch("2024-04-31T00:00:00Z"), "CV0114", "not a day of the calendar"},
	{epoch("2024-13-01T00:00:00Z"), "CV0114", "not a day of the calendar"},
	{epoch("2024-02-29T00:00:00Z"), "", ""},
	{epoch("yesterday"), "CV0114", "not a time"},
	{epoch("2024-0x-29T00:00:00Z"), "CV0114", "not a time"},

	{func(m *Manifest, _ *Family) { m.Build.Certificates = []Field[string]{value("ca.crt", 5)} }, "CV0119", `no file "ca.crt"`},
	{ofFamily(func(f *Family) { f.Acknowledge = []Pair{{"CV020", value("why", 20)}} }), "CV0130", `write "CV020`},
	{ofFamily(func(f *Family) { f.Kubernetes.Distribution.V, f.FIPS = "kubeadm", value(true, 20) }), "CV0210", `"kubeadm-fips"`},
	{ofFamily(func(f *Family) { f.OS.Distribution.V, f.FIPS = "rhel", value(true, 20) }), "CV0215", "fips=1 selinux=0"},
	{ofFamily(func(f *Family) { f.Repository = value(strings.Repeat("a", 250), 20) }), "CV0304", "has 265 characters"},
	{ofFamily(func(f *Family) { f.OS.Distribution.V, f.Certificates = "sles", []Field[string]{value("file", 20)} }), "CV0250", "no certificates on sles"},
	{ofFamily(func(f *Family) { f.EdgeConfig = value("tree", 20) }), "CV0120", "is a directory, not a file"},
	{ofFamily(func(f *Family) { f.EdgeConfig = value("large", 20) }), "CV0120", "larger than 1 MiB"},
	{ofFamily(func(f *Family) { f.Overlay = []Overlay{{Target: "/etc", Path: value("empty", 20)}} }), "CV0120", "holds no files"},
	{ofFamily(func(f *Family) { f.Overlay = []Overlay{{Target: "/etc/motd", Path: value("file", 20)}} }), "", ""},
	{ofFamily(func(f *Family) { f.Mirrors.Base = value("mirror", 20) }), "CV0125", "mirrors.base"},
	{ofFamily(func(f *Family) { f.Release.V, f.UbuntuPro.Env = "v4.3.2", value("TOKEN", 20) }), "CV0252", "UBUNTU_PRO_KEY or UBUNTU_PRO_ATTACH"},
	{ofFamily(func(f *Family) { f.Release.V, f.Mirrors.Base = "v4.2.3", value("mirror.example.com", 20) }), "CV0107", ""},
}

func TestSentences(t *testing.T) {
	for i, c := range sentences {
		ps := Check(oneFamily(func(m *Manifest, f *Family) {
			m.FS = fstest.MapFS{
				"file": {Data: []byte("x")}, "tree/a": {Data: []byte("x")},
				"large": {Data: make([]byte, largestText+1)}, "empty": {Mode: fs.ModeDir},
			}
			c.change(m, f)
		}))
		said := slices.ContainsFunc(ps, func(p *problem.Problem) bool {
			return p.Code == c.code && strings.Contains(listing([]*problem.Problem{p}), c.says)
		})
		switch {
		case c.code == "" && len(ps) > 0:
			t.Errorf("%d: nothing is wrong, but\n%s", i, listing(ps))
		case c.code != "" && !said:
			t.Errorf("%d: no %s with %q in\n%s", i, c.code, c.says, listing(ps))
		}
	}
}
