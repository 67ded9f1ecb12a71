package compile

import (
	"strings"
	"testing"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// value is a value as a person wrote it, on a line of its own.
func value[T any](v T, line int) Field[T] {
	return Field[T]{V: v, At: plan.Pos{File: "images.cue", Line: line, Column: 3}, Set: true}
}

// k3sFamily is a plain family; its fields stand on the lines from line on.
func k3sFamily(name string, line int, versions ...string) Family {
	f := Family{Name: name, At: plan.Pos{File: "images.cue", Line: line, Column: 2}}
	f.Release, f.Registry = value("v4.4.12", 3), value("docker.io/acme", 4)
	f.OS.Distribution, f.OS.Version = value("ubuntu", line+1), value("22.04", line+1)
	f.Kubernetes.Distribution = value("k3s", line+2)
	for _, v := range versions {
		f.Kubernetes.Versions = append(f.Kubernetes.Versions, value(v, line+2))
	}
	f.Tag = value("demo", line+3)
	return f
}

func references(images []Image) string {
	var out []string
	for _, img := range images {
		out = append(out, shortLine(img.Reference))
	}
	return strings.Join(out, " ")
}

func codes(ps []*problem.Problem) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Code)
	}
	return strings.Join(out, " ")
}

func TestImages(t *testing.T) {
	m := &Manifest{Families: []Family{k3sFamily("store", 10, "1.30.4", ">=1.29.6 <1.30", "1.29.8")}}
	images, ps := Images(m, nil)
	if want := "ubuntu:k3s-1.29.6-v4.4.12-demo ubuntu:k3s-1.29.8-v4.4.12-demo ubuntu:k3s-1.30.4-v4.4.12-demo"; references(images) != want || len(ps) > 0 {
		t.Fatalf("images %s %v", references(images), ps)
	}
	img := images[0]
	if img.Line != "docker.io/acme/ubuntu:k3s-*-demo" || img.Facts.AgentVersion != "v4.4.12" || img.Publish != "once" || strings.Join(img.Platforms, " ") != "linux/amd64" {
		t.Errorf("%+v", img)
	}

	lk := &lock.File{Versions: map[string][]string{RangeKey("v4.4.12", "k3s", ">=1.29.6 <1.30"): {"1.29.6"}}}
	if images, ps = Images(m, lk); references(images) != "ubuntu:k3s-1.29.6-v4.4.12-demo ubuntu:k3s-1.29.8-v4.4.12-demo ubuntu:k3s-1.30.4-v4.4.12-demo" || len(ps) > 0 {
		t.Errorf("with the lock: %s %v", references(images), ps)
	}
	m.Families[0].Kubernetes.Versions = m.Families[0].Kubernetes.Versions[:2]
	if images, _ = Images(m, lk); references(images) != "ubuntu:k3s-1.29.6-v4.4.12-demo ubuntu:k3s-1.30.4-v4.4.12-demo" {
		t.Errorf("the lock's expansion is not taken: %s", references(images))
	}
	lk.Versions[RangeKey("v4.4.12", "k3s", ">=1.29.6 <1.30")] = []string{"1.28.5"}
	if _, ps = Images(m, lk); codes(ps) != "CV0502" {
		t.Errorf("an entry that is no part of the range: %v", ps)
	}
	if got := Expansions(m); len(got) != 1 || strings.Join(got["v4.4.12 k3s >=1.29.6 <1.30"], " ") != "1.29.6 1.29.8" {
		t.Errorf("expansions %v", got)
	}
}

func TestAgentInReference(t *testing.T) {
	f := k3sFamily("old", 10, "1.29.8")
	f.Release = value("v4.10.0", 3)
	images, _ := Images(&Manifest{Families: []Family{f}}, nil)
	if want := "ubuntu:k3s-1.29.8-v4.9.21-demo"; references(images) != want {
		t.Errorf("%s, want %s", references(images), want)
	}
}

func TestCollisions(t *testing.T) {
	a, b := k3sFamily("store", 7, "1.29.8", "1.30.4"), k3sFamily("store-arm", 15, "1.30.4", "1.29.8")
	b.Arch = []Field[string]{value("arm64", 16)}
	c := k3sFamily("other", 25, "1.28.5")
	c.TwoNode = value(true, 28)
	_, ps := Images(&Manifest{Families: []Family{a, b, c}}, nil)
	if codes(ps) != "CV0301 CV0303" {
		t.Fatalf("%v", ps)
	}
	p := ps[0]
	if p.Message != `families "store" and "store-arm" both publish docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-demo` || p.At != b.At || p.Also[0] != a.At ||
		!strings.Contains(strings.Join(p.Notes, "\n"), "the architecture (amd64, arm64)") || !strings.Contains(p.Help, `arch: ["amd64", "arm64"]`) {
		t.Errorf("%+v", p)
	}
	if p := ps[1]; p.Path != "families.other.twoNode" || p.At != c.TwoNode.At {
		t.Errorf("%+v", p)
	}

	one, _ := Images(&Manifest{Families: []Family{a}}, nil)
	two, _ := Images(&Manifest{Families: []Family{b}}, nil)
	if ps := Collisions([][]Image{one, two}); codes(ps) != "CV0301" {
		t.Errorf("across manifests: %v", ps)
	}
}

// Every further family on a tag is a problem of its own, also where one
// comprehension makes them all, at one place.
func TestCollisionOfMany(t *testing.T) {
	var apart, together []Family
	for i := range 1000 {
		f := k3sFamily("store-"+itoa(i), 7+10*i, "1.30.4")
		apart = append(apart, f)
		f.At.Line = 7
		together = append(together, f)
	}
	for name, families := range map[string][]Family{"apart": apart, "together": together} {
		_, ps := Images(&Manifest{Families: families}, nil)
		if len(ps) != 999 {
			t.Errorf("%s: %d problems", name, len(ps))
			continue
		}
		for i, p := range ps {
			if p.Code != "CV0301" || name == "apart" && (p.Family != families[i+1].Name || p.At != families[i+1].At || p.Also[0] != families[0].At) {
				t.Fatalf("%s: %+v", name, p)
			}
		}
	}
}

func TestFactsOfLine(t *testing.T) {
	f := k3sFamily("store", 7, "1.30.4")
	lk := &lock.File{Facts: map[string]lock.LineFacts{
		"docker.io/acme/ubuntu:k3s-*-demo": {TwoNode: true, OSDistribution: "ubuntu", Platforms: []string{"linux/amd64", "linux/arm64"}},
	}}
	_, ps := Images(&Manifest{Families: []Family{f}}, lk)
	if codes(ps) != "CV0302 CV0302" {
		t.Fatalf("%v", ps)
	}
	if ps[0].Message != "the line ubuntu:k3s-*-demo was declared with linux/arm64, which may not be dropped" && ps[1].Message != "the line ubuntu:k3s-*-demo was declared with linux/arm64, which may not be dropped" {
		t.Errorf("%v", ps)
	}
	f.Release, f.Revision, f.Name = value("v4.9.38", 3), value(2, 9), "renamed"
	if _, ps = Images(&Manifest{Families: []Family{f}}, lk); codes(ps) != "CV0302 CV0302" {
		t.Errorf("another release, revision and name: %v", ps)
	}
	f.TwoNode, f.Arch = value(true, 9), []Field[string]{value("amd64", 8), value("arm64", 8)}
	if _, ps = Images(&Manifest{Families: []Family{f}}, lk); len(ps) > 0 {
		t.Errorf("%v", ps)
	}
}
