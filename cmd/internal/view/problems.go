package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Lines gives a line of a file by its number, and false if it cannot be shown.
type Lines func(file string, line int) (string, bool)

// Problems writes each problem as a block: code and message, places, the lines
// they name, what helps to decide, what to do.
func Problems(w io.Writer, s Style, ps []*problem.Problem, lines Lines) {
	for i, p := range safe(ps) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		problemBlock(w, s, p, lines)
	}
}

func problemBlock(w io.Writer, s Style, p *problem.Problem, lines Lines) {
	colour := red
	if p.Severity == problem.Warning {
		colour = yellow
	}
	fmt.Fprintf(w, "%s %s\n", s.paint(fmt.Sprintf("%s[%s]:", p.Severity, p.Code), bold, colour), s.paint(p.Message, bold))
	if p.Hide {
		lines = func(string, int) (string, bool) { return "", false }
	}
	if places := places(p); len(places) > 0 {
		excerpts(w, s, places, colour, lines)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	if p.Help != "" {
		fmt.Fprintf(w, "  %s %s\n", s.paint("help:", cyan), p.Help)
	}
}

// places are where a problem is and what else takes part, each once.
func places(p *problem.Problem) []plan.Pos {
	var all []plan.Pos
	seen := map[plan.Pos]bool{}
	for _, at := range append([]plan.Pos{p.At}, p.Also...) {
		if at.File != "" && !seen[at] {
			seen[at] = true
			all = append(all, at)
		}
	}
	return all
}

// Place is how a position is written.
func Place(at plan.Pos) string {
	switch {
	case at.File == "":
		return ""
	case at.Line == 0:
		return at.File
	case at.Column == 0:
		return fmt.Sprintf("%s:%d", at.File, at.Line)
	}
	return fmt.Sprintf("%s:%d:%d", at.File, at.Line, at.Column)
}

// excerpts shows places of one file under one line of positions, so that two
// ends of a conflict stand together.
func excerpts(w io.Writer, s Style, places []plan.Pos, colour string, lines Lines) {
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].File == places[0].File {
			n++
		}
		group := places[:n]
		places = places[n:]
		names := make([]string, len(group))
		digits := 0
		for i, at := range group {
			names[i] = s.paint(Place(at), cyan)
			digits = max(digits, len(fmt.Sprint(at.Line)))
		}
		fmt.Fprintf(w, "  %s\n", strings.Join(names, " · "))
		for _, at := range group {
			if at.Line == 0 {
				continue // of the file as a whole, which may be a large one
			}
			line, ok := lines(at.File, at.Line)
			if !ok || strings.TrimSpace(line) == "" {
				continue
			}
			excerpt(w, s, at, line, digits, colour)
		}
	}
}

// tab is how wide a tab is shown: as gofmt and cue fmt people set their editors.
const tab = "    "

// excerpt shows a line and underlines what stands at the position.
func excerpt(w io.Writer, s Style, at plan.Pos, line string, digits int, colour string) {
	line = strings.TrimRight(line, "\r\n")
	start := min(max(at.Column-1, 0), len(line))
	end := start + tokenLength(line[start:])
	// What stands there is cut as it is shown: without tabs, and doing nothing.
	wide := func(text string) int { return utf8.RuneCountInString(escape(expand(text), false)) }
	text, indent, width := window([]rune(safeLine(expand(line))), wide(line[:start]), wide(line[start:end]))

	gutter := fmt.Sprintf("%*d", digits+1, at.Line)
	fmt.Fprintf(w, "  %s %s %s\n", s.paint(gutter, faint), s.paint(s.bar(), faint), text)
	if at.Column == 0 {
		return
	}
	fmt.Fprintf(w, "  %s %s %s%s\n", strings.Repeat(" ", digits+1), s.paint(s.bar(), faint),
		strings.Repeat(" ", indent), s.paint(strings.Repeat("^", max(width, 1)), bold, colour))
}

// window cuts a line that would push everything else off the screen to what is
// around a place in it: where that is then, and how much of its width is left.
func window(line []rune, at, width int) (text string, column, left int) {
	const most, before = 160, 40
	if len(line) <= most {
		return string(line), at, width
	}
	from := 0
	if at+width > most-1 { // else the line's beginning tells more
		from = min(max(at-before, 0), len(line)-most)
	}
	to := from + most
	shown := slices.Clone(line[from:to])
	if from > 0 {
		shown[0] = '…'
	}
	if to < len(line) {
		shown[most-1] = '…'
	}
	return string(shown), at - from, min(width, to-at)
}

func expand(text string) string { return strings.ReplaceAll(text, "\t", tab) }

// tokenLength is how many bytes of text its first CUE token takes: a string
// with its quotes, else up to what cannot belong to a word.
func tokenLength(text string) int {
	if text == "" {
		return 0
	}
	if q := text[0]; q == '"' || q == '\'' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case q:
				return i + 1
			}
		}
		return len(text)
	}
	if n := strings.IndexAny(text, " \t,:;(){}[]\"'&|=<>!?"); n > 0 {
		return n
	} else if n == 0 {
		return 1
	}
	return len(text)
}

// A Tally is what a set of manifests came to.
type Tally struct {
	Manifests []string // as the person named them
	Families  int
	Images    int
}

// Verdict is the last line of vet: what was looked at, what is wrong, where to
// read on.
func Verdict(w io.Writer, s Style, t Tally, ps []*problem.Problem) {
	t, ps = safe(t), safe(ps)
	name := count(len(t.Manifests), "manifest")
	if len(t.Manifests) == 1 {
		name = t.Manifests[0]
	}
	errors, warnings := Count(ps)
	in := " in " + count(t.Families, "family")
	if t.Families == 0 {
		in = "" // it never came so far
	}
	if errors+warnings == 0 {
		fmt.Fprintf(w, "%s: %s%s, %s\n", name, s.paint("no problems", green), in, count(t.Images, "image"))
		return
	}
	var parts []string
	if errors > 0 {
		parts = append(parts, s.paint(count(errors, "error"), red))
	}
	if warnings > 0 {
		parts = append(parts, s.paint(count(warnings, "warning"), yellow))
	}
	fmt.Fprintf(w, "\n%s: %s%s · %s\n", name, strings.Join(parts, ", "), in, s.paint("canvos explain "+gravest(ps)+" tells more", faint))
}

// Count is how many of the problems are errors and warnings.
func Count(ps []*problem.Problem) (errors, warnings int) {
	for _, p := range ps {
		if p.Severity == problem.Warning {
			warnings++
		} else {
			errors++
		}
	}
	return errors, warnings
}

func gravest(ps []*problem.Problem) string {
	for _, p := range ps {
		if p.Severity == problem.Error {
			return p.Code
		}
	}
	return ps[0].Code
}

// jsonPos is a place in every machine format.
type jsonPos struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// ProblemsJSON writes the same for machines.
func ProblemsJSON(w io.Writer, ps []*problem.Problem) error {
	return writeJSON(w, struct {
		header
		Problems []jsonProblem `json:"problems"`
	}{head("Problems"), problemsJSON(ps)})
}

// jsonProblem is a problem in every machine format. The keys are always there.
type jsonProblem struct {
	Code     string           `json:"code"`
	Severity problem.Severity `json:"severity"`
	Message  string           `json:"message"`
	Notes    []string         `json:"notes"`
	Help     string           `json:"help"`
	Path     string           `json:"path"`
	Family   string           `json:"family"`
	jsonPos
	Also []jsonPos `json:"also"`
}

func problemsJSON(ps []*problem.Problem) []jsonProblem {
	all := []jsonProblem{}
	for _, p := range ps {
		j := jsonProblem{p.Code, p.Severity, p.Message, append([]string{}, p.Notes...), p.Help, p.Path, p.Family, jsonPos(p.At), []jsonPos{}}
		for _, at := range p.Also {
			j.Also = append(j.Also, jsonPos(at))
		}
		all = append(all, j)
	}
	return all
}
