package compile

import (
	"slices"

	"canvos.dev/compile/problem"
)

// unacknowledged are the family's problems without the warnings that it
// acknowledges, and what is wrong with its acknowledgements. One that silences
// nothing is not spoken of while there is an error, since some rules are
// judged only without.
func (s *subject) unacknowledged() []*problem.Problem {
	used := map[string]bool{}
	failed := s.m.partial
	var problems []*problem.Problem
	for _, p := range s.problems {
		if p.Severity == problem.Warning && slices.ContainsFunc(s.Acknowledge, func(a Pair) bool { return a.Key == p.Code }) {
			used[p.Code] = true
			continue
		}
		failed = failed || p.Severity == problem.Error
		problems = append(problems, p)
	}
	s.problems = problems
	for _, a := range s.Acknowledge {
		path := "acknowledge." + label(a.Key)
		e, ok := problem.Lookup(a.Key)
		switch {
		case !ok:
			help := "canvos explain lists the codes"
			if meant := did(a.Key, warnings()); meant != "" {
				help = "write " + quoted(meant) + ", or remove the line"
			}
			s.report("CV0130", path, a.Value.At, "there is no problem "+quoted(a.Key), help)
		case e.Severity != problem.Warning:
			s.report("CV0130", path, a.Value.At, a.Key+" is an error, and cannot be acknowledged: "+e.Title, "mend it, and remove the line")
		case a.Key == "CV0131":
			s.report("CV0130", path, a.Value.At, a.Key+" cannot be acknowledged: "+e.Title, "remove both lines")
		case !used[a.Key] && !failed:
			s.report("CV0131", path, a.Value.At, "family "+quoted(s.Name)+" has no warning "+a.Key, "remove the line", a.Key+" is: "+e.Title)
		}
	}
	return s.problems
}

// warnings are the codes that can be acknowledged.
func warnings() []string {
	var codes []string
	for _, e := range problem.Codes() {
		if e.Severity == problem.Warning && e.Code != "CV0131" {
			codes = append(codes, e.Code)
		}
	}
	return codes
}
