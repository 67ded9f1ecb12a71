package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
)

const (
	capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	baseImage  = "docker.io/acme/base:22.04"
	published  = "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"
)

// kinds are all that a root filesystem can hold, below a name.
func kinds(t testing.TB, at string) []entry {
	long := strings.Repeat("long-name/", 20)
	entries := []entry{
		dir(at).owner(3, 4).mode(0o2750).at(100), file(at+"/suid", "s").mode(0o4755).owner(5, 6).at(200),
		file(at+"/cap", "c").xattr("security.capability", capability).xattr("user.note", "x=y").at(300),
		file(at+"/b", "linked").at(400), hard(at+"/a", at+"/b"), sym(at+"/link", "../etc/os-release").at(500), sym(at+"/dangling", "/nowhere").owner(7, 8).at(500),
		special(at+"/null", tar.TypeChar, 1, 3).at(600), special(at+"/loop", tar.TypeBlock, 7, 300).at(600), special(at+"/pipe", tar.TypeFifo, 0, 0).at(600),
		file(at+"/é ä", "").at(700), file(at+"/large-owner", "").owner(3_000_000, 3_000_001).at(700),
	}
	made := at
	for name := range strings.SplitSeq(strings.TrimSuffix(long, "/"), "/") {
		made += "/" + name
		entries = append(entries, dir(made).at(800))
	}
	return append(entries, file(at+"/"+long+"end", "deep").at(900))
}

// kindsOnDisk is what kinds look like when another program has unpacked them.
func kindsOnDisk(at string) string {
	deep, made := "", at
	for range 20 {
		made += "/long-name"
		deep += fmt.Sprintf("dir 0755 0:0 800 /%s\n", made)
	}
	return fmt.Sprintf(`dir 2750 3:4 100 /%[1]s
file 0644 0:0 400 2 names /%[1]s/a 6 2272bea6
file 0644 0:0 400 2 names /%[1]s/b 6 2272bea6
file 0644 0:0 300 1 names /%[1]s/cap 1 2e7d2c03 security.capability=%[2]q user.note="x=y"
link 0777 7:8 500 1 names /%[1]s/dangling -> /nowhere
file 0644 3000000:3000001 700 1 names /%[1]s/large-owner 0 e3b0c442
link 0777 0:0 500 1 names /%[1]s/link -> ../etc/os-release
%[3]sfile 0644 0:0 900 1 names /%[4]s/end 4 74611c1d
block 0600 0:0 600 1 names /%[1]s/loop 7,300
char 0600 0:0 600 1 names /%[1]s/null 1,3
fifo 0600 0:0 600 1 names /%[1]s/pipe
file 4755 5:6 200 1 names /%[1]s/suid 1 043a7187
file 0644 0:0 700 1 names /%[1]s/é ä 0 e3b0c442
`, at, capability, deep, made)
}

// whole is a module with every kind of source, and the plan of an image of it.
func whole(t testing.TB) (*lab, *drawn) {
	base := build(t, amd64, how{config: `{"author": "acme", "unknown": {"kept": [1, 2.50]}, "config": {"Env": ["A=<b>"], "Labels": {"maintainer": "acme"}, "Future": 1},
		"history": [{"created_by": "first", "created": "2001-01-01T00:00:00Z"}, {"created_by": "env", "empty_layer": true}, {"created_by": "second", "extra": "kept"}]}`},
		zip(t, tarOf(t, dir("etc").at(50), file("etc/os-release", "ID=ubuntu\n").at(60), file("etc/gone", "x").at(60), dir("ssh").at(60), file("ssh/key1", "").at(60), file("ssh/key2", "").at(60))),
		zip(t, tarOf(t, append(kinds(t, "base"), dir("etc").at(50), file("etc/.wh.gone", ""))...)))
	component := build(t, amd64, how{config: `{"config": {"WorkingDir": "/out"}}`}, zip(t, tarOf(t, append(kinds(t, "copied"), dir("out"), file("out/agent", "agent").mode(0o755).at(10))...)))
	l := newLab(t, Rule{"docker.io/acme/base", "oci-archive:base.tar"}, Rule{tool, "oci:tools"}, Rule{"docker.io/acme/dir:1", "dir:stand-in"})
	l.write("base.tar", tarOfFiles(t, layoutOf(t, map[string]built{baseImage: base})))
	l.writeAll("tools", layoutOf(t, map[string]built{tool: component}))
	l.write("archive.tar", tarOf(t, kinds(t, "packed")...))
	l.fs["overlay/motd"] = &fstest.MapFile{Data: []byte("hello\n"), Mode: 0o600}
	l.fs["overlay/bin/run"] = &fstest.MapFile{Data: []byte("#!/bin/sh\n"), Mode: 0o700}
	l.fs["overlay/bin/sh"] = &fstest.MapFile{Data: []byte("run"), Mode: fs.ModeSymlink | 0o777}
	l.write("stand-in/opt/x", []byte("x"))
	l.write("stand-in/image.json", []byte(`{"modes":{"opt/x":"0750"}}`))

	d := draw(t)
	archive, agent := d.source(l, "file:archive.tar", ""), d.source(l, tool, amd64)
	top := d.base(d.source(l, baseImage, amd64), amd64)
	top = d.files(top,
		plan.Action{Copy: &plan.Copy{Source: archive, Archive: true, From: "/", To: "/", KeepTimes: true, Xattrs: "all"}},
		plan.Action{Copy: &plan.Copy{Source: agent, From: ".", FromWorkdir: true, To: "/usr/bin"}},
		plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/", To: "/srv"}},
		plan.Action{Copy: &plan.Copy{Source: d.source(l, "docker.io/acme/dir:1", amd64), From: "/", To: "/"}})
	top = d.files(top,
		plan.Action{Copy: &plan.Copy{Source: agent, From: "/copied", To: "/copied", KeepTimes: true, Xattrs: "all"}})
	top = d.files(top, plan.Action{Remove: &plan.Remove{Path: "/not-there"}}) // an empty layer is none
	top = d.files(top, plan.Action{Remove: &plan.Remove{Path: "/ssh/key*"}}, write("/etc/made", "made"), plan.Action{Link: &plan.Link{Path: "/etc/l", Target: "made"}},
		plan.Action{Touch: &plan.Touch{Path: "/etc/machine-id", Mode: "0444"}}, plan.Action{Attr: &plan.Attr{Path: "/usr/bin/agent", Mode: "0711", Owner: "9:9"}})
	d.image(published, "demo", plan.ImageOp{
		Labels: map[string]string{"org.example.note": "a <b> & c"}, Annotations: (&plan.Facts{Release: "v4.4.12", OSDistribution: "ubuntu", KubernetesDistribution: "k3s"}).Annotations(),
	}, top)
	return l, d
}

func TestImageIsWhatOtherToolsSee(t *testing.T) {
	l, d := whole(t)
	out, result := l.apply(d)
	sound(t, out)

	const e = "1587038400" // the epoch
	want := kindsOnDisk("base") +
		"dir 0755 0:0 " + e + " /copied\n" + strings.SplitN(kindsOnDisk("copied"), "\n", 2)[1] +
		"dir 0755 0:0 " + e + " /etc\n" +
		"link 0777 0:0 " + e + " 1 names /etc/l -> made\n" +
		"file 0444 0:0 " + e + " 1 names /etc/machine-id 0 e3b0c442\n" +
		"file 0644 0:0 " + e + " 1 names /etc/made 4 ea089069\n" +
		"file 0644 0:0 60 1 names /etc/os-release 10 278b01b9\n" +
		"dir 0755 0:0 " + e + " /opt\n" +
		"file 0750 0:0 " + e + " 1 names /opt/x 1 2d711642\n" +
		kindsOnDisk("packed") +
		"dir 0755 0:0 " + e + " /srv\n" +
		"dir 0755 0:0 " + e + " /srv/bin\n" +
		"file 0755 0:0 " + e + " 1 names /srv/bin/run 10 a8076d3d\n" +
		"link 0777 0:0 " + e + " 1 names /srv/bin/sh -> run\n" +
		"file 0644 0:0 " + e + " 1 names /srv/motd 6 5891b5b5\n" +
		"dir 0755 0:0 " + e + " /ssh\n" +
		"dir 0755 0:0 " + e + " /usr\n" +
		"dir 0755 0:0 " + e + " /usr/bin\n" +
		"file 0711 9:9 " + e + " 1 names /usr/bin/agent 5 d4f0bc5a\n"
	if got := onDisk(t, unpack(t, out, published)); got != want {
		t.Errorf("umoci unpacks\n%s", lineDiff(got, want))
	}

	var seen struct {
		Digest                string
		Architecture, Created string
		Labels                map[string]string
		Env, Layers           []string
	}
	check(t, json.Unmarshal([]byte(runProgram(t, "skopeo", "inspect", "oci:"+out.Dir+":"+published)), &seen))
	if seen.Digest != string(result.Images[0].Digest) || seen.Architecture != "amd64" || seen.Created != epoch || len(seen.Layers) != 5 || !slices.Equal(seen.Env, []string{"A=<b>"}) {
		t.Errorf("skopeo sees %+v", seen)
	}
	if seen.Labels["maintainer"] != "acme" || seen.Labels["org.example.note"] != "a <b> & c" || seen.Labels[StepKey] != string(d.Images[0].Step) {
		t.Errorf("labels %v", seen.Labels)
	}
	config := runProgram(t, "skopeo", "inspect", "--config", "--raw", "oci:"+out.Dir+":"+published)
	for _, part := range []string{`"author":"acme"`, `"unknown":{"kept":[1,2.50]}`, `"Future":1`, `"created_by":"first"`, `"extra":"kept"`, `"created":"2001-01-01T00:00:00Z"`} {
		if !strings.Contains(config, part) {
			t.Errorf("the config lacks %s:\n%s", part, config)
		}
	}
	var doc struct {
		History []struct {
			Empty bool `json:"empty_layer"`
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	check(t, json.Unmarshal([]byte(config), &doc))
	if len(doc.History) != 6 || !doc.History[1].Empty || len(doc.Rootfs.DiffIDs) != 5 {
		t.Errorf("history and layers: %+v", doc)
	}
	raw := runProgram(t, "skopeo", "inspect", "--raw", "oci:"+out.Dir+":"+published)
	var m manifest
	check(t, json.Unmarshal([]byte(raw), &m))
	if m.Annotations[StepKey] != string(d.Images[0].Step) || m.Annotations["dev.canvos.two-node"] != "false" || drifted([]byte(raw)) {
		t.Errorf("annotations %v", m.Annotations)
	}
	if !drifted([]byte(strings.Replace(raw, string(m.Layers[1].Digest), string(m.Layers[0].Digest), 1))) {
		t.Error("another layer is no drift")
	}
}

// lineDiff is the lines that only one of two texts has.
func lineDiff(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out strings.Builder
	for _, line := range a {
		if !slices.Contains(b, line) {
			fmt.Fprintf(&out, "+ %s\n", line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			fmt.Fprintf(&out, "- %s\n", line)
		}
	}
	if out.Len() == 0 && got != want {
		return "the same lines in another order:\n" + got
	}
	return out.String()
}

func TestIndexOfArchitectures(t *testing.T) {
	amd, arm := plainImage(t, amd64, file("arch", "amd64")), build(t, arm64, how{config: `{"variant": "v8"}`}, zip(t, tarOf(t, file("arch", "arm64"))))
	l := newLab(t, Rule{"docker.io", "oci:bases"})
	l.writeAll("bases", layoutOf(t, map[string]built{baseImage: list(t, dockerList, amd, arm)}))
	d := draw(t)
	var tops []plan.Digest
	for _, platform := range []string{amd64, arm64} {
		tops = append(tops, d.files(d.base(d.source(l, baseImage, platform), platform), write("/same", "in both")))
	}
	d.image(published, "demo", plan.ImageOp{}, tops...)
	out, result := l.apply(d)
	sound(t, out)

	var doc index
	check(t, json.Unmarshal([]byte(runProgram(t, "skopeo", "inspect", "--raw", "oci:"+out.Dir+":"+published)), &doc))
	if len(doc.Manifests) != 2 || doc.Annotations[StepKey] != string(d.Images[0].Step) {
		t.Fatalf("index %+v", doc)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		if p := doc.Manifests[i].Platform; p.OS != "linux" || p.Architecture != arch {
			t.Errorf("platform %+v", p)
		}
		config := runProgram(t, "skopeo", "inspect", "--override-arch", arch, "--config", "--raw", "oci:"+out.Dir+":"+published)
		if !strings.Contains(config, `"architecture":"`+arch+`"`) || arch == "arm64" && !strings.Contains(config, `"variant":"v8"`) {
			t.Errorf("config of %s: %s", arch, config)
		}
	}
	// The layer that both have was made once.
	if result.Bytes.Reused != 1 {
		t.Errorf("%d layers were reused, not 1", result.Bytes.Reused)
	}
	// umoci knows no indexes, so skopeo takes each image out.
	for _, arch := range []string{"amd64", "arm64"} {
		one := &Layout{Dir: filepath.Join(t.TempDir(), arch)}
		runProgram(t, "skopeo", "copy", "--override-arch", arch, "oci:"+out.Dir+":"+published, "oci:"+one.Dir+":one")
		if b, err := os.ReadFile(filepath.Join(unpack(t, one, "one"), "arch")); err != nil || string(b) != arch {
			t.Errorf("%q, %v", b, err)
		}
	}
}

// A second run makes nothing again, and says so.
func TestSecondRun(t *testing.T) {
	l, d := whole(t)
	out, first := l.apply(d)
	before := holds(t, out)
	e := &Engine{Sources: l.rules(Rule{"docker.io/acme/base", "oci-archive:base.tar"}, Rule{tool, "oci:tools"}, Rule{"docker.io/acme/dir:1", "dir:stand-in"}).sources, Target: &Layout{Dir: out.Dir, Store: l.sources.Store}, Jobs: 2}
	var kinds []exec.Kind
	second, err := e.Run(t.Context(), d.Plan, func(ev exec.Event) {
		if strings.HasPrefix(ev.Name, "files") && ev.Kind != exec.StepProgress {
			kinds = append(kinds, ev.Kind)
		}
	})
	check(t, err)
	if digests(first) != digests(second) || second.Bytes.Uploaded != 0 || second.Bytes.Reused != 3 || second.Bytes.Mounted != first.Bytes.Uploaded {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
	if want := []exec.Kind{exec.StepStarted, exec.StepCached, exec.StepStarted, exec.StepCached, exec.StepStarted, exec.StepDone, exec.StepStarted, exec.StepCached}; !slices.Equal(kinds, want) {
		t.Errorf("events of files steps: %v", kinds)
	}
	after := holds(t, out)
	for _, name := range sortedKeys(after) {
		if string(before[name]) != string(after[name]) {
			t.Errorf("%s changed", name)
		}
	}
}

// hostile images never reach outside their root, neither in what is read nor in
// what is written.
func TestHostileSources(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	check(t, os.WriteFile(outside, []byte("secret"), 0o644))
	for _, c := range []struct {
		name    string
		entries []entry
		copy    plan.Copy
		want    string // the error, or what is at /got in the image
	}{
		{"name that climbs", []entry{file("../../escaped", "x")}, plan.Copy{From: "/", To: "/"}, "leaves the archive"},
		{"name that climbs inside", []entry{file("a/../../escaped", "x")}, plan.Copy{From: "/", To: "/"}, "leaves the archive"},
		{"hard link out", []entry{hard("got", "../../../.."+outside)}, plan.Copy{From: "/", To: "/"}, "leaves the archive"},
		{"hard link to what is not there", []entry{hard("got", outside)}, plan.Copy{From: "/", To: "/"}, "which is not there"},
		{"link out stays a link", []entry{sym("got", outside)}, plan.Copy{From: "/", To: "/"}, "link to " + outside},
		{"link out, followed", []entry{sym("l", "../../.."+outside)}, plan.Copy{From: "/l", To: "/got", Follow: true}, "link to ../../.." + outside},
		{"link to its own root", []entry{sym("l", "/"), file("inside", "in")}, plan.Copy{From: "/l/inside", To: "/got"}, "in"},
		{"file below a link out", []entry{sym("d", path.Dir(outside)), file("d/got", "x")}, plan.Copy{From: "/", To: "/"}, "does not exist"},
		{"root that is a file", []entry{{tar.Header{Name: "./", Typeflag: tar.TypeSymlink, Linkname: "/"}, ""}}, plan.Copy{From: "/", To: "/"}, "is the root and no directory"},
		{"huge size", []entry{{tar.Header{Name: "got", Typeflag: tar.TypeReg, Mode: 0o644}, "x"}}, plan.Copy{From: "/", To: "/"}, "x"},
	} {
		l := newLab(t, Rule{"docker.io", "oci:images"})
		l.writeAll("images", layoutOf(t, map[string]built{
			tool:      build(t, amd64, how{}, zip(t, tarOf(t, c.entries...))),
			baseImage: plainImage(t, amd64, dir("etc"), sym("evil", path.Dir(outside))),
		}))
		d := draw(t)
		c.copy.Source = d.source(l, tool, amd64)
		top := d.files(d.base(d.source(l, baseImage, amd64), amd64), plan.Action{Copy: &c.copy})
		d.image(published, "demo", plan.ImageOp{}, top)
		out := &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}
		_, err := (&Engine{Sources: l.sources, Target: out}).Run(t.Context(), d.Plan, func(exec.Event) {})
		if err == nil {
			root := unpack(t, out, published)
			got := ""
			if to, lerr := os.Readlink(filepath.Join(root, "got")); lerr == nil {
				got = "link to " + to
			} else if b, rerr := os.ReadFile(filepath.Join(root, "got")); rerr == nil {
				got = string(b)
			}
			if got != c.want {
				t.Errorf("%s: /got is %q", c.name, got)
			}
		} else if !strings.Contains(err.Error(), c.want) || c.want == "x" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Written through a link of the base that leads out, a file stays inside.
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, dir("etc"), sym("out", "../../../etc"))}))
	d := draw(t)
	d.image(published, "demo", plan.ImageOp{}, d.files(d.base(d.source(l, baseImage, amd64), amd64), write("/out/passwd", "inside")))
	out, _ := l.apply(d)
	if b, err := os.ReadFile(filepath.Join(unpack(t, out, published), "etc", "passwd")); err != nil || string(b) != "inside" {
		t.Errorf("through a link that climbs: %q, %v", b, err)
	}
}

// A module on a disk is an os.Root: a local source does not reach out of it.
func TestModuleIsNotLeft(t *testing.T) {
	top := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(top, "module", "overlay"), 0o755))
	check(t, os.MkdirAll(filepath.Join(top, "secret", "blobs"), 0o755))
	check(t, os.WriteFile(filepath.Join(top, "secret", "key"), []byte("k"), 0o644))
	check(t, os.WriteFile(filepath.Join(top, "secret", "index.json"), []byte("{}"), 0o644))
	check(t, os.Symlink("../secret", filepath.Join(top, "module", "out")))
	check(t, os.Symlink("../../secret/key", filepath.Join(top, "module", "overlay", "link")))
	root, err := os.OpenRoot(filepath.Join(top, "module"))
	check(t, err)
	defer root.Close()
	l := newLab(t, Rule{"docker.io/a", "oci:out"}, Rule{"docker.io/b:1", "dir:out"}, Rule{"docker.io/c", "oci-archive:out/key"})
	l.sources.Root = root.FS()
	for _, reference := range []string{"docker.io/a:1", "docker.io/b:1", "docker.io/c:1"} {
		_, err := l.sources.open(t.Context(), reference, amd64, "")
		if err == nil || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("%s: %v", reference, err)
		}
	}
	// A link in a tree is copied as a link, and not as what it leads to.
	digest, _, err := plan.HashTree(root.FS(), "overlay")
	check(t, err)
	base := plainImage(t, amd64, dir("etc"))
	reg := newRegistry(t, map[string]built{"base:1": base})
	d := draw(t)
	d.Sources = []plan.Source{{Reference: "file:overlay", Digest: digest}}
	d.image(published, "demo", plan.ImageOp{}, d.files(d.base(d.source(l, reg.host+"/base:1", amd64), amd64), plan.Action{Copy: &plan.Copy{Source: digest, From: "/", To: "/"}}))
	out, _ := l.apply(d)
	if to, err := os.Readlink(filepath.Join(unpack(t, out, published), "link")); err != nil || to != "../../secret/key" {
		t.Errorf("%q, %v", to, err)
	}
}

func TestRunFailures(t *testing.T) {
	// steps are two families of two images each; the bad one copies what is not there.
	plans := func(t *testing.T) (*lab, *drawn) {
		l := newLab(t, Rule{"docker.io", "oci:images"})
		l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, dir("etc")), tool: plainImage(t, amd64, file("f", "x"))}))
		d := draw(t)
		base, from := d.base(d.source(l, baseImage, amd64), amd64), d.source(l, tool, amd64)
		d.image("docker.io/acme/a:1", "bad", plan.ImageOp{}, d.files(base, write("/a", "1")))
		d.image("docker.io/acme/a:2", "bad", plan.ImageOp{}, d.files(base, plan.Action{Copy: &plan.Copy{Source: from, From: "/none", To: "/x"}}))
		d.image("docker.io/acme/b:1", "good", plan.ImageOp{}, d.files(base, write("/b", "1")))
		d.image("docker.io/acme/b:2", "good", plan.ImageOp{}, d.files(base, write("/b", "2")))
		return l, d
	}
	l, d := plans(t)
	out := &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}
	e := &Engine{Sources: l.sources, Target: out, Jobs: 1, KeepGoing: true}
	r, err := e.Run(t.Context(), d.Plan, func(exec.Event) {})
	var step *exec.StepError
	if !errors.As(err, &step) || !strings.Contains(err.Error(), "/none") || !strings.Contains(err.Error(), "images.cue:") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	var states []string
	for _, i := range r.Images {
		states = append(states, string(i.State))
	}
	if got := strings.Join(states, " "); got != "skipped failed built built" {
		t.Errorf("states %s", got)
	}
	if r.Images[0].Error != `built, but another image of family "bad" is missing, so its tag did not move` || r.Images[1].Err == nil {
		t.Errorf("result %+v", r.Images)
	}
	if got := strings.Join(tagsIn(t, out), " "); got != "docker.io/acme/b:1 docker.io/acme/b:2" {
		t.Errorf("tags %s", got)
	}
	sound(t, out)

	l, d = plans(t)
	out = &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}
	r, err = (&Engine{Sources: l.sources, Target: out, Jobs: 1}).Run(t.Context(), d.Plan, func(exec.Event) {})
	if err == nil || r.Images[1].State != exec.Failed || r.Images[3].State != exec.Skipped {
		t.Errorf("without KeepGoing: %+v, %v", r.Images, err)
	}
	if tags := tagsIn(t, out); len(tags) > 0 {
		t.Errorf("without KeepGoing: tags %v", tags)
	}
}

// What the lock recorded and what is there must be the same.
func TestChangedInputs(t *testing.T) {
	for name, change := range map[string]func(*lab){
		"overlay": func(l *lab) { l.fs["overlay/motd"].Data = []byte("other") },
		"archive": func(l *lab) { l.write("archive.tar", tarOf(t, file("other", ""))) },
		"dir":     func(l *lab) { l.write("stand-in/opt/x", []byte("y")) },
		"layout": func(l *lab) {
			l.writeAll("tools", layoutOf(t, map[string]built{tool: plainImage(t, amd64, file("other", ""))}))
			delete(l.fs, "none")
		},
	} {
		l, d := whole(t)
		again := l.again() // what was read to make the plan is not remembered
		change(again)
		if name == "layout" {
			for _, s := range d.Sources {
				if s.Reference == tool {
					delete(again.fs, "tools/"+blobName(s.Digest))
				}
			}
		}
		out := &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: again.sources.Store}
		_, err := (&Engine{Sources: again.sources, Target: out}).Run(t.Context(), d.Plan, func(exec.Event) {})
		if err == nil || !strings.HasPrefix(code(err), "CV06") {
			t.Errorf("%s: %v", name, err)
		}
		if tags := tagsIn(t, out); len(tags) > 0 {
			t.Errorf("%s: tags %v", name, tags)
		}
	}
}

func TestPrepared(t *testing.T) {
	for _, c := range []struct {
		name     string
		entries  []entry
		prepared bool
		facts    plan.Facts
		want     string
	}{
		{"empty identity", []entry{file("etc/machine-id", "")}, true, plan.Facts{}, ""},
		{"none", []entry{file("etc/x", "")}, true, plan.Facts{}, ""},
		{"word of systemd", []entry{file("etc/machine-id", "uninitialized\n")}, true, plan.Facts{}, ""},
		{"identity", []entry{file("etc/machine-id", strings.Repeat("a", 32)+"\n")}, true, plan.Facts{}, "CV0605 docker.io/acme/base:22.04: it is not prepared: /etc/machine-id has an identity in it, which all hosts would share"},
		{"identity behind a link", []entry{sym("etc/machine-id", "../var/id"), file("var/id", strings.Repeat("a", 32)+"\n")}, true, plan.Facts{}, "CV0605"},
		{"identity, to be prepared", []entry{file("etc/machine-id", strings.Repeat("a", 32)+"\n")}, false, plan.Facts{}, ""},
		{"two-node", []entry{file("opt/spectrocloud/bin/kine", "k")}, true, plan.Facts{TwoNode: true}, ""},
		{"two-node without kine", []entry{file("etc/x", "")}, true, plan.Facts{TwoNode: true}, "CV0605 docker.io/acme/base:22.04: it is not prepared for two-node: there is no /opt/spectrocloud/bin/kine"},
		{"two-node to be prepared", []entry{file("etc/x", "")}, false, plan.Facts{TwoNode: true}, ""},
	} {
		l := newLab(t, Rule{"docker.io", "oci:images"})
		l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, c.entries...)}))
		d := draw(t)
		base := d.step("base", plan.Op{Base: &plan.Base{Source: d.source(l, baseImage, amd64), Platform: amd64, Prepared: c.prepared}})
		d.image(published, "demo", plan.ImageOp{Facts: c.facts}, d.files(base, write("/x", "")))
		_, err := (&Engine{Sources: l.sources, Target: &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}}).Run(t.Context(), d.Plan, func(exec.Event) {})
		if c.want == "" && err != nil || c.want != "" && !strings.HasPrefix(code(err), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// What a plan expects of a prepared base may also come with a component.
func TestExpected(t *testing.T) {
	for _, c := range []struct {
		name    string
		base    []entry
		actions []plan.Action
		want    string
	}{
		{"in the base", []entry{file("usr/bin/tool", ""), sym("bin", "usr/bin")}, nil, ""},
		{"laid over", []entry{file("etc/x", "")}, []plan.Action{write("/opt/tool", "")}, ""},
		{"nowhere", []entry{file("usr/bin/tools", "")}, nil,
			"CV0605 docker.io/acme/base:22.04: it is not prepared: there is no tool: nothing is at /bin/tool or /opt/tool"},
	} {
		l := newLab(t, Rule{"docker.io", "oci:images"})
		l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, c.base...)}))
		d := draw(t)
		base := d.step("base", plan.Op{Base: &plan.Base{Source: d.source(l, baseImage, amd64), Platform: amd64, Prepared: true}})
		expect := plan.Action{Expect: &plan.Expect{What: "tool", Paths: []string{"/bin/tool", "/opt/tool"}}}
		d.image(published, "demo", plan.ImageOp{}, d.files(base, append(c.actions, expect, write("/x", ""))...))
		_, err := (&Engine{Sources: l.sources, Target: &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}}).Run(t.Context(), d.Plan, func(exec.Event) {})
		if c.want == "" && err != nil || c.want != "" && !strings.HasPrefix(code(err), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	d := draw(t)
	base := d.step("base", plan.Op{Base: &plan.Base{Source: "sha256:1", Platform: amd64}})
	run := d.step("os stage", plan.Op{Run: &plan.Run{Platform: amd64, Script: "true"}}, base)
	plain := d.files(base, write("/a", ""))
	d.image("a:1", "os", plan.ImageOp{}, d.files(run, write("/a", "1")))
	d.image("a:2", "os", plan.ImageOp{}, d.files(run, write("/a", "2")))
	d.image("u:1", "uki", plan.ImageOp{Facts: plan.Facts{UKI: true}}, run)
	for argument, family := range map[string]string{"IS_MAAS": "maas", "INSTALL_NVIDIA_GPU_DRIVERS": "gpu"} {
		d.image(family+":1", family, plan.ImageOp{}, run)
		d.Images[len(d.Images)-1].Arguments = map[string]string{argument: "true"}
	}
	d.image("n:1", "nodeadm", plan.ImageOp{}, d.step("install", plan.Op{Run: &plan.Run{Platform: amd64, Script: "false"}}, plain))
	d.image("p:1", "prepared", plan.ImageOp{}, plain)
	err := (&Engine{}).Check(d.Plan)
	got := map[string]string{}
	for _, c := range checkErrors(err) {
		family := strings.Split(c.Reason, `"`)[1]
		if got[family] != "" || c.Help == "" || (c.Step.Name != "os stage" || c.Step.At.Line != 2) && family != "nodeadm" {
			t.Errorf("%+v", c)
		}
		got[family] = c.Code
	}
	if want := "map[gpu:CV0604 maas:CV0603 nodeadm:CV0601 os:CV0601 uki:CV0602]"; fmt.Sprint(got) != want {
		t.Errorf("%v: %v", got, err)
	}
	// Runs on top of the components are no work of an OS stage.
	if want := "install: family \"nodeadm\": its Kubernetes is installed by commands (install), which the embedded engine cannot run"; !strings.Contains(err.Error(), want) {
		t.Errorf("no %q in %v", want, err)
	}
	only := d.Plan
	only.Images = []plan.Image{d.Images[len(d.Images)-1]}
	check(t, (&Engine{}).Check(only))
}

func checkErrors(err error) []*exec.CheckError {
	var all []*exec.CheckError
	if many, ok := err.(interface{ WrappedErrors() []error }); ok {
		for _, e := range many.WrappedErrors() {
			var c *exec.CheckError
			if errors.As(e, &c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// What an event says of bytes never goes back, nor beyond its total.
func TestProgress(t *testing.T) {
	l, d := whole(t)
	var mu sync.Mutex
	at := map[plan.Digest]exec.Event{}
	done := ""
	e := &Engine{Sources: l.sources, Target: &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}, Jobs: 2}
	r, err := e.Run(t.Context(), d.Plan, func(ev exec.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch ev.Kind {
		case exec.StepProgress:
			if ev.Unit != "bytes" || ev.Done < at[ev.Step].Done || ev.Done > ev.Total {
				t.Errorf("%+v after %+v", ev, at[ev.Step])
			}
			at[ev.Step] = ev
		case exec.ImageDone:
			done += ev.Name + " " + ev.Text
		}
	})
	check(t, err)
	if last := at[d.Images[0].Step]; last.Done != last.Total || last.Total != r.Bytes.Uploaded+r.Bytes.Mounted {
		t.Errorf("the image ended at %d of %d bytes, %+v", last.Done, last.Total, r.Bytes)
	}
	if done != published+" "+string(r.Images[0].Digest) {
		t.Errorf("done: %s", done)
	}
}

func TestPublishErrorNamesTheImageOnce(t *testing.T) {
	for _, tt := range []struct{ name, inner, want string }{
		{"nothing named", "connection refused", "publish r.example/edge/ubuntu:k3s-1.30.4: connection refused"},
		{"the image", "push r.example/edge/ubuntu:k3s-1.30.4: denied", "push r.example/edge/ubuntu:k3s-1.30.4: denied"},
		{"another of its family", "push r.example/edge/ubuntu:k3s-1.29.8: denied", "push r.example/edge/ubuntu:k3s-1.29.8: denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := &PublishError{"r.example/edge/ubuntu:k3s-1.30.4", errors.New(tt.inner)}
			if got := err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
