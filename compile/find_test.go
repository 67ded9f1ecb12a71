package compile

import (
	"bytes"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
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
		"b/broken.cue":           {Data: []byte("families: {")},
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
	}
	found, err := Find(tree, ".")
	if want := []string{"a", "b/c", "e", "f"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v; want %q", found, err, want)
	}
	if found, err := Find(tree, "b"); err != nil || !slices.Equal(found, []string{"b/c"}) {
		t.Errorf("below b: found %q, %v", found, err)
	}
	if _, err := Find(tree, "nosuch"); err == nil {
		t.Error("a directory that does not exist is searched without an error")
	}
}
