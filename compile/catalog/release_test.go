package catalog

import (
	"strings"
	"testing"
)

func TestOverrideAddsANewerRelease(t *testing.T) {
	base := lookup(t, "v4.9.38")
	r, err := Override(base, "v4.9.39", []byte(`{"kubernetes": {"k3s": ["1.35.3", "1.35.4"]}, "providers": {"k3s": {"version": "v4.9.8"}}, "kairosVersion": "v4.0.5"}`))
	if err != nil {
		t.Fatal(err)
	}
	image, _ := r.BaseImage("ubuntu", "22.04", "amd64", false, false)
	got := strings.Join([]string{r.Tag, r.AgentVersion, r.Date, r.StylusImage("amd64", false), r.ProviderImage("k3s", false), r.ProviderImage("rke2", false), image, strings.Join(r.Versions("k3s"), " ")}, "\n")
	want := `v4.9.39
v4.9.39

us-docker.pkg.dev/palette-images/edge/stylus-framework-linux-amd64:v4.9.39
us-docker.pkg.dev/palette-images/edge/kairos-io/provider-k3s:v4.9.8
us-docker.pkg.dev/palette-images/edge/kairos-io/provider-rke2:v4.9.5
us-docker.pkg.dev/palette-images/edge/kairos-ubuntu:22.04-core-amd64-generic-v4.0.5
1.35.3 1.35.4`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !r.Has("rke2", "1.33.5") || base.Has("k3s", "1.35.4") || base.AgentVersion != "v4.9.38" {
		t.Error("the rest is not the base's, or the base was changed")
	}
}

func TestOverrideOfTheSameRelease(t *testing.T) {
	base := lookup(t, "v4.10.0")
	r, err := Override(base, "v4.10.0", []byte(`{"kubernetes": {"nodeadm": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.AgentVersion != "v4.9.21" || r.Versions("nodeadm") != nil || r.Date != base.Date {
		t.Errorf("%+v", r)
	}
	if r.Digest() == base.Digest() {
		t.Error("the digest does not tell them apart")
	}
	same, err := Override(base, "v4.10.0", []byte(`{}`))
	if err != nil || same.Digest() != base.Digest() {
		t.Errorf("an empty entry changes the release: %v", err)
	}
}

func TestOverrideFromNothing(t *testing.T) {
	r, err := Override(nil, "v9.9.9", []byte(`{"kubernetes": {"k3s": ["1.40.0"]}}`))
	if err != nil || !r.Has("k3s", "1.40.0") || r.AgentVersion != "v9.9.9" || r.Arguments != nil {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{`[]`, `{"kubernets": {}}`, `{"kairosVersion": 4}`} {
		if _, err := Override(nil, "v9.9.9", []byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "catalog entry v9.9.9: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestDiff(t *testing.T) {
	changes := Diff(lookup(t, "v4.4.12"), lookup(t, "v4.6.21"))
	text := map[string]string{}
	for _, c := range changes {
		text[c.Kind+" "+c.Name] = strings.Join([]string{c.Effect, c.Before, c.After}, "|")
	}
	for name, want := range map[string]string{
		"version k3s 1.24.6":         "removed|1.24.6|",
		"version k3s 1.32.3":         "added||1.32.3",
		"image providers.k3s.image":  "changed|gcr.io/spectro-images-public/kairos-io/provider-k3s:v4.4.2|us-docker.pkg.dev/palette-images/edge/kairos-io/provider-k3s:v4.6.0",
		"component agentVersion":     "changed|v4.4.12|v4.6.21",
		"component certificates":     "changed|PROXY_CERT_PATH|certs directory",
		"argument PROXY_CERT_PATH":   "removed||",
		"image thirdPartyImage":      "changed|gcr.io/spectro-images-public/builders/spectro-third-party:4.4|us-east1-docker.pkg.dev/spectro-images/third-party/spectro-third-party:4.6",
		"component flavorTags.k3s":   "",
		"version k3s 1.30.4":         "",
		"argument SPECTRO_LUET_REPO": "changed|gcr.io/spectro-dev-public|us-docker.pkg.dev/palette-images/edge",
	} {
		if text[name] != want {
			t.Errorf("%s: got %q, want %q", name, text[name], want)
		}
	}
	if again := Diff(lookup(t, "v4.4.12"), lookup(t, "v4.4.12")); again != nil {
		t.Errorf("a release differs from itself: %v", again)
	}
}
