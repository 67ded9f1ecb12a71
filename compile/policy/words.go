package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
)

func quoted(s string) string { return strconv.Quote(s) }

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// label is a name as an element of a path.
func label(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quoted(name)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// shown is a value in a sentence.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case []string:
		return strings.Join(v, ", ")
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// short is a reference, or the pattern of a line, without its registry.
func short(reference string) string { return reference[strings.LastIndexByte(reference, '/')+1:] }

// brief is a digest as people compare it.
func brief(d plan.Digest) string {
	s := strings.TrimPrefix(string(d), "sha256:")
	return s[:min(len(s), 12)]
}

func byReference(a, b Image) int { return cmp.Compare(a.Reference, b.Reference) }

func compareVersions(a, b string) int { return catalog.CompareVersions(a, b) }
