package catalog

import (
	"strings"
	"testing"
)

func TestBaseImage(t *testing.T) {
	for _, c := range []struct {
		tag, os, version, arch string
		uki, fips              bool
		want                   string
	}{
		{"v4.1.2", "ubuntu", "22", "amd64", false, false, "quay.io/kairos/core-ubuntu-22-lts:v2.3.2"},
		{"v4.1.2", "ubuntu", "22.04", "amd64", false, false, ""}, // has to be 20 or 22 there
		{"v4.1.2", "opensuse-leap", "", "amd64", false, false, "quay.io/kairos/core-opensuse-leap:v2.3.2"},
		{"v4.2.3", "opensuse-leap", "15.5", "arm64", false, false, "quay.io/kairos/opensuse:leap-15.5-core-arm64-generic-v2.4.3"},
		{"v4.4.12", "ubuntu", "22.04", "amd64", false, false, "gcr.io/spectro-images-public/kairos-ubuntu:22.04-core-amd64-generic-v3.0.14"},
		{"v4.4.12", "ubuntu", "22.04", "arm64", true, false, "gcr.io/spectro-images-public/kairos-ubuntu:22.04-core-arm64-generic-v3.0.14-uki"},
		{"v4.4.12", "ubuntu", "22.04", "amd64", false, true, "gcr.io/spectro-images-public/kairos-ubuntu:22.04-core-amd64-generic-v3.0.14"},
		{"v4.4.12", "ubuntu", "22", "amd64", true, false, "gcr.io/spectro-images-public/kairos-ubuntu:22.04-core-amd64-generic-v3.0.14"},
		{"v4.4.12", "ubuntu", "24", "amd64", false, false, "gcr.io/spectro-images-public/kairos-ubuntu:24-core-amd64-generic-v3.0.14"},
		{"v4.4.12", "ubuntu", "", "amd64", false, false, ""},
		{"v4.4.12", "rhel", "9", "amd64", false, false, ""},
		{"v4.9.38", "ubuntu", "23.10", "amd64", true, false, "us-docker.pkg.dev/palette-images/edge/kairos-ubuntu:23.10-core-amd64-generic-v3.5.9-uki"},
		{"v4.9.38", "ubuntu", "20", "amd64", true, true, "us-docker.pkg.dev/palette-images-fips/edge/kairos-ubuntu:20.04-core-amd64-generic-v3.5.9"},
		{"v4.9.38", "opensuse-leap", "15.6", "arm64", true, false, "us-docker.pkg.dev/palette-images/edge/kairos-opensuse:leap-15.6-core-arm64-generic-v3.5.9"},
		{"v4.9.38", "ubuntu", "24.04", "amd64", false, true, "us-docker.pkg.dev/palette-images-fips/edge/kairos-ubuntu:24.04-core-amd64-generic-v4.0.4"},
	} {
		got, ok := lookup(t, c.tag).BaseImage(c.os, c.version, c.arch, c.uki, c.fips)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%+v: got %q, %t", c, got, ok)
		}
	}
}

func TestPackageImage(t *testing.T) {
	for _, c := range []struct{ tag, dist, version, arch, want string }{
		{"v4.3.2", "k3s", "1.27.2", "arm64", "gcr.io/spectro-dev-public/luet-repo-arm:k3s-k8s-1.27.2-k3s1"},
		{"v4.4.12", "k3s", "1.30.4", "amd64", "gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.30.4-k3s1"},
		{"v4.4.12", "kubeadm-fips", "1.30.4", "amd64", "gcr.io/spectro-dev-public/luet-repo/v1.3.7:kubeadm-fips-k8s-1.30.4"},
		{"v4.9.38", "rke2", "1.33.5", "arm64", "us-docker.pkg.dev/palette-images/edge/luet-repo-arm:rke2-k8s-1.33.5-rke2r1"},
	} {
		if got := lookup(t, c.tag).PackageImage(c.dist, c.version, c.arch); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
	for tag, want := range map[string]bool{"v4.4.2": true, "v4.7.11": true, "v4.7.13": false, "v4.9.38": false} {
		name, ok := lookup(t, tag).ContainerdPackage("kubeadm-fips")
		if ok != want || name != "container-runtime/containerd-fips" {
			t.Errorf("%s: %s, %t", tag, name, ok)
		}
		if _, ok := lookup(t, tag).ContainerdPackage("k3s"); ok {
			t.Errorf("%s: k3s needs no containerd", tag)
		}
	}
}

func TestWithComponents(t *testing.T) {
	r := lookup(t, "v4.9.38")
	before := r.Digest()
	m := r.With("k3s", Components{Agent: "v4.9.39", Provider: "v4.9.8", Kairos: "v4.1.0", ThirdParty: "4.9", Flavor: "k3s2", Images: "registry.example/palette"})
	base, _ := m.BaseImage("ubuntu", "22.04", "amd64", false, true)
	uki, _ := m.BaseImage("ubuntu", "24.04", "arm64", true, false)
	got := strings.Join([]string{
		m.StylusImage("arm64", false), m.StylusImage("amd64", true), m.ProviderImage("k3s", true), m.ProviderImage("rke2", false), base, uki,
		m.ThirdPartyImage, m.AlpineImage, m.PackageImage("k3s", "1.33.5", "amd64"),
	}, "\n")
	want := `registry.example/palette/edge/stylus-framework-linux-arm64:v4.9.39
registry.example/palette/edge/stylus-framework-linux-amd64:v4.9.39
registry.example/palette/edge/kairos-io/provider-k3s:v4.9.8
registry.example/palette/edge/kairos-io/provider-rke2:v4.9.5
registry.example/palette/edge/kairos-ubuntu:22.04-core-amd64-generic-v4.1.0
registry.example/palette/edge/kairos-ubuntu:24.04-core-arm64-generic-v3.5.9-uki
us-docker.pkg.dev/palette-images/third-party/spectro-third-party:4.9
registry.example/palette/edge/canvos/alpine:3.20
us-docker.pkg.dev/palette-images/edge/luet-repo-amd:k3s-k8s-1.33.5-k3s2`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r.Digest() != before {
		t.Error("With changed the release itself")
	}
	if same := r.With("k3s", Components{}); same.Digest() != before {
		t.Error("no components change something")
	}
}

func TestMirrorsOfOlderReleases(t *testing.T) {
	m := lookup(t, "v4.4.12").With("rke2", Components{Images: "registry.example/p", Packages: "registry.example/l", PackageProject: "packages", Luet: "v1.4.0"})
	base, _ := m.BaseImage("ubuntu", "22.04", "amd64", false, false)
	got := strings.Join([]string{m.StylusImage("amd64", true), m.ProviderImage("rke2", true), base, m.ThirdPartyImage, m.AlpineImage, m.PackageImage("rke2", "1.30.3", "arm64")}, "\n")
	want := `registry.example/p/stylus-framework-fips-linux-amd64:v4.4.12
registry.example/p/kairos-io/provider-rke2-fips:v4.4.1
gcr.io/spectro-images-public/kairos-ubuntu:22.04-core-amd64-generic-v3.0.14
registry.example/p/builders/spectro-third-party:4.4
registry.example/p/canvos/alpine:3.20
registry.example/l/packages-arm/v1.4.0:rke2-k8s-1.30.3-rke2r1`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	old, _ := lookup(t, "v4.2.3").With("k3s", Components{Base: "registry.example/kairos"}).BaseImage("ubuntu", "22", "arm64", false, false)
	if old != "registry.example/kairos/ubuntu:22.04-core-arm64-generic-v2.4.3" {
		t.Error(old)
	}
}
