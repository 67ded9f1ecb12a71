package compile

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// TestBounds checks that a text is refused just above each bound, and not just
// below; the schema's own text does not count.
func TestBounds(t *testing.T) {
	chain := func(operators int) string { return "_n: 1" + strings.Repeat(" + 1", operators) + "\n" }
	const manifest = "package images\n\ncanvos: \"v4.4.12\"\nregistry: \"docker.io/acme\"\nfamilies: {}\n"
	for _, c := range []struct {
		name   string
		more   string
		other  string // in a package that the manifest imports
		bounds Bounds
		want   string // "" is no complaint of bounds
	}{
		{"none", chain(900), "", Bounds{}, ""},
		{"operators below", chain(20), "", Bounds{Operators: 20}, ""},
		{"operators above", chain(21), "", Bounds{Operators: 20}, "images.cue:9:5: error[CV0010]: the expression has 21 operators within one another, more than the 20 that are evaluated here"},
		{"operators in brackets", "_n: (((1 + 1) + 1) + 1)\n", "", Bounds{Operators: 2}, "images.cue:9:5: error[CV0010]: the expression has 3 operators"},
		{"operators of a sign", "_n: " + strings.Repeat("-", 9) + "1\n", "", Bounds{Operators: 8}, "9 operators"},
		{"operators imported", "", chain(21), Bounds{Operators: 20}, "lib/lib.cue:2:5: error[CV0010]: the expression has 21 operators"},
		{"bytes below", strings.Repeat("//\n", 300), "", Bounds{Bytes: 1100}, ""},
		{"bytes above", strings.Repeat("//\n", 400), "", Bounds{Bytes: 1100}, "error[CV0010]: the CUE files are more than 1 KiB, which is too much to evaluate here"},
		{"bytes imported", strings.Repeat("//\n", 200), strings.Repeat("//\n", 200), Bounds{Bytes: 1100}, "error[CV0010]: the CUE files are more than 1 KiB"},
		{"nodes", strings.Repeat("_a: 1\n", 3000), "", Bounds{Nodes: 8000}, "error[CV0010]: the manifest has more than 8000 parts"},
		{"nodes below", strings.Repeat("_a: 1\n", 100), "", Bounds{Nodes: 8000}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := fstest.MapFS{
				"images.cue":         {Data: []byte(strings.Replace(manifest, "\n\n", "\n\nimport \"example.com/m/lib\"\n\n_lib: lib\n", 1) + c.more)},
				"lib/lib.cue":        {Data: []byte("package lib\n" + c.other)},
				"cue.mod/module.cue": {Data: []byte("module: \"example.com/m@v0\"\nlanguage: version: \"v0.17.0\"\n")},
			}
			if c.name == "bytes below" {
				tree["notes/other.cue"] = &fstest.MapFile{Data: make([]byte, 5000)} // is not read
			}
			for _, file := range []string{"", "images.cue"} {
				_, ps := Load(Source{FS: tree, Dir: ".", File: file, Bounds: c.bounds})
				got := listing(ps)
				if c.want == "" && strings.Contains(got, "CV0010") || !strings.Contains(got, c.want) {
					t.Errorf("%q:\n%swant %q", file, got, c.want)
				}
			}
		})
	}
	for n, want := range map[int]bool{1000: false, 1200: true} {
		in := strings.NewReader(manifest + strings.Repeat("\n", n-len(manifest)))
		_, ps := Load(Source{FS: fstest.MapFS{}, Dir: ".", Stdin: in, Bounds: Bounds{Bytes: 1100}})
		if got := strings.Contains(listing(ps), "-: error[CV0010]: the CUE files are more than"); got != want {
			t.Errorf("%d bytes of standard input: refused %t\n%s", n, got, fmt.Sprint(listing(ps)))
		}
	}
}
