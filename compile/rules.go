package compile

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"

	"canvos.dev/compile/plan"

	"canvos.dev/compile/problem"
)

// rules writes policies or waivers out, with all that they refer to.
func (d *diagnosis) rules(name string, v cue.Value) Rules {
	r := Rules{At: d.near(name)}
	b, err := format.Node(v.Syntax(cue.All(), cue.InlineImports(true)))
	if err != nil {
		return r // what cannot be written is an error that CUE has said
	}
	r.CUE = b
	for id := range fieldsOf(v) {
		if r.Of == nil {
			r.Of = map[string]plan.Pos{}
		}
		r.Of[id] = d.near(joined(name, id))
	}
	return r
}

// unvalued are the fields of a policy that need have no value before a review
// gives them one.
var unvalued = []string{"when", "require", "violations", "before", "after", "changes", "images", "totals"}

// isUnvalued says whether a field is one of those.
func isUnvalued(path, name string) bool {
	rest, ok := strings.CutPrefix(path, "policies.")
	return ok && rest == label(firstLabel(rest)) && slices.Contains(unvalued, name)
}

// LoadRules reads the policies and waivers of a CUE package that need be no
// manifest. The problems are those of the text and of what the schema says of
// these two fields.
func LoadRules(src Source) (policies, waivers Rules, ps []*problem.Problem) {
	if src.Show == nil {
		src.Show = func(p string) string { return p }
	}
	inst, ps := instance(src)
	if len(ps) > 0 {
		return policies, waivers, problem.Sort(ps)
	}
	if ps = outOfBounds(inst, src.Bounds); len(ps) > 0 {
		return policies, waivers, ps
	}
	for _, f := range inst.Files {
		ps = append(ps, refused(f)...)
		unbind(f)
	}
	if len(ps) > 0 {
		return policies, waivers, problem.Sort(ps)
	}
	ctx := cuecontext.New()
	raw := ctx.BuildInstance(inst)
	d := diagnosis{index: indexOf(inst.Files), said: map[string]bool{}}
	for _, p := range evaluation(raw.Validate()) {
		d.add(p)
	}
	def := definition(ctx, true)
	for name, v := range fieldsOf(raw) {
		switch name {
		case "policies":
			d.walk(name, v, def.LookupPath(cue.MakePath(cue.Str(name).Optional())))
			policies = d.rules(name, v)
		case "waivers":
			d.walk(name, v, def.LookupPath(cue.MakePath(cue.Str(name).Optional())))
			waivers = d.rules(name, v)
		}
	}
	return policies, waivers, problem.Sort(withhold(d.problems, inst.Files))
}
