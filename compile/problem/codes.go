package problem

import (
	"cmp"
	"slices"
)

// Entry is what canvos knows of a code: the same whoever meets it, so that it
// can be looked up, linked to and silenced by name.
type Entry struct {
	Code     string
	Severity Severity // the gravest a problem with this code can have
	Title    string
	// Explanation says in a few paragraphs what the cause is, why it matters and
	// what to do.
	Explanation []string
	// Constraints are the rows of docs/constraints.md that the code enforces.
	Constraints []string
	// Sources are where the rule comes from: a file of CanvOS at a release, a
	// page of its documentation, a specification.
	Sources []string
	// Room finds the problem: "load", "compile", "lock", "plan" or "engine".
	Room string
}

// Lookup finds the entry of a code.
func Lookup(code string) (Entry, bool) {
	for _, table := range tables() {
		for _, e := range table {
			if e.Code == code {
				return e, true
			}
		}
	}
	return Entry{}, false
}

// Codes returns all entries, sorted by code.
func Codes() []Entry {
	all := slices.Concat(tables()...)
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

// tables are one for each group of codes: what could not be read (00), values
// of fields (01), options that do not go together (02), references and image
// lines (03), and what only a target, a lock or an engine can refuse (04–06).
func tables() [][]Entry {
	return [][]Entry{loading, values, files, combinations, machines, images, later}
}
