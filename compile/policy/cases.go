package policy

// CaseResult is what a rule said of an example.
type CaseResult struct {
	Rule, Case string
	Want, Got  bool     // whether it fires
	Messages   []string // what it found
	Broken     string   // why it could not be tried; "" if it was
}

// OK says that the rule did what the case says.
func (c CaseResult) OK() bool { return c.Broken == "" && c.Want == c.Got }

// Coverage is how many cases of a rule show it firing, and not firing.
type Coverage struct {
	Rule            string
	Fired, NotFired int
}

// Covered says that both are shown.
func (c Coverage) Covered() bool { return c.Fired > 0 && c.NotFired > 0 }

// Test tries each rule of a set on the cases beside it.
func (s *Ruleset) Test() ([]CaseResult, []Coverage) {
	var results []CaseResult
	var coverage []Coverage
	for i := range s.Own {
		c := &s.Own[i]
		cover := Coverage{Rule: c.ID}
		if c.Broken != "" {
			results = append(results, CaseResult{Rule: c.ID, Broken: c.Broken})
		}
		for _, k := range c.Cases {
			r := c.try(k)
			results = append(results, r)
			switch {
			case !r.OK():
			case r.Got:
				cover.Fired++
			default:
				cover.NotFired++
			}
		}
		coverage = append(coverage, cover)
	}
	return results, coverage
}

func (c *Custom) try(k Case) CaseResult {
	r := CaseResult{Rule: c.ID, Case: k.Name, Want: k.Fires, Broken: c.Broken}
	if r.Broken != "" {
		return r
	}
	found, err := c.violations(k.input)
	if err != nil {
		r.Broken = inRule(err)
		return r
	}
	for _, v := range found {
		r.Messages = append(r.Messages, v.Message)
	}
	r.Got = len(found) > 0
	return r
}
