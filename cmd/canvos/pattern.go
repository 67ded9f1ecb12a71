package main

import (
	"regexp"
	"slices"
	"strings"
)

// matches tells whether a pattern of the command line means a reference: the
// whole of it, or what follows its registry and namespace. "*" stands for any
// run of characters, slashes too.
func matches(pattern, reference string) bool {
	re := wildcard(pattern)
	return re.MatchString(reference) || re.MatchString(shortName(reference))
}

// matchesAny is matches for one of several.
func matchesAny(patterns []string, reference string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, reference) })
}

func wildcard(pattern string) *regexp.Regexp {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^(?:" + strings.Join(parts, ".*") + ")$")
}

// shortName is a reference without registry and namespace: "ubuntu:k3s-1.30.4".
func shortName(reference string) string { return reference[strings.LastIndexByte(reference, '/')+1:] }
