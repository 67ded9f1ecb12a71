package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Change is one difference between two releases.
type Change struct {
	// Kind is "version" for a Kubernetes version, "argument" for an argument
	// of the Earthfile, "image" for an image and "component" for any other
	// value.
	Kind string `json:"kind"`
	// Name says what: "k3s 1.30.4", "TWO_NODE", "providers.k3s.image".
	Name string `json:"name"`
	// Before is empty for what is added, After for what is removed. Both are
	// empty for an argument without a default: Effect tells.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Effect string `json:"effect"` // "added", "removed" or "changed"
}

// Diff is what changes from a to b: Kubernetes versions first, then components
// and images, then arguments.
func Diff(a, b *Release) []Change {
	var changes []Change
	dists := append(a.Distributions(), b.Distributions()...)
	slices.Sort(dists)
	for _, dist := range slices.Compact(dists) {
		changes = append(changes, diffVersions(dist, a, b)...)
	}
	changes = append(changes, diffValues(values(a), values(b), valueKind)...)
	return append(changes, diffValues(a.Arguments, b.Arguments, func(string) string { return "argument" })...)
}

func diffVersions(dist string, a, b *Release) []Change {
	all := append(slices.Clone(a.Versions(dist)), b.Versions(dist)...)
	slices.SortFunc(all, CompareVersions)
	var changes []Change
	for _, v := range slices.Compact(all) {
		c := Change{Kind: "version", Name: dist + " " + v}
		switch inA, inB := a.Has(dist, v), b.Has(dist, v); {
		case inA && inB:
			continue
		case inA:
			c.Effect, c.Before = "removed", v
		default:
			c.Effect, c.After = "added", v
		}
		changes = append(changes, c)
	}
	return changes
}

func diffValues(a, b map[string]string, kind func(string) string) []Change {
	names := make([]string, 0, len(a)+len(b))
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		names = append(names, n)
	}
	slices.Sort(names)
	var changes []Change
	for _, n := range slices.Compact(names) {
		before, inA := a[n]
		after, inB := b[n]
		if inA && inB && before == after {
			continue
		}
		c := Change{Kind: kind(n), Name: n, Before: before, After: after, Effect: "changed"}
		switch {
		case !inA:
			c.Effect = "added"
		case !inB:
			c.Effect = "removed"
		}
		changes = append(changes, c)
	}
	return changes
}

// valueKind tells images from other values by their path.
func valueKind(path string) string {
	for _, p := range []string{"stylus.", "baseImages.", "luetRepo."} {
		if strings.HasPrefix(path, p) {
			return "image"
		}
	}
	if strings.HasSuffix(strings.ToLower(path), "image") || strings.HasSuffix(path, ".imageFIPS") {
		return "image"
	}
	return "component"
}

// values is a release's values by the path in its JSON, without what names the
// release itself, its Kubernetes versions and its arguments.
func values(r *Release) map[string]string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of strings cannot fail to encode
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err) // it was just written
	}
	for _, own := range []string{"tag", "aliases", "date", "kubernetes", "arguments", "notes"} {
		delete(m, own)
	}
	flat := map[string]string{}
	flatten(flat, "", m)
	return flat
}

func flatten(flat map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flatten(flat, strings.TrimPrefix(path+"."+k, "."), e)
		}
	case []any:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = fmt.Sprint(e)
		}
		flat[path] = strings.Join(words, " ")
	default:
		flat[path] = fmt.Sprint(v)
	}
}
