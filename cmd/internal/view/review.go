package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
)

// ShowEffect writes what a change does, for people; full names every image.
func ShowEffect(w io.Writer, s Style, r policy.Review, full bool) {
	r = safe(r)
	for _, c := range r.Changes {
		familyEffect(w, s, c, full)
	}
	if len(r.Changes) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, Effect(r))
}

// Effect is what a change does, in one line.
func Effect(r policy.Review) string {
	if len(r.Changes) == 0 {
		return "no effect: " + count(r.Images.Unchanged, "image") + " unchanged"
	}
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{r.Images.Rebuilt, "rebuilt"}, {r.Images.Added, "added"}, {r.Images.Removed, "removed"}, {r.Images.Retagged, "tagged otherwise"}, {r.Images.Unchanged, "unchanged"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	if r.Bytes.Read > 0 {
		parts = append(parts, "made of "+Bytes(r.Bytes.Read))
	}
	return "images: " + strings.Join(parts, " · ")
}

var effectSigns = map[policy.Kind]struct{ sign, colour string }{
	policy.Added: {"+", green}, policy.Removed: {"−", red}, policy.Rebuilt: {"~", yellow},
	policy.Retagged: {"»", cyan}, policy.Renamed: {"»", cyan}, policy.Changed: {"~", yellow},
}

func familyEffect(w io.Writer, s Style, c policy.Change, full bool) {
	sign := effectSigns[c.Kind]
	name := c.Family
	if c.Renamed != "" {
		name = c.Renamed + " → " + c.Family
	}
	fmt.Fprintf(w, "%s %s  %s\n", s.paint(sign.sign, sign.colour), s.paint(name, bold), s.paint(string(c.Kind), sign.colour))
	for _, line := range c.Why {
		fmt.Fprintf(w, "    %s\n", line)
	}
	byKind := map[policy.Kind][]policy.ImageChange{}
	for _, i := range c.Images {
		byKind[i.Kind] = append(byKind[i.Kind], i)
	}
	var t table
	t.indent = "    "
	for _, k := range []policy.Kind{policy.Rebuilt, policy.Added, policy.Removed, policy.Retagged} {
		all := byKind[k]
		shown := all
		if !full && len(all) > foldChanges {
			shown = all[:foldChanges-1]
		}
		for _, i := range shown {
			_, short := splitReference(i.Reference)
			note := strings.Join(i.Why, "; ")
			if !full && (k == policy.Rebuilt || k == policy.Removed) {
				note = "" // the family says it
			}
			t.add(effectSigns[k].sign, string(k), short, note).paint(0, effectSigns[k].colour)
		}
		if more := len(all) - len(shown); more > 0 {
			t.add("", "", fmt.Sprintf("and %d more (--view full shows them)", more)).paint(2, faint)
		}
	}
	t.write(w, s)
}

// foldChanges is how many images of a kind are shown of one family.
const foldChanges = 5

var severitySigns = map[policy.Severity]struct{ sign, colour string }{
	policy.SeverityDeny: {"×", red}, policy.SeverityWarn: {"!", yellow}, policy.SeverityInfo: {"·", faint},
}

// ShowReview writes a review for people: what is found, what the change does,
// the verdict last.
func ShowReview(w io.Writer, s Style, r policy.Review, full bool) {
	r = safe(r)
	fmt.Fprintf(w, "%s\n\n", s.paint("base "+sideName(r.Base)+" · head "+sideName(r.Head), bold))
	for _, f := range r.Findings {
		finding(w, s, f)
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(w)
	}
	for _, c := range r.Changes {
		familyEffect(w, s, c, full)
	}
	if len(r.Changes) > 0 {
		fmt.Fprintln(w)
	}
	waivers(w, s, r.Waivers)
	fmt.Fprintln(w, Effect(r))
	if r.Plan != "" && len(r.Changes) > 0 {
		fmt.Fprintf(w, "plan %s\n", r.Plan)
	}
	colour := map[policy.Verdict]string{policy.Pass: green, policy.Warn: yellow, policy.Deny: red}[r.Verdict]
	fmt.Fprintf(w, "verdict: %s%s\n", s.paint(string(r.Verdict), bold, colour), tallied(r.Findings))
}

func sideName(s policy.Side) string {
	short := s.Commit[:min(len(s.Commit), 7)]
	if short == "" || strings.HasPrefix(s.Commit, s.Name) {
		return s.Name
	}
	return s.Name + " " + short
}

func finding(w io.Writer, s Style, f policy.Finding) {
	sign := severitySigns[f.Severity]
	word := string(f.Severity)
	if f.Waived() {
		sign = severitySigns[policy.SeverityInfo]
		word = "waived"
	}
	head := []string{f.Rule}
	if f.Family != "" {
		head = append(head, f.Family)
	}
	if at := Place(f.At); at != "" {
		head = append(head, s.paint(at, cyan))
	}
	fmt.Fprintf(w, "%s %s  %s\n", s.paint(sign.sign, sign.colour), s.paint(pad(word, 6), sign.colour), strings.Join(head, "  "))
	fmt.Fprintf(w, "    %s\n", f.Message)
	if f.Help != "" {
		fmt.Fprintf(w, "    %s %s\n", s.paint("help:", cyan), f.Help)
	}
	for _, at := range f.Also {
		fmt.Fprintf(w, "    also: %s\n", Place(at))
	}
	var more []string
	if f.Owner != "" {
		more = append(more, "ask "+f.Owner)
	}
	if f.Link != "" {
		more = append(more, f.Link)
	}
	if f.Waived() {
		more = append(more, "waived by "+f.WaivedBy)
	}
	if len(more) > 0 {
		fmt.Fprintf(w, "    %s\n", s.paint(strings.Join(more, " · "), faint))
	}
}

func waivers(w io.Writer, s Style, all policy.Waivers) {
	for _, group := range []struct {
		name string
		of   []policy.WaiverUse
	}{{"expired", all.Expired}, {"not used", all.Unused}} {
		for _, u := range group.of {
			fmt.Fprintf(w, "%s waiver %s of %s: %s\n", s.paint(group.name+":", yellow), u.Name, u.Owner, u.Why)
		}
	}
}

func tallied(fs []policy.Finding) string {
	n := map[string]int{}
	for _, f := range fs {
		if f.Waived() {
			n["waived"]++
		} else {
			n[string(f.Severity)]++
		}
	}
	var parts []string
	for _, word := range []string{"deny", "warn", "info", "waived"} {
		if n[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[word], word))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// ReviewJSON writes a review, or an effect alone, for machines.
func ReviewJSON(w io.Writer, r policy.Review) error {
	type jsonSide struct {
		Name      string   `json:"name"`
		Commit    string   `json:"commit"`
		Manifests []string `json:"manifests"`
	}
	type jsonImage struct {
		Reference string      `json:"reference"`
		Was       string      `json:"was,omitempty"`
		Kind      policy.Kind `json:"kind"`
		Why       []string    `json:"why"`
	}
	type jsonChange struct {
		Manifest  string         `json:"manifest"`
		Family    string         `json:"family"`
		Renamed   string         `json:"renamed,omitempty"`
		Kind      policy.Kind    `json:"kind"`
		Before    map[string]any `json:"before"`
		After     map[string]any `json:"after"`
		Why       []string       `json:"why"`
		Images    []jsonImage    `json:"images"`
		Unchanged int            `json:"unchanged"`
		Digest    plan.Digest    `json:"digest"`
		jsonPos
	}
	type jsonFinding struct {
		Rule      string          `json:"rule"`
		Severity  policy.Severity `json:"severity"`
		Message   string          `json:"message"`
		Help      string          `json:"help"`
		Manifest  string          `json:"manifest"`
		Family    string          `json:"family"`
		Reference string          `json:"reference"`
		jsonPos
		Also     []jsonPos `json:"also"`
		Owner    string    `json:"owner,omitempty"`
		Link     string    `json:"link,omitempty"`
		WaivedBy string    `json:"waivedBy,omitempty"`
	}
	type jsonWaiver struct {
		Name    string `json:"name"`
		Rule    string `json:"rule"`
		Target  string `json:"target"`
		Reason  string `json:"reason"`
		Ticket  string `json:"ticket,omitempty"`
		Owner   string `json:"owner"`
		Expires string `json:"expires"`
		State   string `json:"state"`
		Why     string `json:"why,omitempty"`
		jsonPos
	}
	side := func(s policy.Side) jsonSide { return jsonSide{s.Name, s.Commit, append([]string{}, s.Manifests...)} }
	doc := struct {
		header
		Base     jsonSide       `json:"base"`
		Head     jsonSide       `json:"head"`
		Changes  []jsonChange   `json:"changes"`
		Findings []jsonFinding  `json:"findings"`
		Waivers  []jsonWaiver   `json:"waivers"`
		Images   map[string]int `json:"images"`
		Bytes    map[string]any `json:"bytes"`
		Plan     plan.Digest    `json:"plan"`
		Verdict  policy.Verdict `json:"verdict"`
	}{
		header: head("Review"), Base: side(r.Base), Head: side(r.Head), Changes: []jsonChange{}, Findings: []jsonFinding{}, Waivers: []jsonWaiver{},
		Images: map[string]int{"added": r.Images.Added, "removed": r.Images.Removed, "rebuilt": r.Images.Rebuilt, "retagged": r.Images.Retagged, "unchanged": r.Images.Unchanged},
		Bytes:  map[string]any{"read": r.Bytes.Read, "exact": false}, Plan: r.Plan, Verdict: r.Verdict,
	}
	for _, c := range r.Changes {
		j := jsonChange{c.Manifest, c.Family, c.Renamed, c.Kind, c.Before, c.After, append([]string{}, c.Why...), []jsonImage{}, c.Unchanged, c.Digest, jsonPos(c.At)}
		for _, i := range c.Images {
			j.Images = append(j.Images, jsonImage{i.Reference, i.Was, i.Kind, append([]string{}, i.Why...)})
		}
		doc.Changes = append(doc.Changes, j)
	}
	for _, f := range r.Findings {
		j := jsonFinding{f.Rule, f.Severity, f.Message, f.Help, f.Manifest, f.Family, f.Reference, jsonPos(f.At), []jsonPos{}, f.Owner, f.Link, f.WaivedBy}
		for _, at := range f.Also {
			j.Also = append(j.Also, jsonPos(at))
		}
		doc.Findings = append(doc.Findings, j)
	}
	for _, group := range []struct {
		state string
		of    []policy.WaiverUse
	}{{"used", r.Waivers.Used}, {"unused", r.Waivers.Unused}, {"expired", r.Waivers.Expired}} {
		for _, u := range group.of {
			doc.Waivers = append(doc.Waivers, jsonWaiver{u.Name, u.Rule, u.Target, u.Reason, u.Ticket, u.Owner, u.Expires, group.state, u.Why, jsonPos(u.At)})
		}
	}
	return writeJSON(w, doc)
}
