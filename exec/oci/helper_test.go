package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

const (
	amd64 = "linux/amd64"
	arm64 = "linux/arm64"
	epoch = "2020-04-16T12:00:00Z"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The words that layers are written in.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, body}
}
func dir(name string) entry {
	return entry{tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}
func sym(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, ""}
}
func hard(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}, ""}
}
func special(name string, typ byte, major, minor int64) entry {
	return entry{tar.Header{Name: name, Typeflag: typ, Mode: 0o600, Devmajor: major, Devminor: minor}, ""}
}
func (e entry) mode(m int64) entry       { e.Mode = m; return e }
func (e entry) owner(uid, gid int) entry { e.Uid, e.Gid = uid, gid; return e }
func (e entry) at(unix int64) entry      { e.ModTime = time.Unix(unix, 0); return e }
func (e entry) xattr(key, val string) entry {
	e.PAXRecords = maps.Clone(e.PAXRecords)
	if e.PAXRecords == nil {
		e.PAXRecords = map[string]string{}
	}
	e.PAXRecords["SCHILY.xattr."+key] = val
	return e
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.body))
		check(t, tw.WriteHeader(&h))
		_, err := io.WriteString(tw, e.body)
		check(t, err)
	}
	check(t, tw.Close())
	return b.Bytes()
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	check(t, err)
	_, err = z.Write(b)
	check(t, err)
	check(t, z.Close())
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	check(t, err)
	return z.EncodeAll(b, nil)
}

// built is an image in memory, as some other tool could have made it.
type built struct {
	platform  string
	mediaType string
	raw       []byte // manifest or index
	config    []byte
	layers    [][]byte // as in the archive: perhaps compressed
	blobs     map[plan.Digest][]byte
	children  []built
}

func (b built) digest() plan.Digest { return plan.DigestOf(b.raw) }

func (b built) size() int64 {
	n := int64(len(b.config))
	for _, l := range b.layers {
		n += int64(len(l))
	}
	return n
}

// how says what is special about an image.
type how struct {
	config     string // JSON, more fields of the config
	mediaType  string // of the manifest; OCI's if empty
	layerTypes []string
}

// build makes an image of layers that are compressed already, or plain.
func build(t testing.TB, platform string, h how, layers ...[]byte) built {
	t.Helper()
	os, arch, _ := strings.Cut(platform, "/")
	config := map[string]json.RawMessage{}
	if h.config != "" {
		check(t, json.Unmarshal([]byte(h.config), &config))
	}
	diffs := []plan.Digest{}
	m := manifest{SchemaVersion: 2, MediaType: image.Manifest, Layers: []image.Descriptor{}}
	if h.mediaType != "" {
		m.MediaType = h.mediaType
	}
	b := built{platform: platform, mediaType: m.MediaType, layers: layers, blobs: map[plan.Digest][]byte{}}
	for i, l := range layers {
		plain, typ := l, image.Layer
		switch {
		case bytes.HasPrefix(l, []byte{0x1f, 0x8b}):
			typ = image.Gzip
			z, err := gzip.NewReader(bytes.NewReader(l))
			check(t, err)
			plain, err = io.ReadAll(z)
			check(t, err)
		case bytes.HasPrefix(l, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			typ = image.Zstd
			z, err := zstd.NewReader(nil)
			check(t, err)
			plain, err = z.DecodeAll(l, nil)
			check(t, err)
		}
		if i < len(h.layerTypes) {
			typ = h.layerTypes[i]
		}
		diffs = append(diffs, plan.DigestOf(plain))
		m.Layers = append(m.Layers, image.Descriptor{MediaType: typ, Digest: plan.DigestOf(l), Size: int64(len(l))})
		b.blobs[plan.DigestOf(l)] = l
	}
	var err error
	for key, v := range map[string]any{"os": os, "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}} {
		config[key], err = json.Marshal(v)
		check(t, err)
	}
	b.config, err = json.MarshalIndent(config, "", " ")
	check(t, err)
	b.blobs[plan.DigestOf(b.config)] = b.config
	m.Config = image.Descriptor{MediaType: image.Config, Digest: plan.DigestOf(b.config), Size: int64(len(b.config))}
	b.raw, err = json.MarshalIndent(m, "", " ")
	check(t, err)
	return b
}

// plainImage is one gzip layer of entries.
func plainImage(t testing.TB, platform string, entries ...entry) built {
	t.Helper()
	return build(t, platform, how{}, zip(t, tarOf(t, entries...)))
}

// list is an index of images.
func list(t testing.TB, mediaType string, images ...built) built {
	t.Helper()
	l := index{SchemaVersion: 2, MediaType: mediaType}
	for _, i := range images {
		os, arch, _ := strings.Cut(i.platform, "/")
		l.Manifests = append(l.Manifests, image.Descriptor{MediaType: i.mediaType, Digest: i.digest(), Size: int64(len(i.raw)), Platform: &image.Platform{OS: os, Architecture: arch}})
	}
	raw, err := json.MarshalIndent(l, "", " ")
	check(t, err)
	return built{mediaType: mediaType, raw: raw, children: images}
}

// all is every blob of an image, manifests too.
func (b built) all() map[plan.Digest][]byte {
	m := maps.Clone(b.blobs)
	if m == nil {
		m = map[plan.Digest][]byte{}
	}
	m[b.digest()] = b.raw
	for _, c := range b.children {
		maps.Copy(m, c.all())
	}
	return m
}

// layoutOf is an OCI layout of images by name, as files below a directory.
func layoutOf(t testing.TB, images map[string]built) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	l := index{SchemaVersion: 2}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		b := images[name]
		l.Manifests = append(l.Manifests, image.Descriptor{MediaType: b.mediaType, Digest: b.digest(), Size: int64(len(b.raw)), Annotations: map[string]string{refName: name}})
		for d, content := range b.all() {
			files[blobName(d)] = content
		}
	}
	raw, err := json.Marshal(l)
	check(t, err)
	files["index.json"] = raw
	return files
}

// dockerSave is what docker save writes, of images by tag.
func dockerSave(t testing.TB, images map[string]built) []byte {
	t.Helper()
	var entries []entry
	var docs []map[string]any
	for _, name := range slices.Sorted(maps.Keys(images)) {
		b := images[name]
		config := strings.TrimPrefix(string(plan.DigestOf(b.config)), "sha256:") + ".json"
		entries = append(entries, file(config, string(b.config)))
		var layers []string
		for i, l := range b.layers {
			n := fmt.Sprintf("%s-%d/layer.tar", strings.ReplaceAll(name, "/", "_"), i)
			entries = append(entries, file(n, string(l)))
			layers = append(layers, n)
		}
		docs = append(docs, map[string]any{"Config": config, "RepoTags": []string{name}, "Layers": layers})
	}
	raw, err := json.Marshal(docs)
	check(t, err)
	return tarOf(t, append(entries, file("manifest.json", string(raw)))...)
}

// tarOfFiles packs files by name.
func tarOfFiles(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, file(name, string(files[name])))
	}
	return tarOf(t, entries...)
}

// lab is a module, a store, and sources over them.
type lab struct {
	t       testing.TB
	fs      fstest.MapFS
	sources *Sources
}

func newLab(t testing.TB, rules ...Rule) *lab {
	t.Helper()
	st, err := store.Open(t.TempDir())
	check(t, err)
	t.Cleanup(func() { st.Close() })
	l := &lab{t: t, fs: fstest.MapFS{}}
	places, err := NewPlaces(".", rules)
	check(t, err)
	l.sources = &Sources{Store: st, Root: l.fs, Places: places}
	return l
}

func (l *lab) write(name string, content []byte) {
	l.fs[name] = &fstest.MapFile{Data: content, Mode: 0o644}
}

func (l *lab) writeAll(dir string, files map[string][]byte) {
	for name, content := range files {
		l.write(path.Join(dir, name), content)
	}
}

// rules sets where references are read from.
func (l *lab) rules(rules ...Rule) *lab {
	l.t.Helper()
	places, err := NewPlaces(".", rules)
	check(l.t, err)
	l.sources = &Sources{Store: l.sources.Store, Root: l.fs, Places: places}
	return l
}

// again is the same module with nothing remembered: another run, with another
// store.
func (l *lab) again() *lab {
	l.t.Helper()
	other := newLab(l.t)
	other.fs = l.fs
	other.sources.Root, other.sources.Places = fs.FS(l.fs), l.sources.Places
	return other
}

// fakeRegistry serves images over HTTP, and counts what it is asked for.
type fakeRegistry struct {
	mu     sync.Mutex
	images map[string]built // by "repository:tag"
	asked  map[string]int   // by method and path
	broken func(path string, content []byte) []byte
	host   string
}

func newRegistry(t testing.TB, images map[string]built) *fakeRegistry {
	t.Helper()
	r := &fakeRegistry{images: images, asked: map[string]int{}}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.host = strings.TrimPrefix(s.URL, "http://")
	return r
}

func (r *fakeRegistry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[q.Method+" "+q.URL.Path]++
	for name, b := range r.images {
		repository, tag, _ := strings.Cut(name, ":")
		at, ok := strings.CutPrefix(q.URL.Path, "/v2/"+repository+"/")
		if !ok {
			continue
		}
		content, typ := []byte(nil), "application/octet-stream"
		if kind, ref, _ := strings.Cut(at, "/"); kind == "manifests" && ref == tag {
			content, typ = b.raw, b.mediaType
		} else if content = b.all()[plan.Digest(ref)]; kind == "manifests" {
			var m struct{ MediaType string }
			_ = json.Unmarshal(content, &m)
			typ = m.MediaType
		}
		if content == nil {
			continue
		}
		if r.broken != nil {
			content = r.broken(at, content)
		}
		w.Header().Set("Content-Type", typ)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
		return
	}
	if q.URL.Path != "/v2/" {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
	}
}

// drawn is a plan that is being written.
type drawn struct {
	t testing.TB
	plan.Plan
}

func draw(t testing.TB) *drawn {
	return &drawn{t, plan.Plan{Version: plan.Version, Recipe: plan.Recipe, Format: plan.Format}}
}

// source adds an input, asked for at its place.
func (d *drawn) source(l *lab, reference, platform string) plan.Digest {
	d.t.Helper()
	if name, ok := strings.CutPrefix(reference, "file:"); ok {
		digest, size, err := plan.HashTree(l.fs, name)
		check(d.t, err)
		d.Sources = append(d.Sources, plan.Source{Reference: reference, Digest: digest, Size: size})
		return digest
	}
	a := l.sources.Resolve(d.t.Context(), []Request{{reference, platform}}, 1)[0]
	check(d.t, a.Err)
	d.Sources = append(d.Sources, plan.Source{Reference: reference, Platform: platform, Digest: a.Digest, Size: a.Size})
	return a.Digest
}

func (d *drawn) step(name string, op plan.Op, needs ...plan.Digest) plan.Digest {
	d.t.Helper()
	s := plan.Step{Name: name, Needs: needs, Op: op, At: plan.Pos{File: "images.cue", Line: len(d.Steps) + 1, Column: 2}}
	check(d.t, s.Identify(d.Recipe, d.Format))
	if !slices.ContainsFunc(d.Steps, func(o plan.Step) bool { return o.ID == s.ID }) {
		d.Steps = append(d.Steps, s)
	}
	return s.ID
}

func (d *drawn) base(source plan.Digest, platform string) plan.Digest {
	return d.step("base "+platform, plan.Op{Base: &plan.Base{Source: source, Platform: platform}})
}

func (d *drawn) files(need plan.Digest, actions ...plan.Action) plan.Digest {
	return d.step("files", plan.Op{Files: &plan.Files{Epoch: epoch, Compression: "gzip", Actions: actions}}, need)
}

// image adds an image of one line for root filesystems by platform.
func (d *drawn) image(reference, family string, op plan.ImageOp, needs ...plan.Digest) plan.Digest {
	d.t.Helper()
	if op.Epoch == "" {
		op.Epoch = epoch
	}
	if op.Platforms == nil {
		op.Platforms = []string{amd64, arm64}[:len(needs)]
	}
	id := d.step("image "+reference, plan.Op{Image: &op}, needs...)
	d.Images = append(d.Images, plan.Image{Reference: reference, Family: family, Platforms: op.Platforms, Facts: op.Facts, Step: id, Publish: "once"})
	check(d.t, d.Seal())
	return id
}

func write(name, content string) plan.Action {
	return plan.Action{Write: &plan.Write{Path: name, Content: content, Mode: "0644"}}
}

// apply runs a plan into a new layout, and fails on any error.
func (l *lab) apply(d *drawn) (*Layout, exec.Result) {
	l.t.Helper()
	out := &Layout{Dir: path.Join(l.t.TempDir(), "out"), Store: l.sources.Store}
	e := &Engine{Sources: l.sources, Target: out, Jobs: 2}
	check(l.t, e.Check(d.Plan))
	r, err := e.Run(context.WithoutCancel(l.t.Context()), d.Plan, func(exec.Event) {})
	check(l.t, err)
	return out, r
}

// digests are the results by reference.
func digests(r exec.Result) string {
	var b strings.Builder
	for _, i := range r.Images {
		fmt.Fprintf(&b, "%s %s %s\n", i.Reference, i.State, i.Digest)
	}
	return b.String()
}
