package plan

import (
	"maps"
	"slices"
	"strings"
)

// Inputs is what an image is made of, without the graph of its steps: enough to
// say in what another one differs, also when the plan is gone.
type Inputs struct {
	Recipe  int                 `json:"recipe"`
	Format  int                 `json:"format"`
	Sources []Source            `json:"sources"` // sorted by reference, then platform
	Steps   map[string][]string `json:"steps"`   // what each step does, line by line, by its name
}

// InputsOf tells of the Image steps of a plan what they are made of.
func InputsOf(p Plan) func(step Digest) Inputs { return graphOf(p).inputs }

func (g graph) inputs(top Digest) Inputs {
	steps := g.below(top)
	return Inputs{g.plan.Recipe, g.plan.Format, g.used(steps), g.lines(steps)}
}

// Causes says in what another image differs from this one; never nothing.
func (i Inputs) Causes(other Inputs) []Cause {
	out := sourceCauses(i.Sources, other.Sources)
	for _, name := range union(i.Steps, other.Steps) {
		c := Cause{Step: name, Gone: without(i.Steps[name], other.Steps[name]), New: without(other.Steps[name], i.Steps[name])}
		if len(c.Gone)+len(c.New) > 0 {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		return out
	}
	// The same lines in another order, or other rules for the same lines.
	c := Cause{Step: "recipe"}
	if i.Recipe == other.Recipe && i.Format == other.Format {
		c.Step = "order of the steps"
	}
	return []Cause{c}
}

// used is the sources of steps. Of sources with one digest, all are taken to be
// used.
func (g graph) used(steps []Step) []Source {
	used := []Source{}
	for _, s := range steps {
		for _, d := range s.Op.Sources() {
			used = append(used, g.sources[d]...)
		}
	}
	slices.SortFunc(used, compareSources)
	return slices.Compact(used)
}

func sourceCauses(a, b []Source) []Cause {
	var out []Cause
	for len(a)+len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = compareSources(a[0], b[0])
		}
		var c Cause
		if order <= 0 {
			c.Source, c.Platform, c.Before, a = a[0].Reference, a[0].Platform, a[0].Digest, a[1:]
		}
		if order >= 0 {
			c.Source, c.Platform, c.After, b = b[0].Reference, b[0].Platform, b[0].Digest, b[1:]
		}
		if c.Before != c.After {
			out = append(out, c)
		}
	}
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
