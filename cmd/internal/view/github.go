package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/policy"
)

// ReviewGitHub writes the findings of a review as workflow commands, which
// GitHub Actions shows beside the lines of a pull request. Waived findings are
// notices. Places are named from the top of the repository, and are those of its
// head.
func ReviewGitHub(w io.Writer, r policy.Review) error {
	r = safe(r)
	for _, f := range r.Findings {
		level := map[policy.Severity]string{policy.SeverityDeny: "error", policy.SeverityWarn: "warning"}[f.Severity]
		message := findingText(f)
		if f.Waived() {
			level, message = "notice", message+"\n"+waiverText(r.Waivers, f.WaivedBy)
		}
		if level == "" {
			level = "notice"
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
		if _, err := fmt.Fprintf(w, "::%s %s::%s\n", level, strings.Join(properties, ","), commandText.Replace(message)); err != nil {
			return fmt.Errorf("write annotations: %w", err)
		}
	}
	_, err := fmt.Fprintln(w, "canvos: "+strings.Join(strings.Fields(headline(r, false)), " "))
	if err != nil {
		return fmt.Errorf("write annotations: %w", err)
	}
	return nil
}

// What workflow commands escape, as actions/toolkit does.
var (
	commandText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
