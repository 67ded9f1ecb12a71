package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/rootfs"
)

const tool = "docker.io/acme/tool:1"

// listed is what an image holds, a line for each entry.
func listed(t *testing.T, tree *rootfs.Tree) string {
	t.Helper()
	var b strings.Builder
	for p, e := range tree.All() {
		fmt.Fprintf(&b, "%c %04o %d:%d %d /%s %s\n", e.Type, e.Mode, e.UID, e.GID, e.Size, p, e.Target)
	}
	return b.String()
}

func (l *lab) read(reference, platform string, want plan.Digest) (*opened, string, error) {
	l.t.Helper()
	o, err := l.sources.open(l.t.Context(), reference, platform, want)
	if err != nil {
		return nil, "", err
	}
	tree, err := o.tree(l.t.Context(), l.sources.Store)
	if err != nil {
		return nil, "", err
	}
	return o, listed(l.t.(*testing.T), tree), nil
}

// One image is the same wherever it lies.
func TestEveryKindOfPlace(t *testing.T) {
	a := build(t, amd64, how{config: `{"config": {"WorkingDir": "/w"}}`},
		zip(t, tarOf(t, dir("w"), file("w/a", "amd").owner(5, 6).mode(0o4755), file("gone", ""))),
		zst(t, tarOf(t, file(".wh.gone", ""), sym("l", "w/a"))),
		tarOf(t, hard("w/b", "w/a")))
	b := plainImage(t, arm64, file("a", "arm"))
	wantA := "5 0755 0:0 0 /w \n0 4755 5:6 3 /w/a \n0 4755 5:6 3 /w/b \n2 0777 0:0 0 /l w/a\n"
	wantA = "2 0777 0:0 0 /l w/a\n5 0755 0:0 0 /w \n0 4755 5:6 3 /w/a \n0 4755 5:6 3 /w/b \n"
	wantB := "0 0644 0:0 3 /a \n"

	both := list(t, image.Index, a, b)
	files := layoutOf(t, map[string]built{tool: both, "acme/short:1": a})
	reg := newRegistry(t, map[string]built{"acme/tool:1": both, "acme/docker:1": list(t, dockerList, build(t, amd64, how{mediaType: dockerManifest, config: `{"config": {"WorkingDir": "/w"}}`,
		layerTypes: []string{"application/vnd.docker.image.rootfs.diff.tar.gzip", "", "application/vnd.docker.image.rootfs.diff.tar"}[:1]}, a.layers...))})
	save := map[string]built{"acme/tool:1": a, "acme/other:1": b}

	for _, c := range []struct {
		name, reference string
		rules           []Rule
		platforms       string
		digests         bool // those of the image as it was made
	}{
		{"registry", reg.host + "/acme/tool:1", nil, "amd64 arm64", true},
		{"other registry", tool, []Rule{{"docker.io", reg.host}}, "amd64 arm64", true},
		{"digest in a registry", reg.host + "/acme/tool@" + string(a.digest()), nil, "amd64", true},
		{"Docker's list and schema 2", reg.host + "/acme/docker:1", nil, "amd64", false},
		{"layout, whole reference", tool, []Rule{{"docker.io", "oci:layout"}}, "amd64 arm64", true},
		{"layout, rest of the reference", "docker.io/acme/short:1", []Rule{{"docker.io", "oci:layout"}}, "amd64", true},
		{"archive of a layout", tool, []Rule{{"docker.io", "oci-archive:layout.tar"}}, "amd64 arm64", true},
		{"docker save", tool, []Rule{{"docker.io", "docker-archive:save.tar"}}, "amd64", false},
		{"docker save of one, by another name", "docker.io/acme/renamed:1", []Rule{{"docker.io", "docker-archive:one.tar"}}, "amd64", false},
	} {
		l := newLab(t, c.rules...)
		l.writeAll("layout", files)
		l.write("layout.tar", tarOfFiles(t, files))
		l.write("save.tar", dockerSave(t, save))
		l.write("one.tar", dockerSave(t, map[string]built{"some:1": a}))
		for arch := range strings.FieldsSeq(c.platforms) {
			img, want := a, wantA
			if arch == "arm64" {
				img, want = b, wantB
			}
			r := l.sources.Resolve(t.Context(), []Request{{c.reference, "linux/" + arch}}, 2)[0]
			if r.Err != nil || c.digests && (r.Digest != img.digest() || r.Size != img.size()) {
				t.Errorf("%s: resolved to %+v, want %s of %d bytes", c.name, r, img.digest(), img.size())
				continue
			}
			// By digest, and in another run that remembers nothing.
			again := l.again()
			o, got, err := again.read(c.reference, "linux/"+arch, r.Digest)
			if err != nil || got != want {
				t.Errorf("%s: %v, holds\n%s", c.name, err, got)
				continue
			}
			if o.size != r.Size || arch == "amd64" && workingDir(o.config) != "/w" {
				t.Errorf("%s: %d bytes, config %s", c.name, o.size, o.config)
			}
			for _, layer := range o.layers {
				if !slices.Contains([]string{image.Gzip, image.Zstd, image.Layer}, layer.MediaType) {
					t.Errorf("%s: layer of type %s", c.name, layer.MediaType)
				}
			}
		}
	}
}

// code is that of a *SourceError.
func code(err error) string {
	var s *SourceError
	if !errors.As(err, &s) {
		return fmt.Sprintf("no SourceError: %v", err)
	}
	text := s.Code + " " + s.Error()
	for _, n := range s.Notes {
		text += "; " + n
	}
	return text
}

func TestSourcesThatAreWrong(t *testing.T) {
	good := plainImage(t, amd64, file("f", strings.Repeat("content ", 100)))
	layer := good.layers[0]
	damaged := append([]byte(nil), layer...)
	damaged[len(damaged)/2] ^= 1

	// with replaces a blob of the layout.
	with := func(d plan.Digest, content []byte) func(map[string][]byte) {
		return func(files map[string][]byte) {
			if content == nil {
				delete(files, blobName(d))
			} else {
				files[blobName(d)] = content
			}
		}
	}
	nothing := func(map[string][]byte) {}
	for _, c := range []struct {
		name      string
		img       built
		reference string
		change    func(map[string][]byte)
		want      string
	}{
		{"another name", good, "docker.io/acme/tool:2", nothing, "CV0610 docker.io/acme/tool:2 in oci:layout: it is not there; there are docker.io/acme/tool:1"},
		{"other platform", plainImage(t, arm64, file("f", "")), tool, nothing, "CV0611 docker.io/acme/tool:1 in oci:layout: it is for linux/arm64, not for linux/amd64"},
		{"platform not in the index", list(t, image.Index, plainImage(t, arm64, file("f", ""))), tool, nothing, "CV0611 docker.io/acme/tool:1 in oci:layout: it has no image for linux/amd64"},
		{"index says one platform, config another", list(t, image.Index, func() built {
			b := plainImage(t, arm64, file("f", ""))
			b.platform = amd64
			return b
		}()), tool, nothing, "CV0611 docker.io/acme/tool:1 in oci:layout: it is for linux/arm64, not for linux/amd64"},
		{"manifest is another", good, tool, with(good.digest(), []byte("{}")), "CV0612 docker.io/acme/tool:1 in oci:layout: content does not match its digest: " + string(good.digest()) + " has the digest " + string(plan.DigestOf([]byte("{}")))},
		{"manifest is gone", good, tool, with(good.digest(), nil), "CV0610 docker.io/acme/tool:1 in oci:layout: it is not there; there are docker.io/acme/tool:1"},
		{"config is another", good, tool, with(plan.DigestOf(good.config), bytes.ReplaceAll(good.config, []byte("amd64"), []byte("arm64"))), "CV0612"},
		{"config is gone", good, tool, with(plan.DigestOf(good.config), nil), "CV0610"},
		{"layer is damaged", good, tool, with(plan.DigestOf(layer), damaged), "CV0612"},
		{"layer is cut", good, tool, with(plan.DigestOf(layer), layer[:len(layer)-9]), "CV0612"},
		{"layer is too long", good, tool, with(plan.DigestOf(layer), append(slices.Clip(layer), 0)), "CV0612"},
		{"layer is gone", good, tool, with(plan.DigestOf(layer), nil), "CV0610"},
		{"foreign layer", build(t, amd64, how{layerTypes: []string{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}}, layer), tool, nothing,
			`CV0612 docker.io/acme/tool:1 in oci:layout: a layer is "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", which may not be distributed or is no layer`},
		{"schema 1", build(t, amd64, how{mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws"}, layer), tool, nothing,
			`CV0612 docker.io/acme/tool:1 in oci:layout: it is no image but "application/vnd.docker.distribution.manifest.v1+prettyjws"`},
		{"something else", build(t, amd64, how{mediaType: "application/vnd.cncf.helm.config.v1+json"}, layer), tool, nothing, "CV0612"},
		{"no layout", good, tool, func(m map[string][]byte) { clear(m); m["x"] = nil }, "CV0610 docker.io/acme/tool:1 in oci:layout: it is no OCI layout: it has no index.json"},
		{"no directory", good, tool, func(m map[string][]byte) { clear(m) }, "CV0610 docker.io/acme/tool:1 in oci:layout: there is no directory layout"},
		{"broken index", good, tool, func(m map[string][]byte) { m["index.json"] = []byte("{") }, "CV0610 docker.io/acme/tool:1 in oci:layout: its index.json is no JSON"},
	} {
		files := layoutOf(t, map[string]built{tool: c.img})
		c.change(files)
		l := newLab(t, Rule{"docker.io", "oci:layout"})
		l.writeAll("layout", files)
		_, _, err := l.read(c.reference, amd64, "")
		if got := code(err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, layout: %s", c.name, got)
		}
		if c.change == nil || len(files) < 2 {
			continue
		}
		packed := newLab(t, Rule{"docker.io", "oci-archive:layout"})
		packed.write("layout", tarOfFiles(t, files))
		_, _, err = packed.read(c.reference, amd64, "")
		if got := code(err); !strings.HasPrefix(got, strings.ReplaceAll(c.want, "oci:", "oci-archive:")) {
			t.Errorf("%s, archive: %s", c.name, got)
		}
	}

	for _, c := range []struct {
		name, place string
		content     []byte
		want        string
	}{
		{"cut archive", "oci-archive", tarOfFiles(t, layoutOf(t, map[string]built{tool: good}))[:1500], "CV0610 docker.io/acme/tool:1 in oci-archive:x: it is no tar archive, or a damaged one: unexpected EOF"},
		{"no archive", "oci-archive", []byte("hello"), "CV0610"},
		{"docker archive without a list", "docker-archive", tarOf(t, file("a", "")), "CV0610 docker.io/acme/tool:1 in docker-archive:x: it is not what docker save writes: it has no manifest.json"},
		{"docker archive that lacks a layer", "docker-archive", tarOf(t, file("manifest.json", `[{"Config":"c","RepoTags":["a:1"],"Layers":["l"]}]`), file("c", "{}")), "CV0610 docker.io/acme/tool:1 in docker-archive:x: it names l, which is not in it"},
		{"docker archive of others", "docker-archive", dockerSave(t, map[string]built{"a:1": good, "b:1": good}), "CV0610 docker.io/acme/tool:1 in docker-archive:x: it is not there; there are a:1, b:1"},
		{"layout that is a file", "oci", []byte("x"), "CV0610 docker.io/acme/tool:1 in oci:x: x is a file; an archive is named as oci-archive:x"},
	} {
		l := newLab(t, Rule{"docker.io", c.place + ":x"})
		l.write("x", c.content)
		_, _, err := l.read(tool, amd64, "")
		if got := code(err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestRegistriesThatAreWrong(t *testing.T) {
	good := plainImage(t, amd64, file("f", strings.Repeat("content ", 100)))
	for _, c := range []struct {
		name   string
		broken func(at string, content []byte) []byte
		ref    string
		want   string
	}{
		{"no such tag", nil, ":2", "CV0610 HOST/acme/tool:2: it is not there"},
		{"layer changed on the way", func(at string, b []byte) []byte {
			if at == "blobs/"+string(plan.DigestOf(good.layers[0])) {
				b = append([]byte(nil), b...)
				b[40] ^= 4
			}
			return b
		}, ":1", "CV0612"},
		{"config changed on the way", func(at string, b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("amd64"), []byte("arm64"))
		}, ":1", "CV0612"},
		{"manifest by digest changed", func(at string, b []byte) []byte {
			return append(slices.Clip(b), ' ')
		}, "@" + string(good.digest()), "CV0612"},
	} {
		reg := newRegistry(t, map[string]built{"acme/tool:1": good})
		reg.broken = c.broken
		_, _, err := newLab(t).read(reg.host+"/acme/tool"+c.ref, amd64, "")
		if got := strings.ReplaceAll(code(err), reg.host, "HOST"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	reg := newRegistry(t, nil)
	l := newLab(t)
	l.sources.Registries = &registry.Client{Transport: refusing{}}
	if _, _, err := l.read(reg.host+"/acme/tool:1", amd64, ""); !strings.HasPrefix(code(err), "CV0610") || !strings.Contains(code(err), "no route") {
		t.Errorf("no network: %v", err)
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// Each manifest is asked for once, in parallel too, and no layer is read to
// resolve it.
func TestResolveAsksOnce(t *testing.T) {
	a, b := plainImage(t, amd64, file("f", "a")), plainImage(t, arm64, file("f", "b"))
	reg := newRegistry(t, map[string]built{"acme/tool:1": list(t, image.Index, a, b), "acme/one:1": a})
	l := newLab(t, Rule{"docker.io/acme", reg.host + "/acme"})
	var requests []Request
	for range 20 {
		requests = append(requests, Request{tool, amd64}, Request{tool, arm64}, Request{"docker.io/acme/one:1", amd64}, Request{"docker.io/acme/none:1", amd64})
	}
	answers := l.sources.Resolve(t.Context(), requests, 8)
	for i, r := range answers {
		want := []plan.Digest{a.digest(), b.digest(), a.digest(), ""}[i%4]
		if r.Request != requests[i] || r.Digest != want || (r.Err == nil) != (want != "") {
			t.Errorf("answer %d: %+v", i, r)
		}
	}
	for what, n := range reg.asked {
		if n > 1 && what != "GET /v2/" {
			t.Errorf("%s %d times", what, n)
		}
		for _, img := range []built{a, b} {
			if strings.Contains(what, string(plan.DigestOf(img.layers[0]))) {
				t.Errorf("a layer was read: %s", what)
			}
		}
	}
	if len(reg.asked) < 6 {
		t.Errorf("asked only %v", slices.Collect(maps.Keys(reg.asked)))
	}
}

func TestDirectoryAsImage(t *testing.T) {
	tree := fstest.MapFS{
		"stand-ins/base/usr/bin/sudo": {Data: []byte("#!"), Mode: 0o755},
		"stand-ins/base/etc/os":       {Data: []byte("x"), Mode: 0o600},
		"stand-ins/base/bin":          {Data: []byte("usr/bin"), Mode: fs.ModeSymlink | 0o777},
		"stand-ins/base/image.json":   {Data: []byte(`{"os":"linux","architecture":"arm64","config":{"Env":["A=b"],"WorkingDir":"/w"},"modes":{"usr/bin/sudo":"4755"}}`), Mode: 0o644},
	}
	const reference = "docker.io/acme/base:1"
	l := newLab(t, Rule{reference, "dir:stand-ins/base"})
	maps.Copy(l.fs, tree)
	r := l.sources.Resolve(t.Context(), []Request{{reference, arm64}, {reference, amd64}}, 1)
	want, size, err := plan.HashTree(l.fs, "stand-ins/base")
	check(t, err)
	if r[0].Digest != want || r[0].Size != size {
		t.Errorf("resolved to %+v, want %s of %d bytes", r[0], want, size)
	}
	if got := code(r[1].Err); got != "CV0611 docker.io/acme/base:1 in dir:stand-ins/base: it is for linux/arm64, not for linux/amd64" {
		t.Error(got)
	}
	o, got, err := l.read(reference, arm64, want)
	check(t, err)
	if got != "2 0777 0:0 0 /bin usr/bin\n5 0755 0:0 0 /etc \n0 0644 0:0 1 /etc/os \n5 0755 0:0 0 /usr \n5 0755 0:0 0 /usr/bin \n0 4755 0:0 2 /usr/bin/sudo \n" {
		t.Error(got)
	}
	if want := `{"architecture":"arm64","config":{"Env":["A=b"],"WorkingDir":"/w"},"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}`; string(o.config) != want {
		t.Errorf("config %s", o.config)
	}

	for _, c := range []struct {
		name   string
		change func(fstest.MapFS)
		want   string
	}{
		{"changed", func(m fstest.MapFS) { m["stand-ins/base/etc/os"].Data = []byte("y") }, "CV0612 docker.io/acme/base:1 in dir:stand-ins/base: it has changed since the lock was written"},
		{"gone", func(m fstest.MapFS) { clear(m) }, "CV0610 docker.io/acme/base:1 in dir:stand-ins/base: there is no directory stand-ins/base"},
	} {
		other := newLab(t, Rule{reference, "dir:stand-ins/base"})
		for name, f := range tree {
			g := *f
			other.fs[name] = &g
		}
		c.change(other.fs)
		if _, _, err := other.read(reference, arm64, want); !strings.HasPrefix(code(err), c.want) {
			t.Errorf("%s: %s", c.name, code(err))
		}
	}
	for json, want := range map[string]string{
		`{"platform":"x"}`:                    `unknown field "platform"`,
		`{`:                                   "unexpected EOF",
		`{"modes":{"nowhere":"0644"}}`:        "nowhere",
		`{"modes":{"etc/os":"rw"}}`:           `mode "rw"`,
		`{"modes":{"../../etc/os":"0644"}}`:   "etc/os",
		`{"architecture":"arm64","os":"win"}`: "it is for win/arm64, not for linux/arm64",
	} {
		other := newLab(t, Rule{reference, "dir:d"})
		other.write("d/f", nil)
		other.write("d/image.json", []byte(json))
		if _, _, err := other.read(reference, arm64, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", json, err)
		}
	}
}

// An archive is read where it lies: opening one out of many costs no more.
func TestArchiveIsNotUnpacked(t *testing.T) {
	img := plainImage(t, amd64, file("f", "x"))
	files := layoutOf(t, map[string]built{tool: img})
	l := newLab(t, Rule{"docker.io", "oci-archive:layout.tar"})
	l.write("layout.tar", tarOfFiles(t, files))
	counted := &countingFS{FS: l.fs}
	l.sources.Root = counted
	if _, _, err := l.read(tool, amd64, ""); err != nil {
		t.Fatal(err)
	}
	archive := len(l.fs["layout.tar"].Data)
	if most := int64(2 * archive); counted.read > most {
		t.Errorf("%d bytes were read of an archive of %d", counted.read, archive)
	}
	usage, err := l.sources.Store.Usage()
	check(t, err)
	if usage.Blobs != 2 {
		t.Errorf("%d blobs in the store, not config and layer", usage.Blobs)
	}
}

type countingFS struct {
	fs.FS
	read int64
}

func (c *countingFS) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	return &countingFile{f, c}, err
}

type countingFile struct {
	fs.File
	c *countingFS
}

func (f *countingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.c.read += int64(n)
	return n, err
}
func (f *countingFile) Seek(o int64, w int) (int64, error) { return f.File.(io.Seeker).Seek(o, w) }
func (f *countingFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.(io.ReaderAt).ReadAt(p, at)
	f.c.read += int64(n)
	return n, err
}

// docker save of containerd's store links layers to blobs.
func TestArchiveWithLinks(t *testing.T) {
	img := plainImage(t, amd64, file("f", "x"))
	config, layer := string(plan.DigestOf(img.config))[7:], string(plan.DigestOf(img.layers[0]))[7:]
	l := newLab(t, Rule{"docker.io", "docker-archive:a.tar"})
	l.write("a.tar", tarOf(t,
		file("blobs/sha256/"+config, string(img.config)), file("blobs/sha256/"+layer, string(img.layers[0])),
		sym("x/layer.tar", "../blobs/sha256/"+layer), entry{tar.Header{Name: "c.json", Typeflag: tar.TypeLink, Linkname: "blobs/sha256/" + config}, ""},
		file("manifest.json", `[{"Config":"c.json","RepoTags":null,"Layers":["x/layer.tar"]}]`)))
	if _, got, err := l.read(tool, amd64, ""); err != nil || got != "0 0644 0:0 1 /f \n" {
		t.Errorf("%v\n%s", err, got)
	}
}
