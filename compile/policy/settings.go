package policy

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
)

// Settings say how rules that canvos brings along are applied, by id.
type Settings map[string]Setting

// Setting is what policies say of one.
type Setting struct {
	Severity    Severity // "" is the rule's own
	Off         bool
	Owner, Link string
	Allow       [][]string // registry-allow-list: lists that must all have it
	Threshold   *int       // rebuild-threshold
}

// defaultThreshold is how many images may be rebuilt unless settings say otherwise.
const defaultThreshold = 50

// and is what holds if both do: the graver severity of those that say one, what
// both allow, and the words of the second.
func (s Setting) and(t Setting) Setting {
	switch {
	case !s.grades():
		s.Severity, s.Off = t.Severity, t.Off
	case t.grades():
		s.Off = s.Off && t.Off
		if gravity(t.Severity) > gravity(s.Severity) {
			s.Severity = t.Severity
		}
	}
	s.Allow = append(slices.Clip(s.Allow), t.Allow...)
	if t.Threshold != nil && (s.Threshold == nil || *t.Threshold < *s.Threshold) {
		s.Threshold = t.Threshold
	}
	if t.Owner != "" {
		s.Owner = t.Owner
	}
	if t.Link != "" {
		s.Link = t.Link
	}
	return s
}

// grades says that it is about the severity.
func (s Setting) grades() bool { return s.Off || s.Severity != "" }

// filled has the rule's own where nothing is said, or may be.
func (s Setting) filled(r *Rule) Setting {
	if !s.grades() || r.Fixed() {
		s.Severity, s.Off = r.Severity, false
	}
	if s.Threshold == nil {
		most := defaultThreshold
		s.Threshold = &most
	}
	return s
}

// webLink is a link that a reader may follow; "" if it is another. The schema says
// so, and base may be older.
func webLink(link string) string {
	if strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://") {
		return link
	}
	return ""
}

func gravity(s Severity) int {
	return slices.Index([]Severity{"", SeverityInfo, SeverityWarn, SeverityDeny}, s)
}

// setting is how a rule is applied where some manifests have a say, each for
// itself: the graver holds, and the settings for all hold with each. Manifests that
// the set does not know have none.
func (s *Ruleset) setting(r *Rule, manifests []string) Setting {
	var all *Setting
	for _, m := range manifests {
		if own, known := s.Of[m]; known {
			one := s.Settings[r.ID].and(own[r.ID]).filled(r)
			if all != nil {
				one = all.and(one)
			}
			all = &one
		}
	}
	if all == nil {
		return s.Settings[r.ID].filled(r)
	}
	return *all
}

// set takes over the setting of a rule that canvos brings along.
func (s *Ruleset) set(manifest, id string, v cue.Value) error {
	var in struct {
		Severity  string   `json:"severity"`
		Owner     string   `json:"owner"`
		Link      string   `json:"link"`
		Allow     []string `json:"allow"`
		Threshold *int     `json:"threshold"`
	}
	if err := v.Decode(&in); err != nil {
		return err
	}
	is := Setting{Owner: in.Owner, Link: webLink(in.Link), Threshold: in.Threshold}
	if in.Severity == "off" {
		is.Off = true
	} else {
		is.Severity = Severity(in.Severity)
	}
	if len(in.Allow) > 0 {
		is.Allow = [][]string{in.Allow}
	}
	if to := s.Settings; manifest == "" {
		to[id] = to[id].and(is)
	} else {
		s.Of[manifest][id] = is
	}
	return nil
}
