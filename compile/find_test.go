package compile

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/problem"
)

// guarded is a tree in which some files may not be read.
type guarded struct {
	fs.FS
	names []string
}

func (g guarded) Open(name string) (fs.File, error) {
	if slices.Contains(g.names, name) {
		return nil, &fs.PathError{Op: "openat", Path: name, Err: fs.ErrPermission}
	}
	return g.FS.Open(name)
}

// What may not be read is named, and not taken for bad CUE or for nothing.
func TestUnreadable(t *testing.T) {
	manifest := &fstest.MapFile{Data: []byte("package images\n\nfamilies: {}\n")}
	tree := fstest.MapFS{"a/images.cue": manifest, "a/more.cue": manifest, "cue.mod/module.cue": {Data: []byte("module: \"x.example@v0\"\nlanguage: version: \"v0.17.0\"\n")}}
	for _, c := range []struct{ name, file string }{
		{"a/images.cue", ""}, {"a/more.cue", ""}, {"a/images.cue", "images.cue"}, {"a/more.cue", "images.cue"}, {"a", ""}, {"cue.mod/module.cue", ""},
	} {
		fsys := guarded{tree, []string{c.name}}
		ps := Judge(Source{FS: fsys, Dir: "a", File: c.file}, nil).Problems
		if want := c.name + ": error[CV0009]: it cannot be read: permission denied\n  help: look at its permissions\n"; listing(ps) != want {
			t.Errorf("%v:\n%s", c, listing(ps))
		}
		if found, err := Find(fsys, "."); c.name != "a" && (err != nil || !slices.Equal(found, []string{"a"})) {
			t.Errorf("%v: found %v, %v", c, found, err)
		}
	}
}

func TestFind(t *testing.T) {
	manifest := &fstest.MapFile{Data: []byte("package images\n\nfamilies: {}\n")}
	tree := fstest.MapFS{
		"a/images.cue":           manifest,
		"a/more.cue":             manifest,
		"b/c/images.cue":         manifest,
		"b/values.cue":           {Data: []byte("package b\n\n#families: {}\n// families\n")},
		"b/other.cue":            {Data: []byte("FILE families BINARY\n  families {")}, // of another tool
		"cue.mod/pkg/x/x.cue":    manifest,
		"testdata/x/images.cue":  manifest,
		".git/images.cue":        manifest,
		"_old/images.cue":        manifest,
		"node_modules/x/i.cue":   manifest,
		"d/make_tool.cue":        manifest,
		"e/long.cue":             {Data: append([]byte("package e\n// families\n"), bytes.Repeat([]byte("\n"), longestParsed)...)},
		"images.cue/nothing.txt": {},
		"f/broken.cue":           {Data: []byte("families: {")},
		"f/canvos.lock":          {},
		"g/canvos.lock":          {},
		"h/.git":                 {Data: []byte("gitdir: ../.git/modules/h\n")},
		"h/images.cue":           manifest,
		"h/i/images.cue":         manifest,
		"j":                      {Data: []byte("a"), Mode: fs.ModeSymlink},
		"k":                      {Data: []byte("_old"), Mode: fs.ModeSymlink},
		"l":                      {Data: []byte("_old"), Mode: fs.ModeSymlink},
		"_old/up":                {Data: []byte(".."), Mode: fs.ModeSymlink},
		"n/images.cue":           {Data: []byte("../_old/images.cue"), Mode: fs.ModeSymlink},
		"p/broken.cue":           {Data: []byte("package p\n\n\t\"families\": {")},
		"o":                      {Data: []byte("/etc"), Mode: fs.ModeSymlink},
	}
	found, err := Find(tree, ".")
	if want := []string{"a", "b/c", "e", "f", "k", "n", "p"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v; want %q", found, err, want)
	}
	if found, err := Find(tree, "b"); err != nil || !slices.Equal(found, []string{"b/c"}) {
		t.Errorf("below b: found %q, %v", found, err)
	}
	if _, err := Find(tree, "nosuch"); err == nil {
		t.Error("a directory that does not exist is searched without an error")
	}
}

func TestFindRules(t *testing.T) {
	tree := fstest.MapFS{
		"a/rules.cue":  {Data: []byte("package a\n\npolicies: x: severity: \"deny\"\n")},
		"b/waived.cue": {Data: []byte("package b\n\nwaivers: {}\n")},
		"c/images.cue": {Data: []byte("package c\n\nfamilies: {}\n")},
	}
	found, err := FindRules(tree, ".")
	if want := []string{"a", "b"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v; want %q", found, err, want)
	}
}

// TestFindEmbedded checks that what a package embeds makes it a manifest exactly
// if it is one when it is loaded.
func TestFindEmbedded(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"import \"x.y/m/lib\"\nlib.M", true},
		{"import \"x.y/m/lib\"\nlib.#Deep.inner", true},
		{"import other \"x.y/m/lib\"\nother.M & {registry: \"docker.io/a\"}", true},
		{"import \"x.y/m/lib:lib\"\n{lib.M}", true},
		{"import \"x.y/m/lib\"\nif true {lib.M}", true},
		{"import \"x.y/m/lib\"\nlet L = lib.M\nL", true},
		{"import \"x.y/m/lib\"\nlib.Indirect", true},
		{"#M", true},
		{"close(#M)", true},
		{"#Loop", false},
		{"import \"x.y/m/lib\"\nlib.Other", false},
		{"import \"x.y/m/lib\"\nx: lib.M", false},
		{"import \"x.y/z/lib\"\nlib.M", false},
		{"import \"list\"\nx: list.Range(0, 3, 1) // families", false},
	} {
		tree := fstest.MapFS{
			"cue.mod/module.cue": {Data: []byte("module: \"x.y/m@v0\"\nlanguage: version: \"v0.17.0\"\n")},
			"lib/lib.cue":        {Data: []byte("package lib\n\nimport \"x.y/m/below/more\"\n\nM: {_families, canvos: \"v4.4.12\"}\n#Deep: inner: M\nIndirect: more.N\nOther: canvos: \"v4.4.12\"\n")},
			"lib/families.cue":   {Data: []byte("package lib\n\n_families: families: {}\n")},
			"below/more/n.cue":   {Data: []byte("package more\n\nN: families: {}\n")},
			"edge/defs.cue":      {Data: []byte("package images\n\n#M: families: {}\n#Loop: #Loop\n")},
			"edge/images.cue":    {Data: []byte("package images\n\n" + c.text + "\n")},
		}
		found, err := Find(tree, ".")
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(found, "edge"); got != c.want || len(found) > 1 {
			t.Errorf("%s: found %q", c.text, found)
		}
		_, ps := Load(Source{FS: tree, Dir: "edge"})
		is := !slices.ContainsFunc(ps, func(p *problem.Problem) bool {
			return p.Code == "CV0004" || p.Code == "CV0102" && strings.Contains(p.Message, "families") || strings.Contains(p.Message, "families")
		})
		if is != c.want {
			t.Errorf("%s: loaded, it is one: %v: %v", c.text, is, ps)
		}
	}
}

// TestFindLong checks that a long file is looked through and never in memory.
func TestFindLong(t *testing.T) {
	for n, text := range []string{"package e\n" + strings.Repeat(" ", 3<<20) + "families: {}", "package e\n" + strings.Repeat(" ", longestRead)} {
		if found, err := Find(fstest.MapFS{"e/long.cue": {Data: []byte(text)}}, "."); err != nil || len(found) != 1 {
			t.Errorf("%d: %q, %v", n, found, err)
		}
	}
	if found, err := Find(fstest.MapFS{"e/long.cue": {Data: []byte("package e\n" + strings.Repeat("import\n", 1<<20))}}, "."); err != nil || len(found) != 0 {
		t.Errorf("%q, %v", found, err)
	}
}

func TestSamePackage(t *testing.T) {
	tree := func(files map[string]string) fs.FS {
		all := fstest.MapFS{}
		for name, clause := range files {
			all[name] = &fstest.MapFile{Data: []byte(clause)}
		}
		return all
	}
	for _, c := range []struct {
		why         string
		here, there map[string]string
		want        string
	}{
		{"it is there", map[string]string{"e/a.cue": "package x"}, map[string]string{"e/a.cue": "package y"}, "a.cue"},
		{"it has another name", map[string]string{"e/b.cue": "package x", "e/c.cue": "package y"}, map[string]string{"e/a.cue": "package x", "e/c.cue": "package y"}, "b.cue"},
		{"so has its package", map[string]string{"e/b.cue": "package z", "e/c.cue": "package y"}, map[string]string{"e/a.cue": "package x", "e/c.cue": "package y"}, "b.cue"},
		{"it is new", map[string]string{"e/c.cue": "package y"}, map[string]string{"e/a.cue": "package x", "e/c.cue": "package y"}, ""},
		{"it is nowhere", map[string]string{"e/c.cue": "package y"}, map[string]string{"e/c.cue": "package y"}, ""},
		{"it cannot be read", map[string]string{"e/b.cue": "package x"}, map[string]string{"e/a.cue": "package"}, "b.cue"},
	} {
		if got := SamePackage(tree(c.here), tree(c.there), "e/a.cue"); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}
