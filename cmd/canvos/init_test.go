package main

import (
	"testing"

	"canvos.dev/compile/catalog"
)

// A first manifest has nothing wrong with it, whatever release it is for.
func TestFirstManifestOfEveryRelease(t *testing.T) {
	for _, e := range catalog.Entries() {
		r, err := catalog.Lookup(e.Tag)
		if err != nil {
			t.Fatal(err)
		}
		text, err := firstManifest("images", r, "registry.example.com/edge")
		if err != nil {
			t.Errorf("%s: %v", e.Tag, err)
			continue
		}
		for _, p := range judgeText(text) {
			t.Errorf("%s: %v", e.Tag, p)
		}
	}
}
