package policy

import (
	"maps"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// brokenRule fails a review: what a rule would have found is not known. Without an
// id it is of all policies.
func brokenRule(manifest, id, why string, at plan.Pos) Finding {
	name := "the rule " + quoted(id) + " is"
	if id == "" {
		name = "the policies are"
	}
	return Finding{
		Rule: "policy-broken", Message: name + " broken: " + why, Help: "canvos policy test shows what it does",
		Manifest: manifest, At: at, policy: id,
	}
}

// Propose reads policies of head, which do not judge it, but the changes after it.
// Those that could not are found now; and where a rule that judges never could,
// head's takes its place.
func (s *Ruleset) Propose(manifest string, policies compile.Rules) {
	if s.proposed == nil {
		s.proposed = map[string]compile.Rules{}
	}
	s.proposed[manifest] = policies
}

// proposal is the policies of one manifest at head, where they are others.
type proposal struct {
	set     *Ruleset
	changed func(id string) bool
}

// proposals are those of all manifests.
func (s *Ruleset) proposals(c *Comparison) map[string]proposal {
	all := map[string]proposal{}
	for name, is := range s.proposed {
		var before []compile.Rules
		if was := named(c.Base.Manifests, name); was != nil {
			before = append(before, was.Policies)
		} else {
			for _, left := range c.deserted() {
				before = append(before, named(c.Base.Manifests, left).Policies)
			}
		}
		if slices.ContainsFunc(before, func(was compile.Rules) bool { return string(was.CUE) == string(is.CUE) }) {
			continue
		}
		texts, old := textsOf(is), []map[string]string{}
		for _, was := range before {
			old = append(old, textsOf(was))
		}
		set := NewRuleset()
		set.Add(name, is, compile.Rules{})
		all[name] = proposal{set, func(id string) bool {
			return !slices.ContainsFunc(old, func(was map[string]string) bool { return texts[id] != "" && was[id] == texts[id] })
		}}
	}
	return all
}

// textsOf are policies as they are written, by id: each with what it refers to.
func textsOf(r compile.Rules) map[string]string {
	texts := map[string]string{}
	f, err := parser.ParseFile("", r.CUE)
	if err != nil {
		return texts
	}
	shared := ""
	for _, d := range unembedded(f.Decls) {
		b, err := format.Node(d)
		if err != nil {
			continue // it was written by this package's like
		}
		if field, ok := d.(*ast.Field); ok {
			if name, _, err := ast.LabelName(field.Label); err == nil {
				texts[name] = string(b)
				continue
			}
		}
		shared += string(b) + "\n"
	}
	for id := range texts {
		texts[id] += shared
	}
	return texts
}

// mended is what becomes of a broken rule at head: another that may judge, or nil
// if there is none any more. It is false if the rule is as it was, or broken still.
func (p proposal) mended(id string) (*Custom, bool) {
	if p.set == nil || !p.changed(id) {
		return nil, false
	}
	for i := range p.set.Own {
		if own := &p.set.Own[i]; own.ID == id {
			return own, own.Broken == ""
		}
	}
	return nil, !slices.ContainsFunc(p.set.Broken, func(f Finding) bool { return f.policy == id || f.policy == "" })
}

// judgeBroken fails a review by rules that could not judge it, and by those that
// could not judge what comes after it.
func judgeBroken(j *judgement) {
	for _, f := range j.broken {
		j.find(nil, f)
	}
	for _, name := range slices.Sorted(maps.Keys(j.proposals)) {
		p := j.proposals[name]
		for _, f := range p.set.Broken {
			if p.changed(f.policy) {
				j.find(nil, f)
			}
		}
		tried := rehearsals(named(j.Head.Manifests, name))
		for i := range p.set.Own {
			if own := &p.set.Own[i]; p.changed(own.ID) {
				if why := own.rehearse(tried); why != "" {
					j.find(nil, brokenRule(name, own.ID, why, own.At))
				}
			}
		}
	}
}

// rehearsal is a change that a rule is tried on before it judges any.
type rehearsal struct {
	of *Comparison
	is string
}

// mostRehearsed is how many families a rule is tried on: they are much alike.
const mostRehearsed = 100

// rehearsals are changes of a manifest's families: each stays, comes and goes.
func rehearsals(m *Manifest) []rehearsal {
	if m == nil || len(m.Families) == 0 {
		return nil
	}
	all := []rehearsal{{&Comparison{}, "a family that changes"}, {&Comparison{}, "a family that comes"}, {&Comparison{}, "a family that goes"}}
	for n := range min(len(m.Families), mostRehearsed) {
		f := &m.Families[n]
		for i, p := range []Pair{
			{Before: f, InBefore: m, After: f, InAfter: m, Change: Change{Kind: Rebuilt}},
			{After: f, InAfter: m, Change: Change{Kind: Added}},
			{Before: f, InBefore: m, Change: Change{Kind: Removed}},
		} {
			p.Effect, p.whose = true, []string{m.Name}
			for _, image := range f.Images {
				p.Change.Images = append(p.Change.Images, ImageChange{Reference: image.Reference, Kind: p.Change.Kind})
			}
			all[i].of.Pairs = append(all[i].of.Pairs, p)
		}
	}
	return all
}

// rehearse says why a rule could not judge a change, "" if it could: by its cases,
// and by what may become of the families that are there. What it finds in them
// does not matter.
func (c *Custom) rehearse(on []rehearsal) string {
	if c.Broken != "" {
		return c.Broken
	}
	for _, k := range c.Cases {
		switch r := c.try(k); {
		case r.Broken != "":
			return r.Broken + " (in the case " + quoted(k.Name) + ")"
		case !r.OK() && r.Got:
			return "it fires in the case " + quoted(k.Name) + ", and should not"
		case !r.OK():
			return "it does not fire in the case " + quoted(k.Name) + ", and should"
		}
	}
	for _, r := range on {
		if _, why := c.judge(r.of); why != "" {
			return why + " (tried on " + r.is + ")"
		}
	}
	return ""
}
