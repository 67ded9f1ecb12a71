package plan

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sealed is a plan of two images, one of them for two platforms.
func sealed(t testing.TB, change func(*Plan)) Plan {
	t.Helper()
	source := func(ref, platform string) Source {
		return Source{Reference: ref, Platform: platform, Digest: DigestOf([]byte(ref + platform)), Size: 10}
	}
	p := Plan{Version: Version, Recipe: Recipe, Format: Format, Sources: []Source{
		source("docker.io/acme/base:1", "linux/amd64"), source("docker.io/acme/base:1", "linux/arm64"),
		source("docker.io/acme/k3s:1.30.4", "linux/amd64"), source("file:overlay", ""),
	}, Images: []Image{}}
	step := func(name string, op Op, needs ...Digest) Digest {
		s := Step{Name: name, Needs: needs, Op: op, At: Pos{"images.cue", 3, 1}}
		if err := s.Identify(p.Recipe, p.Format); err != nil {
			t.Fatal(err)
		}
		p.Steps = append(p.Steps, s)
		return s.ID
	}
	const epoch = "2020-04-16T12:00:00Z"
	facts := Facts{Release: "v4.4.12", OSDistribution: "ubuntu", KubernetesDistribution: "k3s", Channel: "production"}
	amd := step("base amd64", Op{Base: &Base{Source: p.Sources[0].Digest, Platform: "linux/amd64"}})
	arm := step("base arm64", Op{Base: &Base{Source: p.Sources[1].Digest, Platform: "linux/arm64", Prepared: true}})
	run := step("os", Op{Run: &Run{Platform: "linux/amd64", Script: "true\nfalse\n", Network: true, Env: map[string]string{"A": "b"}, Refresh: 1,
		Mounts: []Mount{{Source: p.Sources[3].Digest, From: "/", To: "/run/x"}, {Step: arm, From: "/", To: "/run/y"}}, Secrets: []Secret{{Name: "TOKEN", Env: "T"}}}}, amd, arm)
	files := step("files", Op{Files: &Files{Epoch: epoch, Compression: "gzip", Actions: []Action{
		{Copy: &Copy{Source: p.Sources[2].Digest, From: ".", To: "/", FromWorkdir: true, EachTop: true, Owner: "0:0", Xattrs: "capability"}},
		{Copy: &Copy{Source: p.Sources[3].Digest, From: "/", To: "/etc", Archive: true, KeepTimes: true, Optional: true, Follow: true}},
		{Write: &Write{Path: "/a", Content: "x\n", Mode: "0644"}},
		{Mkdir: &Mkdir{Path: "/d", Mode: "1777"}},
		{Link: &Link{Path: "/l", Target: "a"}},
		{Touch: &Touch{Path: "/etc/machine-id", Mode: "0444"}},
		{Remove: &Remove{Path: "/etc/ssh/ssh_host_*"}},
		{Attr: &Attr{Path: "/a", Mode: "0600", Owner: "1:1", Optional: true}},
	}}}, run)
	labels := map[string]string{"a": "b"}
	one := step("one", Op{Image: &ImageOp{Platforms: []string{"linux/amd64"}, Labels: labels, Facts: facts, Epoch: epoch}}, files)
	two := step("two", Op{Image: &ImageOp{Platforms: []string{"linux/amd64", "linux/arm64"}, Facts: facts, Epoch: epoch}}, files, arm)
	p.Images = []Image{
		{Reference: "docker.io/acme/ubuntu:one", Family: "a", Platforms: []string{"linux/amd64"}, Facts: facts, Step: one, Publish: "once"},
		{Reference: "docker.io/acme/ubuntu:two", Family: "b", Platforms: []string{"linux/amd64", "linux/arm64"}, Facts: facts, Step: two, Publish: "replace", Arguments: map[string]string{"ARCH": "amd64"}},
	}
	if change != nil {
		change(&p)
	}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

// document is a plan as plan -o json writes it.
func document(t testing.TB, p Plan) []byte {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	m["apiVersion"], m["kind"] = "canvos.dev/v1", "Plan"
	m["bytes"] = map[string]any{"download": 1, "exact": false}
	images, _ := m["images"].([]any)
	for _, i := range images {
		i := i.(map[string]any)
		i["action"], i["reason"], i["before"] = "build", "not published yet", "sha256:x"
	}
	m["images"] = append(images, map[string]any{"reference": "docker.io/acme/ubuntu:old", "action": "kept", "step": "", "publish": ""})
	if b, err = json.MarshalIndent(m, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadGivesThePlanBack(t *testing.T) {
	want := sealed(t, nil)
	got, err := Read(document(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got.Text(), want.Text())
	}
	empty := Plan{Version: Version, Recipe: Recipe, Format: Format}
	if err := empty.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read([]byte(`{"apiVersion":"canvos.dev/v1","kind":"Plan","version":1,"recipe":1,"format":1,"digest":"` + string(empty.Digest) + `","sources":[],"steps":[],"images":[]}`)); err != nil {
		t.Errorf("a plan of nothing: %v", err)
	}
}

// A text that was changed after it was written is refused, whatever the change.
func TestReadRefuses(t *testing.T) {
	good := string(document(t, sealed(t, nil)))
	for _, c := range []struct{ name, old, new, want string }{
		{"not JSON", "{", "", "read plan: invalid character"},
		{"kind", `"kind": "Plan"`, `"kind": "Result"`, `it is "Result" of "canvos.dev/v1"`},
		{"version", `"version": 1`, `"version": 2`, "version 2 is not known here (known: 1)"},
		{"recipe", `"recipe": 1`, `"recipe": 9`, "recipe 9, format 1 are not known here"},
		{"unknown field", `"refresh": 1`, `"refresh": 1, "again": 1`, `unknown field "again"`},
		{"unknown field of the document", `"bytes": {`, `"more": {`, `unknown field "more"`},
		{"unknown field of an image", `"action": "build"`, `"actions": "build"`, `image 1: json: unknown field "actions"`},
		{"script", `true\nfalse`, `true`, "step 3 (os): its identity says"},
		{"digest of a source", string(DigestOf([]byte("file:overlay"))), "sha256:0", `"sha256:0" is not a digest`},
		{"size", `"size": 10`, `"size": 11`, "the digest says"},
		{"reference", "docker.io/acme/ubuntu:two", "docker.io/acme/ubuntu:zwei", "the digest says"},
		{"fact", `"fips": false`, `"fips": true`, "its platforms and facts are not its step's"},
		{"publish", `"publish": "once"`, `"publish": "always"`, `publish is "always"`},
		{"two documents", good, good + "{}", "after top-level value"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: %q is not in the document", c.name, c.old)
		}
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// Plans that are sealed, and wrong all the same.
func TestCheckRefuses(t *testing.T) {
	again := func(p *Plan, i int) {
		if err := p.Steps[i].Identify(p.Recipe, p.Format); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Plan)
		want   string
	}{
		{"order of steps", func(p *Plan) { p.Steps[2], p.Steps[3] = p.Steps[3], p.Steps[2] }, "which no step before it is"},
		{"step twice", func(p *Plan) { p.Steps = append(p.Steps, p.Steps[0]) }, "it is there twice"},
		{"no operation", func(p *Plan) { p.Steps[1].Op = Op{}; again(p, 1) }, "step 2 (base arm64): it has 0 operations"},
		{"two operations", func(p *Plan) { p.Steps[1].Op.Run = &Run{}; again(p, 1) }, "it has 2 operations"},
		{"two actions", func(p *Plan) { p.Steps[3].Op.Files.Actions[2].Link = &Link{}; again(p, 3) }, "action 3: it does 2 things"},
		{"path", func(p *Plan) { p.Steps[3].Op.Files.Actions[2].Write.Path = "/a/../b"; again(p, 3) }, `"/a/../b" is not an absolute, clean path`},
		{"mode", func(p *Plan) { p.Steps[3].Op.Files.Actions[2].Write.Mode = "644"; again(p, 3) }, `"644" is not a mode`},
		{"expectation of nothing", func(p *Plan) { p.Steps[3].Op.Files.Actions[2] = Action{Expect: &Expect{What: "x"}}; again(p, 3) }, "it expects nothing"},
		{"compression", func(p *Plan) { p.Steps[3].Op.Files.Compression = "xz"; again(p, 3) }, `compression "xz"`},
		{"needs of a base", func(p *Plan) { p.Steps[1].Needs = []Digest{p.Steps[0].ID}; again(p, 1) }, "it has 1 needs, not 0"},
		{"needs of an image", func(p *Plan) { p.Steps[4].Needs = nil; again(p, 4) }, "it has 0 needs, not 1"},
		{"mount of nothing", func(p *Plan) { p.Steps[2].Op.Run.Mounts[0].Source = ""; again(p, 2) }, "the mount at /run/x is of a source or of a step"},
		{"mount of a step that is not needed", func(p *Plan) { p.Steps[2].Needs = p.Steps[2].Needs[:1]; again(p, 2) }, "it needs other steps than it mounts"},
		{"image as a root", func(p *Plan) { p.Steps[5].Needs[1] = p.Steps[4].ID; again(p, 5) }, "it needs an image, one, as a root filesystem"},
		{"source", func(p *Plan) { p.Sources = p.Sources[:3] }, "which is no source of the plan"},
		{"order of sources", func(p *Plan) { p.Sources[0], p.Sources[1] = p.Sources[1], p.Sources[0] }, "out of order, or twice"},
		{"local with platform", func(p *Plan) { p.Sources[3].Platform = "linux/amd64" }, "a local source with a platform"},
		{"image without platform", func(p *Plan) { p.Sources[0].Platform = "" }, `"" is not a platform`},
		{"order of images", func(p *Plan) { p.Images[0], p.Images[1] = p.Images[1], p.Images[0] }, "out of order, or twice"},
		{"image of no image step", func(p *Plan) { p.Images[0].Step = p.Steps[3].ID }, "makes no image"},
	} {
		err := sealed(t, c.change).Check()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(document(f, sealed(f, nil)))
	goldens, err := filepath.Glob("../testdata/plan/*.json")
	if err != nil || len(goldens) == 0 {
		f.Fatal(goldens, err)
	}
	for _, name := range goldens {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"apiVersion":"canvos.dev/v1","kind":"Plan","version":1,"steps":[{"op":{"files":{"actions":[{}]}}}],"images":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Read(text)
		if err != nil {
			return
		}
		back, err := Read(document(t, p))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		a, _ := Canonical(p)
		b, _ := Canonical(back)
		if !bytes.Equal(a, b) {
			t.Errorf("read twice:\n%s\n%s", a, b)
		}
	})
}
