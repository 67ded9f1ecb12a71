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

// Published is what is published under a reference; an empty Digest is nothing.
type Published struct {
	Digest  plan.Digest `json:"digest"`
	Step    plan.Digest `json:"step"`    // "" of images that canvos did not make
	Drifted bool        `json:"drifted"` // changed by another tool
}

// List writes the images that manifests stand for; they are sorted by reference.
// published, if it is not nil, is what each of them is published as.
func List(w io.Writer, s Style, f Format, images []plan.Image, published []Published) error {
	if f == JSON {
		type listedAs struct {
			listed
			Published *Published `json:"published,omitempty"`
		}
		all := []listedAs{}
		for n, i := range images {
			l := listedAs{listed: list(i)}
			if published != nil {
				l.Published = &published[n]
			}
			all = append(all, l)
		}
		return writeJSON(w, struct {
			header
			Images []listedAs `json:"images"`
		}{head("ImageList"), all})
	}
	images, published = safe(images), safe(published)
	families := map[string]bool{}
	var t table
	heads := []string{"REFERENCE", "FAMILY", "PLATFORMS", "FACTS"}
	if published != nil {
		heads = append(heads, "PUBLISHED")
	}
	top := t.add(heads...)
	for c := range heads {
		top.paint(c, faint)
	}
	there := 0
	for n, i := range images {
		families[i.Family] = true
		cells := []string{i.Reference, i.Family, strings.Join(i.Platforms, " "), strings.Join(remarkable(i.Facts), " ")}
		if published != nil {
			text, colour := published[n].text()
			if published[n].Digest != "" {
				there++
			}
			t.add(append(cells, text)...).paint(4, colour)
			continue
		}
		t.add(cells...)
	}
	if len(images) > 0 {
		t.write(w, s)
		fmt.Fprintln(w)
	}
	text := count(len(images), "image") + " in " + count(len(families), "family")
	if published != nil {
		text += fmt.Sprintf(" · %d published", there)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func (p Published) text() (text, colour string) {
	switch {
	case p.Digest == "":
		return "no", faint
	case p.Step == "":
		return short(p.Digest) + ", not by canvos", yellow
	case p.Drifted:
		return short(p.Digest) + ", changed by another tool", red
	}
	return short(p.Digest), ""
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
