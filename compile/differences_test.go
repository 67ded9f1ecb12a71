package compile

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every difference that a comment names is in docs/differences.md, and every
// one of the first table, which the recipe makes, is named where it is made.
func TestDifferences(t *testing.T) {
	page, err := os.ReadFile("../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	recipe, making, ok := strings.Cut(string(page), "\n## How an image is made")
	if !ok {
		t.Fatal("the page has lost its second table")
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|")
	documented, named := map[string]bool{}, map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(recipe+making, -1) {
		if documented[m[1]] {
			t.Errorf("%s is there twice", m[1])
		}
		documented[m[1]] = true
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	mention := regexp.MustCompile(`\((?:// )?differences?(?:\s+//)?\s+([a-z-]+(?:,\s+(?://\s+)?[a-z-]+)*)\)`)
	word := regexp.MustCompile(`[a-z-]+`)
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mention.FindAllStringSubmatch(string(text), -1) {
			for _, name := range word.FindAllString(m[1], -1) {
				named[name] = true
				if !documented[name] {
					t.Errorf("%s names the difference %s, which docs/differences.md does not have", file, name)
				}
			}
		}
	}
	for _, m := range row.FindAllStringSubmatch(recipe, -1) {
		if !named[m[1]] {
			t.Errorf("nothing in the code names the difference %s", m[1])
		}
	}
}
