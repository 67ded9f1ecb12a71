package compile

import (
	"slices"
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Collisions finds images that would be published under one reference, and
// images of one line that differ in what a line fixes, within and across
// manifests: a set is the images of one. A family is compared with the first
// that has the reference or line, and is where the problem stands, so a hundred
// families on one tag are ninety-nine problems in ninety-nine places.
func Collisions(sets [][]Image) []*problem.Problem {
	var problems []*problem.Problem
	type pair struct{ a, b *Family }
	shared := map[pair][]string{} // references that two families share
	var pairs []pair              // in order
	byReference := map[string]*Family{}
	byLine := map[string]Image{}
	told := map[pair]bool{}
	for _, set := range sets {
		for _, img := range set {
			first, ok := byReference[img.Reference]
			if !ok {
				byReference[img.Reference] = img.Family
			} else if first != img.Family {
				p := pair{first, img.Family}
				if shared[p] == nil {
					pairs = append(pairs, p)
				}
				shared[p] = append(shared[p], img.Reference)
			}
		}
	}
	for _, p := range pairs {
		problems = append(problems, collision(p.a, p.b, shared[p]))
	}
	for _, set := range sets {
		for _, img := range set {
			first, ok := byLine[img.Line]
			if !ok {
				byLine[img.Line] = img
				continue
			}
			p := pair{first.Family, img.Family}
			if first.Family == img.Family || told[p] || shared[p] != nil {
				continue
			}
			told[p] = true
			if facts := factsApart(fixedFacts(first.Family), fixedFacts(img.Family)); len(facts) > 0 {
				problems = append(problems, divided(first, img, facts))
			}
		}
	}
	return problems
}

// collision is family b on a reference of a. Its words name both, as families
// that one comprehension makes have one place.
func collision(a, b *Family, references []string) *problem.Problem {
	p := problem.Problem{
		Code:    "CV0301",
		Message: "families " + quoted(a.Name) + " and " + quoted(b.Name) + " both publish " + references[0],
		At:      b.At, Also: []plan.Pos{a.At},
	}
	if also := sharing(references[1:]); also != "" {
		p.Notes = append(p.Notes, also)
	}
	apart := differences(a, b)
	if len(apart) == 0 {
		p.Notes = append(p.Notes, "nothing that makes an image differs between them")
		p.Help = "remove one of them, or take the version out of one"
		return newProblem(b, p)
	}
	p.Notes = append(p.Notes, "the tag does not carry "+strings.Join(apart, ", "))
	p.Help = "give one of them another tag or repository"
	if arches := slices.Concat(archesOf(a), archesOf(b)); len(apart) == 1 && strings.HasPrefix(apart[0], "the architecture") {
		slices.Sort(arches)
		p.Help += ", or make one family with arch: [" + quotedList(slices.Compact(arches)) + "]"
	}
	return newProblem(b, p)
}

func sharing(more []string) string {
	switch len(more) {
	case 0:
		return ""
	case 1:
		return "they also share " + more[0]
	}
	return "they share " + itoa(len(more)) + " more references"
}

// differences names what two families differ in that no reference carries.
func differences(a, b *Family) []string {
	var out []string
	add := func(name, x, y string) {
		if x != y {
			out = append(out, name+" ("+orNone(x)+", "+orNone(y)+")")
		}
	}
	add("the architecture", strings.Join(archesOf(a), "+"), strings.Join(archesOf(b), "+"))
	add("os.distribution", a.OS.Distribution.V, b.OS.Distribution.V)
	add("os.version", a.OS.Version.V, b.OS.Version.V)
	add("os.image", imagesText(a), imagesText(b))
	add("the CanvOS release", a.Release.V, b.Release.V)
	for _, o := range options {
		if x, y := o.text(a), o.text(b); isSecret("", o.field) && x != y {
			out = append(out, o.field)
		} else {
			add(o.field, x, y)
		}
	}
	add("channel", channelOf(a), channelOf(b))
	return out
}

// divided is two families that differ in what their line fixes.
func divided(a, b Image, facts []fact) *problem.Problem {
	var notes []string
	for _, f := range facts {
		notes = append(notes, f.field+" is "+f.was+" in family "+quoted(a.Family.Name)+" and "+f.is+" in "+quoted(b.Family.Name))
	}
	return newProblem(b.Family, problem.Problem{
		Code:    "CV0303",
		Message: "families " + quoted(a.Family.Name) + " and " + quoted(b.Family.Name) + " are one line, " + shortLine(a.Line) + ", but not one kind of image",
		Notes:   append(notes, "clusters follow a line over versions, and cannot follow such a change"),
		Help:    "give one of them another tag or repository",
		Path:    facts[0].field, At: facts[0].at(b.Family), Also: []plan.Pos{a.Family.At},
	})
}

// changed compares the lines of a manifest with the facts the lock has of them.
func changed(images []Image, lk *lock.File) []*problem.Problem {
	if lk == nil || len(lk.Facts) == 0 {
		return nil
	}
	var problems []*problem.Problem
	type told struct {
		family *Family
		line   string
	}
	seen := map[told]bool{}
	now := LineFacts(images)
	dropped := map[string]bool{}
	for _, img := range images {
		was, ok := lk.Facts[img.Line]
		if !ok || seen[told{img.Family, img.Line}] {
			continue
		}
		seen[told{img.Family, img.Line}] = true
		for _, f := range factsApart(was, fixedFacts(img.Family)) {
			problems = append(problems, newProblem(img.Family, problem.Problem{
				Code:    "CV0302",
				Message: "the line " + shortLine(img.Line) + " was declared with " + f.field + ": " + f.was + ", and cannot become " + f.is,
				Notes:   []string{f.why},
				Help:    "another tag makes another line" + at(img.Family.Tag.At) + "; if nothing follows this one, canvos lock --forget '" + img.Line + "'",
				Path:    f.field, At: f.at(img.Family),
			}))
		}
		if dropped[img.Line] {
			continue
		}
		for _, platform := range was.Platforms {
			if !slices.Contains(now[img.Line].Platforms, platform) {
				dropped[img.Line] = true
				problems = append(problems, newProblem(img.Family, problem.Problem{
					Code:    "CV0302",
					Message: "the line " + shortLine(img.Line) + " was declared with " + platform + ", which may not be dropped",
					Notes:   []string{"hosts of that platform follow the line and would find no image"},
					Help:    "add " + quoted(strings.TrimPrefix(platform, "linux/")) + " to arch, or take another tag; if nothing follows this line, canvos lock --forget '" + img.Line + "'",
					Path:    "arch", At: orFamily(img.Family.ArchSet.At, img.Family),
				}))
			}
		}
	}
	return problems
}

// A fact is one of what a line fixes.
type fact struct {
	field, was, is, why string
	at                  func(*Family) plan.Pos
}

func fixedFacts(f *Family) lock.LineFacts {
	return lock.LineFacts{TwoNode: f.TwoNode.V, FIPS: f.FIPS.V, UKI: f.UKI.V, OSDistribution: f.OS.Distribution.V}
}

// factsApart are the facts in which two declarations of a line differ.
func factsApart(was, is lock.LineFacts) []fact {
	var out []fact
	add := func(field, a, b, why string, at func(*Family) plan.Pos) {
		if a != b {
			out = append(out, fact{field, a, b, why, at})
		}
	}
	add("twoNode", yesno(was.TwoNode), yesno(is.TwoNode), "two-node and etcd clusters cannot be turned into each other",
		func(f *Family) plan.Pos { return orFamily(f.TwoNode.At, f) })
	add("fips", yesno(was.FIPS), yesno(is.FIPS), "a cluster does not become, or cease to be, FIPS-compliant by an upgrade",
		func(f *Family) plan.Pos { return orFamily(f.FIPS.At, f) })
	add("uki", yesno(was.UKI), yesno(is.UKI), "trusted boot is set up when a host is installed",
		func(f *Family) plan.Pos { return orFamily(f.UKI.At, f) })
	add("os.distribution", quoted(was.OSDistribution), quoted(is.OSDistribution), "hosts are not upgraded from one operating system to another",
		func(f *Family) plan.Pos { return orFamily(f.OS.Distribution.At, f) })
	return out
}
