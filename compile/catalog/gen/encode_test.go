package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"canvos.dev/compile/catalog"
)

// What the embedded data says is written as the embedded data: nothing is lost
// by reading it, and nobody edited it by hand.
func TestDataRoundTrips(t *testing.T) {
	var rs []*catalog.Release
	for _, tag := range catalog.Tags() {
		r, err := catalog.Lookup(tag)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	files, err := encode(rs, catalog.Arguments())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.FromSlash("../data")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got, ok := files[name]; !ok {
			t.Errorf("%s would not be written", name)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s would be written as\n%s", name, got)
		}
		delete(files, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		t.Errorf("%s is not there", name)
	}
}
