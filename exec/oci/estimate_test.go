package oci

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
)

// estimated is what is said before a run, and what the run then moved.
func estimated(t *testing.T, l *lab, target image.Target, d *drawn) (said Estimate, r exec.Result) {
	t.Helper()
	ds, err := Decide(t.Context(), d.Plan, Comparison{Target: target, Store: l.sources.Store, Jobs: 2})
	check(t, err)
	said, err = l.sources.Estimate(t.Context(), target, d.Plan, ds)
	check(t, err)
	before := blobBytes(t, l)
	todo := d.Plan
	todo.Images = nil
	for i, one := range ds {
		if one.Action == Build {
			todo.Images = append(todo.Images, d.Images[i])
		}
	}
	r, err = (&Engine{Sources: l.sources, Target: target, Jobs: 2}).Run(t.Context(), todo, func(exec.Event) {})
	check(t, err)
	if r.Bytes.Uploaded > said.Upload || said.Exact && r.Bytes.Uploaded != said.Upload {
		t.Errorf("said %+v, uploaded %d", said, r.Bytes.Uploaded)
	}
	notes := int64(len(todo.Images)) << 10 // of what was published where
	if stored := blobBytes(t, l) - before; stored > said.Store+notes {
		t.Errorf("said %+v, stored %d", said, stored)
	}
	return said, r
}

// inLine gives the images of a plan a line, which registries are asked about.
func inLine(d *drawn) *drawn {
	for i := range d.Images {
		d.Images[i].Line = repository(d.Images[i].Reference) + ":k3s-*-demo"
	}
	return d
}

// blobBytes is what a store holds.
func blobBytes(t *testing.T, l *lab) int64 {
	t.Helper()
	u, err := l.sources.Store.Usage()
	check(t, err)
	return u.Bytes
}

// What carrying out a plan costs is never more than was said, and exactly that
// once all is known.
func TestEstimate(t *testing.T) {
	a := plainImage(t, amd64, file("f", noise(1, 100_000)))
	component := plainImage(t, amd64, file("g", noise(2, 150_000)))
	reg := newRegistry(t, map[string]built{"acme/base:22.04": a, "acme/tool:1": component})
	l := newLab(t, Rule{"docker.io", reg.host})
	l.write("overlay/x", []byte(strings.Repeat("0123456789abcdef", 4096)))
	for i := range 300 { // what is in such a layer is its headers
		l.write(fmt.Sprintf("many/%s/%d", strings.Repeat("long", 30), i), nil)
	}
	draw := func(l *lab, repo string) *drawn {
		d := draw(t)
		base := d.base(d.source(l, baseImage, amd64), amd64)
		both := d.files(base, plan.Action{Copy: &plan.Copy{Source: d.source(l, tool, amd64), From: "/", To: "/"}})
		both = d.files(both, plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/", To: "/"}})
		both = d.files(both, plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:many", ""), From: "/", To: "/"}})
		for _, n := range []string{"1", "2"} {
			d.image(repo+"/ubuntu:"+n, "demo", plan.ImageOp{}, d.files(both, write("/n", n)))
		}
		return inLine(d)
	}
	d := draw(l, "docker.io/acme")
	l = l.again() // of what was read to make the plan, nothing is there
	out := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
	said, _ := estimated(t, l, out, d)
	if said.Download != a.size()+component.size() || said.There != 0 || said.Exact || said.Store < said.Download {
		t.Errorf("cold: %+v; the images have %d and %d bytes", said, a.size(), component.size())
	}
	// The same images elsewhere: all is known.
	elsewhere := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
	if said, r := estimated(t, l, elsewhere, d); !said.Exact || said.There != said.Download || said.Store != 0 || r.Bytes.Uploaded == 0 {
		t.Errorf("known: %+v, uploaded %d", said, r.Bytes.Uploaded)
	}
	// Nothing to do.
	if said, _ := estimated(t, l, elsewhere, d); said != (Estimate{Exact: true}) {
		t.Errorf("nothing to do: %+v", said)
	}
	// Nobody to ask: all of it, as a bound.
	ds, err := Decide(t.Context(), d.Plan, Comparison{Target: &Layout{Dir: t.TempDir()}, Store: l.sources.Store, Jobs: 2})
	check(t, err)
	if said, err := l.sources.Estimate(t.Context(), nil, d.Plan, ds); err != nil || said.Exact || said.Upload < a.size() {
		t.Errorf("nobody asked: %+v, %v", said, err)
	}

	// A registry, empty; then other tags of what it has; then another repository.
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		repo  string
		exact bool
	}{{host + "/acme", true}, {host + "/acme", true}, {host + "/other", true}} {
		said, r := estimated(t, l, registry.NewPublisher(&registry.Client{}, nil, 0), draw(l, c.repo))
		if said.Exact != c.exact {
			t.Errorf("%s: %+v, uploaded %d", c.repo, said, r.Bytes.Uploaded)
		}
	}
}

// A base that lies in the target's registry is mounted, and counts as there.
func TestEstimateMounts(t *testing.T) {
	a := plainImage(t, amd64, file("f", noise(1, 200_000)))
	reg := newRegistry(t, map[string]built{"acme/base:22.04": a})
	l := newLab(t, Rule{"docker.io", reg.host})
	d := draw(t)
	d.image(reg.host+"/acme/ubuntu:1", "demo", plan.ImageOp{}, d.files(d.base(d.source(l, baseImage, amd64), amd64), write("/n", "1")))
	p := registry.NewPublisher(&registry.Client{}, nil, 0)
	ds, err := Decide(t.Context(), inLine(d).Plan, Comparison{Target: p, Store: l.sources.Store, Jobs: 2})
	check(t, err)
	said, err := l.sources.Estimate(t.Context(), p, d.Plan, ds)
	check(t, err)
	if said.Exact || said.Upload > 100_000 {
		t.Errorf("%+v", said)
	}
}
