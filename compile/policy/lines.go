package policy

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
)

// lineWas is what was declared of an image line before this change, and by whom.
type lineWas struct {
	line  string
	facts lock.LineFacts
	by    string // "at main", "in the lock"
	at    plan.Pos
	base  bool // base knew it
}

// linesBefore are the lines that base declares, and those that any lock records.
// What base's manifests say comes first: it was merged. A line that its images'
// names would give is there, too.
func (c *Comparison) linesBefore() map[string]lineWas {
	all := map[string]lineWas{}
	add := func(lines map[string]lock.LineFacts, by string, base bool) {
		for line, facts := range lines {
			if _, known := all[line]; !known {
				all[line] = lineWas{line: line, facts: facts, by: by, base: base}
			}
		}
	}
	for i := range c.Base.Manifests {
		m := &c.Base.Manifests[i]
		add(m.Declared, "at "+c.Base.Name, true)
		for n := range m.Families {
			f := &m.Families[n]
			if was, ok := all[f.Line]; ok && was.at.File == "" {
				was.at = f.at("twoNode")
				all[f.Line] = was
			}
		}
	}
	for i := range c.Base.Manifests {
		add(c.Base.Manifests[i].Recorded, "in the lock at "+c.Base.Name, true)
	}
	c.addNames(all)
	for i := range c.Head.Manifests {
		add(c.Head.Manifests[i].Recorded, "in the lock", false)
	}
	return all
}

// addNames adds the lines that the names of base's lines and images give.
func (c *Comparison) addNames(all map[string]lineWas) {
	names := map[string]lineWas{}
	add := func(name string, was lineWas) {
		if _, known := names[name]; !known {
			names[name] = was
		}
	}
	for i := range c.Base.Manifests {
		for _, f := range c.Base.Manifests[i].Families {
			for _, image := range f.Images {
				add(lineByName(image), all[f.Line])
			}
		}
	}
	for _, line := range slices.Sorted(maps.Keys(all)) {
		add(unrevised(line), all[line])
	}
	for name, was := range names {
		if _, known := all[name]; !known {
			all[name] = was
		}
	}
}

// linesOf are the lines that a family's images belong to, as they were before: its
// own, and those that the names of its images give, unless base had an image of
// that line and name. Hosts tell a line by names.
func (c *Comparison) linesOf(before map[string]lineWas, f *Family) []lineWas {
	var found []lineWas
	seen := map[string]bool{}
	add := func(line string) {
		if was, known := before[line]; known && !seen[was.line] {
			seen[was.line] = true
			found = append(found, was)
		}
	}
	add(f.Line)
	for _, i := range f.Images {
		if c.merged[i.Reference] != f.Line {
			add(lineByName(i))
		}
	}
	return found
}

// lineByName is the line that an image's name gives: what follows the version and
// the agent is the tag, without a revision at its end. A family's own line may be
// another: of tag "demo-r2", or of an agent whose version goes on like a tag.
func lineByName(i Image) string {
	colon := strings.LastIndexByte(i.Reference, ':')
	distribution := i.Facts.KubernetesDistribution
	rest := strings.TrimPrefix(i.Reference[colon+1:], distribution+"-"+i.Version+"-")
	_, tag, _ := strings.Cut(rest, "-")
	if strings.HasPrefix(tag, "rc.") { // the agent's own hyphen: v4.10.0-rc.2
		_, tag, _ = strings.Cut(tag, "-")
	}
	line := i.Reference[:colon+1] + distribution + "-*"
	if tag != "" {
		line += "-" + tag
	}
	return unrevised(line)
}

var revised = regexp.MustCompile(`-r[0-9]+$`)

// unrevised is a line whose tag does not end like a revision.
func unrevised(line string) string { return revised.ReplaceAllString(line, "") }
