package compile

import (
	"slices"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Check judges a manifest by every rule that is not the schema's: what depends
// on the release, on several fields at once, or on local files. It returns all
// that is wrong with all families, sorted, each with its place; docs/constraints.md
// lists the rules. What images do to each other is found by Images.
//
// A warning that a family acknowledges is left out. Warnings alone mean that
// the manifest can be built. Judge leaves out what only follows from what Load
// found.
func Check(m *Manifest) []*problem.Problem {
	rel := releasesOf(m)
	files := newLocalFiles(m)
	problems := checkManifest(m, rel, files)
	for i := range m.Families {
		s := &subject{Family: &m.Families[i], m: m, rel: rel, files: files}
		s.judge()
		problems = append(problems, s.unacknowledged()...)
	}
	return problem.Sort(withhold(problems, nil))
}

// subject is a family that is being judged, and what was found so far.
type subject struct {
	*Family
	m     *Manifest
	rel   *releases
	files *localFiles

	release  *catalog.Release // nil when there is no such release: rules that ask it are left out
	versions []expanded       // what the family is built for, as far as it is offered

	problems []*problem.Problem
}

// judge applies the rules, those first that later ones build upon.
func (s *subject) judge() {
	s.checkRelease()
	s.checkKubernetes()
	s.checkRegistry()
	s.checkTag()
	s.checkRevision()
	s.checkTwoNode()
	s.checkCanonical()
	s.checkBundle()
	s.checkFIPS()
	s.checkUKI()
	s.checkSystem()
	s.checkArchitectures()
	s.checkBaseImages()
	s.checkKernel()
	s.checkDrivers()
	s.checkAvailable()
	s.checkValues()
	s.checkLocalFiles()
	s.checkCertificates()
	s.checkCustomisation()
	s.dropMoot()
}

// dropMoot leaves out what is said of an option that the release does not have:
// that comes first.
func (s *subject) dropMoot() {
	absent := map[string]bool{}
	for _, p := range s.problems {
		if p.Code == "CV0252" {
			absent[p.Path] = true
		}
	}
	s.problems = slices.DeleteFunc(s.problems, func(p *problem.Problem) bool { return absent[p.Path] && p.Code != "CV0252" })
}

// report adds a problem of a field; path is below the family. Nowhere is the
// family's name.
func (s *subject) report(code, path string, at plan.Pos, message, help string, notes ...string) *problem.Problem {
	p := newProblem(s.Family, problem.Problem{Code: code, Path: path, At: at, Message: message, Help: help, Notes: notes})
	s.problems = append(s.problems, p)
	return p
}

// shared makes a problem the manifest's where the family has the value from
// there: it is one problem then, however many families have it.
func (s *subject) shared(p *problem.Problem, own, top Field[string], path string) {
	if top.Set && own.At == top.At {
		p.Path, p.Family = path, ""
	}
}

// since says whether the release is at least the one with a tag.
func (s *subject) since(tag string) bool { return s.release != nil && !before(s.release, tag) }

// before says whether the release is older than the one with a tag.
func (s *subject) before(tag string) bool { return s.release != nil && before(s.release, tag) }

// is says whether the family has one of these Kubernetes distributions.
func (s *subject) is(distributions ...string) bool {
	for _, d := range distributions {
		if s.Kubernetes.Distribution.V == d {
			return true
		}
	}
	return false
}

// runs says whether the family has one of these operating systems.
func (s *subject) runs(systems ...string) bool {
	for _, d := range systems {
		if s.OS.Distribution.V == d {
			return true
		}
	}
	return false
}

// on says whether the family is built for an architecture.
func (s *subject) on(arch string) bool {
	for _, a := range archesOf(s.Family) {
		if a == arch {
			return true
		}
	}
	return false
}
