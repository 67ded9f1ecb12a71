package compile

import (
	"errors"
	"io/fs"
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/problem"
)

// checkSources compares what sources says with what the images need: an entry
// that nothing is read from, and a place of one that is not there. whole says
// that all that is needed is known.
func checkSources(m *Manifest, lk *lock.File, whole bool) []*problem.Problem {
	if len(m.Sources) == 0 {
		return nil
	}
	requests := Requests(m, lk)
	reads := map[*SourceRule]*Request{} // the first that is read from each
	matches := map[*SourceRule]bool{}   // also where a longer one is taken
	for i := range requests {
		q := &requests[i]
		if q.Local {
			continue
		}
		if rule := m.sourceOf(q.Reference); rule != nil && reads[rule] == nil {
			reads[rule] = q
		}
		for j := range m.Sources {
			matches[&m.Sources[j]] = matches[&m.Sources[j]] || begins(q.Reference, m.Sources[j].Reference)
		}
	}
	files := newLocalFiles(m)
	var problems []*problem.Problem
	report := func(rule *SourceRule, p problem.Problem) {
		p.Path, p.At = "sources."+label(rule.Reference), rule.Place.At
		problems = append(problems, newProblem(nil, p))
	}
	for i := range m.Sources {
		rule := &m.Sources[i]
		q := reads[rule]
		switch {
		case !matches[rule] && whole && len(requests) > 0:
			help := "correct the reference, or remove the entry"
			if meant := meantReference(rule.Reference, requests); meant != "" {
				help = "did you mean " + quoted(meant) + "?"
			}
			report(rule, problem.Problem{Code: "CV0135", Message: "nothing is read from " + quoted(rule.Place.V) + ": no image needs a reference that begins with " + quoted(rule.Reference), Help: help})
		case q != nil:
			_, name, _ := strings.Cut(rule.Place.V, ":")
			if !isLocalPlace(rule.Place.V) || !errors.Is(files.find(name).err, fs.ErrNotExist) {
				continue
			}
			p := problem.Problem{Code: "CV0136", Message: quoted(rule.Place.V) + " is not there, and " + q.Reference + " is read from it",
				Notes: []string{"it is the " + q.What + " of family " + quoted(q.Family)}, Help: "carry it in before the lock is made, or correct the path: it is relative to the manifest's directory"}
			if meant := files.nearest(name); meant != "" {
				p.Help = "write " + quoted(rule.Place.V[:len(rule.Place.V)-len(name)]+meant)
			}
			report(rule, p)
		}
	}
	return problems
}

// isLocalPlace tells a layout or archive from a registry. Of a dir: that is
// missing checkManifest tells.
func isLocalPlace(place string) bool {
	scheme, _, ok := strings.Cut(place, ":")
	_, known := schemes[scheme]
	return ok && known && scheme != "dir"
}

// sourceOf is the rule that a reference is read by: the longest that it begins
// with, and a dir: for itself alone.
func (m *Manifest) sourceOf(reference string) *SourceRule {
	var best *SourceRule
	for i := range m.Sources {
		rule := &m.Sources[i]
		if strings.HasPrefix(rule.Place.V, "dir:") && reference != rule.Reference {
			continue
		}
		if begins(reference, rule.Reference) && (best == nil || len(rule.Reference) > len(best.Reference)) {
			best = rule
		}
	}
	return best
}

// begins says whether a reference begins with another, or its first parts.
func begins(reference, with string) bool {
	rest, ok := strings.CutPrefix(reference, with)
	return ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0])))
}

// meantReference is the beginning of something that is needed which is close to
// a reference that nothing begins with, or "".
func meantReference(reference string, requests []Request) string {
	var names []string
	parts := strings.Count(reference, "/")
	tagged := strings.LastIndexByte(reference, ':') > strings.LastIndexByte(reference, '/')
	for _, q := range requests {
		if q.Local {
			continue
		}
		name := q.Reference
		if all := strings.SplitN(name, "/", parts+2); len(all) > parts+1 {
			name = strings.Join(all[:parts+1], "/")
		} else if repository, _, ok := strings.Cut(name, ":"); ok && !tagged {
			name = repository
		}
		names = append(names, name)
	}
	return did(reference, names)
}
