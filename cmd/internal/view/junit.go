package view

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/policy"
)

// The shapes of JUnit XML that CI systems agree on.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		File    string       `xml:"file,attr,omitempty"`
		Line    int          `xml:"line,attr,omitempty"`
		Failure *junitReason `xml:"failure"`
		Skipped *junitReason `xml:"skipped"`
		Out     string       `xml:"system-out,omitempty"`
	}
	junitReason struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// ReviewJUnit writes a review as JUnit XML: a case for each finding, and a passed
// one for each rule that found nothing. Findings that fail the review fail their
// case, waived ones are skipped, others pass and say what they have to. failOn is
// the least severity that fails. Places are named from the top of the repository.
func ReviewJUnit(w io.Writer, r policy.Review, rules []Rule, failOn policy.Severity) error {
	r, rules = safe(r), safe(rules)
	suite := junitSuite{Name: "canvos review"}
	found := map[string][]policy.Finding{}
	for _, f := range r.Findings {
		found[f.Rule] = append(found[f.Rule], f)
	}
	for _, rule := range reportRules(rules, r.Findings) {
		if len(found[rule.ID]) == 0 {
			suite.Cases = append(suite.Cases, junitCase{Class: rule.ID, Name: xmlText(or(rule.Title, rule.ID))})
		}
		for _, f := range found[rule.ID] {
			c := junitCase{Class: f.Rule, Name: xmlText(junitName(f)), File: xmlText(f.At.File)}
			if c.File != "" {
				c.Line = f.At.Line
			}
			switch {
			case f.Waived():
				suite.Skipped++
				c.Skipped = &junitReason{Message: xmlText(waiverText(r.Waivers, f.WaivedBy))}
			case f.Severity == policy.SeverityDeny, f.Severity == policy.SeverityWarn && failOn == policy.SeverityWarn:
				suite.Failures++
				c.Failure = &junitReason{xmlText(f.Message), string(f.Severity), xmlText(strings.TrimSpace(Place(f.At) + "\n" + findingText(f)))}
			default:
				c.Out = xmlText(string(f.Severity) + ": " + findingText(f))
			}
			suite.Cases = append(suite.Cases, c)
		}
	}
	suite.Tests = len(suite.Cases)
	doc := junitSuites{Name: xmlText("canvos: " + headline(r, false)), Tests: suite.Tests, Failures: suite.Failures, Suites: []junitSuite{suite}}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	}
	if err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	return nil
}

// junitName tells findings of a rule apart.
func junitName(f policy.Finding) string {
	var parts []string
	for _, p := range []string{f.Family, f.Reference} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return or(strings.Join(parts, " "), f.Message)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// xmlText drops what XML cannot hold at all.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
