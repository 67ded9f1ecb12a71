package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/policy"
)

// PolicyList writes the rules that changes are judged by: those that canvos
// brings along, as they are set, then an organisation's.
func PolicyList(w io.Writer, s Style, f Format, builtin []policy.Rule, set *policy.Ruleset) error {
	type listedRule struct {
		ID       string `json:"id"`
		Severity string `json:"severity"`
		Origin   string `json:"origin"`
		Title    string `json:"title"`
		Reason   string `json:"reason,omitempty"`
		Owner    string `json:"owner,omitempty"`
		Link     string `json:"link,omitempty"`
		jsonPos
	}
	all := []listedRule{}
	for _, r := range builtin {
		setting := set.Settings[r.ID]
		one := listedRule{ID: r.ID, Severity: string(r.Severity), Origin: "canvos", Title: r.Title, Reason: r.Reason, Owner: setting.Owner, Link: setting.Link}
		switch {
		case setting.Off:
			one.Severity = "off"
		case setting.Severity != "":
			one.Severity = string(setting.Severity)
		}
		all = append(all, one)
	}
	for _, c := range set.Own {
		all = append(all, listedRule{ID: c.ID, Severity: string(c.Severity), Origin: "own", Title: c.Message, Owner: c.Owner, Link: c.Link, jsonPos: jsonPos(c.At)})
	}
	if f == JSON {
		return writeJSON(w, struct {
			header
			Policies []listedRule `json:"policies"`
		}{head("PolicyList"), all})
	}
	all = safe(all)
	var t table
	t.add("RULE", "SEVERITY", "ABOUT")
	for c := range 3 {
		t.rows[0].paint(c, faint)
	}
	for _, r := range all {
		about := r.Title
		if r.File != "" {
			about += "  " + s.paint(fmt.Sprintf("%s:%d", r.File, r.Line), faint)
		}
		row := t.add(r.ID, r.Severity, about)
		row.paint(1, severitySigns[policy.Severity(r.Severity)].colour)
	}
	t.write(w, s)
	return nil
}

// PolicyTest writes how rules did on their cases: what failed first, then which
// rules are not shown from both sides.
func PolicyTest(w io.Writer, s Style, f Format, results []policy.CaseResult, coverage []policy.Coverage) error {
	if f == JSON {
		type jsonCase struct {
			Rule     string   `json:"rule"`
			Case     string   `json:"case"`
			OK       bool     `json:"ok"`
			Want     bool     `json:"fires"`
			Got      bool     `json:"fired"`
			Messages []string `json:"messages"`
			Broken   string   `json:"broken,omitempty"`
		}
		type jsonCoverage struct {
			Rule     string `json:"rule"`
			Fired    int    `json:"fired"`
			NotFired int    `json:"notFired"`
		}
		doc := struct {
			header
			Cases    []jsonCase     `json:"cases"`
			Coverage []jsonCoverage `json:"coverage"`
		}{head("PolicyTest"), []jsonCase{}, []jsonCoverage{}}
		for _, r := range results {
			doc.Cases = append(doc.Cases, jsonCase{r.Rule, r.Case, r.OK(), r.Want, r.Got, append([]string{}, r.Messages...), r.Broken})
		}
		for _, c := range coverage {
			doc.Coverage = append(doc.Coverage, jsonCoverage(c))
		}
		return writeJSON(w, doc)
	}
	results, coverage = safe(results), safe(coverage)
	failed := 0
	for _, r := range results {
		if r.OK() {
			continue
		}
		failed++
		fmt.Fprintf(w, "%s %s\n", s.paint("×", red), caseName(r))
		switch {
		case r.Broken != "":
			fmt.Fprintf(w, "    the rule is broken: %s\n", r.Broken)
		case r.Got:
			fmt.Fprintf(w, "    it fires and should not: %s\n", strings.Join(r.Messages, "; "))
		default:
			fmt.Fprintln(w, "    it does not fire and should")
		}
	}
	covered := 0
	for _, c := range coverage {
		switch {
		case c.Covered():
			covered++
		case c.Fired > 0:
			fmt.Fprintf(w, "%s %s is never shown not to fire\n", s.paint("!", yellow), c.Rule)
		case c.NotFired > 0:
			fmt.Fprintf(w, "%s %s is never shown to fire\n", s.paint("!", yellow), c.Rule)
		default:
			fmt.Fprintf(w, "%s %s has no cases that pass\n", s.paint("!", yellow), c.Rule)
		}
	}
	_, err := fmt.Fprintf(w, "%s: %d passed, %d failed · %d of %s shown from both sides\n",
		count(len(results), "case"), len(results)-failed, failed, covered, count(len(coverage), "rule"))
	return err
}

func caseName(r policy.CaseResult) string {
	if r.Case == "" {
		return r.Rule
	}
	return r.Rule + ": " + r.Case
}
