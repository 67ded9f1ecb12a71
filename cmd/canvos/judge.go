package main

import (
	"context"
	"errors"
	"fmt"
	"testing/fstest"
	"time"

	"canvos.dev/cmd/internal/sandbox"
	"canvos.dev/compile/policy"
)

// judging is a change and all that judges it, as plain data, so that another
// process can be asked.
type judging struct {
	Base, Head      sentState
	ByHead          bool // the head's policies and waivers judge, not the base's
	Rules           []ruleFile
	Changes         []policy.RulesChange // of rules that are not a manifest's
	Untried         string               // why head's policies are not tried; "" if they are
	RequireRegistry bool
	Observed        policy.Observed
	Today           string // YYYY-MM-DD
}

// sentState is a policy.State on its way.
type sentState struct {
	Side      policy.Side
	Manifests []sentManifest
}

// judge compares both sides and judges the change. Rules that an organisation wrote
// compute from what the change brings, so that happens apart, too: a rule that is
// right may run for ever on the wrong values.
func (r *reviewing) judge(ctx context.Context, base, head policy.State, rules beside) (policy.Review, error) {
	q := judging{Rules: rules.judging, Changes: rules.changes, ByHead: r.judgeBy == "head", RequireRegistry: r.requireRegistry, Today: time.Now().UTC().Format(time.DateOnly)}
	c := policy.Compare(base, head)
	q.Observed = r.observe(ctx, c)
	if *r.trusted || !q.computes(base, head) {
		return q.by(c, q.ruleset(base, head)), nil
	}
	for _, s := range []struct {
		to   *sentState
		from policy.State
	}{{&q.Base, base}, {&q.Head, head}} {
		s.to.Side = s.from.Side
		for _, m := range s.from.Manifests {
			sent, err := send(m)
			if err != nil {
				return policy.Review{}, fmt.Errorf("write the plan of %s: %w", m.Name, err)
			}
			s.to.Manifests = append(s.to.Manifests, sent)
		}
	}
	a, err := r.apart(ctx, fstest.MapFS{}, task{Judge: &q}, r.limits)
	var stopped *sandbox.Error
	if errors.As(err, &stopped) && q.tries(base, head) {
		// It may be those of head, which only are tried: the others judge without.
		q.Untried = stopped.Error()
		a, err = r.apart(ctx, fstest.MapFS{}, task{Judge: &q}, r.limits)
	}
	switch {
	case errors.As(err, &stopped):
		// What they would have found is not known: that fails the review.
		set := policy.NewRuleset()
		set.Broken = append(set.Broken, unjudged("the policies are not judged by: "+stopped.Error()))
		return q.by(c, set), nil
	case err != nil:
		return policy.Review{}, fmt.Errorf("judge the change: %w", err)
	}
	return a.Review, nil
}

// computes says that there are policies or waivers, which are CUE.
func (q *judging) computes(sides ...policy.State) bool {
	for _, s := range sides {
		for _, m := range s.Manifests {
			if m.Policies.CUE != nil || m.Waivers.CUE != nil {
				return true
			}
		}
	}
	return len(q.Rules) > 0
}

// tries says that head has other policies than base, which do not judge.
func (q *judging) tries(base, head policy.State) bool {
	text := func(s policy.State) (all string) {
		for _, m := range s.Manifests {
			all += m.Name + "\x00" + string(m.Policies.CUE) + "\x00"
		}
		return all
	}
	return !q.ByHead && text(base) != text(head)
}

// unjudged fails a review: what policies would have found is not known.
func unjudged(why string) policy.Finding {
	return policy.Finding{Rule: "policy-broken", Message: why, Help: "look for loops and values that double; --trusted judges without limits"}
}

// review is the same in the other process.
func (q *judging) review() (policy.Review, error) {
	var states [2]policy.State
	for i, s := range []sentState{q.Base, q.Head} {
		states[i].Side = s.Side
		for _, sent := range s.Manifests {
			m, err := sent.receive()
			if err != nil {
				return policy.Review{}, err
			}
			states[i].Manifests = append(states[i].Manifests, m)
		}
	}
	return q.by(policy.Compare(states[0], states[1]), q.ruleset(states[0], states[1])), nil
}

func (q *judging) by(c *policy.Comparison, set *policy.Ruleset) policy.Review {
	if q.RequireRegistry {
		s := set.Settings["registry-unchecked"]
		s.Severity, s.Off = policy.SeverityDeny, false
		set.Settings["registry-unchecked"] = s
	}
	return policy.Judge(c, policy.Options{Today: q.Today, Rules: set, Changes: q.Changes, Observed: q.Observed})
}

// ruleset is what judges: the policies and waivers of base, which a change cannot
// alter for itself, and those that --policy names. Those of head are tried.
func (q *judging) ruleset(base, head policy.State) *policy.Ruleset {
	set := policy.NewRuleset()
	by := base
	if q.ByHead {
		by = head
	}
	for _, m := range by.Manifests {
		set.Add(m.Name, m.Policies, m.Waivers)
	}
	if q.Untried != "" {
		set.Broken = append(set.Broken, unjudged("the policies of this change are not tried: "+q.Untried))
	} else {
		for _, m := range head.Manifests {
			set.Propose(m.Name, m.Policies)
		}
	}
	for _, one := range q.Rules {
		set.Add("", one.Policies, one.Waivers)
	}
	return set
}
