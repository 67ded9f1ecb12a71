package view

import (
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
)

// Comment begins every review in Markdown, so that who posts it finds the last
// one and updates it in place.
const Comment = "<!-- canvos review -->"

// Bytes of a review in Markdown. GitHub takes 65,536 characters.
const (
	mostMarkdown = 60_000
	mostFindings = 30_000 // of which so many are for findings
	mostFamilies = 18_000 // and for families; the rest is for images
	mostCell     = 600    // of one cell, so that one text cannot push out all others
)

// ReviewMarkdown writes a review as a comment to a pull request: verdict and
// findings first, then the effect by family, what is long folded. It depends on
// the review alone, and is never longer than 60 kB: what does not fit is
// counted. Texts of the change are escaped: they neither format nor mention.
func ReviewMarkdown(w io.Writer, r policy.Review) error {
	r = safe(r)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### canvos: %s\n", Comment, headline(r, true))
	end := markdownEnd(r)
	left := func() int { return mostMarkdown - b.Len() - len(end) - 200 } // 200: lines that count what is left out

	counting, waived := split(r.Findings)
	markdownTable(&b, min(mostFindings, left()), "| | rule | family | what |\n|---|---|---|---|\n", "finding", len(counting), func(i int) string {
		f := counting[i]
		return markdownRow(icon(f.Severity), text(f.Rule), code(f.Family), findingCell(f))
	})
	rows := effects(r.Changes)
	markdownTable(&b, min(mostFamilies, left()), "| family | images | effect | why |\n|---|---:|---|---|\n", "effect", len(rows), func(i int) string {
		e := rows[i]
		return markdownRow(code(e.family), fmt.Sprint(e.images), text(e.effect), text(strings.Join(e.why, "; ")))
	})
	if len(waived) > 0 {
		folded(&b, count(len(waived), "waived finding"), func(b *strings.Builder) {
			markdownTable(b, min(mostMarkdown/12, left()), "| | rule | family | what | waived by |\n|---|---|---|---|---|\n", "finding", len(waived), func(i int) string {
				f := waived[i]
				return markdownRow(icon(f.Severity), text(f.Rule), code(f.Family), findingCell(f), text(f.WaivedBy))
			})
		})
	}
	if uses := idleWaivers(r.Waivers); len(uses) > 0 {
		folded(&b, waiverCounts(r.Waivers), func(b *strings.Builder) {
			markdownTable(b, min(mostMarkdown/12, left()), "| waiver | rule | target | |\n|---|---|---|---|\n", "waiver", len(uses), func(i int) string {
				return markdownRow(text(uses[i].Name), text(uses[i].Rule), code(uses[i].Target), text(uses[i].Why)+place(uses[i].At))
			})
		})
	}
	images := imagesOf(r.Changes)
	if len(images) > 0 && left() > 1000 {
		folded(&b, count(len(images), "image"), func(b *strings.Builder) {
			markdownTable(b, left(), "| image | effect | why |\n|---|---|---|\n", "image", len(images), func(i int) string {
				c := images[i]
				return markdownRow(code(c.Reference), imageEffect(c), text(strings.Join(c.Why, "; ")))
			})
		})
	}
	b.WriteString(end)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the review: %w", err)
	}
	return nil
}

// headline is what a change comes to, and the verdict on it, in a line.
func headline(r policy.Review, bold bool) string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Images.Rebuilt, "rebuilt"}, {r.Images.Added, "added"}, {r.Images.Removed, "removed"}, {r.Images.Retagged, "re-tagged"},
	} {
		switch {
		case c.n > 0 && len(parts) == 0:
			parts = append(parts, count(c.n, "image")+" "+c.what)
		case c.n > 0:
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	line := strings.Join(parts, ", ")
	if line == "" {
		line = "no effect on images"
	}
	deny, warn, waived := tally(r.Findings)
	var verdict []string
	if deny > 0 {
		refused := fmt.Sprintf("%d refused", deny)
		if bold {
			refused = "**" + refused + "**"
		}
		verdict = append(verdict, refused)
	}
	if warn > 0 {
		verdict = append(verdict, count(warn, "warning"))
	}
	if waived > 0 {
		verdict = append(verdict, fmt.Sprintf("%d waived", waived))
	}
	if len(verdict) > 0 {
		line += " · " + strings.Join(verdict, ", ")
	}
	return line
}

func tally(fs []policy.Finding) (deny, warn, waived int) {
	for _, f := range fs {
		switch {
		case f.Waived():
			waived++
		case f.Severity == policy.SeverityDeny:
			deny++
		case f.Severity == policy.SeverityWarn:
			warn++
		}
	}
	return deny, warn, waived
}

// split tells findings that count from those that are waived.
func split(fs []policy.Finding) (counting, waived []policy.Finding) {
	for _, f := range fs {
		if f.Waived() {
			waived = append(waived, f)
		} else {
			counting = append(counting, f)
		}
	}
	return counting, waived
}

// markdownTable writes rows as long as they fit into most bytes, and counts the
// others.
func markdownTable(b *strings.Builder, most int, head, noun string, n int, row func(int) string) {
	if n == 0 {
		return
	}
	b.WriteString("\n" + head)
	used := len(head)
	for i := range n {
		line := row(i)
		if used += len(line); used > most {
			fmt.Fprintf(b, "\n… and %s: `canvos review` shows all\n", count(n-i, "more "+noun))
			return
		}
		b.WriteString(line)
	}
}

func markdownRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// folded is a part that is closed until somebody opens it.
func folded(b *strings.Builder, summary string, inside func(*strings.Builder)) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n", summary)
	inside(b)
	b.WriteString("\n</details>\n")
}

func icon(s policy.Severity) string {
	switch s {
	case policy.SeverityDeny:
		return "⛔"
	case policy.SeverityWarn:
		return "⚠️"
	}
	return "ℹ️"
}

// findingCell is what a finding says: the message, the way on, where, whom to
// ask.
func findingCell(f policy.Finding) string {
	cell := text(f.Message) + place(f.At)
	if f.Help != "" {
		cell += "<br>help: " + text(f.Help)
	}
	if f.Owner != "" {
		cell += "<br>owner: " + text(f.Owner)
	}
	if f.Link != "" {
		cell += "<br>" + link(f.Link)
	}
	return cell
}

// link is one that leads to a page; what leads elsewhere is shown as what it is.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(s) > mostCell {
		return code(s)
	}
	return "<" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", "|", "%7C", "\\", "%5C").Replace(s) + ">"
}

func place(at plan.Pos) string {
	if at.File == "" {
		return ""
	}
	at.Column = 0
	return " " + code(Place(at))
}

// text escapes what Markdown would take for more than text. A mention, the number
// of an issue, or an address is broken by a character without width: it would call
// people into a pull request, write into others, or become a link.
func text(s string) string {
	s = strings.Join(strings.Fields(atMost(s)), " ")
	s = mention.ReplaceAllString(markdownText.Replace(s), "$1$2\u200b$3")
	return address.ReplaceAllString(s, "$1$3\u200b$2$4")
}

var address = regexp.MustCompile(`(?i)(:)(//)|\b(www)(\.)`)

var mention = regexp.MustCompile(`(^|[^0-9A-Za-z])([@#])([0-9A-Za-z])`)

var markdownText = strings.NewReplacer(
	"\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "~", "\\~", "|", "\\|",
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
)

// code is a text in the type of code; nothing for an empty one.
func code(s string) string {
	s = strings.Join(strings.Fields(atMost(s)), " ")
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		s = " " + s + " "
	}
	return fence + strings.ReplaceAll(s, "|", "\\|") + fence
}

// atMost shortens a text to what a cell may hold.
func atMost(s string) string {
	if len(s) <= mostCell {
		return s
	}
	n := mostCell
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// effect is a row of the table of families.
type effect struct {
	family, effect string
	images         int
	why            []string
}

// imageKinds are what may become of an image, in the order of the rows.
var imageKinds = []policy.Kind{policy.Rebuilt, policy.Added, policy.Removed, policy.Retagged}

func effects(changes []policy.Change) []effect {
	var rows []effect
	for _, c := range changes {
		name := c.Family
		if c.Renamed != "" {
			name = c.Renamed + " → " + c.Family
		}
		before := len(rows)
		for _, kind := range imageKinds {
			e := effect{family: name, effect: kindWords(kind)}
			for _, i := range c.Images {
				if i.Kind != kind {
					continue
				}
				e.images++
				for _, why := range i.Why {
					if !slices.Contains(e.why, why) {
						e.why = append(e.why, why)
					}
				}
			}
			if len(e.why) == 0 && len(rows) == before {
				e.why = c.Why
			}
			if e.images > 0 {
				rows = append(rows, e)
			}
		}
		if len(rows) == before {
			rows = append(rows, effect{family: name, effect: kindWords(c.Kind), why: c.Why})
		}
	}
	return rows
}

func kindWords(k policy.Kind) string {
	if k == policy.Retagged {
		return "re-tagged"
	}
	return string(k)
}

func imagesOf(changes []policy.Change) []policy.ImageChange {
	var all []policy.ImageChange
	for _, c := range changes {
		all = append(all, c.Images...)
	}
	return all
}

func imageEffect(c policy.ImageChange) string {
	if c.Was != "" {
		return kindWords(c.Kind) + ", was " + code(c.Was)
	}
	return text(kindWords(c.Kind))
}

// idleWaivers are those that do nothing, and should go.
func idleWaivers(w policy.Waivers) []policy.WaiverUse {
	var all []policy.WaiverUse
	for _, u := range w.Expired {
		if u.Why == "" {
			u.Why = "expired after " + u.Expires
		}
		all = append(all, u)
	}
	for _, u := range w.Unused {
		if u.Why == "" {
			u.Why = "nothing to waive"
		}
		all = append(all, u)
	}
	return all
}

func waiverCounts(w policy.Waivers) string {
	var parts []string
	if n := len(w.Expired); n > 0 {
		parts = append(parts, count(n, "expired waiver"))
	}
	if n := len(w.Unused); n > 0 {
		parts = append(parts, count(n, "unused waiver"))
	}
	return strings.Join(parts, ", ")
}

// markdownEnd says what was compared.
func markdownEnd(r policy.Review) string {
	parts := []string{"Base " + side(r.Base), "head " + side(r.Head)}
	if r.Plan != "" {
		parts = append(parts, "plan "+code(short(r.Plan)))
	}
	if r.Bytes.Read > 0 {
		parts = append(parts, "at most "+Bytes(r.Bytes.Read)+" to read")
	}
	return "\n" + strings.Join(parts, " · ") + "\n"
}

func side(s policy.Side) string {
	commit := s.Commit[:min(7, len(s.Commit))]
	switch {
	case s.Name == "" || strings.HasPrefix(s.Commit, s.Name):
		return code(commit)
	case commit == "":
		return code(s.Name)
	}
	return code(s.Name) + " " + commit
}
