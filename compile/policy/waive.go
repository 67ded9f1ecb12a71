package policy

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// Waiver lets the findings of a rule pass.
type Waiver struct {
	Name, Rule, Target string // Target is a pattern of families or references
	// Manifest is whose it is; it holds for that and for the change as a whole.
	// "" holds for all.
	Manifest       string
	Reason, Ticket string
	Owner, Expires string // YYYY-MM-DD, the last day on which it holds
	Digest         string // of the family's change; "" is any
	Broken         string // why it cannot be read, and waives nothing; "" if it can
	At             plan.Pos
}

// readWaiver reads a waiver as far as it goes.
func readWaiver(manifest, name string, v cue.Value, at plan.Pos) Waiver {
	w := Waiver{Name: name, Manifest: manifest, At: at}
	for _, f := range []struct {
		name string
		text *string
		must bool
	}{
		{"rule", &w.Rule, true}, {"target", &w.Target, true}, {"reason", &w.Reason, true}, {"ticket", &w.Ticket, false},
		{"owner", &w.Owner, true}, {"expires", &w.Expires, true}, {"digest", &w.Digest, false},
	} {
		var err error
		if is := v.LookupPath(cue.MakePath(cue.Str(f.name))); is.Exists() {
			*f.text, err = is.String()
		}
		switch {
		case w.Broken != "":
		case err != nil:
			w.Broken = f.name + " is no text"
		case f.must && *f.text == "":
			w.Broken = "it has no " + f.name
		case f.name == "expires" && !compile.IsDay(w.Expires):
			w.Broken = "expires is no day of the calendar, but " + quoted(w.Expires)
		}
	}
	return w
}

// waive marks the findings that waivers let pass, and says what became of each.
func (r *Review) waive(c *Comparison, rules *Ruleset, today string) {
	r.Waivers = Waivers{Used: []WaiverUse{}, Unused: []WaiverUse{}, Expired: []WaiverUse{}}
	known := rules.ids()
	for _, w := range rules.Waivers {
		use := WaiverUse{Name: w.Name, Rule: w.Rule, Target: w.Target, Reason: w.Reason, Ticket: w.Ticket, Owner: w.Owner, Expires: w.Expires, At: w.At}
		if w.Broken != "" {
			use.Why = "it cannot be read: " + w.Broken
			r.Waivers.Unused = append(r.Waivers.Unused, use)
			continue
		}
		if today > w.Expires {
			use.Why = "it held until " + w.Expires
			r.Waivers.Expired = append(r.Waivers.Expired, use)
			continue
		}
		used := false
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Rule != w.Rule || !w.matches(f) || !w.isOf(c, f) {
				continue
			}
			if isFixed(f.Rule) {
				use.Why = "what " + f.Rule + " finds cannot be waived"
				continue
			}
			if digest := f.effect(); w.Digest != "" && w.Digest != digest {
				use.Why = "it is bound to another effect; this one is " + digest
				if digest == "" {
					use.Why = "it is bound to the effect on a family, and the finding is of none"
				}
				continue
			}
			if f.WaivedBy == "" {
				f.WaivedBy = w.Name
			}
			used = true
		}
		if used {
			use.Why = ""
			r.Waivers.Used = append(r.Waivers.Used, use)
			continue
		}
		switch {
		case !slices.Contains(known, w.Rule):
			use.Why = "there is no rule " + quoted(w.Rule) + meant(w.Rule, known)
		case use.Why == "":
			use.Why = "no finding of " + w.Rule + " on " + w.Target
		}
		r.Waivers.Unused = append(r.Waivers.Unused, use)
	}
}

// ids are those of all rules.
func (s *Ruleset) ids() []string {
	var all []string
	for _, r := range Builtin() {
		all = append(all, r.ID)
	}
	for i := range s.Own {
		all = append(all, s.Own[i].ID)
	}
	return all
}

// effect is the digest of what the change does to the family that a finding is
// about; "" if that is none.
func (f *Finding) effect() string {
	if f.of == nil || !f.of.Effect {
		return ""
	}
	return string(f.of.Change.Digest)
}

// isOf says that a finding is of the manifest whose waiver it is. Of a manifest
// that is gone the waivers go with the families that came out of it.
func (w Waiver) isOf(c *Comparison, f *Finding) bool {
	switch {
	case w.Manifest == "", f.Manifest == "", w.Manifest == f.Manifest:
		return true
	case c.manifest(w.Manifest) != nil:
		return false
	}
	return f.of != nil && f.of.InBefore != nil && f.of.InBefore.Name == w.Manifest
}

// matches says whether a waiver is about the target of a finding. A finding of
// the whole change has the target "*".
func (w Waiver) matches(f *Finding) bool {
	if f.Family == "" && f.Reference == "" {
		return w.Target == "*"
	}
	return matches(w.Target, f.Family) || f.Reference != "" && (matches(w.Target, f.Reference) || matches(w.Target, short(f.Reference)))
}

// matches compares a text with a pattern in which * stands for anything.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(text, first) || !strings.HasSuffix(text[len(first):], last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return true
}
