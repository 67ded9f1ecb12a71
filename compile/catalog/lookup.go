package catalog

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The data is text, written by gen:
//
//	releases.txt    a line per release, in order: tag, agent version, date, aliases
//	versions.txt    distribution, version, the releases that have it
//	arguments.txt   name, scope, kind, the releases it holds for, default
//	releases/*.json all else; "from" names the release it is laid over
//
//go:embed data
var data embed.FS

// table is a text file of the data.
func table(name string) string {
	b, err := data.ReadFile("data/" + name)
	if err != nil {
		panic(err) // embedded: cannot be missing
	}
	return string(b)
}

// Tags is the tags of all releases, in order.
func Tags() []string {
	var tags []string
	for line := range strings.Lines(table("releases.txt")) {
		tag, _, _ := strings.Cut(line, " ")
		tags = append(tags, tag)
	}
	return tags
}

// Entry is a release in the list of all.
type Entry struct {
	Tag, AgentVersion, Date string
	Aliases                 []string
}

// Entries is the list of all releases, in order, without reading any of them.
func Entries() []Entry {
	var entries []Entry
	for line := range strings.Lines(table("releases.txt")) {
		f := strings.Fields(line)
		entries = append(entries, Entry{Tag: f[0], AgentVersion: f[1], Date: f[2], Aliases: slices.Clip(f[3:])})
	}
	return entries
}

// UnknownError says that the catalog has no such release.
type UnknownError struct {
	Tag     string
	Nearest []string // tags to take instead, the best first
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("CanvOS %q is not in the catalog (nearest: %s)", e.Tag, strings.Join(e.Nearest, ", "))
}

// Lookup reads one release. An unknown one is an *UnknownError.
func Lookup(tag string) (*Release, error) {
	entries := Entries()
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Tag == tag })
	if i < 0 {
		return nil, &UnknownError{Tag: tag, Nearest: Nearest(tag, 3)}
	}
	whole, err := load(tag)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("catalog %s: %w", tag, err)
	}
	r := &Release{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("catalog %s: %w", tag, err)
	}
	e := entries[i]
	r.Tag, r.AgentVersion, r.Date, r.Aliases = tag, e.AgentVersion, e.Date, e.Aliases
	tags := positions(entries)
	r.Kubernetes = kubernetes(tags, i)
	r.Arguments = argumentsAt(tags, i)
	return r, nil
}

// load reads the JSON of a release, and of the one it is laid over.
func load(tag string) (map[string]any, error) {
	b, err := data.ReadFile("data/releases/" + tag + ".json")
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	var patch map[string]any
	if err := json.Unmarshal(b, &patch); err != nil {
		return nil, fmt.Errorf("catalog %s: %w", tag, err)
	}
	from, ok := patch["from"].(string)
	if !ok {
		return patch, nil
	}
	delete(patch, "from")
	base, err := load(from)
	if err != nil {
		return nil, err
	}
	return merge(base, patch), nil
}

// positions maps each tag to its place in the order.
func positions(entries []Entry) map[string]int {
	at := make(map[string]int, len(entries))
	for i, e := range entries {
		at[e.Tag] = i
	}
	return at
}

// kubernetes is the versions of the i-th release, from versions.txt.
func kubernetes(at map[string]int, i int) map[string][]string {
	lists := map[string][]string{}
	for line := range strings.Lines(table("versions.txt")) {
		dist, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		version, spans, _ := strings.Cut(rest, " ")
		if within(at, spans, i) {
			lists[dist] = append(lists[dist], version)
		}
	}
	return lists
}

// within says whether spans such as "v4.0.2..v4.4.8 v4.5.3" contain i.
func within(at map[string]int, spans string, i int) bool {
	for span := range strings.SplitSeq(spans, " ") {
		if first, last := bounds(at, span); first <= i && i <= last {
			return true
		}
	}
	return false
}

func bounds(at map[string]int, span string) (first, last int) {
	a, b, ok := strings.Cut(span, "..")
	if !ok {
		b = a
	}
	return at[a], at[b]
}

// Having is the releases that offer a Kubernetes version, in order.
func Having(dist, version string) []string {
	tags := Tags()
	at := make(map[string]int, len(tags))
	for i, t := range tags {
		at[t] = i
	}
	var having []string
	for line := range strings.Lines(table("versions.txt")) {
		spans, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), dist+" "+version+" ")
		if !ok {
			continue
		}
		for span := range strings.SplitSeq(spans, " ") {
			first, last := bounds(at, span)
			having = append(having, tags[first:last+1]...)
		}
	}
	return having
}

// Nearest is up to n tags that may be meant by tag, the best first: the release
// it is an alias of, the release itself with its "v", then those with the
// nearest numbers; of two equally near the newer one. Releases that build
// another agent than their tag says are no suggestion.
func Nearest(tag string, n int) []string {
	type near struct {
		tag  string
		dist [3]int
		at   int
	}
	want := numbers(tag)
	var all []near
	for i, e := range Entries() {
		if slices.Contains(e.Aliases, tag) || e.Tag == "v"+strings.TrimPrefix(tag, "V") {
			all = append(all, near{tag: e.Tag, dist: [3]int{-1}, at: i})
			continue
		}
		if e.AgentVersion != e.Tag {
			continue
		}
		d := near{tag: e.Tag, at: i}
		for k, have := range numbers(e.Tag) {
			d.dist[k] = max(have-want[k], want[k]-have)
			if d.dist[k] != 0 && k < 2 {
				// In another line only the lines' distance counts, and then
				// the newest of that line.
				break
			}
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b near) int {
		return cmp.Or(slices.Compare(a.dist[:], b.dist[:]), cmp.Compare(b.at, a.at))
	})
	var tags []string
	for _, a := range all[:min(n, len(all))] {
		tags = append(tags, a.tag)
	}
	return tags
}

// NearestVersions is the versions of a distribution on both sides of one that
// the release does not have, and its newest; "" where there is none.
func NearestVersions(r *Release, dist, version string) (below, above, newest string) {
	for _, v := range r.Kubernetes[dist] {
		switch c := CompareVersions(v, version); {
		case c < 0:
			below = v
		case c > 0 && above == "":
			above = v
		}
		newest = v
	}
	return below, above, newest
}

// CompareVersions orders versions such as "1.29.8" and "v4.4.12" by their
// numbers.
func CompareVersions(a, b string) int {
	x, y := numbers(a), numbers(b)
	return slices.Compare(x[:], y[:])
}

// numbers is the three numbers of a version; what is no number counts as 0.
func numbers(v string) (n [3]int) {
	v = strings.TrimPrefix(strings.ToLower(v), "v")
	for i, s := range strings.SplitN(v, ".", 3) {
		if j := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); j >= 0 {
			s = s[:j]
		}
		n[i], _ = strconv.Atoi(s)
	}
	return n
}
