package compile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// newProblem completes a problem of a family: severity from the table of codes,
// the path of the field from the family on, values as they may be shown.
func newProblem(f *Family, p problem.Problem) *problem.Problem {
	e, ok := problem.Lookup(p.Code)
	if !ok {
		panic("compile: no entry for " + p.Code)
	}
	p.Severity = e.Severity
	names := addressed.MatchString(p.Path)
	told := p.Message
	p.Message, p.Help = problem.Text(p.Message, names), problem.Text(p.Help, names)
	for i, n := range p.Notes {
		p.Notes[i] = problem.Text(n, names)
	}
	if names && p.Message != told && strings.Contains(p.Message, "…@") {
		p.Notes = append(p.Notes, "credentials come from docker login, and never stand in a manifest")
	}
	if f != nil {
		p.Family = f.Name
		path := "families." + label(f.Name)
		if p.Path != "" {
			path += "." + p.Path
		}
		p.Path = path
		if p.At == (plan.Pos{}) {
			p.At = f.At
		}
	}
	return &p
}

var identifier = regexp.MustCompile(`^[A-Za-z$_][A-Za-z0-9$_]*$`)

// label writes a field's name as CUE does in a path.
func label(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// orFamily is where a value stands, or the family's name if it stands nowhere.
func orFamily(at plan.Pos, f *Family) plan.Pos {
	if at == (plan.Pos{}) {
		return f.At
	}
	return at
}

// at writes a place behind a suggestion.
func at(pos plan.Pos) string {
	if pos.File == "" {
		return ""
	}
	return fmt.Sprintf(" (%s:%d:%d)", pos.File, pos.Line, pos.Column)
}

func quoted(s string) string { return strconv.Quote(s) }

func quotedList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoted(s)
	}
	return strings.Join(out, ", ")
}

func itoa(n int) string { return strconv.Itoa(n) }

func yesno(b bool) string { return strconv.FormatBool(b) }

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// some lists the first few of many, and how many more there are.
func some(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + " and " + itoa(len(list)-n) + " more"
}

// shortLine is a line without its registry and namespace.
func shortLine(line string) string { return line[strings.LastIndexByte(line, '/')+1:] }

// Meant is the name of a list that is meant by one that is not in it, or "".
func Meant(word string, names []string) string { return did(word, names) }

// did is the name of a list that is meant by one that is not in it, or "".
func did(s string, names []string) string {
	best, least := "", 1+max(1, len(s)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(s), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters must be changed, added, removed or swapped with
// their neighbour.
func distance(a, b string) int {
	var before, last, row []int // of two letters ago, one letter ago, now
	last = make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
