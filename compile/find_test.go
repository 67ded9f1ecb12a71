package compile

import (
	"bytes"
	"slices"
	"testing"
	"testing/fstest"
)

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
