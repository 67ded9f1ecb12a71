package compile

import (
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/problem"
)

// Judged is a manifest, the images it stands for, and all that is wrong.
type Judged struct {
	Manifest *Manifest // nil if nothing could be read
	Images   []Image
	Problems []*problem.Problem
}

// Judge loads a manifest and judges it: what Load, Check and Images find, without
// what only follows from something else that is said. lk may be nil.
func Judge(src Source, lk *lock.File) Judged {
	m, ps := Load(src)
	if m == nil {
		return Judged{Problems: ps}
	}
	images, between := Images(m, lk)
	loaded := ps
	for _, p := range append(Check(m), between...) {
		if !follows(p, loaded) {
			ps = append(ps, p)
		}
	}
	whole := Judged{Problems: ps}.OK() // else images may be missing
	ps = append(ps, withhold(checkSources(m, lk, whole), nil)...)
	return Judged{m, images, problem.Sort(ps)}
}

// follows says that a problem is about a value that is wrong by itself.
func follows(p *problem.Problem, loaded []*problem.Problem) bool {
	for _, l := range loaded {
		switch {
		case l.Path == "":
		case p.At == l.At, inPath(p.Path, l.Path), inPath(l.Path, p.Path) && strings.Count(p.Path, ".") > 1:
			return true
		case p.Code == "CV0304" || p.Code == "CV0305": // of the parts of a reference put together
			family := joined("families", p.Family)
			for _, part := range []string{"registry", family + ".registry", family + ".repository", family + ".tag"} {
				if l.Path == part {
					return true
				}
			}
		}
	}
	return false
}

// inPath says that a path is another, or below it.
func inPath(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// OK says that there are no errors; there may be warnings.
func (j Judged) OK() bool {
	for _, p := range j.Problems {
		if p.Severity == problem.Error {
			return false
		}
	}
	return true
}
