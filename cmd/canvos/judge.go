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
	RequireRegistry bool
	Observed        policy.Observed
	Today           string // YYYY-MM-DD
}

// sentState is a policy.State on its way.
type sentState struct {
	Side      policy.Side
	Manifests []sentManifest
}

// judge compares both sides and judges the change. What judges was merged before,
// unless policies are taken from elsewhere: then they are evaluated apart, too.
func (r *reviewing) judge(ctx context.Context, base, head policy.State) (policy.Review, error) {
	q := judging{ByHead: r.judgeBy == "head", RequireRegistry: r.requireRegistry, Today: time.Now().UTC().Format(time.DateOnly)}
	c := policy.Compare(base, head)
	q.Observed = r.observe(ctx, c)
	for _, arg := range r.policies {
		found, err := r.rulesAt(ctx, arg, *r.trusted)
		if err != nil {
			return policy.Review{}, err
		}
		q.Rules = append(q.Rules, found...)
	}
	if *r.trusted || !q.ByHead && len(q.Rules) == 0 {
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
	a, err := r.apart(ctx, fstest.MapFS{}, task{Judge: &q})
	var stopped *sandbox.Error
	switch {
	case errors.As(err, &stopped):
		// What they would have found is not known: that fails the review.
		set := policy.NewRuleset()
		set.Broken = append(set.Broken, policy.Finding{
			Rule: "policy-broken", Message: "the policies are not judged by: " + stopped.Error(),
			Help: "look for loops and values that double; --trusted judges without limits",
		})
		return q.by(c, set), nil
	case err != nil:
		return policy.Review{}, fmt.Errorf("judge the change: %w", err)
	}
	return a.Review, nil
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
	return policy.Judge(c, policy.Options{Today: q.Today, Rules: set, Observed: q.Observed})
}

// ruleset is what judges: the policies and waivers of base, which a change cannot
// alter for itself, and those that --policy names.
func (q *judging) ruleset(base, head policy.State) *policy.Ruleset {
	set := policy.NewRuleset()
	by := base
	if q.ByHead {
		by = head
	}
	for _, m := range by.Manifests {
		set.Add(m.Name, m.Policies, m.Waivers)
	}
	for _, one := range q.Rules {
		set.Add("", one.Policies, one.Waivers)
	}
	return set
}
