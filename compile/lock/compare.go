package lock

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"canvos.dev/compile/plan"
)

// Change is one entry in which two locks differ.
type Change struct {
	Section string `json:"section"` // "sources", "versions", "catalog", "refresh", "facts"; "recipe" and "format" have no key
	Key     string `json:"key"`
	Before  string `json:"before,omitempty"` // "" is absent
	After   string `json:"after,omitempty"`
}

// Added says whether the entry is new, Removed whether it is gone.
func (c Change) Added() bool   { return c.Before == "" }
func (c Change) Removed() bool { return c.After == "" }

// Compare lists the entries in which two locks differ, in the order in which
// Write has them. A nil lock is an empty one.
func Compare(old, new *File) []Change {
	a, b := old.Clone(), new.Clone()
	if old == nil {
		a.Recipe, a.Format = b.Recipe, b.Format // nothing was rebuilt for them
	}
	var changes []Change
	for _, n := range []struct {
		section string
		a, b    int
	}{{"recipe", a.Recipe, b.Recipe}, {"format", a.Format, b.Format}} {
		if n.a != n.b {
			changes = append(changes, Change{Section: n.section, Before: fmt.Sprint(n.a), After: fmt.Sprint(n.b)})
		}
	}
	changes = append(changes, compare("sources", a.Sources, b.Sources, func(s Source) string { return string(s.Digest) })...)
	changes = append(changes, compare("versions", a.Versions, b.Versions, func(v []string) string { return fmt.Sprint(v) })...)
	changes = append(changes, compare("catalog", a.Catalog, b.Catalog, func(d plan.Digest) string { return string(d) })...)
	changes = append(changes, compare("refresh", a.Refresh, b.Refresh, func(n int) string { return fmt.Sprint(n) })...)
	return append(changes, compare("facts", a.Facts, b.Facts, factsText)...)
}

func compare[T any](section string, a, b map[string]T, text func(T) string) []Change {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, before := a[key]
		is, after := b[key]
		if before == after && reflect.DeepEqual(was, is) {
			continue
		}
		c := Change{Section: section, Key: key}
		if before {
			c.Before = text(was)
		}
		if after {
			c.After = text(is)
		}
		changes = append(changes, c)
	}
	return changes
}

func factsText(f LineFacts) string {
	return fmt.Sprintf("twoNode %t, fips %t, uki %t, %s, %v", f.TwoNode, f.FIPS, f.UKI, f.OSDistribution, f.Platforms)
}
