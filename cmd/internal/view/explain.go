package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"canvos.dev/compile/problem"
)

// ExplainCodes says what problem codes mean. For machines several are a list.
func ExplainCodes(w io.Writer, s Style, f Format, all []problem.Entry) error {
	switch {
	case f == JSON && len(all) == 1:
		return writeJSON(w, struct {
			header
			jsonEntry
		}{head("Code"), entryJSON(all[0])})
	case f == JSON:
		return Codes(w, s, f, all)
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		explained(w, s, e)
	}
	return nil
}

func explained(w io.Writer, s Style, e problem.Entry) {
	e = safe(e)
	fmt.Fprintf(w, "%s %s\n", s.paint(fmt.Sprintf("%s[%s]:", e.Severity, e.Code), bold), s.paint(e.Title, bold))
	for _, paragraph := range e.Explanation {
		fmt.Fprintf(w, "\n%s", wrap(paragraph, "  ", s.reading()))
	}
	fmt.Fprintln(w)
	if len(e.Constraints) > 0 {
		fmt.Fprintf(w, "  constraints  %s (docs/constraints.md)\n", strings.Join(e.Constraints, ", "))
	}
	for i, source := range e.Sources {
		label := "sources"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %s  %s\n", pad(label, len("constraints")), source)
	}
}

// Codes lists all of them.
func Codes(w io.Writer, s Style, f Format, all []problem.Entry) error {
	if f == JSON {
		entries := []jsonEntry{}
		for _, e := range all {
			entries = append(entries, entryJSON(e))
		}
		return writeJSON(w, struct {
			header
			Codes []jsonEntry `json:"codes"`
		}{head("CodeList"), entries})
	}
	for _, e := range safe(all) {
		fmt.Fprintf(w, "%s  %s  %s\n", s.paint(e.Code, bold), pad(string(e.Severity), len(problem.Warning)), e.Title)
	}
	return nil
}

type jsonEntry struct {
	Code        string           `json:"code"`
	Severity    problem.Severity `json:"severity"`
	Title       string           `json:"title"`
	Explanation []string         `json:"explanation"`
	Constraints []string         `json:"constraints"`
	Sources     []string         `json:"sources"`
}

func entryJSON(e problem.Entry) jsonEntry {
	return jsonEntry{e.Code, e.Severity, e.Title, e.Explanation, append([]string{}, e.Constraints...), append([]string{}, e.Sources...)}
}

// reading is how wide a paragraph is set.
func (s Style) reading() int {
	if s.Width > 40 && s.Width < 100 {
		return s.Width
	}
	return 100
}

// wrap sets a paragraph in lines of at most width characters.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
			b.WriteString(indent)
			used = len(indent)
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = len(indent)
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	b.WriteByte('\n')
	return b.String()
}
