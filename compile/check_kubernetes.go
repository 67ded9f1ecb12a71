package compile

import (
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
)

// manyImages is how many versions a family may stand for by a range, or by
// allVersions, before it is asked whether all are meant.
const manyImages = 12

// checkKubernetes looks up the distribution and its versions in the release.
func (s *subject) checkKubernetes() {
	requests := requestsOf(s.Family)
	for _, q := range requests {
		if q.err != nil {
			s.notVersion(q)
		}
	}
	k := s.Kubernetes
	if len(requests) == 0 {
		help := `list versions, for example versions: [">=1.29 <1.31"], or set allVersions: true`
		if k.VersionsSet.Set {
			s.report("CV0116", "kubernetes.versions", k.VersionsSet.At, "kubernetes.versions is empty, so the family is no image at all", help)
		} else {
			s.report("CV0102", "kubernetes.versions", k.At, "family "+quoted(s.Name)+" asks for no Kubernetes version", help)
		}
	}
	if s.release == nil {
		return
	}
	if len(s.release.Versions(k.Distribution.V)) == 0 {
		s.noDistribution()
		return
	}
	for _, q := range requests {
		s.checkRequest(q)
	}
	s.versions, _ = recorded(s.Family, s.release, nil)
	s.checkRepeats(requests)
	s.checkKnownBad()
}

// notVersion is a text that is neither a version nor a range.
func (s *subject) notVersion(q request) {
	help := `write a version, "1.30.4", a series, "1.30.x", or a range, ">=1.29 <1.31"`
	plain := strings.TrimPrefix(strings.TrimPrefix(q.text, "v"), "V")
	suffixed, _, _ := strings.Cut(strings.ReplaceAll(plain, "+", "-"), "-")
	parts, ok := numbers(plain)
	switch {
	case ok && len(parts) == 2:
		help = "write " + quoted(plain+".x") + " for the series, or the whole version"
	case ok && len(parts) == 3:
		help = "write " + quoted(plain)
	case suffixed != plain && s.isVersion(suffixed):
		help = "write " + quoted(suffixed) + ": k3s1 and rke2r1 are the package's, see components.flavor"
	case strings.HasPrefix(q.text, "~"), strings.HasPrefix(q.text, "^"):
		if parts, ok := numbers(strings.TrimLeft(q.text, "~^ ")); ok && len(parts) > 1 {
			help = "write " + quoted(itoa(parts[0])+"."+itoa(parts[1])+".x") + " for the series"
		}
	}
	s.report("CV0109", q.path, q.at, quoted(q.text)+" is not a Kubernetes version or range: "+q.err.Error(), help)
}

func (s *subject) isVersion(text string) bool {
	_, ok := parseVersion(text)
	return ok
}

// noDistribution is a release without the family's distribution.
func (s *subject) noDistribution() {
	dist, r := s.Kubernetes.Distribution.V, s.release
	notes := []string{r.Tag + " has " + strings.Join(r.Distributions(), ", ")}
	var helps []string
	if meant := did(dist, r.Distributions()); meant != "" {
		helps = append(helps, "write "+quoted(meant))
	}
	if tag := suggested(r.Tag, s.rel.offering(dist)); tag != "" {
		notes = append(notes, whichRelease(r.Tag, tag)+" "+dist+": "+tag)
		helps = append(helps, "set canvos: "+quoted(tag)+orLater(r.Tag, tag))
	}
	if len(helps) == 0 {
		helps = append(helps, "take one of those")
	}
	s.report("CV0108", "kubernetes.distribution", s.Kubernetes.Distribution.At,
		"CanvOS "+r.Tag+" has no Kubernetes distribution "+quoted(dist), strings.Join(helps, ", or "), notes...)
}

// checkRequest looks up one version or range.
func (s *subject) checkRequest(q request) {
	dist, r := s.Kubernetes.Distribution.V, s.release
	offered := r.Versions(dist)
	versions := within(q.versionRange, offered)
	switch {
	case q.err != nil:
	case q.exact && !r.Has(dist, q.text):
		s.missingVersion(q)
	case !q.exact && len(versions) == 0:
		first, last := offered[0], offered[len(offered)-1]
		help := "the range " + quoted(">="+first+" <="+last) + " would be all of them"
		if series := nearestSeries(q.versionRange, offered); series != "" {
			help = "write " + quoted(series) + ", or a range that reaches it"
		}
		s.report("CV0116", q.path, q.at, "no Kubernetes version of CanvOS "+r.Tag+" for "+dist+" lies in "+quoted(q.text), help,
			r.Tag+" has "+itoa(len(offered))+" for "+dist+", from "+first+" to "+last)
	case !q.exact && len(versions) > manyImages:
		what := "the range " + quoted(q.text)
		if q.text == "*" {
			what = "allVersions"
		}
		s.report("CV0118", q.path, q.at, what+" stands for "+itoa(len(versions))+" images",
			"narrow it, for example to "+quoted(seriesOf(offered[len(offered)-1]))+", or acknowledge CV0118 if all are meant",
			"an image is 2 to 5 GB, for each architecture")
	}
}

// missingVersion is a version that the release does not offer.
func (s *subject) missingVersion(q request) {
	dist, r := s.Kubernetes.Distribution.V, s.release
	near, take := nearestHere(r, dist, q.text)
	notes := []string{"nearest here: " + near}
	if others := s.others(q.text); len(others) > 0 {
		notes = append(notes, r.Tag+" has it for "+strings.Join(others, ", "))
	}
	help := "take " + take
	if tag := suggested(r.Tag, s.rel.having(dist, q.text)); tag != "" {
		notes = append(notes, whichRelease(r.Tag, tag)+" "+q.text+": "+tag)
		help += ", or set canvos: " + quoted(tag) + orLater(r.Tag, tag) + " (canvos catalog diff " + r.Tag + " " + tag + fileWord(q.at) + " shows what else moves)"
	} else {
		notes = append(notes, "no release has it for "+dist)
	}
	s.report("CV0107", q.path, q.at, "Kubernetes "+q.text+" is not in CanvOS "+r.Tag+" for "+dist, help, notes...)
}

// fileWord is the file of a place as a word of a command line; "" if it is none.
func fileWord(at plan.Pos) string {
	if at.File == "" || at.File == "-" || strings.ContainsAny(at.File, " \t'\"$&;()") {
		return ""
	}
	return " " + at.File
}

// others are the release's other distributions that have a version.
func (s *subject) others(version string) []string {
	var dists []string
	for _, d := range s.release.Distributions() {
		if d != s.Kubernetes.Distribution.V && s.release.Has(d, version) {
			dists = append(dists, d)
		}
	}
	return dists
}

// nearestHere lists the versions around one that the release does not have,
// the best first, and says which to take: of the same series if there is one.
func nearestHere(r *catalog.Release, dist, text string) (near, take string) {
	below, above, newest := catalog.NearestVersions(r, dist, text)
	list := []string{above, below}
	if seriesOf(above) != seriesOf(text) {
		list = []string{below, above}
	}
	if above == "" {
		// Beyond the newest: the series before it is the other choice.
		list = append(list, newestBefore(r.Versions(dist), seriesOf(below)))
	}
	if !slices.Contains(list, newest) {
		list = append(list, newest)
	}
	list = slices.DeleteFunc(list, func(v string) bool { return v == "" })
	take = list[0]
	for i, v := range list {
		if v == newest {
			list[i] += " (newest)"
		}
	}
	return strings.Join(list, ", "), take
}

// newestBefore is the newest version that is not of a series or after it.
func newestBefore(offered []string, series string) string {
	i := slices.IndexFunc(offered, func(v string) bool { return seriesOf(v) == series })
	if i <= 0 {
		return ""
	}
	return offered[i-1]
}

// seriesOf is "1.30.x" of 1.30.4.
func seriesOf(text string) string {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return ""
	}
	return text[:i] + ".x"
}

// nearestSeries is the series next to a range that holds nothing, or "".
func nearestSeries(r versionRange, offered []string) string {
	var below string
	for _, s := range offered {
		v, ok := parseVersion(s)
		if !ok {
			continue
		}
		if v.compare(r.low) >= 0 {
			if below == "" {
				below = s
			}
			break
		}
		below = s
	}
	return seriesOf(below)
}

// suggested is the release to turn to, of those that have what one lacks: the
// first after it, else the last before it.
func suggested(tag string, having []string) string {
	var last string
	for _, h := range having {
		if catalog.CompareVersions(h, tag) > 0 {
			return h
		}
		last = h
	}
	return last
}

func whichRelease(from, tag string) string {
	if catalog.CompareVersions(tag, from) > 0 {
		return "first release after " + from + " that has"
	}
	return "last release that has"
}

func orLater(from, tag string) string {
	if catalog.CompareVersions(tag, from) > 0 {
		return " or later"
	}
	return ""
}

// checkRepeats finds versions that are asked for in more than one place.
func (s *subject) checkRepeats(requests []request) {
	if s.Kubernetes.AllVersions.V && len(s.Kubernetes.Versions) > 0 {
		s.report("CV0117", "kubernetes.versions", requests[1].at, "kubernetes.versions beside allVersions, which holds them all",
			"remove one of the two")
		return
	}
	for i, q := range requests {
		if q.err != nil || !q.exact {
			continue
		}
		for j, other := range requests {
			if other.err != nil || j == i || other.exact && (j > i || other.text != q.text) || !other.holds(q.low) {
				continue
			}
			message := "Kubernetes " + q.text + " is asked for twice"
			if !other.exact {
				message = "Kubernetes " + q.text + " lies in the range " + quoted(other.text) + " already"
			}
			p := s.report("CV0117", q.path, q.at, message, "remove "+quoted(q.text)+at(q.at))
			p.Also = []plan.Pos{other.at}
			break
		}
	}
}

// checkKnownBad finds versions that crash clusters.
func (s *subject) checkKnownBad() {
	for _, v := range s.versions {
		if s.is("k3s") && v.version == "1.27.7" {
			others := slices.DeleteFunc(slices.Clone(s.release.Versions("k3s")), func(o string) bool { return o == v.version || seriesOf(o) != "1.27.x" })
			help := "take another series"
			if len(others) > 0 {
				help = "take " + others[len(others)-1]
			}
			s.report("CV0123", "kubernetes.versions", v.at, "K3s 1.27.7 is deprecated: its clusters crash", help,
				"CanvOS has it in its lists up to v4.4.8")
		}
	}
}

// from are the family's versions of a series or after it: of each place that
// asks for some, the newest.
func (s *subject) from(major, minor int) []expanded {
	var out []expanded
	for _, e := range s.versions {
		v, ok := parseVersion(e.version)
		if !ok || v.compare(version{major, minor, 0}) < 0 {
			continue
		}
		if i := slices.IndexFunc(out, func(o expanded) bool { return o.at == e.at }); i >= 0 {
			out[i] = e
		} else {
			out = append(out, e)
		}
	}
	return out
}
