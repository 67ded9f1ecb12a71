package oci

import "canvos.dev/compile/plan"

// needed is a step that an image needs.
type needed struct {
	plan.Step
	by string // the reference of the first image that does
}

// needs are the steps that the images of a plan need, each once, in the order in which
// the images, and then other steps, name them.
func needs(p plan.Plan) []needed {
	steps := map[plan.Digest]plan.Step{}
	for _, s := range p.Steps {
		steps[s.ID] = s
	}
	var list []needed
	seen := map[plan.Digest]bool{}
	var visit func(id plan.Digest, by string)
	visit = func(id plan.Digest, by string) {
		if seen[id] {
			return
		}
		seen[id] = true
		list = append(list, needed{steps[id], by})
		for _, n := range steps[id].Needs {
			visit(n, by)
		}
	}
	for _, i := range p.Images {
		visit(i.Step, i.Reference)
	}
	return list
}
