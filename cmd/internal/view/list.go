package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/plan"
)

// listed is an image in every machine format that names images.
type listed struct {
	Reference         string     `json:"reference"`
	Family            string     `json:"family"`
	KubernetesVersion string     `json:"kubernetesVersion"`
	Platforms         []string   `json:"platforms"`
	Facts             plan.Facts `json:"facts"`
}

func list(i plan.Image) listed {
	return listed{i.Reference, i.Family, i.KubernetesVersion, append([]string{}, i.Platforms...), i.Facts}
}

// List writes the images that manifests stand for; they are sorted by
// reference.
func List(w io.Writer, s Style, f Format, images []plan.Image) error {
	if f == JSON {
		all := []listed{}
		for _, i := range images {
			all = append(all, list(i))
		}
		return writeJSON(w, struct {
			header
			Images []listed `json:"images"`
		}{head("ImageList"), all})
	}
	families := map[string]bool{}
	var t table
	t.add("REFERENCE", "FAMILY", "PLATFORMS", "FACTS")
	for c := range 4 {
		t.rows[0].paint(c, faint)
	}
	for _, i := range images {
		families[i.Family] = true
		t.add(i.Reference, i.Family, strings.Join(i.Platforms, " "), strings.Join(remarkable(i.Facts), " "))
	}
	if len(images) > 0 {
		t.write(w, s)
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%s in %s\n", count(len(images), "image"), count(len(families), "family"))
	return err
}

// remarkable are the facts that make an image other than the usual.
func remarkable(f plan.Facts) []string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{{f.TwoNode, "two-node"}, {f.FIPS, "fips"}, {f.UKI, "uki"}, {f.TechPreview, "tech-preview"}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	if f.Channel != "" && f.Channel != "production" {
		words = append(words, f.Channel)
	}
	return words
}
