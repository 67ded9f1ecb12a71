package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The bytes of an image are a promise: whoever publishes again must get the same
// digests. The golden file says what they stand for; if its digests change alone,
// the format has, and plan.Format has to be raised.
func TestGoldenImage(t *testing.T) {
	// Nothing here was compressed by Go's own library, whose bytes may change.
	base := build(t, amd64, how{config: `{"config": {"Env": ["PATH=/bin"]}}`}, tarOf(t, dir("etc").at(50), file("etc/os-release", "ID=ubuntu\n").at(60), file("etc/gone", "x").at(60)))
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: base}))
	l.write("archive.tar", tarOf(t, kinds(t, "packed")...))
	l.write("overlay/text", []byte(strings.Repeat("some text that compresses well\n", 5000)))
	l.write("overlay/noise", []byte(noise(1, 3<<20)))
	d := draw(t)
	top := d.files(d.base(d.source(l, baseImage, amd64), amd64),
		plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:archive.tar", ""), Archive: true, From: "/", To: "/", KeepTimes: true, Xattrs: "all"}},
		plan.Action{Remove: &plan.Remove{Path: "/etc/gone"}}, write("/etc/made", "made"))
	top = d.files(top, plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/", To: "/srv"}})
	top = d.step("zstd", plan.Op{Files: &plan.Files{Epoch: epoch, Compression: "zstd", Actions: []plan.Action{
		{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/text", To: "/opt/text"}},
		{Copy: &plan.Copy{Source: d.source(l, "file:overlay", ""), From: "/noise", To: "/opt/noise"}},
	}}}, top)
	d.image(published, "demo", plan.ImageOp{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}, top)
	out, result := l.apply(d)

	got := listImage(t, out, result.Images[0].Digest) + "\nimage " + string(result.Images[0].Digest) + "\n"
	golden := filepath.Join("testdata", "image.golden")
	if *update {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if got != string(want) {
		t.Errorf("the image is another (-update rewrites %s):\n%s", golden, lineDiff(got, string(want)))
	}
}

// listImage says all that is in an image: layers entry by entry, config, manifest.
func listImage(t *testing.T, out *Layout, d plan.Digest) string {
	t.Helper()
	raw, err := os.ReadFile(out.file(d))
	check(t, err)
	var m manifest
	check(t, json.Unmarshal(raw, &m))
	var b strings.Builder
	for _, l := range m.Layers {
		fmt.Fprintf(&b, "layer %s\n", l.MediaType)
		f, err := os.Open(out.file(l.Digest))
		check(t, err)
		var plain io.Reader = f
		switch l.MediaType {
		case image.Gzip:
			plain, err = gzip.NewReader(f)
			check(t, err)
		case image.Zstd:
			plain, err = zstd.NewReader(f)
			check(t, err)
		}
		b.WriteString(listTar(t, plain))
		f.Close()
		fmt.Fprintf(&b, "  = %s\n", l.Digest)
	}
	for _, doc := range []struct {
		name string
		d    plan.Digest
	}{{"config", m.Config.Digest}, {"manifest", d}} {
		content, err := os.ReadFile(out.file(doc.d))
		check(t, err)
		var pretty bytes.Buffer
		check(t, json.Indent(&pretty, content, "", "  "))
		fmt.Fprintf(&b, "%s\n%s\n", doc.name, pretty.String())
	}
	return b.String()
}

func listTar(t *testing.T, r io.Reader) string {
	t.Helper()
	var b strings.Builder
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		check(t, err)
		fmt.Fprintf(&b, "  %c %04o %d:%d %d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.Unix(), h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&b, " -> %s", h.Linkname)
		}
		if h.Size > 0 {
			content, err := io.ReadAll(tr)
			check(t, err)
			fmt.Fprintf(&b, " %d %s", h.Size, plan.DigestOf(content)[7:15])
		}
		for _, k := range sortedKeys(h.PAXRecords) {
			if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				fmt.Fprintf(&b, " %s=%q", name, h.PAXRecords[k])
			}
		}
		b.WriteByte('\n')
	}
}
