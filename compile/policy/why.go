package policy

import (
	"fmt"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// order is that in which values are told, and what their change comes to. A
// path stands for all below it.
var order = []struct{ path, means string }{
	{"canvos", "other agent, provider and components"},
	{"registry", "other references"},
	{"repository", "other references"},
	{"tag", "other references"},
	{"revision", "other references"},
	{"os.distribution", "another operating system"},
	{"os.version", "other base image"},
	{"os.image", "other base image"},
	{"os.prepare", ""},
	{"kubernetes.distribution", "another Kubernetes"},
	{"kubernetes.versions", ""},
	{"arch", "other platforms"},
	{"twoNode", "two-node clusters are kept by PostgreSQL, others by etcd"},
	{"fips", ""},
	{"uki", ""},
	{"techPreview", ""},
	{"channel", "the images say what they are for"},
	{"publish", ""},
	{"signingKey", "other keys are trusted"},
	{"certificates", "other certificates are trusted"},
	{"file:", "other content"},
	{"components", "other component"},
	{"mirrors", "components come from elsewhere"},
	{"packages", ""},
	{"run", ""},
}

func rank(path string) int {
	i := slices.IndexFunc(order, func(o struct{ path, means string }) bool { return isBelow(path, o.path) })
	if i < 0 {
		return len(order)
	}
	return i
}

// isBelow says that a path is another, or a part of it.
func isBelow(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && (rest == "" || rest[0] == '.' || strings.HasSuffix(above, ":"))
}

func isAcknowledge(path string) bool { return isBelow(path, "acknowledge") }

// why says in words what differs in a family.
func why(p *Pair, changes []plan.Change) []string {
	switch {
	case p.Before == nil:
		return []string{"new: " + about(p.After)}
	case p.After == nil:
		return []string{"no longer declared; what is published stays"}
	}
	var lines []string
	paths := union(p.Change.Before, p.Change.After)
	slices.SortStableFunc(paths, func(a, b string) int { return rank(a) - rank(b) })
	for _, path := range paths {
		lines = append(lines, difference(path, p.Change.Before[path], p.Change.After[path]))
	}
	if p.InBefore.Name != p.InAfter.Name && len(lines) > 0 {
		lines = append(lines, "moved from "+p.InBefore.Name)
	}
	lines = append(lines, p.ofManifest(changes)...)
	return append(lines, p.locked(changes, len(lines) > 0)...)
}

// ofManifest says what rebuilds a family without being one of its values.
func (p *Pair) ofManifest(changes []plan.Change) []string {
	if !slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Kind == plan.Rebuilt }) {
		return nil
	}
	var lines []string
	a, b := p.InBefore, p.InAfter
	if a.Epoch != b.Epoch {
		lines = append(lines, "epoch "+a.Epoch+" → "+b.Epoch+": other times in the images")
	}
	for _, n := range []struct {
		name string
		a, b int
	}{{"recipe", a.Recipe, b.Recipe}, {"format", a.Format, b.Format}} {
		if n.a != n.b && n.a*n.b > 0 {
			lines = append(lines, fmt.Sprintf("%s %d → %d: canvos builds by newer rules", n.name, n.a, n.b))
		}
	}
	if a.Refresh[p.Before.Name] != b.Refresh[p.After.Name] {
		lines = append(lines, "the OS stage shall run again: newer packages")
	}
	return lines
}

// about is a family in a few words.
func about(f *Family) string {
	parts := []string{
		strings.TrimSpace(f.text("os.distribution") + " " + f.text("os.version")),
		f.text("kubernetes.distribution") + " " + shown(f.Values["kubernetes.versions"].V),
		"CanvOS " + f.text("canvos"),
	}
	for _, flag := range []string{"twoNode", "fips", "uki", "techPreview"} {
		if f.is(flag) {
			parts = append(parts, flag)
		}
	}
	return strings.Join(parts, ", ")
}

// difference is one value that differs.
func difference(path string, before, after any) string {
	means := ""
	if r := rank(path); r < len(order) {
		means = order[r].means
	}
	if means != "" {
		means = ": " + means
	}
	name, isFile := strings.CutPrefix(path, "file:")
	if isFile {
		switch {
		case before == nil:
			return "file " + name + " is new"
		case after == nil:
			return "file " + name + " is no longer used"
		}
		return "file " + name + means
	}
	a, aList := before.([]string)
	b, bList := after.([]string)
	if aList || bList {
		if d := listDifference(a, b); d != "" {
			return path + " " + d + means
		}
		return path + " in another order" + means
	}
	return fmt.Sprintf("%s %s → %s%s", path, absent(before, after), absent(after, before), means)
}

// absent is how a value is written beside the other: a flag that is not set is
// false.
func absent(v, other any) string {
	if _, flag := other.(bool); v == nil && flag {
		return "false"
	}
	return shown(v)
}

// listDifference is what was added to and taken from a list.
func listDifference(a, b []string) string {
	var parts []string
	for _, s := range b {
		if !slices.Contains(a, s) {
			parts = append(parts, "+"+s)
		}
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			parts = append(parts, "−"+s)
		}
	}
	return strings.Join(parts, " ")
}

// locked says which inputs of rebuilt images are others under the same name, and
// if nothing else explains it what else differs.
func (p *Pair) locked(changes []plan.Change, explained bool) []string {
	var lines, other []string
	add := func(list *[]string, line string) {
		if !slices.Contains(*list, line) {
			*list = append(*list, line)
		}
	}
	for _, c := range changes {
		for _, cause := range c.Causes {
			switch {
			case cause.Source == "":
				add(&other, "the step "+cause.Step+" does something else")
			case isLocal(cause.Source): // said with the values
			case cause.Before != "" && cause.After != "":
				add(&lines, p.relocked(cause))
			default:
				add(&other, "it is made of other images: "+short(cause.Source))
			}
		}
	}
	const most = 3
	if more := len(lines) - most; more > 1 {
		lines = append(lines[:most], "and "+count(more, "more input")+" under the same name")
	}
	if len(lines) > 0 || explained {
		return lines
	}
	return other
}

func (p *Pair) relocked(c plan.Cause) string {
	text := fmt.Sprintf("%s is locked to %s, before to %s", short(c.Source), brief(c.After), brief(c.Before))
	if p.Before != nil && p.After != nil {
		if from, to := p.InBefore.place(c.Source), p.InAfter.place(c.Source); from.name != to.name {
			text += ", and read from " + to.name + ", before from " + from.name
		}
	}
	return text
}

func isLocal(source string) bool { return strings.HasPrefix(source, "file:") }

// whyImage says why one image is what it has become.
func (p *Pair) whyImage(c plan.Change) []string {
	switch c.Kind {
	case plan.Added:
		return []string{"Kubernetes " + c.New.KubernetesVersion}
	case plan.Removed:
		return []string{"no longer built; what is published stays"}
	case plan.Retagged:
		return []string{"was " + short(c.Was)}
	}
	var lines []string
	for _, cause := range c.Causes {
		switch {
		case cause.Source == "":
			continue
		case cause.Before == "":
			lines = append(lines, "with "+short(cause.Source))
		case cause.After == "":
			lines = append(lines, "without "+short(cause.Source))
		case isLocal(cause.Source):
			lines = append(lines, strings.TrimPrefix(cause.Source, "file:")+" has other content")
		default:
			lines = append(lines, p.relocked(cause))
		}
	}
	return lines
}
