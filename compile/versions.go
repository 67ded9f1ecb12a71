package compile

import (
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// expanded is a Kubernetes version that a family is built for, and where it was
// asked for.
type expanded struct {
	version string
	at      plan.Pos
}

// request is what a family asks for in one place: a version, a range, or "*"
// for all.
type request struct {
	text string // normalised: one blank between comparisons
	versionRange
	at   plan.Pos
	path string // "kubernetes.versions[0]"
	err  error
}

// requests are what a family asks for, in the manifest's order.
func requestsOf(f *Family) []request {
	var out []request
	if f.Kubernetes.AllVersions.V {
		out = append(out, request{text: "*", versionRange: versionRange{high: endless}, at: f.Kubernetes.AllVersions.At, path: "kubernetes.allVersions"})
	}
	for i, v := range f.Kubernetes.Versions {
		q := request{text: strings.Join(strings.Fields(v.V), " "), at: v.At, path: "kubernetes.versions[" + itoa(i) + "]"}
		q.versionRange, q.err = parseRange(v.V)
		out = append(out, q)
	}
	return out
}

// RangeKey is the key of lock.File.Versions for what a range stands for.
func RangeKey(release, distribution, text string) string {
	return release + " " + distribution + " " + text
}

// Expansions says what each range of a manifest, and allVersions, stand for by
// the catalog, by RangeKey: what a lock records.
func Expansions(m *Manifest) map[string][]string {
	out := map[string][]string{}
	rel := releasesOf(m)
	for i := range m.Families {
		f := &m.Families[i]
		r, err := rel.find(f.Release.V)
		if err != nil {
			continue
		}
		for _, q := range requestsOf(f) {
			if q.err != nil || q.exact {
				continue
			}
			if vs := within(q.versionRange, r.Versions(f.Kubernetes.Distribution.V)); len(vs) > 0 {
				out[RangeKey(f.Release.V, f.Kubernetes.Distribution.V, q.text)] = vs
			}
		}
	}
	return out
}

// recorded expands what a family asks for, by the lock where it has an entry
// and by the release elsewhere. Versions come in order, each once.
func recorded(f *Family, r *catalog.Release, lk *lock.File) ([]expanded, []*problem.Problem) {
	var out []expanded
	var problems []*problem.Problem
	offered := r.Versions(f.Kubernetes.Distribution.V)
	for _, q := range requestsOf(f) {
		if q.err != nil {
			continue
		}
		versions := within(q.versionRange, offered)
		if lk != nil && !q.exact {
			if was, ok := lk.Versions[RangeKey(f.Release.V, f.Kubernetes.Distribution.V, q.text)]; ok {
				if now := within(q.versionRange, was); len(now) == 0 || len(now) != len(was) {
					problems = append(problems, staleRange(f, q, was))
				} else {
					versions = now
				}
			}
		}
		for _, v := range versions {
			out = append(out, expanded{v, q.at})
		}
	}
	slices.SortStableFunc(out, func(a, b expanded) int { return compareVersions(a.version, b.version) })
	return slices.CompactFunc(out, func(a, b expanded) bool { return a.version == b.version }), problems
}

// staleRange is a lock whose entry holds what the range does not.
func staleRange(f *Family, q request, was []string) *problem.Problem {
	return newProblem(f, problem.Problem{
		Code:    "CV0502",
		Message: "the lock says that " + quoted(q.text) + " stands for " + orNothing(was),
		Notes:   []string{"the lock's entry is " + quoted(RangeKey(f.Release.V, f.Kubernetes.Distribution.V, q.text))},
		Help:    "run canvos lock",
		Path:    q.path, At: q.at,
	})
}
