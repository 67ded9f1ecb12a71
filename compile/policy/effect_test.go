package policy

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
)

// side evaluates one manifest with a complete lock of made-up digests.
func side(t testing.TB, text string, files ...string) Manifest {
	t.Helper()
	fsys := fstest.MapFS{"images.cue": {Data: []byte(text), Mode: 0o644}}
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	src := compile.Source{FS: fsys, Dir: "."}
	j := compile.Judge(src, nil)
	lk := lock.New()
	if j.Manifest != nil {
		compile.Complete(j.Manifest, lk)
		for _, q := range compile.Requests(j.Manifest, lk) {
			if !q.Local {
				lk.SetSource(q.Reference, q.Platform, lock.Source{Digest: plan.DigestOf([]byte(q.Reference)), Size: 1000})
			}
		}
	}
	return Evaluate(Input{Name: "images.cue", Source: src, Lock: lk})
}

const shop = `package images

canvos:   "v4.4.12"
registry: "docker.io/acme"
families: "store": {
	os: {distribution: "ubuntu", version: "22.04", image: "docker.io/acme/base:22.04", prepare: false}
	kubernetes: {distribution: "k3s", versions: ["1.29.8", "1.30.4"]}
	tag: "shop"
}
`

func effect(t *testing.T, before, after string) Review {
	t.Helper()
	return Effect(Compare(StateOf(Side{Name: "base"}, []Manifest{side(t, before)}), StateOf(Side{Name: "head"}, []Manifest{side(t, after)})))
}

func TestEffect(t *testing.T) {
	for _, c := range []struct {
		name, old, new string // replaced in shop
		kind           Kind
		images         Counts
		why            string // one line of it
	}{
		{"same", "", "", "", Counts{Unchanged: 2}, ""},
		{"other words", `tag: "shop"`, "// the tag\n\t_t: \"shop\", tag: _t", "", Counts{Unchanged: 2}, ""},
		{"version added", `"1.30.4"]`, `"1.30.4", "1.29.6"]`, Changed, Counts{Added: 1, Unchanged: 2}, "kubernetes.versions +1.29.6"},
		{"base image", `acme/base:22.04`, `acme/base:23`, Rebuilt, Counts{Rebuilt: 2}, "os.image docker.io/acme/base:22.04 → docker.io/acme/base:23: other base image"},
		{"tag", `"shop"`, `"shop2"`, Retagged, Counts{Retagged: 2}, "tag shop → shop2: other references"},
		{"name", `"store"`, `"store2"`, Renamed, Counts{Unchanged: 2}, ""},
		{"publish", `tag: "shop"`, "tag: \"shop\"\n\tpublish: \"replace\"", Changed, Counts{Unchanged: 2}, "publish once → replace"},
	} {
		r := effect(t, shop, strings.Replace(shop, c.old, c.new, 1))
		if r.Images != c.images {
			t.Errorf("%s: images %+v, want %+v", c.name, r.Images, c.images)
		}
		switch {
		case c.kind == "" && len(r.Changes) == 0:
		case len(r.Changes) != 1 || r.Changes[0].Kind != c.kind:
			t.Errorf("%s: %+v", c.name, r.Changes)
		case c.why != "" && !slices.Contains(r.Changes[0].Why, c.why):
			t.Errorf("%s: why %q, want %q", c.name, r.Changes[0].Why, c.why)
		}
	}
}
