package view

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
)

// Rule is what reports say of a rule besides its findings.
type Rule struct {
	ID, Title, Reason string
	Severity          policy.Severity
}

// The shapes of SARIF 2.1.0 (OASIS), as far as a review has something to say.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool      `json:"tool"`
		ColumnKind string         `json:"columnKind"`
		Results    []sarifResult  `json:"results"`
		Properties map[string]any `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string      `json:"id"`
		Short         sarifText   `json:"shortDescription"`
		Full          sarifText   `json:"fullDescription"`
		Help          sarifText   `json:"help"`
		Configuration sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Related      []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		ID       *int           `json:"id,omitempty"`
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// ReviewSARIF writes the findings of a review as SARIF 2.1.0, for code scanning.
// version is that of canvos. Waived findings are suppressed ones. A finding
// without a place stands at the manifest, since a result needs one to be shown.
// Places are named from the top of the repository, and are those of its head.
func ReviewSARIF(w io.Writer, r policy.Review, version string, rules []Rule, lines Lines) error {
	r, rules = safe(r), safe(rules)
	known := reportRules(rules, r.Findings)
	index := map[string]int{}
	run := sarifRun{
		Tool: sarifTool{sarifDriver{"canvos", sarifVersion(version), []sarifRule{}}}, ColumnKind: "utf16CodeUnits", Results: []sarifResult{},
		Properties: map[string]any{"verdict": r.Verdict, "base": r.Base.Name, "head": r.Head.Name, "plan": r.Plan},
	}
	for i, k := range known {
		index[k.ID] = i
		title := sarifText{or(k.Title, k.ID)}
		reason := sarifText{or(k.Reason, title.Text)}
		rule := sarifRule{ID: k.ID, Short: title, Full: reason, Help: reason, Configuration: sarifConfig{sarifLevel(k.Severity)}}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
	}
	times := map[string]int{}
	for _, f := range r.Findings {
		// Not the message: it holds values, and the finding stays the same one
		// when they change. Not the place: lines move.
		print := plan.DigestOf([]byte(strings.Join([]string{f.Rule, f.Family, f.Reference}, "\x00")))
		times[string(print)]++
		res := sarifResult{
			RuleID: f.Rule, RuleIndex: index[f.Rule], Level: sarifLevel(f.Severity), Message: sarifText{findingText(f)},
			Locations:    []sarifLocation{sarifPlace(f.At, r, lines)},
			Fingerprints: map[string]string{"canvosFinding/v1": fmt.Sprintf("%s:%d", strings.TrimPrefix(string(print), "sha256:"), times[string(print)])},
		}
		if f.Family != "" {
			res.Locations[0].Logical = []sarifLogical{{f.Family, "family"}}
		}
		for i, at := range f.Also {
			l := sarifPlace(at, r, lines)
			l.ID = &i
			res.Related = append(res.Related, l)
		}
		if f.Waived() {
			res.Suppressions = []sarifSuppression{{"external", "accepted", waiverText(r.Waivers, f.WaivedBy)}}
		}
		run.Results = append(run.Results, res)
	}
	return writeJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifVersion begins with a number, as what compares versions expects.
func sarifVersion(v string) string {
	if v = strings.TrimPrefix(v, "v"); v == "" || v[0] < '0' || v[0] > '9' {
		return "0.0.0-devel"
	}
	return v
}

// reportRules are the rules, and those that findings name besides, sorted.
func reportRules(rules []Rule, fs []policy.Finding) []Rule {
	all := slices.Clone(rules)
	for _, f := range fs {
		if !slices.ContainsFunc(all, func(k Rule) bool { return k.ID == f.Rule }) {
			all = append(all, Rule{ID: f.Rule, Severity: f.Severity})
		}
	}
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func sarifLevel(s policy.Severity) string {
	switch s {
	case policy.SeverityDeny:
		return "error"
	case policy.SeverityWarn:
		return "warning"
	}
	return "note"
}

// findingText is a finding in lines.
func findingText(f policy.Finding) string {
	lines := []string{f.Message}
	for _, l := range []struct{ label, text string }{{"help: ", f.Help}, {"owner: ", f.Owner}, {"", f.Link}} {
		if l.text != "" {
			lines = append(lines, l.label+l.text)
		}
	}
	return strings.Join(lines, "\n")
}

func waiverText(w policy.Waivers, name string) string {
	for _, u := range w.Used {
		if u.Name != name {
			continue
		}
		parts := []string{"waiver " + name + ": " + u.Reason}
		for _, p := range []struct{ label, value string }{{"ticket", u.Ticket}, {"owner", u.Owner}, {"until", u.Expires}} {
			if p.value != "" {
				parts = append(parts, p.label+" "+p.value)
			}
		}
		return strings.Join(parts, ", ")
	}
	return "waiver " + name
}

// sarifPlace is a place as code scanning wants it; of what stands nowhere, the
// manifest.
func sarifPlace(at plan.Pos, r policy.Review, lines Lines) sarifLocation {
	if at.File == "" {
		at.File = manifestOf(r)
	}
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{sarifURI(at.File), "%SRCROOT%"}}}
	l.Physical.Region = sarifRegion{max(at.Line, 1), max(utf16Column(at, lines), 1)}
	return l
}

// manifestOf is a file of the change, or the directory of a manifest.
func manifestOf(r policy.Review) string {
	for _, f := range r.Findings {
		if f.At.File != "" {
			return f.At.File
		}
	}
	if len(r.Head.Manifests) > 0 {
		return or(r.Head.Manifests[0], ".")
	}
	return "."
}

func sarifURI(file string) string {
	return (&url.URL{Path: file}).EscapedPath()
}

// utf16Column counts a column as SARIF does: ours counts bytes.
func utf16Column(at plan.Pos, lines Lines) int {
	if at.Column < 1 {
		return at.Column
	}
	line, ok := lines(at.File, at.Line)
	if !ok || at.Column > len(line)+1 {
		return at.Column
	}
	return len(utf16.Encode([]rune(line[:at.Column-1]))) + 1
}
