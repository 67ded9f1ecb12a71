package policy

import (
	"slices"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// Options are what a comparison is judged by.
type Options struct {
	Today    string // YYYY-MM-DD: what is at its end, which waivers hold
	Observed Observed
	Rules    *Ruleset // nil: only what canvos brings along
	// Changes are those of rules that stand beside the manifests.
	Changes []RulesChange
}

// RulesChange is how the rules of one package, which is no manifest, change.
type RulesChange struct {
	Name          string // of its directory
	Before, After Rules
}

// Rules are a package's policies and waivers, as they were written.
type Rules struct{ Policies, Waivers compile.Rules }

// Judge applies the rules to a comparison.
func Judge(c *Comparison, o Options) Review {
	rules := o.Rules
	if rules == nil {
		rules = NewRuleset()
	}
	j := &judgement{Comparison: c, rules: rules, observed: o.Observed, changes: o.Changes, today: o.Today, said: map[saying]bool{}}
	j.proposals = rules.proposals(c)
	j.judgeOwn()
	for _, r := range Builtin() {
		j.rule = &r
		r.judge(j)
	}
	review := Effect(c)
	review.Findings = j.findings
	sortFindings(review.Findings)
	review.waive(c, rules, o.Today)
	review.Verdict = VerdictOf(review.Findings)
	return review
}

// judgeOwn applies the organisation's own rules. One that never could judge, and
// that this change mends or takes away, does not fail it: there would be no way
// to mend it.
func (j *judgement) judgeOwn() {
	for _, f := range j.rules.Broken {
		if _, mended := j.proposals[f.Manifest].mended(f.policy); mended {
			f.Severity, f.Message, f.Help = SeverityWarn, f.Message+"; this change mends it", ""
		}
		j.broken = append(j.broken, f)
	}
	for i := range j.rules.Own {
		own := &j.rules.Own[i]
		if own.Broken != "" {
			f := brokenRule(own.Manifest, own.ID, own.Broken, own.At)
			next, mended := j.proposals[own.Manifest].mended(own.ID)
			switch {
			case mended && next != nil:
				f.Severity, f.Message, f.Help = SeverityWarn, f.Message+"; this change mends it, and is judged by what it says now", ""
				own = next
			case mended:
				f.Severity, f.Message, f.Help = SeverityWarn, f.Message+"; this change takes it away", ""
			}
			j.broken = append(j.broken, f)
			if own.Broken != "" {
				continue
			}
		}
		found, broken := own.judge(j.Comparison)
		j.findings = append(j.findings, found...)
		if broken != "" {
			j.broken = append(j.broken, brokenRule(own.Manifest, own.ID, broken, own.At))
		}
	}
}

// Effect is a comparison that nothing judges.
func Effect(c *Comparison) Review {
	r := Review{Base: c.Base.Side, Head: c.Head.Side, Verdict: Pass, Images: c.Images, Bytes: c.Bytes, Changes: []Change{}, Findings: []Finding{}}
	for _, p := range c.Pairs {
		if p.Effect {
			r.Changes = append(r.Changes, p.Change)
		}
	}
	var digests []byte
	for _, m := range c.Head.Manifests {
		if r.Plan = m.Plan.Digest; r.Plan != "" {
			digests = append(digests, string(m.Plan.Digest)+"\n"...)
		}
	}
	if n := slices.IndexFunc(c.Head.Manifests, func(m Manifest) bool { return m.Plan.Digest == "" }); n >= 0 {
		r.Plan = ""
	} else if len(c.Head.Manifests) > 1 {
		r.Plan = plan.DigestOf(digests)
	}
	return r
}
