package compile

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
)

// loaded is the manifest of a tree.
func loaded(t testing.TB, fsys fs.FS, dir string) *Manifest {
	t.Helper()
	m, ps := Load(Source{FS: fsys, Dir: dir})
	for _, p := range ps {
		t.Errorf("%v", p)
	}
	if m == nil {
		t.FailNow()
	}
	return m
}

// document is a plan as canvos plan -o json writes it for an empty registry.
func document(t testing.TB, p plan.Plan) []byte {
	t.Helper()
	type decided struct {
		plan.Image
		Action string `json:"action"`
		Reason string `json:"reason"`
	}
	doc := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		plan.Plan
		Images []decided `json:"images"`
	}{APIVersion: "canvos.dev/v1", Kind: "Plan", Plan: p}
	for _, i := range p.Images {
		doc.Images = append(doc.Images, decided{i, "build", "not published yet"})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The plans of released versions stay what they are: a change here is a change
// of images that people have. Then the recipe's version is raised.
func TestPlans(t *testing.T) {
	manifests, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	distributions := map[string]bool{}
	var documents []string
	for _, file := range manifests {
		_, fsys := archive(t, file)
		p := lowered(t, loaded(t, fsys, "."))
		for _, i := range p.Images {
			distributions[i.Facts.KubernetesDistribution] = true
		}
		base := strings.TrimSuffix(file, ".txtar")
		doc := document(t, p)
		same(t, base+".json", doc)
		same(t, base+".txt", []byte(p.Text()))
		documents = append(documents, base+".json")

		back, err := plan.Read(doc)
		if err != nil {
			t.Errorf("%s: %v", base, err)
		} else if back.Text() != p.Text() || back.Digest != p.Digest {
			t.Errorf("%s is another plan when it is read back", base)
		}
	}
	r, err := catalog.Lookup("v4.9.38")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Distributions() {
		if !distributions[d] {
			t.Errorf("no plan has %s", d)
		}
	}
	out, err := osexec.Command("go", append([]string{"tool", "cue", "vet", "-d", "#Plan", "canvos.dev/schema"}, documents...)...).CombinedOutput()
	if err != nil {
		t.Errorf("cue vet: %v\n%s", err, out)
	}
}

// same compares, or with -update sets, a golden file.
func same(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, got) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s:%d:\n-%s\n+%s", file, i+1, a[i], b[i])
			return
		}
	}
	t.Errorf("%s has %d lines, not %d", file, len(b), len(a))
}

// The schema refuses what a plan must not be.
func TestPlanSchemaRefuses(t *testing.T) {
	_, fsys := archive(t, "testdata/plan/v4.4.12.txtar")
	good := string(document(t, lowered(t, loaded(t, fsys, "."))))
	dir := t.TempDir()
	for name, change := range map[string][2]string{
		"unknown field":  {`"kind": "Plan"`, `"kind": "Plan", "extra": 1`},
		"two operations": {`"base": {`, `"run": {"platform": "linux/amd64", "script": "x", "network": false}, "base": {`},
		"no operation":   {`"prepared": true`, `"ready": true`},
		"path":           {`"to": "/etc"`, `"to": "etc"`},
		"mode":           {`"mode": "0444"`, `"mode": "444"`},
		"digest":         {`"id": "sha256:`, `"id": "sha512:`},
		"action":         {`"action": "build"`, `"action": "destroy"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: %s is not in the plan", name, change[0])
		}
		file := filepath.Join(dir, "plan.json")
		if err := os.WriteFile(file, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := osexec.Command("go", "tool", "cue", "vet", "-d", "#Plan", "canvos.dev/schema", file).CombinedOutput(); err == nil {
			t.Errorf("%s: the schema takes it\n%s", name, out)
		}
	}
}

// A plan depends on what files hold, not on where they lie, in which order they
// are found or when they were changed.
func TestPlanIsTheSameElsewhere(t *testing.T) {
	_, fsys := archive(t, "testdata/plan/v4.9.38.txtar")
	first := loaded(t, fsys, ".")
	lk := locked(t, first)
	want, _ := Lower(first, lk)

	names := []string{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	slices.Reverse(names) // so that directories list in another order, if they do
	for _, n := range names {
		b, err := fs.ReadFile(fsys, n)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(disk, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	onDisk, ps := Lower(loaded(t, os.DirFS(disk), "."), lk)
	if len(ps) > 0 || !bytes.Equal(document(t, onDisk), document(t, want)) {
		t.Errorf("on a disk it is another plan: %v", ps)
	}

	// Two files instead of one, whose names sort the other way round; what
	// stands where is all that may differ.
	text, err := fs.ReadFile(fsys, "images.cue")
	if err != nil {
		t.Fatal(err)
	}
	head, families, _ := strings.Cut(string(text), "families: {\n")
	split := fstest.MapFS{
		"z.cue": {Data: []byte(head)},
		"a.cue": {Data: []byte("package images\n\nfamilies: {\n" + families)},
	}
	for _, n := range names {
		if n != "images.cue" {
			b, _ := fs.ReadFile(fsys, n)
			split[n] = &fstest.MapFile{Data: b}
		}
	}
	inTwo, ps := Lower(loaded(t, split, "."), lk)
	if len(ps) > 0 || inTwo.Digest != want.Digest || inTwo.Text() != want.Text() {
		t.Errorf("in two files it is another plan: %v", ps)
	}

	// A lock that was filled in another order is the same lock.
	shuffled := lk.Clone()
	for _, key := range slices.Sorted(maps.Keys(lk.Sources)) {
		s := shuffled.Sources[key]
		delete(shuffled.Sources, key)
		shuffled.Sources[key] = s
	}
	if again, _ := Lower(first, shuffled); !bytes.Equal(document(t, again), document(t, want)) {
		t.Error("the order of the lock's entries matters")
	}
}

// fleet is a manifest of many families, all versions or one, on two platforms.
func fleet(families int, all bool) *Manifest {
	m := &Manifest{FS: files("overlay/a"), Dir: "."}
	for i := range families {
		f := prepared("family-"+itoa(i), 10*i+1, "1.30.4")
		f.Arch = []Field[string]{value("amd64", 1), value("arm64", 1)}
		f.OS.Image = value("docker.io/acme/prepared:"+itoa(i%10), 1)
		f.Overlay = []Overlay{{Target: "/etc", Path: value("overlay", 1)}}
		if all {
			f.Release, f.Kubernetes.Versions, f.Kubernetes.AllVersions = value("v4.9.38", 1), nil, value(true, 1)
		}
		m.Families = append(m.Families, f)
	}
	return m
}

func BenchmarkLower(b *testing.B) {
	for _, c := range []struct {
		name string
		m    *Manifest
	}{
		{"families=100", fleet(100, false)},
		{"families=1000", fleet(1000, false)},
		{"versions=all", fleet(1, true)},
	} {
		b.Run(c.name, func(b *testing.B) {
			lk := locked(b, c.m)
			b.ReportAllocs()
			for b.Loop() {
				if p, ps := Lower(c.m, lk); len(ps) > 0 || len(p.Images) == 0 {
					b.Fatal(ps)
				}
			}
		})
	}
}
