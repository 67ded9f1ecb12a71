package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// ChangeKind says what became of an image from one plan to another.
type ChangeKind string

const (
	Added     ChangeKind = "added"
	Removed   ChangeKind = "removed"
	Retagged  ChangeKind = "retagged" // the same image under another reference
	Rebuilt   ChangeKind = "rebuilt"  // another image under the same reference
	Unchanged ChangeKind = "unchanged"
)

// Change is what became of one image.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// Reference is the new plan's, of a removed image the old one's.
	Reference string `json:"reference"`
	Was       string `json:"was,omitempty"` // of a retagged image
	// Causes say why an image is rebuilt; never empty then.
	Causes []Cause `json:"causes,omitempty"`
	Old    *Image  `json:"-"` // nil if added
	New    *Image  `json:"-"` // nil if removed
}

// Cause is one way in which what an image is made of differs. Either Source is
// set, and its digest before and after, or Step, and the lines of it that are
// gone and new.
type Cause struct {
	Source   string   `json:"source,omitempty"`
	Platform string   `json:"platform,omitempty"` // of the source
	Before   Digest   `json:"before,omitempty"`   // empty: not used before
	After    Digest   `json:"after,omitempty"`    // empty: not used any more
	Step     string   `json:"step,omitempty"`     // its name
	Gone     []string `json:"gone,omitempty"`
	New      []string `json:"new,omitempty"`
}

// Diff compares the images of two plans, sorted by reference. Times, places and
// names of families make no difference.
func Diff(old, new Plan) []Change {
	before, after := byReference(old), byReference(new)
	gone := map[Digest][]*Image{} // removed images, by what they are
	for _, ref := range slices.Sorted(maps.Keys(before)) {
		if i := before[ref]; after[ref] == nil {
			gone[i.Step] = append(gone[i.Step], i)
		}
	}
	a, b := graphOf(old), graphOf(new)
	var changes []Change
	for _, ref := range slices.Sorted(maps.Keys(after)) {
		is, was := after[ref], before[ref]
		c := Change{Reference: ref, Old: was, New: is}
		same := gone[is.Step]
		switch {
		case was != nil && was.Step == is.Step:
			c.Kind = Unchanged
		case was != nil:
			c.Kind, c.Causes = Rebuilt, causes(a, b, was.Step, is.Step)
		case len(same) > 0:
			c.Kind, c.Was, c.Old = Retagged, same[0].Reference, same[0]
			gone[is.Step] = same[1:]
		default:
			c.Kind = Added
		}
		changes = append(changes, c)
	}
	for _, images := range gone {
		for _, i := range images {
			changes = append(changes, Change{Kind: Removed, Reference: i.Reference, Old: i})
		}
	}
	slices.SortFunc(changes, func(x, y Change) int { return cmp.Compare(x.Reference, y.Reference) })
	return changes
}

func byReference(p Plan) map[string]*Image {
	m := map[string]*Image{}
	for i := range p.Images {
		m[p.Images[i].Reference] = &p.Images[i]
	}
	return m
}

// graph is a plan by step and by source.
type graph struct {
	plan    Plan
	steps   map[Digest]Step
	sources map[Digest][]Source
	names   map[Digest]string
}

func graphOf(p Plan) graph {
	g := graph{plan: p, steps: map[Digest]Step{}, sources: map[Digest][]Source{}, names: p.names()}
	for _, s := range p.Steps {
		g.steps[s.ID] = s
	}
	for _, s := range p.Sources {
		g.sources[s.Digest] = append(g.sources[s.Digest], s)
	}
	return g
}

// causes compares all that two images are made of.
func causes(a, b graph, old, new Digest) []Cause {
	stepsA, stepsB := a.below(old), b.below(new)
	out := sourceCauses(a.used(stepsA), b.used(stepsB))
	linesA, linesB := a.lines(stepsA), b.lines(stepsB)
	for _, name := range union(linesA, linesB) {
		c := Cause{Step: name, Gone: without(linesA[name], linesB[name]), New: without(linesB[name], linesA[name])}
		if len(c.Gone)+len(c.New) > 0 {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		return out
	}
	// The same lines in another order, or other rules for the same lines.
	c := Cause{Step: "recipe"}
	if a.plan.Recipe == b.plan.Recipe && a.plan.Format == b.plan.Format {
		c.Step = "order of the steps"
	}
	return []Cause{c}
}

// below is the steps that one needs, and itself.
func (g graph) below(top Digest) []Step {
	seen := map[Digest]bool{}
	var steps []Step
	var walk func(Digest)
	walk = func(id Digest) {
		s, ok := g.steps[id]
		if !ok || seen[id] {
			return
		}
		seen[id] = true
		for _, n := range s.Needs {
			walk(n)
		}
		steps = append(steps, s)
	}
	walk(top)
	return steps
}

// used is the digests of the sources of steps, by reference and platform. Of
// sources with one digest, all are taken to be used.
func (g graph) used(steps []Step) map[[2]string]Digest {
	used := map[[2]string]Digest{}
	for _, s := range steps {
		for _, d := range s.Op.Sources() {
			for _, src := range g.sources[d] {
				used[[2]string{src.Reference, src.Platform}] = d
			}
		}
	}
	return used
}

// Sources are the digests of the sources that a step reads itself.
func (o Op) Sources() []Digest {
	var ds []Digest
	switch {
	case o.Base != nil:
		ds = append(ds, o.Base.Source)
	case o.Files != nil:
		for _, a := range o.Files.Actions {
			if a.Copy != nil {
				ds = append(ds, a.Copy.Source)
			}
		}
	case o.Run != nil:
		for _, m := range o.Run.Mounts {
			if m.Source != "" {
				ds = append(ds, m.Source)
			}
		}
	}
	return ds
}

func sourceCauses(a, b map[[2]string]Digest) []Cause {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var out []Cause
	for key := range keys {
		if a[key] != b[key] {
			out = append(out, Cause{Source: key[0], Platform: key[1], Before: a[key], After: b[key]})
		}
	}
	slices.SortFunc(out, func(x, y Cause) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Platform, y.Platform))
	})
	return out
}

// lines say what each step does, with sources by name, by the step's name.
func (g graph) lines(steps []Step) map[string][]string {
	m := map[string][]string{}
	for _, s := range steps {
		key := s.Name
		if s.Op.Image != nil {
			key = "image" // its name is its reference
		}
		for _, line := range s.Op.lines(g.names) {
			m[key] = append(m[key], strings.TrimSpace(line))
		}
	}
	return m
}

func union(a, b map[string][]string) []string {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	return slices.Sorted(maps.Keys(keys))
}

// without is the lines of a that b does not have.
func without(a, b []string) []string {
	var out []string
	for _, line := range a {
		if !slices.Contains(b, line) {
			out = append(out, line)
		}
	}
	return out
}

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Platform, b.Platform))
}
