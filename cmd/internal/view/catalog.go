package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/catalog"
)

// Releases lists what the catalog knows, the newest last: where the eye is.
func Releases(w io.Writer, s Style, f Format, entries []catalog.Entry) error {
	type jsonEntry struct {
		Release      string   `json:"release"`
		AgentVersion string   `json:"agentVersion"`
		Date         string   `json:"date"`
		Aliases      []string `json:"aliases"`
	}
	if f == JSON {
		all := []jsonEntry{}
		for _, e := range entries {
			all = append(all, jsonEntry{e.Tag, e.AgentVersion, e.Date, append([]string{}, e.Aliases...)})
		}
		return writeJSON(w, struct {
			header
			Releases []jsonEntry `json:"releases"`
		}{head("ReleaseList"), all})
	}
	entries = safe(entries)
	var t table
	for _, e := range entries {
		day, _, _ := strings.Cut(e.Date, "T")
		note := ""
		if e.AgentVersion != e.Tag {
			note = "builds agent " + e.AgentVersion
		}
		if len(e.Aliases) > 0 {
			note = strings.TrimPrefix(note+", also "+strings.Join(e.Aliases, ", "), ", ")
		}
		t.add(e.Tag, day, note).paint(1, faint)
	}
	t.write(w, s)
	_, err := fmt.Fprintf(w, "\n%s · %s\n", count(len(entries), "release"), s.paint("canvos catalog show RELEASE lists what one has", faint))
	return err
}

// Release shows what one has; distributions, if any are named, alone.
func Release(w io.Writer, s Style, f Format, r *catalog.Release, distributions []string) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			*catalog.Release
		}{head("Release"), r})
	}
	r, distributions = safe(r), safe(distributions)
	day, _, _ := strings.Cut(r.Date, "T")
	parts := []string{s.paint("CanvOS "+r.Tag, bold), day}
	if r.KairosVersion != "" {
		parts = append(parts, "Kairos "+r.KairosVersion)
	}
	fmt.Fprintln(w, strings.Join(append(parts, "agent "+r.AgentVersion), " · "))
	if warning := r.Warning(); warning != "" {
		fmt.Fprintf(w, "  %s %s\n", s.paint("note:", yellow), warning)
	}
	fmt.Fprintln(w)
	total, width := 0, 0
	for _, d := range distributions {
		width = max(width, len(d))
	}
	for _, d := range distributions {
		versions := r.Versions(d)
		total += len(versions)
		text := wrap(strings.Join(versions, " "), strings.Repeat(" ", width+4), s.reading())
		fmt.Fprintf(w, "  %s  %s", pad(d, width), strings.TrimLeft(text, " "))
	}
	_, err := fmt.Fprintf(w, "\n%s of %s\n", count(total, "version"), count(len(distributions), "distribution"))
	return err
}

// Having says which releases offer a Kubernetes version.
func Having(w io.Writer, s Style, f Format, distribution, version string, releases []string) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			Distribution string   `json:"distribution"`
			Version      string   `json:"version"`
			Releases     []string `json:"releases"`
		}{head("ReleaseNames"), distribution, version, append([]string{}, releases...)})
	}
	distribution, version = safeLine(distribution), safeLine(version)
	for _, r := range safe(releases) {
		fmt.Fprintln(w, r)
	}
	_, err := fmt.Fprintf(w, "\n%s %s: in %s\n", distribution, version, count(len(releases), "release"))
	return err
}

// CatalogDiff shows what changes from one release to another; subject is the
// manifest whose families it is about, or "".
func CatalogDiff(w io.Writer, s Style, f Format, before, after, subject string, changes []catalog.Change) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			Before  string           `json:"before"`
			After   string           `json:"after"`
			Changes []catalog.Change `json:"changes"`
		}{head("CatalogDiff"), before, after, append([]catalog.Change{}, changes...)})
	}
	before, after, subject, changes = safeLine(before), safeLine(after), safeLine(subject), safe(changes)
	titles := []struct{ kind, title string }{
		{"version", "Kubernetes versions"}, {"component", "components"}, {"image", "images"}, {"argument", "arguments"},
	}
	counts := map[string]int{}
	for _, k := range titles {
		var t table
		t.indent = "  "
		for _, c := range changes {
			if c.Kind != k.kind {
				continue
			}
			counts[c.Effect]++
			sign, colour := "~", yellow
			text := c.Before + " → " + c.After
			switch c.Effect {
			case "added":
				sign, colour, text = "+", green, c.After
			case "removed":
				sign, colour, text = "-", red, c.Before
			}
			if c.Kind == "version" {
				text = ""
			}
			r := t.add(sign, c.Name, text)
			r.paint(0, colour)
		}
		if len(t.rows) > 0 {
			fmt.Fprintln(w, s.paint(k.title, bold))
			t.write(w, s)
			fmt.Fprintln(w)
		}
	}
	if subject != "" {
		subject += ", "
	}
	_, err := fmt.Fprintf(w, "%s%s to %s: %d added, %d removed, %d changed\n", subject, before, after, counts["added"], counts["removed"], counts["changed"])
	return err
}
