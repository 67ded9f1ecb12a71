package compile

import (
	"cmp"
	"maps"
	"slices"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Lower turns a manifest into the plan of how its images are made, by what the
// lock records: the plan is sealed, and the same for the same manifest, files
// and lock, wherever and whenever it is made.
//
// The manifest is one that Check finds no error in. The problems are those that
// only a lock has, CV0501 for what it lacks and CV0502 for what has changed
// since; with any of them the plan is empty.
func Lower(m *Manifest, lk *lock.File) (plan.Plan, []*problem.Problem) {
	lk = lk.Clone()
	images, problems := Images(m, lk)
	problems = append(problems, stale(m, lk, images)...)

	in := &answers{m: m, lk: lk, sources: map[string]plan.Source{}, locals: map[string]localInput{}, missing: map[string]bool{}}
	made, ps := walkRecipes(m, lk, images, in)
	problems = problem.Sort(slices.Concat(problems, in.problems, ps))
	if slices.ContainsFunc(problems, func(p *problem.Problem) bool { return p.Severity == problem.Error }) {
		return plan.Plan{}, problems
	}

	p := plan.Plan{Version: plan.Version, Recipe: lk.Recipe, Format: lk.Format, Sources: in.sorted(), Images: []plan.Image{}}
	// Images, and so the steps, come in the order of their references, so that
	// moving or renaming a family leaves the plan what it is.
	slices.SortFunc(made, func(a, b madeImage) int { return cmp.Compare(a.Reference, b.Reference) })
	order := ordering{seen: map[plan.Digest]bool{}, steps: []plan.Step{}}
	for _, i := range made {
		order.add(i.steps)
		p.Images = append(p.Images, i.Image)
	}
	p.Steps = order.steps
	if err := p.Seal(); err != nil {
		panic(err) // strings and numbers encode
	}
	return p, problems
}

// ordering gathers steps, each once.
type ordering struct {
	seen  map[plan.Digest]bool
	steps []plan.Step
}

func (o *ordering) add(steps []plan.Step) {
	for _, s := range steps {
		if !o.seen[s.ID] {
			o.seen[s.ID] = true
			o.steps = append(o.steps, s)
		}
	}
}

// madeImage is an image and all steps that it needs, each after those that it
// needs itself.
type madeImage struct {
	plan.Image
	steps []plan.Step
}

// walkRecipes goes through the recipes of images. Those whose recipe cannot be
// made for want of a base image or component are left out, with a problem.
func walkRecipes(m *Manifest, lk *lock.File, images []Image, in inputs) ([]madeImage, []*problem.Problem) {
	_, asks := in.(*questions)
	w := &walk{m: m, lk: lk.Clone(), in: in, asks: asks, releases: releasesOf(m), families: map[*Family]*kitchen{}}
	var made []madeImage
	for i := range images {
		if one, ok := w.image(&images[i]); ok {
			made = append(made, one)
		}
	}
	return made, w.problems
}

type walk struct {
	m        *Manifest
	lk       *lock.File
	in       inputs
	asks     bool // nothing is made: steps need no identity
	releases *releases
	families map[*Family]*kitchen
	problems []*problem.Problem
}

// kitchen is what all images of a family share.
type kitchen struct {
	release *catalog.Release // whose rules hold
	parts   *catalog.Release // the same with the family's components and mirrors
	bases   map[string]chain // by platform; nil for one that cannot be made
}

func (w *walk) kitchen(f *Family) *kitchen {
	if k, ok := w.families[f]; ok {
		return k
	}
	k := &kitchen{bases: map[string]chain{}}
	w.families[f] = k
	r, err := w.releases.find(f.Release.V)
	if err != nil {
		return k // Images has left its images out
	}
	k.release = r
	k.parts = r.With(f.Kubernetes.Distribution.V, componentsOf(f))
	return k
}

func (w *walk) image(img *Image) (madeImage, bool) {
	k := w.kitchen(img.Family)
	var steps []plan.Step
	var tops []plan.Digest
	for _, platform := range img.Platforms {
		r := &recipe{walk: w, kitchen: k, Image: img, f: img.Family, platform: platform, arch: archOf(platform)}
		base, done := k.bases[platform]
		if !done {
			base = r.base()
			k.bases[platform] = base
		}
		if base == nil {
			return madeImage{}, false
		}
		whole, ok := r.provider(base)
		if !ok {
			return madeImage{}, false
		}
		steps = append(steps, whole...)
		tops = append(tops, whole.top())
	}
	if w.asks {
		return madeImage{}, true
	}
	last := w.step("image "+shortLine(img.Reference), img.At, tops, plan.Op{Image: imageOp(w.m, img)})
	return madeImage{steps: append(steps, last), Image: plan.Image{
		Reference:         img.Reference,
		Line:              img.Line,
		Family:            img.Family.Name,
		KubernetesVersion: img.Version,
		Platforms:         img.Platforms,
		Facts:             img.Facts,
		Step:              last.ID,
		Publish:           img.Publish,
		Arguments:         argumentsOf(img, k.release),
		At:                img.At,
	}}, true
}

// imageOp is the config and the annotations of an image. The annotation that
// names the step cannot be among them, as the step's identity covers them all:
// who makes the image adds it.
func imageOp(m *Manifest, img *Image) *plan.ImageOp {
	facts := img.Facts.Annotations()
	facts["dev.canvos.kubernetes-version"] = img.Version
	labels := maps.Clone(facts)
	for _, l := range img.Family.Labels {
		labels[l.Key] = l.Value.V
	}
	return &plan.ImageOp{Platforms: img.Platforms, Labels: labels, Annotations: facts, Facts: img.Facts, Epoch: epochOf(m)}
}

func epochOf(m *Manifest) string {
	if m.Epoch.V != "" {
		return m.Epoch.V
	}
	return defaultEpoch
}

// chain is the steps that make one root filesystem, each after those it needs.
type chain []plan.Step

func (c chain) top() plan.Digest { return c[len(c)-1].ID }

// then adds a step that changes what the last one made.
func (w *walk) then(c chain, name string, at plan.Pos, op plan.Op) chain {
	return append(slices.Clip(c), w.step(name, at, []plan.Digest{c.top()}, op))
}

func (w *walk) step(name string, at plan.Pos, needs []plan.Digest, op plan.Op) plan.Step {
	s := plan.Step{Name: name, Needs: needs, Op: op, At: at}
	if w.asks {
		return s
	}
	if err := s.Identify(w.lk.Recipe, w.lk.Format); err != nil {
		panic(err) // strings and numbers encode
	}
	return s
}
