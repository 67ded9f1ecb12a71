package policy

import (
	"slices"

	"canvos.dev/compile/plan"
)

// Options are what a comparison is judged by.
type Options struct {
	Today    string // YYYY-MM-DD: what is at its end, which waivers hold
	Observed Observed
	Rules    *Ruleset // nil: only what canvos brings along
}

// Judge applies the rules to a comparison.
func Judge(c *Comparison, o Options) Review {
	rules := o.Rules
	if rules == nil {
		rules = NewRuleset()
	}
	j := &judgement{Comparison: c, rules: rules, observed: o.Observed, today: o.Today, said: map[saying]bool{}}
	j.broken = append(j.broken, rules.Broken...)
	for i := range rules.Own {
		own := &rules.Own[i]
		found, broken := own.judge(c)
		j.findings = append(j.findings, found...)
		if broken != "" {
			j.broken = append(j.broken, brokenRule(own.Manifest, own.ID, broken, own.At))
		}
	}
	for _, r := range Builtin() {
		j.rule = &r
		r.judge(j)
	}
	review := Effect(c)
	review.Findings = j.findings
	sortFindings(review.Findings)
	review.waive(c, rules.Waivers, o.Today)
	review.Verdict = VerdictOf(review.Findings)
	return review
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
