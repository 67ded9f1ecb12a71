package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// prepared is a family on a base image that needs no OS stage.
func prepared(name string, line int, versions ...string) Family {
	f := k3sFamily(name, line, versions...)
	f.Tag = value(name, line+3)
	f.OS.Image, f.OS.Prepare = value("docker.io/acme/ubuntu-prepared:22.04", line+1), value(false, line+1)
	return f
}

// files is a module in memory.
func files(names ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for _, n := range names {
		m[n] = &fstest.MapFile{Data: []byte("content of " + n + "\n"), Mode: 0o644}
	}
	return m
}

// locked is a complete lock of a manifest, with made-up digests of images.
func locked(t testing.TB, m *Manifest) *lock.File {
	t.Helper()
	lk := lock.New()
	if _, ps := Complete(m, lk); len(ps) > 0 {
		t.Fatal(ps[0])
	}
	for _, q := range Requests(m, lk) {
		if !q.Local {
			lk.SetSource(q.Reference, q.Platform, lock.Source{Digest: plan.DigestOf([]byte(q.Reference + " " + q.Platform)), Size: int64(1000 + len(q.Reference))})
		}
	}
	return lk
}

// lowered is the plan of a manifest that has no problems.
func lowered(t testing.TB, m *Manifest) plan.Plan {
	t.Helper()
	p, ps := Lower(m, locked(t, m))
	for _, problem := range ps {
		t.Errorf("%v", problem)
	}
	return p
}

func TestLowerPrepared(t *testing.T) {
	f := prepared("store", 10, "1.29.8", "1.30.4")
	f.Overlay = []Overlay{{Target: "/etc", Path: value("overlay/etc", 14)}}
	m := &Manifest{FS: files("overlay/etc/motd", "overlay/etc/a/b"), Dir: ".", Families: []Family{f}}
	p := lowered(t, m)

	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
	}
	want := `base ubuntu-prepared:22.04 linux/amd64
components linux/amd64
kubernetes k3s 1.29.8 linux/amd64
finish linux/amd64
image ubuntu:k3s-1.29.8-v4.4.12-store
kubernetes k3s 1.30.4 linux/amd64
finish linux/amd64
image ubuntu:k3s-1.30.4-v4.4.12-store`
	if got := strings.Join(names, "\n"); got != want {
		t.Errorf("steps\n%s", got)
	}
	var sources []string
	for _, s := range p.Sources {
		sources = append(sources, strings.TrimSpace(s.Reference+" "+s.Platform))
	}
	want = `docker.io/acme/ubuntu-prepared:22.04 linux/amd64
file:overlay/etc
gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.29.8-k3s1 linux/amd64
gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.30.4-k3s1 linux/amd64
gcr.io/spectro-images-public/builders/spectro-third-party:4.4 linux/amd64
gcr.io/spectro-images-public/kairos-io/provider-k3s:v4.4.2 linux/amd64
gcr.io/spectro-images-public/stylus-framework-linux-amd64:v4.4.12 linux/amd64`
	if got := strings.Join(sources, "\n"); got != want {
		t.Errorf("sources\n%s", got)
	}
	if !p.Steps[0].Op.Base.Prepared {
		t.Error("the base is not marked as prepared")
	}
	for _, s := range p.Steps {
		if s.Op.Run != nil {
			t.Errorf("%s runs something", s.Name)
		}
	}
	if i := p.Images[1]; i.Arguments["K8S_VERSION"] != "1.30.4" || i.Step != p.Steps[7].ID || i.Line != "docker.io/acme/ubuntu:k3s-*-store" {
		t.Errorf("image %+v", i)
	}
}

// What the lock lacks or has otherwise is named, each once, with its place.
func TestLowerNeedsTheLock(t *testing.T) {
	a, b := prepared("a", 10, "1.30.4", ">=1.29 <1.30"), prepared("b", 20, "1.30.4")
	a.EdgeConfig = value("edge.yaml", 15)
	m := &Manifest{FS: files("m/edge.yaml"), Dir: "m", Families: []Family{a, b}}
	whole := locked(t, m)
	if _, ok := whole.Sources["file:m/edge.yaml"]; !ok {
		t.Fatalf("local files are not named from the module's root: %v", whole.Sources)
	}
	for _, c := range []struct {
		name   string
		change func(*lock.File)
		want   string
	}{
		{"source", func(l *lock.File) { delete(l.Sources, "docker.io/acme/ubuntu-prepared:22.04 linux/amd64") },
			`images.cue:11:3: error[CV0501]: the lock has no entry for docker.io/acme/ubuntu-prepared:22.04 for linux/amd64`},
		{"local", func(l *lock.File) { delete(l.Sources, "file:m/edge.yaml") },
			`images.cue:15:3: error[CV0501]: the lock has no entry for file:m/edge.yaml`},
		{"changed local", func(l *lock.File) { l.SetSource("file:m/edge.yaml", "", lock.Source{Digest: plan.DigestOf(nil)}) },
			`images.cue:15:3: error[CV0502]: "edge.yaml" is not what the lock recorded`},
		{"range", func(l *lock.File) { clear(l.Versions) },
			`images.cue:12:3: error[CV0501]: the lock does not say what ">=1.29 <1.30" stands for`},
		{"catalog", func(l *lock.File) { clear(l.Catalog) },
			`images.cue:3:3: error[CV0501]: the lock has no catalog entry of CanvOS v4.4.12`},
		{"changed catalog", func(l *lock.File) { l.Catalog["v4.4.12"] = plan.DigestOf(nil) },
			`images.cue:3:3: error[CV0502]: what the catalog says of CanvOS v4.4.12 is not what the lock recorded`},
		{"line", func(l *lock.File) { l.Forget("docker.io/acme/ubuntu:k3s-*-b") },
			`images.cue:23:3: error[CV0501]: the lock does not know the line ubuntu:k3s-*-b`},
	} {
		lk := whole.Clone()
		c.change(lk)
		p, ps := Lower(m, lk)
		if len(ps) != 1 || ps[0].Error() != c.want || ps[0].Help == "" {
			t.Errorf("%s: %v", c.name, ps)
		}
		if p.Digest != "" || len(p.Steps) > 0 {
			t.Errorf("%s: there is a plan all the same", c.name)
		}
	}
	if _, ps := Lower(m, nil); len(ps) < 8 || slices.ContainsFunc(ps, func(p *problem.Problem) bool { return p.At.Line == 0 }) {
		t.Errorf("without a lock: %v", ps)
	}
}

// Families that ask for the same share everything, whatever they are called and
// wherever they are published.
func TestEqualFamiliesShareSteps(t *testing.T) {
	a, b := prepared("a", 10, "1.30.4"), prepared("b", 20, "1.30.4")
	b.Registry, b.Repository = value("registry.example:5000/x", 21), value("edge/os", 22)
	b.Publish = value("replace", 23)
	p := lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{a, b}})
	if len(p.Images) != 2 || len(p.Steps) != 5 || p.Images[0].Step != p.Images[1].Step {
		t.Errorf("%d images, %d steps", len(p.Images), len(p.Steps))
	}
}

// The plan is about content: order, names and places of families are not in its
// digest, and neither is the order of files.
func TestPlanIsAboutContent(t *testing.T) {
	a, b := prepared("a", 10, "1.30.4", "1.29.8"), prepared("b", 20, "1.30.4")
	b.Arch = []Field[string]{value("arm64", 25), value("amd64", 25)}
	m := &Manifest{FS: files(), Dir: ".", Families: []Family{a, b}}
	want := lowered(t, m)

	a.At.Line, a.Name, b.Name = 500, "renamed", "other"
	b.Arch = []Field[string]{value("amd64", 25), value("arm64", 25)}
	moved := lowered(t, &Manifest{FS: files("x"), Dir: ".", Families: []Family{b, a}})
	if want.Digest != moved.Digest {
		t.Errorf("%s became %s", want.Digest, moved.Digest)
	}
	a.Labels = []Pair{{Key: "a", Value: value("b", 1)}}
	if other := lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{a, b}}); other.Digest == want.Digest {
		t.Error("a label changed nothing")
	}
}

func TestRequests(t *testing.T) {
	f := prepared("store", 10, "1.30.4")
	f.OS.Image = Field[string]{}
	f.OS.ImageByArch = []Pair{{Key: "amd64", Value: value("acme/base:1", 11)}, {Key: "arm64", Value: value("acme/base-arm@sha256:"+strings.Repeat("a", 64), 12)}}
	f.Arch = []Field[string]{value("amd64", 12), value("arm64", 12)}
	f.SigningKey = value("../keys/key.pem", 13)
	m := &Manifest{FS: files("sites/keys/key.pem"), Dir: "sites/a", Families: []Family{f, prepared("two", 20, "1.30.4")}}
	var got []string
	for _, q := range Requests(m, nil) {
		got = append(got, fmt.Sprintf("%s %s %t %d %s", q.Reference, q.Platform, q.Local, q.At.Line, q.What))
	}
	want := `docker.io/acme/base-arm@sha256:` + strings.Repeat("a", 64) + ` linux/arm64 false 12 base image
docker.io/acme/base:1 linux/amd64 false 11 base image
docker.io/acme/ubuntu-prepared:22.04 linux/amd64 false 21 base image
file:sites/keys/key.pem  true 13 signing key
gcr.io/spectro-dev-public/luet-repo-arm/v1.3.7:k3s-k8s-1.30.4-k3s1 linux/arm64 false 12 Kubernetes package
gcr.io/spectro-dev-public/luet-repo/v1.3.7:k3s-k8s-1.30.4-k3s1 linux/amd64 false 12 Kubernetes package
gcr.io/spectro-images-public/builders/spectro-third-party:4.4 linux/amd64 false 3 third-party programs
gcr.io/spectro-images-public/builders/spectro-third-party:4.4 linux/arm64 false 3 third-party programs
gcr.io/spectro-images-public/kairos-io/provider-k3s:v4.4.2 linux/amd64 false 12 provider agent
gcr.io/spectro-images-public/kairos-io/provider-k3s:v4.4.2 linux/arm64 false 12 provider agent
gcr.io/spectro-images-public/stylus-framework-linux-amd64:v4.4.12 linux/amd64 false 3 Palette agent
gcr.io/spectro-images-public/stylus-framework-linux-arm64:v4.4.12 linux/arm64 false 3 Palette agent`
	if strings.Join(got, "\n") != want {
		t.Errorf("requests\n%s", strings.Join(got, "\n"))
	}
}
