package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/policy"
)

// mostAnnotations is how many of a kind GitHub shows of one step.
const mostAnnotations = 10

// ReviewGitHub writes the findings of a review as workflow commands, which
// GitHub Actions shows beside the lines of a pull request: the gravest first, and
// of each kind as many as are shown; what is left out is counted. Waived findings
// are notices. Places are named from the top of the repository, and are those of
// its head.
func ReviewGitHub(w io.Writer, r policy.Review) error {
	r = safe(r)
	var b strings.Builder
	more := 0
	for _, level := range []string{"error", "warning", "notice"} {
		n := 0
		for _, f := range r.Findings {
			if annotationLevel(f) != level {
				continue
			}
			if n++; n > mostAnnotations {
				more++
				continue
			}
			b.WriteString(annotation(level, f, r.Waivers))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "canvos: %s in the summary of this run\n", count(more, "more finding"))
	}
	fmt.Fprintln(&b, "canvos: "+strings.Join(strings.Fields(headline(r, false)), " "))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write annotations: %w", err)
	}
	return nil
}

func annotationLevel(f policy.Finding) string {
	switch {
	case f.Waived():
	case f.Severity == policy.SeverityDeny:
		return "error"
	case f.Severity == policy.SeverityWarn:
		return "warning"
	}
	return "notice"
}

func annotation(level string, f policy.Finding, ws policy.Waivers) string {
	message := findingText(f)
	if f.Waived() {
		message += "\n" + waiverText(ws, f.WaivedBy)
	}
	var properties []string
	if f.At.File != "" {
		properties = append(properties, "file="+commandProperty.Replace(f.At.File))
		if f.At.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", f.At.Line))
		}
		if f.At.Column > 0 {
			properties = append(properties, fmt.Sprintf("col=%d", f.At.Column))
		}
	}
	title := f.Rule
	if f.Family != "" {
		title += " · " + f.Family
	}
	properties = append(properties, "title="+commandProperty.Replace(title))
	return fmt.Sprintf("::%s %s::%s\n", level, strings.Join(properties, ","), commandText.Replace(message))
}

// What workflow commands escape, as actions/toolkit does.
var (
	commandText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
