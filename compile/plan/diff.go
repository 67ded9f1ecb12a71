package plan

import (
	"cmp"
	"maps"
	"slices"
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
			c.Kind, c.Causes = Rebuilt, a.inputs(was.Step).Causes(b.inputs(is.Step))
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

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Platform, b.Platform))
}
