package policy

import (
	"cmp"
	"slices"

	"canvos.dev/compile/plan"
)

// Rule is one that canvos brings along.
type Rule struct {
	ID       string
	Severity Severity // unless the policies say otherwise
	Title    string   // what it is about, in a few words
	Reason   string   // why it matters
	judge    func(*judgement)
}

// Builtin are the rules that canvos brings along, in the order in which
// docs/review.md explains them.
func Builtin() []Rule {
	return []Rule{
		{"manifest-invalid", SeverityDeny, "the manifest has errors",
			"What canvos vet refuses can be neither planned nor built.", judgeManifests},
		{"lock-stale", SeverityDeny, "the lock lacks something, or is out of date",
			"Without its lock, what a reviewer sees is not what will be built.", judgeLocks},
		{"two-node-immutable", SeverityDeny, "two-node is fixed for an image line",
			"Two-node clusters keep their state in PostgreSQL, others in etcd; an upgrade cannot turn one into the other, and clusters follow the line whatever the family is called.", judgeTwoNode},
		{"two-node-marked", SeverityDeny, "a new two-node line says so in its tag",
			"Who picks an image for a cluster sees its tag and nothing else.", judgeMarks},
		{"line-immutable", SeverityDeny, "FIPS, trusted boot, operating system and platforms are fixed for an image line",
			"Hosts that follow the line cannot take an image that differs in these.", judgeLines},
		{"line-forgotten", SeverityDeny, "the lock forgets a line, or what it is",
			"Without its record, nothing but the registry keeps the facts of the line: the next change could declare it anew, as something else.", judgeForgotten},
		{"tech-preview-gated", SeverityDeny, "canonical is a technical preview",
			"It is not supported in production: it needs techPreview: true and another channel.", judgePreview},
		{"one-way", SeverityDeny, "Kubernetes moves between image and systemd extension",
			"Hosts that took Kubernetes as a systemd extension do not go back to images that bundle it, nor the other way round.", judgeOneWay},
		{"registry-moved", SeverityWarn, "images are published elsewhere",
			"Clusters go on looking where they were told to, and find nothing new there.", judgeMoved},
		{"tag-replaced", SeverityWarn, "a published tag gets other content",
			"Hosts with the same tag would run different images; apply refuses unless the family publishes with replace.", judgeReplaced},
		{"version-downgraded", SeverityWarn, "an older release or Kubernetes version",
			"Clusters are not downgraded: Kubernetes supports no way back across minor versions.", judgeDowngrades},
		{"version-dropped", SeverityWarn, "a Kubernetes version is no longer built",
			"Clusters on it get no more images; what is published stays.", judgeDropped},
		{"base-unpinned", SeverityWarn, "a base image that is not pinned",
			"Without a digest in the reference or the lock, every build may start from something else.", judgeUnpinned},
		{"registry-allow-list", SeverityDeny, "a base image from a registry that is not allowed",
			"It applies when policies name what is allowed: policies: \"registry-allow-list\": allow: [...].", judgeAllowed},
		{"source-moved", SeverityWarn, "a source is read from elsewhere",
			"A digest keeps what was locked what it is; what is locked anew is what the other place has.", judgeSources},
		{"end-of-life", SeverityWarn, "a Kubernetes version at its end",
			"Nobody repairs what is found in it from then on.", judgeEndOfLife},
		{"fips-lost", SeverityDeny, "a family is no longer FIPS",
			"Compliance that somebody relies on would end without a word.", judgeFIPS},
		{"certificate-changed", SeverityWarn, "a certificate or key is another",
			"Images trust what is signed with it: whose it is needs a second look.", judgeCertificates},
		{"rebuild-threshold", SeverityWarn, "many images are rebuilt",
			"Each host that follows them will download its image anew. The threshold is 50 unless policies say otherwise.", judgeThreshold},
		{"reference-unique", SeverityDeny, "two manifests publish one reference",
			"The later one to be applied would overwrite the other.", judgeUnique},
		{"registry-unchecked", SeverityWarn, "the registry was not asked",
			"What is published already could not be compared.", judgeRegistry},
		{"policy-broken", SeverityDeny, "a rule of review is broken",
			"What it would have found is not known.", judgeBroken},
		{"policies-changed", SeverityInfo, "the rules of review change",
			"They judge from the next change on; this one is judged by what was merged before.", judgePolicies},
	}
}

// Fixed says that neither settings nor waivers reach a rule: what it finds leaves
// nothing that could be judged.
func (r *Rule) Fixed() bool { return isFixed(r.ID) }

func isFixed(id string) bool { return id == "manifest-invalid" || id == "policy-broken" }

// judgement is a comparison on its way to a review.
type judgement struct {
	*Comparison
	rules    *Ruleset
	observed Observed
	changes  []RulesChange
	today    string // YYYY-MM-DD
	rule     *Rule
	broken   []Finding // of rules of the organisation
	// proposals are policies of head that are others, by manifest.
	proposals map[string]proposal
	findings  []Finding
	said      map[saying]bool
}

// saying names what was said: two manifests may be wrong in one way.
type saying struct {
	rule, manifest, family, reference, message string
	at                                         plan.Pos
}

// Observed is what a registry says of the images at head.
type Observed struct {
	// Unchecked says why it was not asked, or not all of it; "" if it was.
	Unchecked string
	// Refusals are what apply would refuse.
	Refusals []Refusal
	// Free are references that nothing is published under: not replaced.
	Free map[string]bool
}

// Refusal is one image that apply would not publish.
type Refusal struct{ Reference, Code, Reason, Help string }

// find adds a finding of the rule at hand, about a family unless p is nil; each
// message about a thing once.
func (j *judgement) find(p *Pair, f Finding) {
	f.Rule = j.rule.ID
	f.about(p)
	set := j.setting(f.Manifest, f.of)
	if set.Off {
		return
	}
	if f.Severity == "" {
		f.Severity = set.Severity
	}
	if key := (saying{f.Rule, f.Manifest, f.Family, f.Reference, f.Message, f.At}); !j.said[key] {
		j.said[key] = true
		f.Owner, f.Link = set.Owner, set.Link
		j.findings = append(j.findings, f)
	}
}

// setting is how the rule at hand is applied to a family, if p is set, or else to
// a manifest; to the whole change if that has no name.
func (j *judgement) setting(manifest string, p *Pair) Setting {
	switch {
	case p != nil:
		return j.rules.setting(j.rule, p.whose)
	case manifest != "":
		return j.rules.setting(j.rule, []string{manifest})
	}
	var all []string
	j.changed(func(p *Pair) { all = append(all, p.whose...) })
	slices.Sort(all)
	return j.rules.setting(j.rule, slices.Compact(all))
}

// about makes it a finding about a family.
func (f *Finding) about(p *Pair) {
	if p != nil {
		f.of, f.Manifest, f.Family = p, p.In().Name, p.Family().Name
	}
}

// named is the family of a manifest at head; nil if it has none of that name.
func (j *judgement) named(manifest, family string) *Pair {
	for i := range j.Pairs {
		if p := &j.Pairs[i]; p.After != nil && p.After.Name == family && p.InAfter.Name == manifest {
			return p
		}
	}
	return nil
}

// family is a finding about a family, at one of its values.
func (j *judgement) family(p *Pair, path, message, help string) {
	f := p.Family()
	j.find(p, Finding{Message: message, Help: help, Reference: f.Line, At: f.at(path)})
}

// changed are the pairs on which the change has an effect.
func (j *judgement) changed(each func(*Pair)) {
	for i := range j.Pairs {
		if j.Pairs[i].Effect {
			each(&j.Pairs[i])
		}
	}
}

// sortFindings puts the gravest first.
func sortFindings(fs []Finding) {
	grave := map[Severity]int{SeverityDeny: 0, SeverityWarn: 1, SeverityInfo: 2}
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(grave[a.Severity], grave[b.Severity]),
			cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Message, b.Message))
	})
}
