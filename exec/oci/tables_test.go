package oci

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
)

// What a base image holds is kept beside the images that are built on it: a
// machine with a cold store makes the same images without reading its layers.
func TestTables(t *testing.T) {
	base := plainImage(t, amd64, dir("usr"), dir("usr/lib"), sym("lib", "usr/lib"), file("usr/lib/big", noise(1, 200_000)))
	from := newRegistry(t, map[string]built{"acme/base:22.04": base})
	var mu sync.Mutex
	spoil := false
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		refuse := spoil && q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/")
		mu.Unlock()
		if refuse {
			http.Error(w, "damaged", http.StatusNotFound)
			return
		}
		inner.ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	to := strings.TrimPrefix(s.URL, "http://")

	// build makes one image on a machine that has never done so, and says how often
	// it read the base.
	build := func(tag string) (plan.Digest, int) {
		l := newLab(t, Rule{"docker.io", from.host})
		d := draw(t)
		// A link of the base decides where this goes: the tree has to be known.
		step := d.files(d.base(d.source(l, baseImage, amd64), amd64), write("/lib/n", tag))
		d.image(to+"/acme/ubuntu:"+tag, "demo", plan.ImageOp{}, step)
		l = l.again()
		from.mu.Lock()
		clear(from.asked)
		from.mu.Unlock()
		r, err := (&Engine{Sources: l.sources, Target: registry.NewPublisher(&registry.Client{}, nil, 0)}).Run(t.Context(), d.Plan, func(exec.Event) {})
		check(t, err)
		var m manifest
		check(t, json.Unmarshal(base.raw, &m))
		reads := 0
		for _, layer := range m.Layers {
			reads += from.asked["GET /v2/acme/base/blobs/"+string(layer.Digest)]
		}
		return r.Images[0].Digest, reads
	}
	first, reads := build("1")
	if reads == 0 {
		t.Error("the first machine did not read the base")
	}
	if _, reads := build("2"); reads != 0 {
		t.Errorf("the second machine read the base %d times", reads)
	}
	if again, reads := build("1"); again != first || reads != 0 {
		t.Errorf("%s instead of %s, %d reads", again, first, reads)
	}
	mu.Lock()
	spoil = true
	mu.Unlock()
	if again, reads := build("1"); again != first || reads == 0 {
		t.Errorf("without tables: %s instead of %s, %d reads", again, first, reads)
	}
	// The tables are an artifact that other tools can look at, and no image of a line.
	pub, err := registry.NewPublisher(&registry.Client{}, nil, 0).Published(t.Context(), tablesFor(to+"/acme/ubuntu", base.digest()), "")
	if err != nil || pub == nil || pub.MediaType != image.Manifest {
		t.Fatalf("%+v, %v", pub, err)
	}
}

func TestPackTable(t *testing.T) {
	want := strings.Repeat("a table ", 1000)
	packed := packTable([]byte(want))
	got, err := unpackTable(packed)
	if err != nil || string(got) != want || len(packed) > 200 {
		t.Errorf("%d bytes, %v", len(packed), err)
	}
	if _, err := unpackTable([]byte("no zstd")); err == nil {
		t.Error("garbage was unpacked")
	}
}
