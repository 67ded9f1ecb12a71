package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/plan"
)

// Layer is what a step was found to have made; the zero value is not known.
type Layer struct {
	Digest plan.Digest `json:"digest,omitempty"`
	Size   int64       `json:"size,omitempty"`
}

// Origin is where an image comes from.
type Origin struct {
	Plan      plan.Plan // of the image alone
	Image     plan.Image
	Layers    map[plan.Digest]Layer // by step, as far as the store knows
	Published *Published            // nil if nobody was asked
	Asked     map[string]plan.Pos   // where the manifest asks for a source, by its reference
	InModule  InModule              // of the manifest's places
}

// ShowOrigin writes where an image and each of its inputs come from: steps in
// their order, what they read, and the place of the manifest that asks for it.
func ShowOrigin(w io.Writer, s Style, f Format, o Origin) error {
	if f == JSON {
		return originJSON(w, o)
	}
	o = safe(o)
	i := o.Image
	fmt.Fprintf(w, "%s\n", s.paint(i.Reference, bold))
	fmt.Fprintf(w, "  family %q · %s · line %s\n", i.Family, Place(i.At), i.Line)
	facts := []string{"CanvOS " + i.Facts.Release, strings.TrimSpace(i.Facts.OSDistribution + " " + i.Facts.OSVersion), i.Facts.KubernetesDistribution + " " + i.KubernetesVersion, i.Facts.Channel}
	fmt.Fprintf(w, "  %s\n", strings.Join(append(facts, remarkable(plan.Facts{TwoNode: i.Facts.TwoNode, FIPS: i.Facts.FIPS, UKI: i.Facts.UKI, TechPreview: i.Facts.TechPreview})...), " · "))
	if o.Published != nil {
		text, _ := o.Published.text()
		if o.Published.Digest == "" {
			text = "not yet"
		} else if o.Published.Step != i.Step && o.Published.Step != "" {
			text += ", by other steps than these"
		}
		fmt.Fprintf(w, "  published: %s\n", text)
	}
	sources := map[plan.Digest]plan.Source{}
	for _, src := range o.Plan.Sources {
		sources[src.Digest] = src
	}
	for _, step := range o.Plan.Steps {
		fmt.Fprintf(w, "\n  %s  %s%s\n", s.paint(step.Name, bold), s.paint(Place(step.At), cyan), o.layer(step.ID))
		var t table
		t.indent = "    "
		for _, l := range o.reads(step.Op, sources) {
			t.add(safe(l)...)
		}
		t.write(w, s)
	}
	_, err := fmt.Fprintf(w, "\n  step %s\n", i.Step)
	return err
}

func (o Origin) layer(step plan.Digest) string {
	l, ok := o.Layers[step]
	switch {
	case !ok:
		return ""
	case l.Digest == "":
		return " · changes nothing"
	}
	return fmt.Sprintf(" · layer %s, %s", short(l.Digest), Bytes(l.Size))
}

// reads is what an operation does, a line each.
func (o Origin) reads(op plan.Op, sources map[plan.Digest]plan.Source) [][]string {
	name := func(d plan.Digest) string {
		src := sources[d]
		if strings.HasPrefix(src.Reference, "file:") {
			return strings.TrimPrefix(src.Reference, "file:") + " " + short(d)
		}
		return src.Reference + "@" + short(d)
	}
	at := func(d plan.Digest) string { return Place(o.Asked[sources[d].Reference]) }
	switch {
	case op.Base != nil:
		return [][]string{{"from", name(op.Base.Source), "", at(op.Base.Source)}}
	case op.Run != nil:
		lines := [][]string{{"runs", count(strings.Count(op.Run.Script, "\n"), "line") + " of shell"}}
		for _, m := range op.Run.Mounts {
			lines = append(lines, []string{"sees", name(m.Source), m.To})
		}
		return lines
	case op.Files == nil:
		return nil
	}
	var lines [][]string
	for _, a := range op.Files.Actions {
		switch {
		case a.Copy != nil:
			lines = append(lines, []string{"copies", name(a.Copy.Source), a.Copy.From + " → " + a.Copy.To, at(a.Copy.Source)})
		case a.Write != nil:
			lines = append(lines, []string{"writes", a.Write.Path, Bytes(int64(len(a.Write.Content)))})
		case a.Mkdir != nil:
			lines = append(lines, []string{"makes", a.Mkdir.Path})
		case a.Link != nil:
			lines = append(lines, []string{"links", a.Link.Path, "→ " + a.Link.Target})
		case a.Touch != nil:
			lines = append(lines, []string{"touches", a.Touch.Path, a.Touch.Mode})
		case a.Remove != nil:
			lines = append(lines, []string{"removes", a.Remove.Path})
		case a.Attr != nil:
			lines = append(lines, []string{"changes", a.Attr.Path, strings.TrimSpace(a.Attr.Mode + " " + a.Attr.Owner)})
		case a.Expect != nil:
			lines = append(lines, []string{"expects", a.Expect.Paths[0], a.Expect.What})
		}
	}
	return lines
}

func originJSON(w io.Writer, o Origin) error {
	type step struct {
		plan.Step
		Layer *Layer `json:"layer,omitempty"`
	}
	type source struct {
		plan.Source
		At plan.Pos `json:"at"`
	}
	doc := struct {
		header
		listed
		Line      string      `json:"line"`
		Step      plan.Digest `json:"step"`
		At        plan.Pos    `json:"at"`
		Published *Published  `json:"published,omitempty"`
		Sources   []source    `json:"sources"`
		Steps     []step      `json:"steps"`
	}{header: head("Origin"), listed: list(o.Image), Line: o.Image.Line, Step: o.Image.Step, At: o.InModule.at(o.Image.At), Published: o.Published, Sources: []source{}, Steps: []step{}}
	for _, s := range o.Plan.Sources {
		doc.Sources = append(doc.Sources, source{s, o.InModule.at(o.Asked[s.Reference])})
	}
	for _, st := range o.Plan.Steps {
		st.At = o.InModule.at(st.At)
		one := step{Step: st}
		if l, ok := o.Layers[st.ID]; ok {
			one.Layer = &l
		}
		doc.Steps = append(doc.Steps, one)
	}
	return writeJSON(w, doc)
}
