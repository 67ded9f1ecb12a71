package compile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"canvos.dev/schema"
)

// Every kind of document that canvos writes has a definition of that name in the
// schema, and a story that compares them.
func TestKinds(t *testing.T) {
	kinds := map[string]bool{}
	files, _ := filepath.Glob("../cmd/internal/view/*.go")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bhead\("([A-Za-z]+)"\)`).FindAllSubmatch(b, -1) {
			kinds[string(m[1])] = true
		}
	}
	if len(kinds) < 15 {
		t.Fatalf("only %d kinds were found", len(kinds))
	}
	story, err := os.ReadFile("../testdata/script/output_kinds.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plan.cue", "review.cue", "output.cue"} {
		b, _ := schema.FS.ReadFile(name)
		f, err := parser.ParseFile(name, b, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			def, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			kind := strings.TrimPrefix(labelName(def.Label), "#")
			if !strings.Contains(string(b), `"`+kind+`"`) {
				continue // a part of one
			}
			if !kinds[kind] {
				t.Errorf("%s: nothing is a %s", name, kind)
			}
			if !strings.Contains(string(story), "\nvet "+kind+" ") {
				t.Errorf("no story compares what is written with #%s", kind)
			}
			delete(kinds, kind)
		}
		if name == "output.cue" {
			ast.Walk(f, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok && labelName(field.Label) != "" {
					comment := ""
					for _, c := range ast.Comments(field) {
						comment += c.Text()
					}
					if !strings.HasPrefix(comment, labelName(field.Label)+" ") {
						t.Errorf("%s: the comment of %s does not begin with its name", field.Pos(), labelName(field.Label))
					}
				}
				return true
			}, nil)
		}
	}
	for kind := range kinds {
		t.Errorf("the schema has no #%s", kind)
	}
}
