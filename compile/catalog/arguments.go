package catalog

import (
	"slices"
	"strings"
)

// Argument is one declaration of an argument in the Earthfiles, and the
// releases it is there in. An argument may have several: in different
// releases, targets and branches.
type Argument struct {
	Name  string
	Scope string // "global", the base section; or a target: "+provider-image"
	Let   bool   // LET: a variable that only overrides from the Earthfile reach
	// Conditional: stands in a branch, so that the default depends on other
	// arguments.
	Conditional bool
	First, Last string // releases
	Default     string // as written; see HasDefault
	HasDefault  bool
}

// Arguments is all declarations, by name, then scope, then release.
func Arguments() []Argument {
	var all []Argument
	for line := range strings.Lines(table("arguments.txt")) {
		all = append(all, parseArgument(strings.TrimSuffix(line, "\n")))
	}
	return all
}

// parseArgument reads "NAME SCOPE KIND SPAN[ DEFAULT]".
func parseArgument(line string) Argument {
	f := strings.SplitN(line, " ", 5)
	a := Argument{Name: f[0], Scope: f[1]}
	kind, conditional := strings.CutSuffix(f[2], "?")
	a.Let, a.Conditional = kind == "let", conditional
	var ok bool
	if a.First, a.Last, ok = strings.Cut(f[3], ".."); !ok {
		a.Last = a.First
	}
	if len(f) == 5 {
		a.Default, a.HasDefault = f[4], true
	}
	return a
}

// argumentsAt is the base section's arguments of the i-th release.
func argumentsAt(at map[string]int, i int) map[string]string {
	args := map[string]string{}
	for line := range strings.Lines(table("arguments.txt")) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		if f[1] != "global" || strings.HasPrefix(f[2], "let") {
			continue
		}
		if first, last := bounds(at, f[3]); i < first || last < i {
			continue
		}
		// An unconditional default wins over one of a branch.
		switch {
		case f[2] == "arg" && len(f) == 5:
			args[f[0]] = f[4]
		case args[f[0]] == "":
			args[f[0]] = ""
		}
	}
	return args
}

// Targeted says whether a release declares an argument in any place where it
// can be set, the base section or a target.
func Targeted(tag, argument string) bool {
	at := positions(Entries())
	i, ok := at[tag]
	return ok && slices.ContainsFunc(Arguments(), func(a Argument) bool {
		return a.Name == argument && !a.Let && at[a.First] <= i && i <= at[a.Last]
	})
}
