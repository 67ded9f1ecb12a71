package canvos

import (
	"cmp"
	stdflag "flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"canvos.dev/compile/catalog"
)

var update = stdflag.Bool("update", false, "rewrite docs/arguments.md")

// docs/arguments.md is the table of arguments, as the program has it.
func TestDocument(t *testing.T) {
	const file = "../../docs/arguments.md"
	want := document()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says; go test ./compile/canvos -update writes it", file)
	}
}

func document() string {
	spans := spansOf()
	var b strings.Builder
	b.WriteString(`# Arguments of CanvOS and the fields that stand for them

Every argument that an Earthfile of a release in the catalog declares. A field is below its family, or from the top of the
manifest where it begins with ` + "`build`" + `. canvos works the argument out for each image; ` + "`canvos plan -o json`" + ` has them under
` + "`arguments`" + `. Releases are the first and the last in the catalog that declare it; gaps are named.

`)
	for _, section := range []struct {
		effect      Effect
		title, text string
	}{
		{Provider, "Provider images", "What changes the image, or its name."},
		{Build, "The build alone", "Nothing of these is in an image, and no digest depends on them."},
		{ISO, "Installer", "For the installer image and ISO, which canvos leaves to CanvOS."},
		{Keys, "Keys", "For generating keys of trusted boot, which canvos leaves to CanvOS."},
		{Other, "Other artifacts", "Disk images, which canvos leaves to CanvOS."},
		{Computed, "Computed", "The Earthfile computes these from others. A line in .arg would override them; a manifest sets what they follow from."},
		{None, "Without effect", "Declared, and read by nothing."},
	} {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", section.title, section.text)
		b.WriteString("| argument | field | type | releases | note |\n|---|---|---|---|---|\n")
		for _, a := range Table {
			if a.Effect != section.effect {
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", a.Name, code(a.Field), a.Type, cmp.Or(spans[a.Name], "4.10 line"), a.Note)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func code(field string) string {
	if field == "" {
		return ""
	}
	return "`" + field + "`"
}

// spansOf says for each argument in which releases it is declared.
func spansOf() map[string]string {
	tags := catalog.Tags()
	at := map[string]int{}
	for i, tag := range tags {
		at[tag] = i
	}
	declared := map[string][]bool{}
	for _, a := range catalog.Arguments() {
		in := declared[a.Name]
		if in == nil {
			in = make([]bool, len(tags))
			declared[a.Name] = in
		}
		for i := at[a.First]; i <= at[a.Last]; i++ {
			in[i] = true
		}
	}
	spans := map[string]string{}
	for name, in := range declared {
		var parts []string
		for i := 0; i < len(tags); i++ {
			if !in[i] {
				continue
			}
			first := i
			for i+1 < len(tags) && in[i+1] {
				i++
			}
			switch {
			case first == i:
				parts = append(parts, tags[first])
			case i == len(tags)-1:
				parts = append(parts, tags[first]+" on")
			default:
				parts = append(parts, tags[first]+"–"+tags[i])
			}
		}
		spans[name] = strings.Join(slices.Compact(parts), ", ")
	}
	return spans
}
