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
		{"docker.io:443/acme/ubuntu:1", "docker.io/acme/ubuntu:1"},
		{"index.docker.io:443/ubuntu", "docker.io/library/ubuntu"},
		{"registry.example.com:443/a", "registry.example.com/a"},
		{"registry.example.com:4430/a", "registry.example.com:4430/a"},
		{"registry:443/a", "registry:443/a"}, // without the port it would be no host
		{"localhost:443/a", "localhost:443/a"},
		{"127.0.0.1:443/a", "127.0.0.1:443/a"},
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
	cctx := cuecontext.New()
	def := definition(cctx, false).LookupPath(cue.MakePath(cue.Str("families").Optional(), cue.Str("f").Optional(), cue.Str("mirrors").Optional(), cue.Str("thirdParty").Optional()))
	if !def.Exists() {
		t.Fatal("there is no such field")
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, text := range []string{
		"ubuntu:22.04", "acme/ubuntu:22.04", "a.b:5000/x:1", "localhost:5000/a:b", "[::1]:5000/a:1", "a__b/c.d/e--f:V1_x", "gcr.io/x@" + digest, "gcr.io/x:1@" + digest, "x:" + strings.Repeat("t", 128),
		"", "ubuntu", "a.b:5000/x", "https://docker.io/a:1", "Acme/ubuntu:1", "docker.io/:1", "docker.io//a:1", "a:", "a:-x", "a@sha256:12", "x:" + strings.Repeat("t", 129), "a b:1", "-host.io/a:1", "a_/b:1", "ubuntu:22.04:1", "u:p@h/x:1",
	} {
		why, _, _ := misnamed(text)
		if err := def.Unify(cctx.Encode(text)).Err(); (err == nil) != (why == "") {
			t.Errorf("%q: the schema says %v, canvos %q", text, err, why)
		}
	}
}

func TestNormalName(t *testing.T) {
	for text, want := range map[string]string{
		"docker.io:443/acme": "docker.io/acme", "docker.io:443": "docker.io", "index.docker.io/acme": "docker.io/acme", "ttl.sh": "ttl.sh",
		"docker.io:443/acme/ubuntu:k3s-*-demo": "docker.io/acme/ubuntu:k3s-*-demo", "localhost:5000/a": "localhost:5000/a", "registry:443/a": "registry:443/a",
		"docker.io:443/acme/base:22.04 linux/amd64": "docker.io/acme/base:22.04 linux/amd64",
	} {
		if got := NormalName(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestLockRespelled: facts that a lock has under another spelling of the registry
// are facts of the line.
func TestLockRespelled(t *testing.T) {
	lk, p := ReadLock("canvos.lock", []byte(`{
  "version": 1, "recipe": 1, "format": 1,
  "sources": {"docker.io:443/acme/base:1 linux/amd64": {"digest": "sha256:`+strings.Repeat("a", 64)+`", "size": 1}},
  "versions": {}, "catalog": {}, "refresh": {},
  "facts": {
    "docker.io/acme/ubuntu:k3s-*-a": {"twoNode": true, "fips": false, "uki": false, "osDistribution": "ubuntu", "platforms": ["linux/amd64"]},
    "docker.io:443/acme/ubuntu:k3s-*-a": {"twoNode": false, "fips": false, "uki": false, "osDistribution": "ubuntu", "platforms": ["linux/amd64"]},
    "docker.io:443/acme/ubuntu:k3s-*-b": {"twoNode": true, "fips": false, "uki": false, "osDistribution": "ubuntu", "platforms": ["linux/amd64"]}
  }
}`))
	if p != nil {
		t.Fatal(p)
	}
	if _, ok := lk.Source("docker.io/acme/base:1", "linux/amd64"); !ok {
		t.Errorf("sources: %v", lk.Sources)
	}
	if len(lk.Facts) != 2 || !lk.Facts["docker.io/acme/ubuntu:k3s-*-a"].TwoNode || !lk.Facts["docker.io/acme/ubuntu:k3s-*-b"].TwoNode {
		t.Errorf("facts: %v", lk.Facts)
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
