package policy

import (
	"slices"
	"strings"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Manifest is all that a review knows of one manifest at one side. It is plain
// data: it can be sent from one process to another.
type Manifest struct {
	Name     string // as a person names it: "edge", "edge/images.cue"
	Families []Family
	// Plan is what the manifest comes to. Where its lock lacks something, it is
	// made with what can be known instead, and not Exact. It is empty if there
	// is none.
	Plan  plan.Plan
	Exact bool
	// Problems are those of the manifest; Stale are those of its lock, and
	// NoLock says that there is none.
	Problems []*problem.Problem
	Stale    []*problem.Problem
	NoLock   bool
	// Declared are the facts of the lines of its images; Recorded are those in
	// its lock.
	Declared, Recorded map[string]lock.LineFacts
	// Unlocked are the references that the lock has no entry of.
	Unlocked map[string]bool
	// Sources say where references are read from.
	Sources []compile.SourceRule
	// Policies and Waivers are as they were written.
	Policies, Waivers compile.Rules
	Epoch             string
	Recipe, Format    int            // of the plan
	Refresh           map[string]int // family → how often its OS stage was asked to run again
}

// Input is one manifest to evaluate.
type Input struct {
	Name   string
	Source compile.Source
	Lock   *lock.File // nil if there is none, or none that can be read
	// Unread says why there is a lock and cannot be read.
	Unread *problem.Problem
	// Other is the lock of the other side, which may know what Lock lacks.
	Other *lock.File
}

// Evaluate reads a manifest and makes its plan. A manifest with errors is read
// as far as it goes: what is missing in it is not compared.
func Evaluate(in Input) Manifest {
	j := compile.Judge(in.Source, in.Lock)
	out := Manifest{Name: in.Name, Problems: j.Problems, NoLock: in.Lock == nil}
	if in.Unread != nil {
		out.Stale, out.NoLock = []*problem.Problem{in.Unread}, false
	}
	if in.Lock != nil {
		out.Recorded, out.Refresh = in.Lock.Facts, in.Lock.Refresh
	}
	m := j.Manifest
	if m == nil {
		return out
	}
	out.Sources, out.Policies, out.Waivers, out.Epoch = m.Sources, m.Policies, m.Waivers, m.Epoch.V
	out.Declared = compile.LineFacts(j.Images)
	if sound(j.Problems) {
		out.lower(m, in)
		out.Recipe, out.Format = out.Plan.Recipe, out.Plan.Format
	}
	of := map[*compile.Family][]compile.Image{}
	for _, i := range j.Images {
		of[i.Family] = append(of[i.Family], i)
	}
	steps := map[string]plan.Digest{}
	for _, i := range out.Plan.Images {
		steps[i.Reference] = i.Step
	}
	for i := range m.Families {
		f := familyOf(m, &m.Families[i], of[&m.Families[i]])
		for n := range f.Images {
			f.Images[n].Step = steps[f.Images[n].Reference]
		}
		out.Families = append(out.Families, f)
	}
	return out
}

// ofLines are problems that do not keep a plan from being made: facts of lines
// that changed, which reviews say themselves.
const ofLines = "CV0302"

// sound says that nothing keeps a plan from being made.
func sound(ps []*problem.Problem) bool {
	return !slices.ContainsFunc(ps, func(p *problem.Problem) bool {
		return p.Severity == problem.Error && p.Code != ofLines
	})
}

// Errors are those that a review does not say itself, by rules of its own.
func (out *Manifest) Errors() []*problem.Problem {
	return slices.DeleteFunc(slices.Clone(out.Problems), func(p *problem.Problem) bool {
		return p.Severity != problem.Error || p.Code == ofLines
	})
}

// wrong says that a family, or the manifest as a whole, has errors: what is
// missing in it is not known to be gone.
func (out *Manifest) wrong(family string) bool {
	return slices.ContainsFunc(out.Errors(), func(p *problem.Problem) bool { return p.Family == "" || p.Family == family })
}

// lower makes the plan, by the lock alone if that suffices.
func (out *Manifest) lower(m *compile.Manifest, in Input) {
	var ps []*problem.Problem
	out.Plan, ps = compile.Lower(m, in.Lock)
	if out.Exact = len(out.Plan.Images) > 0 || sound(ps); out.Exact {
		return
	}
	for _, p := range ps {
		if strings.HasPrefix(p.Code, "CV05") {
			out.Stale = append(out.Stale, p)
		}
	}
	lk := in.Lock.Clone()
	out.Unlocked = map[string]bool{}
	// Complete writes these anew, as the manifest and its files are now.
	lk.Facts, lk.Catalog = map[string]lock.LineFacts{}, map[string]plan.Digest{}
	requests, unread := compile.Complete(m, lk)
	out.Problems = append(out.Problems, unread...)
	for _, q := range requests {
		if _, ok := lk.Source(q.Reference, q.Platform); !ok && !q.Local {
			out.Unlocked[q.Reference] = true
			s, known := in.Other.Source(q.Reference, q.Platform)
			if !known { // one name is one image, as far as anybody can tell
				s.Digest = plan.DigestOf([]byte("unlocked " + lock.Key(q.Reference, q.Platform)))
			}
			lk.SetSource(q.Reference, q.Platform, s)
		}
	}
	out.Plan, ps = compile.Lower(m, lk)
	if len(out.Plan.Images) > 0 {
		out.Exact = len(out.Stale) == 0 // the facts of lines alone were in the way
		return
	}
	for _, p := range ps {
		if p.Code != ofLines && !strings.HasPrefix(p.Code, "CV05") {
			out.Problems = append(out.Problems, p)
		}
	}
	problem.Sort(out.Problems)
}

// guess gives the images of both sides identities that can be compared where
// one side has no plan: digests of what their families say of content.
func guess(of *Manifest) {
	for i := range of.Families {
		f := &of.Families[i]
		content := values(f)
		content["epoch"] = of.Epoch
		for _, p := range outside {
			delete(content, p)
		}
		for n := range f.Images {
			content["version"] = f.Images[n].Version
			b, err := plan.Canonical(content)
			if err != nil {
				panic(err) // texts, numbers and lists encode
			}
			f.Images[n].Step = plan.DigestOf(b)
		}
	}
}

// outside are the values that are no part of what an image is.
var outside = []string{"registry", "repository", "tag", "revision", "publish", "kubernetes.versions"}

// FromPlan is a manifest of which only the plan is known. Of its families only
// the facts of their images are.
func FromPlan(name string, p plan.Plan) Manifest {
	m := Manifest{Name: name, Plan: p, Exact: true, Declared: map[string]lock.LineFacts{}}
	at := map[string]int{}
	for _, i := range p.Images {
		n, ok := at[i.Family]
		if !ok {
			n = len(m.Families)
			at[i.Family] = n
			m.Families = append(m.Families, Family{Name: i.Family, At: i.At, Line: i.Line, Values: map[string]Value{}, Files: map[string]plan.Digest{}, Partial: true})
		}
		f := &m.Families[n]
		f.Images = append(f.Images, Image{Reference: i.Reference, Version: i.KubernetesVersion, Platforms: i.Platforms, Facts: i.Facts, Publish: i.Publish, Step: i.Step, At: i.At})
		f.fromFacts(i)
	}
	for i := range m.Families {
		versions := m.Families[i].texts("kubernetes.versions")
		slices.SortFunc(versions, compareVersions)
		slices.SortFunc(m.Families[i].Images, byReference)
	}
	return m
}

// fromFacts is what an image of a plan tells of its family.
func (out *Family) fromFacts(i plan.Image) {
	for path, v := range map[string]string{
		"canvos": i.Facts.Release, "os.distribution": i.Facts.OSDistribution, "os.version": i.Facts.OSVersion,
		"kubernetes.distribution": i.Facts.KubernetesDistribution, "channel": i.Facts.Channel, "publish": i.Publish,
	} {
		if v != "" {
			out.Values[path] = Value{v, i.At}
		}
	}
	for path, v := range map[string]bool{"techPreview": i.Facts.TechPreview, "twoNode": i.Facts.TwoNode, "fips": i.Facts.FIPS, "uki": i.Facts.UKI} {
		if v {
			out.Values[path] = Value{v, i.At}
		}
	}
	out.Values["kubernetes.versions"] = Value{append(out.texts("kubernetes.versions"), i.KubernetesVersion), i.At}
}
