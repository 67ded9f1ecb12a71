package oci

import (
	"encoding/json"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// Estimate is what carrying out a plan costs, in bytes. They are upper bounds
// unless Exact: how large a layer is, is known once it was made.
type Estimate struct {
	Download int64 // of sources, from registries
	There    int64 // of Download: in the store already
	Upload   int64 // to the target
	Store    int64 // on the disk of the store
	Exact    bool
}

// stepKey is of the record of the layer that a step made.
func stepKey(id plan.Digest) string { return "step " + string(id) }

// EstimateOf looks at what the images that are built or replaced need, and what of
// it the store has.
func EstimateOf(st *store.Store, places Places, p plan.Plan, ds []Decision) Estimate {
	steps := map[plan.Digest]plan.Step{}
	for _, s := range p.Steps {
		steps[s.ID] = s
	}
	sources := map[plan.Digest]plan.Source{}
	for _, s := range p.Sources {
		sources[s.Digest] = s
	}
	e := Estimate{Exact: true}
	seenStep, seenSource := map[plan.Digest]bool{}, map[plan.Digest]bool{}
	read := func(d plan.Digest) int64 {
		s := sources[d]
		if s.Platform != "" && !places.Local(s.Reference) && !seenSource[d] {
			seenSource[d] = true
			e.Download += s.Size
			if inStore(st, d) {
				e.There += s.Size
			} else {
				e.Store += s.Size
			}
		}
		return s.Size
	}
	var visit func(plan.Digest)
	visit = func(id plan.Digest) {
		if seenStep[id] {
			return
		}
		seenStep[id] = true
		s := steps[id]
		for _, n := range s.Needs {
			visit(n)
		}
		switch {
		case s.Op.Base != nil:
			e.Upload += read(s.Op.Base.Source)
		case s.Op.Files != nil:
			var bound int64
			for _, a := range s.Op.Files.Actions {
				switch {
				case a.Copy != nil:
					bound += read(a.Copy.Source)
				case a.Write != nil:
					bound += int64(len(a.Write.Content))
				}
			}
			if rec, ok := st.Layer(stepKey(id)); ok {
				e.Upload += rec.Size
				return
			}
			e.Exact = false
			e.Upload += bound
			e.Store += bound
		case s.Op.Run != nil:
			e.Exact = false
		}
	}
	for _, d := range ds {
		if d.Action == Build || d.Action == Replace {
			visit(d.Image.Step)
		}
	}
	return e
}

// inStore says whether the store has an image whole.
func inStore(st *store.Store, d plan.Digest) bool {
	raw, err := readBlob(st, d, -1)
	if err != nil {
		return false
	}
	var m manifest
	if json.Unmarshal(raw, &m) != nil {
		return false
	}
	for _, b := range append([]image.Descriptor{m.Config}, m.Layers...) {
		if !st.Has(b.Digest, b.Size) {
			return false
		}
	}
	return true
}

// LayerOf is the layer that a step made, if the store knows. An empty record is a
// step that changed nothing.
func LayerOf(st *store.Store, step plan.Digest) (store.LayerRecord, bool) {
	return st.Layer(stepKey(step))
}
