package compile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every example can be lowered, and the one that says it needs no network needs
// none.
func TestExamplesCanBeLowered(t *testing.T) {
	dirs, err := filepath.Glob("../examples/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		m := loaded(t, os.DirFS(dir), ".")
		p := lowered(t, m)
		if err := p.Check(); err != nil || len(p.Images) == 0 {
			t.Errorf("%s: %d images, %v", name, len(p.Images), err)
		}
		if name != "quickstart" {
			continue
		}
		places := map[string]string{}
		for _, s := range m.Sources {
			places[s.Reference] = s.Place.V
		}
		for _, q := range Requests(m, nil) {
			if !q.Local && !strings.HasPrefix(places[q.Reference], "dir:") {
				t.Errorf("%s: %s is not among its sources", name, q.Reference)
			}
			delete(places, q.Reference)
		}
		for reference := range places {
			t.Errorf("%s: nothing needs %s", name, reference)
		}
		for _, s := range p.Steps {
			if s.Op.Run != nil {
				t.Errorf("%s: %s has to run something", name, s.Name)
			}
		}
	}
}
