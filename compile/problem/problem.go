// Package problem holds what can be wrong with a manifest, lock or plan: one
// struct, and the table of codes that canvos explain reads. It is data; it
// finds nothing and prints nothing.
package problem

import (
	"cmp"
	"fmt"
	"slices"

	"canvos.dev/compile/plan"
)

// Severity is "error" or "warning".
type Severity string

const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong: one cause, one suggestion.
type Problem struct {
	Code     string     `json:"code"` // "CV0107", see Codes
	Severity Severity   `json:"severity"`
	Message  string     `json:"message"`         // what is wrong, the value quoted; lower case, no full stop
	Notes    []string   `json:"notes,omitempty"` // facts that help to decide
	Help     string     `json:"help,omitempty"`  // what to write instead
	Path     string     `json:"path,omitempty"`  // CUE path of the field: families."store-k3s".tag
	Family   string     `json:"family,omitempty"`
	At       plan.Pos   `json:"-"`
	Also     []plan.Pos `json:"-"` // the other places that take part
	Hide     bool       `json:"-"` // the line holds what may be a secret: it is not shown
}

func (p *Problem) Error() string {
	if p.At.File == "" {
		return fmt.Sprintf("%s[%s]: %s", p.Severity, p.Code, p.Message)
	}
	if p.At.Line == 0 {
		return fmt.Sprintf("%s: %s[%s]: %s", p.At.File, p.Severity, p.Code, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s[%s]: %s", p.At.File, p.At.Line, p.At.Column, p.Severity, p.Code, p.Message)
}

// Sort orders problems by file, line, column, code and message, and drops
// repeats.
func Sort(ps []*Problem) []*Problem {
	slices.SortFunc(ps, func(a, b *Problem) int {
		return cmp.Or(
			cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Path, b.Path))
	})
	return slices.CompactFunc(ps, func(a, b *Problem) bool {
		return a.At == b.At && a.Code == b.Code && a.Message == b.Message
	})
}
