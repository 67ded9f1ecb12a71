package view

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
)

// fakeReview has every kind of change and finding.
func fakeReview() policy.Review {
	at := func(line, column int) plan.Pos {
		return plan.Pos{File: "edge/images.cue", Line: line, Column: column}
	}
	store := policy.Change{Manifest: "edge", Family: "store", Kind: policy.Rebuilt, Why: []string{"os.version 22.04 → 24.04: other base image"}, At: at(9, 2), Unchanged: 3}
	for v := range 4 {
		store.Images = append(store.Images, policy.ImageChange{
			Reference: fmt.Sprintf("docker.io/acme/ubuntu:k3s-1.30.%d-v4.4.12-learn", v), Kind: policy.Rebuilt, Why: []string{"os.version 22.04 → 24.04: other base image"},
		})
	}
	store.Images = append(store.Images, policy.ImageChange{Reference: "docker.io/acme/ubuntu:k3s-1.33.5-v4.4.12-learn", Kind: policy.Added, Why: []string{"Kubernetes 1.33.5"}})
	findings := []policy.Finding{
		{
			Rule: "two-node-immutable", Severity: policy.SeverityDeny, Family: "store-two-node", Reference: "docker.io/acme/ubuntu:k3s-*-two-node",
			Message: "twoNode true → false: published images keep two-node for ever, clusters built from them cannot switch to etcd",
			Help:    "make a new family with another tag", At: at(21, 14), Also: []plan.Pos{at(3, 1)}, Owner: "@acme/edge", Link: "https://wiki.example/two-node?a=1|2",
		},
		{Rule: "version-dropped", Severity: policy.SeverityWarn, Family: "store", Message: "Kubernetes 1.28.5 is no longer built; 1 published image is left as it is", At: at(9, 2)},
		{Rule: "registry-unchecked", Severity: policy.SeverityWarn, Message: "the registry was not asked: dial tcp 127.0.0.1:1: connection refused"},
		{Rule: "house-style", Severity: policy.SeverityInfo, Family: "kiosk", Message: "a label team: is | nice *to* have <b>\n`x` ![](http://track.example/) @everyone #1", At: plan.Pos{File: "edge/ki osk,ü.cue", Line: 2, Column: 12}},
		{Rule: "tag-replaced", Severity: policy.SeverityDeny, Family: "old", Message: "docker.io/acme/ubuntu:old gets other content", WaivedBy: "old-once"},
	}
	return policy.Review{
		Base: policy.Side{Name: "main", Commit: "4f1c9a2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Manifests: []string{"edge"}},
		Head: policy.Side{Name: "the work tree", Manifests: []string{"edge"}},
		Changes: []policy.Change{
			store,
			{Manifest: "edge", Family: "till", Renamed: "cash", Kind: policy.Renamed, At: at(30, 2)},
			{Manifest: "edge", Family: "moved", Kind: policy.Retagged, At: at(31, 2), Images: []policy.ImageChange{
				{Reference: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-new", Was: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-old", Kind: policy.Retagged, Why: []string{"tag old → new"}},
			}},
			{Manifest: "edge", Family: "kiosk", Kind: policy.None, Why: []string{"reformatted only"}},
			{Manifest: "edge", Family: "gone", Kind: policy.Removed, Images: []policy.ImageChange{{Reference: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-gone", Kind: policy.Removed}}},
		},
		Findings: findings, Verdict: policy.Deny,
		Waivers: policy.Waivers{
			Used:    []policy.WaiverUse{{Name: "old-once", Rule: "tag-replaced", Target: "*:old", Reason: "agreed with the shops", Ticket: "EDGE-7", Owner: "ana", Expires: "2027-01-31", At: at(50, 2)}},
			Expired: []policy.WaiverUse{{Name: "last-year", Rule: "end-of-life", Target: "kiosk", Expires: "2025-12-31", At: at(54, 2)}},
			Unused:  []policy.WaiverUse{{Name: "never", Rule: "fips-lost", Target: "*", Why: "the effect is another", Expires: "2027-01-31", At: at(58, 2)}},
		},
		Images: policy.Counts{Rebuilt: 4, Added: 1, Removed: 1, Retagged: 1, Unchanged: 3},
		Bytes:  policy.Bytes{Read: 11e9},
		Plan:   plan.DigestOf([]byte("plan")),
	}
}

var fakeRules = []Rule{
	{"two-node-immutable", "two-node is fixed for an image line", "Two-node clusters keep their state in PostgreSQL.", policy.SeverityDeny},
	{"fips-lost", "a family is no longer FIPS", "Compliance that somebody relies on would end.", policy.SeverityDeny},
}

// fakeLines has a line that is longer in bytes than in characters.
func fakeLines(file string, line int) (string, bool) {
	return `  "küche": 1`, strings.HasSuffix(file, "ü.cue") && line == 2
}

func TestReviewOutputs(t *testing.T) {
	for name, write := range map[string]func(io.Writer, policy.Review) error{
		"review.md":    ReviewMarkdown,
		"review.sarif": func(w io.Writer, r policy.Review) error { return ReviewSARIF(w, r, "v1.2.3", fakeRules, fakeLines) },
		"review.gha":   ReviewGitHub,
		"review.junit.xml": func(w io.Writer, r policy.Review) error {
			return ReviewJUnit(w, r, fakeRules, policy.SeverityWarn)
		},
	} {
		var b, again bytes.Buffer
		if err := write(&b, fakeReview()); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
		if err := write(&again, fakeReview()); err != nil || again.String() != b.String() {
			t.Errorf("%s is not the same twice", name)
		}
		name = strings.Replace(name, "review", "review-none", 1)
		b.Reset()
		if err := write(&b, policy.Review{Base: fakeReview().Base, Head: fakeReview().Head, Verdict: policy.Pass}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

// TestMarkdownFits checks that whatever a review holds, the comment is no longer
// than it may be, closes what it opens, says what it leaves out, and begins with
// the verdict and the gravest findings.
func TestMarkdownFits(t *testing.T) {
	for _, n := range []struct{ findings, waived, families, images, length int }{
		{2000, 0, 0, 0, 50}, {3, 0, 2000, 4, 50}, {1, 0, 1, 5000, 50}, {900, 900, 900, 20, 200}, {20, 3, 3, 3, 9000}, {90, 90, 90, 9, 700},
	} {
		r := fakeReview()
		long := strings.Repeat("ü", n.length/2)
		for i := range n.findings {
			r.Findings = append(r.Findings, policy.Finding{Rule: "many", Severity: policy.SeverityWarn, Family: fmt.Sprintf("f%d", i), Message: long})
		}
		for i := range n.waived {
			r.Findings = append(r.Findings, policy.Finding{Rule: "many", Severity: policy.SeverityWarn, Family: fmt.Sprintf("w%d", i), Message: long, WaivedBy: "w"})
			r.Waivers.Unused = append(r.Waivers.Unused, policy.WaiverUse{Name: long, Why: long})
		}
		for i := range n.families {
			c := policy.Change{Family: fmt.Sprintf("family-%d", i), Kind: policy.Rebuilt, Why: []string{long}}
			for v := range n.images {
				c.Images = append(c.Images, policy.ImageChange{Reference: fmt.Sprintf("docker.io/acme/ubuntu:k3s-1.30.%d-v4.4.12-%d", v, i), Kind: policy.Rebuilt, Why: []string{long}})
			}
			r.Changes = append(r.Changes, c)
		}
		var b bytes.Buffer
		if err := ReviewMarkdown(&b, r); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if len(got) > 60_000 {
			t.Errorf("%v: %d bytes", n, len(got))
		}
		if strings.Count(got, "<details>") != strings.Count(got, "</details>") {
			t.Errorf("%v: something stays open", n)
		}
		if !strings.Contains(got, "two-node-immutable") || !strings.Contains(got, "Base `main`") {
			t.Errorf("%v: the first finding or the end is missing", n)
		}
		shown := strings.Count(got, "| many |") + strings.Count(got, "| rebuilt |")
		if all := n.findings + n.waived + n.families + n.families*n.images; shown < all && !regexp.MustCompile(`… and \d+ more`).MatchString(got) {
			t.Errorf("%v: %d rows of %d, and nothing said", n, shown, all)
		}
	}
}

// TestMarkdownIsText checks that nothing in a change formats, mentions or loads.
func TestMarkdownIsText(t *testing.T) {
	evil := "</details> <script> **b** [a](http://x) ![](http://y) @team #12 | a\n### h `q` ~~s~~ <!-- c --> &lt;"
	r := policy.Review{
		Base: policy.Side{Name: evil}, Head: policy.Side{Name: evil},
		Findings: []policy.Finding{{Rule: evil, Severity: policy.SeverityDeny, Family: evil, Message: evil, Help: evil, Owner: evil, At: plan.Pos{File: evil, Line: 1}}},
		Changes:  []policy.Change{{Family: evil, Kind: policy.Rebuilt, Why: []string{evil}, Images: []policy.ImageChange{{Reference: evil, Was: evil, Kind: policy.Retagged, Why: []string{evil}}}}},
		Waivers:  policy.Waivers{Unused: []policy.WaiverUse{{Name: evil, Rule: evil, Target: evil, Why: evil}}},
	}
	var b bytes.Buffer
	if err := ReviewMarkdown(&b, r); err != nil {
		t.Fatal(err)
	}
	// What is left when code is taken out.
	prose := regexp.MustCompile("(`+)[^`].*?[^`]`+").ReplaceAllString(b.String(), "CODE")
	prose = regexp.MustCompile("`` .*? ``").ReplaceAllString(prose, "CODE")
	for _, s := range []string{"<script", "<!-- c -", "@team", "#12", " **b", "[a]", "![", "~~s", "\n### h"} {
		if strings.Contains(prose, s) {
			t.Errorf("%q is not escaped in\n%s", s, prose)
		}
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "| ") && !slices.Contains([]int{4, 5}, strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")) {
			t.Errorf("a cell ends a row: %s", line)
		}
	}
}

// TestMarkdownLinks checks that a text links nowhere, and a rule's link only to a
// page.
func TestMarkdownLinks(t *testing.T) {
	for in, want := range map[string]string{
		"see https://evil.example/x": "see https:\u200b//evil.example/x",
		"WWW.evil.example ftp://x":   "WWW\u200b.evil.example ftp:\u200b//x",
	} {
		if got := text(in); got != want {
			t.Errorf("%q is %q, not %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"https://wiki.example/a?b=1|2": "<https://wiki.example/a?b=1%7C2>",
		"http://wiki.example/<b> c":    "<http://wiki.example/%3Cb%3E%20c>",
		"javascript:alert(1)":          "`javascript:alert(1)`",
		"JavaScript://x/%0aalert(1)":   "`JavaScript://x/%0aalert(1)`",
		"https:alert":                  "`https:alert`",
		"wiki":                         "`wiki`",
	} {
		if got := link(in); got != want {
			t.Errorf("the link %q is %q, not %q", in, got, want)
		}
	}
}

// TestAnnotations checks that the gravest are first, and no more than are shown.
func TestAnnotations(t *testing.T) {
	var r policy.Review
	for i := range 500 {
		r.Findings = append(r.Findings, policy.Finding{Rule: "many", Severity: policy.SeverityInfo, Message: fmt.Sprint(i)})
	}
	for i := range 12 {
		r.Findings = append(r.Findings, policy.Finding{Rule: "grave", Severity: policy.SeverityDeny, Message: fmt.Sprint(i)})
	}
	var b bytes.Buffer
	if err := ReviewGitHub(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 22 || !strings.HasPrefix(lines[9], "::error title=grave::9") || !strings.HasPrefix(lines[10], "::notice ") || lines[20] != "canvos: 492 more findings in the summary of this run" {
		t.Errorf("%d lines:\n%s", len(lines), b.String())
	}
}

// TestSARIF checks what the schema and code scanning demand of every result.
func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := ReviewSARIF(&b, fakeReview(), "v1.2.3", fakeRules, fakeLines); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	prints := map[string]bool{}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s: rule %d is another", r.RuleID, r.RuleIndex)
		}
		if len(r.Locations) != 1 || r.Locations[0].Physical.Artifact.URI == "" {
			t.Errorf("%s: no place", r.RuleID)
		}
		if p := r.Fingerprints["canvosFinding/v1"]; p == "" || prints[p] {
			t.Errorf("%s: fingerprint %q", r.RuleID, p)
		} else {
			prints[p] = true
		}
	}
	place := run.Results[3].Locations[0].Physical
	if place.Artifact.URI != "edge/ki%20osk,%C3%BC.cue" || place.Region.StartColumn != 11 {
		t.Errorf("%+v %+v", place, place.Region)
	}
	if uri := run.Results[4].Locations[0].Physical.Artifact.URI; uri != "edge/images.cue" {
		t.Errorf("a place nowhere is %q", uri)
	}
}

// TestJUnit checks the counts, and that texts XML cannot hold do no harm.
func TestJUnit(t *testing.T) {
	r := fakeReview()
	r.Findings[0].Message = "a \x00\x1b[31m <b> & \xff"
	for failOn, want := range map[policy.Severity]int{policy.SeverityDeny: 1, policy.SeverityWarn: 3} {
		var b bytes.Buffer
		if err := ReviewJUnit(&b, r, fakeRules, failOn); err != nil {
			t.Fatal(err)
		}
		var doc junitSuites
		if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, c := range doc.Suites[0].Cases {
			if c.Failure != nil {
				failed++
			}
		}
		if failed != want || doc.Failures != want || doc.Tests != len(r.Findings)+1 || doc.Suites[0].Skipped != 1 {
			t.Errorf("fail on %s: %d failed, counts %+v", failOn, failed, doc.Suites[0])
		}
	}
}
