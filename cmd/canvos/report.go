package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
)

// reportFormats are what a review is written in, besides text and JSON.
var reportFormats = []view.Format{view.Markdown, view.SARIF, view.JUnit, view.GitHub}

// reportFlags let a review be written in several formats at once: it is made
// once, and each reader gets theirs.
func (r *reviewing) reportFlags(cmd *cobra.Command) {
	words := []string{string(view.Text), string(view.JSON)}
	for _, f := range reportFormats {
		words = append(words, string(f))
	}
	choose(cmd, (*string)(&r.format), "output", "o", "format of the result:", words...)
	setting(cmd.Flags(), "output")
	cmd.Flags().StringArrayVar(&r.reports, "report", nil, "write it to a file as well: `FORMAT=FILE` (may be repeated)")
}

// checkReports looks at --report before anything is done for it.
func (r *reviewing) checkReports() error {
	for _, report := range r.reports {
		format, file, ok := strings.Cut(report, "=")
		if !ok || file == "" || !slices.Contains(append([]view.Format{view.Text, view.JSON}, reportFormats...), view.Format(format)) {
			return fail(exitUsage, "for example --report sarif=review.sarif", "--report %q is not FORMAT=FILE", report)
		}
	}
	return nil
}

// write writes a review everywhere it is wanted.
func (r *reviewing) write(review policy.Review, root string) error {
	for _, report := range r.reports {
		format, file, _ := strings.Cut(report, "=")
		var b strings.Builder
		if err := r.writeAs(&b, view.Style{}, view.Format(format), review, root); err != nil {
			return err
		}
		if err := os.WriteFile(r.absolute(file), []byte(b.String()), 0o666); err != nil {
			return fail(exitError, "", "write %s: %v", file, unpathed(err))
		}
	}
	if summary := r.env("GITHUB_STEP_SUMMARY"); summary != "" && r.format == view.GitHub {
		if err := r.appendSummary(summary, r.inRepository(review, root, false)); err != nil {
			return err
		}
	}
	return r.writeAs(r.out, r.outStyle(), r.format, review, root)
}

// appendSummary adds the review to the page of a run of GitHub Actions.
func (r *reviewing) appendSummary(file string, review policy.Review) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fail(exitError, "", "write the step summary: %v", unpathed(err))
	}
	err = view.ReviewMarkdown(f, review)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (r *reviewing) writeAs(w io.Writer, s view.Style, f view.Format, review policy.Review, root string) error {
	switch f {
	case view.JSON:
		return view.ReviewJSON(w, review)
	case view.Markdown:
		return view.ReviewMarkdown(w, r.inRepository(review, root, false))
	case view.SARIF:
		return view.ReviewSARIF(w, r.inRepository(review, root, true), buildVersion().Version, reportRules(), r.linesBelow(root))
	case view.JUnit:
		return view.ReviewJUnit(w, r.inRepository(review, root, true), reportRules(), policy.Severity(r.failOn))
	case view.GitHub:
		return view.ReviewGitHub(w, r.inRepository(review, root, true))
	}
	view.ShowReview(w, s, review, r.shape == "full")
	return nil
}

// inRepository is a review whose places are named from the top of the
// repository, as systems that show them beside its lines want them. What
// stands in the base alone has no place there: with headOnly it loses it.
func (r *reviewing) inRepository(review policy.Review, root string, headOnly bool) policy.Review {
	atBase := fmt.Sprintf("%.7s:", review.Base.Commit)
	abs := func(file string) string {
		file = r.absolute(file)
		if real, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
			file = filepath.Join(real, filepath.Base(file)) // as git names its root
		}
		return file
	}
	place := func(at plan.Pos) plan.Pos {
		switch {
		case at.File == "":
			return at
		case strings.HasPrefix(at.File, atBase) && headOnly:
			return plan.Pos{}
		case strings.HasPrefix(at.File, atBase):
			return at
		}
		if rel, err := filepath.Rel(root, abs(at.File)); root != "" && err == nil && filepath.IsLocal(rel) {
			at.File = filepath.ToSlash(rel)
		}
		return at
	}
	review.Findings = slices.Clone(review.Findings)
	for i := range review.Findings {
		f := &review.Findings[i]
		f.At = place(f.At)
		var also []plan.Pos
		for _, at := range f.Also {
			if at = place(at); at.File != "" {
				also = append(also, at)
			}
		}
		f.Also = also
	}
	review.Head.Manifests = slices.Clone(review.Head.Manifests)
	for i, name := range review.Head.Manifests {
		review.Head.Manifests[i] = place(plan.Pos{File: name}).File
	}
	return review
}

// linesBelow shows lines of files that are named from a directory.
func (r *reviewing) linesBelow(root string) view.Lines {
	lines := r.lines()
	return func(file string, line int) (string, bool) { return lines(filepath.Join(root, file), line) }
}

// reportRules are all rules that could have found something.
func reportRules() []view.Rule {
	var all []view.Rule
	for _, r := range policy.Builtin() {
		all = append(all, view.Rule{ID: r.ID, Title: r.Title, Reason: r.Reason, Severity: r.Severity})
	}
	return all
}
