package compile

import (
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct{ text, want string }{
		{"ubuntu", "docker.io/library/ubuntu"},
		{"ubuntu:22.04", "docker.io/library/ubuntu:22.04"},
		{"acme/ubuntu:22.04", "docker.io/acme/ubuntu:22.04"},
		{"docker.io/ubuntu", "docker.io/library/ubuntu"},
		{"index.docker.io/acme/ubuntu", "docker.io/acme/ubuntu"},
		{"registry.example.com:5000/a/b/c:V1_x@" + digest, "registry.example.com:5000/a/b/c:V1_x@" + digest},
		{"localhost/a", "localhost/a"},
		{"localhost:5000/a:b", "localhost:5000/a:b"},
		{"[::1]:5000/a", "[::1]:5000/a"},
		{"gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.30.4-k3s1", "gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.30.4-k3s1"},
		{"a__b/c.d/e--f", "docker.io/a__b/c.d/e--f"},
	} {
		if got, err := NormalReference(c.text); err != nil || got != c.want {
			t.Errorf("%q: %q, %v, want %q", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "https://docker.io/acme/ubuntu", "Acme/ubuntu", "my_host.sh/a", "docker.io/", "docker.io//a", "a:", "a:-x", "a@sha256:12", "docker.io/acme/ubuntu:" + strings.Repeat("t", 129), "a b", "-host.io/a", "host.io:port/a", "a_/b", "ubuntu:22.04:1"} {
		if r, err := ParseReference(text); err == nil {
			t.Errorf("%q is taken as %v", text, r)
		}
	}
}

// What canvos takes as the reference of one image, the schema takes too; and it
// refuses most of what canvos refuses.
func TestReferencesOfTheSchema(t *testing.T) {
	ctx := cuecontext.New()
	def := definition(ctx, false).LookupPath(cue.MakePath(cue.Str("families").Optional(), cue.Str("f").Optional(), cue.Str("mirrors").Optional(), cue.Str("thirdParty").Optional()))
	if !def.Exists() {
		t.Fatal("there is no such field")
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, text := range []string{
		"ubuntu:22.04", "acme/ubuntu:22.04", "a.b:5000/x:1", "localhost:5000/a:b", "[::1]:5000/a:1", "a__b/c.d/e--f:V1_x", "gcr.io/x@" + digest, "gcr.io/x:1@" + digest, "x:" + strings.Repeat("t", 128),
		"", "ubuntu", "a.b:5000/x", "https://docker.io/a:1", "Acme/ubuntu:1", "docker.io/:1", "docker.io//a:1", "a:", "a:-x", "a@sha256:12", "x:" + strings.Repeat("t", 129), "a b:1", "-host.io/a:1", "a_/b:1", "ubuntu:22.04:1", "u:p@h/x:1",
	} {
		why, _, _ := misnamed(text)
		if err := def.Unify(ctx.Encode(text)).Err(); (err == nil) != (why == "") {
			t.Errorf("%q: the schema says %v, canvos %q", text, err, why)
		}
	}
}

func TestReferenceOfFamily(t *testing.T) {
	f := &Family{}
	f.Registry.V = "docker.io/acme"
	f.OS.Distribution.V = "ubuntu"
	f.Kubernetes.Distribution.V = "kubeadm-fips"
	check := func(reference, line string) {
		t.Helper()
		if got := referenceOf(f, "1.32.13", "v4.9.38"); got != reference {
			t.Errorf("reference %s, want %s", got, reference)
		}
		if got := lineOf(f); got != line {
			t.Errorf("line %s, want %s", got, line)
		}
	}
	check("docker.io/acme/ubuntu:kubeadm-fips-1.32.13-v4.9.38", "docker.io/acme/ubuntu:kubeadm-fips-*")
	f.Revision.V = 1
	check("docker.io/acme/ubuntu:kubeadm-fips-1.32.13-v4.9.38", "docker.io/acme/ubuntu:kubeadm-fips-*")
	f.Tag.V, f.Revision.V, f.Repository.V = "two-node", 2, "edge/stores"
	check("docker.io/acme/edge/stores:kubeadm-fips-1.32.13-v4.9.38-two-node-r2", "docker.io/acme/edge/stores:kubeadm-fips-*-two-node")
	f.Registry.V = "ttl.sh"
	check("ttl.sh/edge/stores:kubeadm-fips-1.32.13-v4.9.38-two-node-r2", "ttl.sh/edge/stores:kubeadm-fips-*-two-node")
}
