package policy

import "canvos.dev/compile/plan"

// brokenRule fails a review: what a rule would have found is not known. Without an
// id it is of all policies.
func brokenRule(manifest, id, why string, at plan.Pos) Finding {
	name := "the rule " + quoted(id) + " is"
	if id == "" {
		name = "the policies are"
	}
	return Finding{
		Rule: "policy-broken", Message: name + " broken: " + why, Help: "canvos policy test shows what it does",
		Manifest: manifest, At: at,
	}
}

// judgeBroken fails a review by rules that could not judge it.
func judgeBroken(j *judgement) {
	for _, f := range j.broken {
		j.find(nil, f)
	}
}
