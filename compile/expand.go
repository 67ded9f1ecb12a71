package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// version is a Kubernetes version.
type version struct{ major, minor, patch int }

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch))
}

// parseVersion reads x.y.z, without leading zeros or a v.
func parseVersion(s string) (version, bool) {
	parts, ok := numbers(s)
	if !ok || len(parts) != 3 {
		return version{}, false
	}
	return version{parts[0], parts[1], parts[2]}, true
}

// numbers reads one to three numbers with dots between them.
func numbers(s string) ([]int, bool) {
	fields := strings.Split(s, ".")
	if len(fields) > 3 {
		return nil, false
	}
	var parts []int
	for _, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil || strconv.Itoa(n) != f || n < 0 || n > 1<<20 {
			return nil, false
		}
		parts = append(parts, n)
	}
	return parts, true
}

// compareVersions orders texts that are versions by number, and any others
// after them by text.
func compareVersions(a, b string) int {
	v, okv := parseVersion(a)
	w, okw := parseVersion(b)
	switch {
	case okv && okw:
		return v.compare(w)
	case okv:
		return -1
	case okw:
		return 1
	}
	return cmp.Compare(a, b)
}

// A versionRange is what an entry of kubernetes.versions asks for: from at
// least low to before high, or one version.
type versionRange struct {
	exact     bool
	low, high version
}

// endless is above every version.
var endless = version{major: 1 << 30}

func (r versionRange) holds(v version) bool {
	return r.low.compare(v) <= 0 && v.compare(r.high) < 0
}

// parseRange reads "1.30.4", a series "1.30.x", or comparisons that all must
// hold, ">=1.29 <1.31". A version that is cut short stands for its whole
// series: >1.29 begins at 1.30.0, and <=1.30 holds 1.30.4.
func parseRange(s string) (versionRange, error) {
	if v, ok := parseVersion(s); ok {
		return versionRange{exact: true, low: v, high: version{v.major, v.minor, v.patch + 1}}, nil
	}
	r := versionRange{high: endless}
	terms := strings.FieldsFunc(separated(s), func(c rune) bool { return c == ' ' || c == ',' })
	if len(terms) == 0 {
		return r, fmt.Errorf("it is empty")
	}
	for _, term := range terms {
		low, high, err := parseTerm(term)
		if err != nil {
			return r, err
		}
		if low.compare(r.low) > 0 {
			r.low = low
		}
		if high.compare(r.high) < 0 {
			r.high = high
		}
	}
	return r, nil
}

// separated lets blanks stand between a sign and its version: ">= 1.29".
func separated(s string) string {
	for _, sign := range []string{">", "<", "="} {
		for strings.Contains(s, sign+" ") {
			s = strings.ReplaceAll(s, sign+" ", sign)
		}
	}
	return s
}

func parseTerm(term string) (low, high version, err error) {
	sign := term[:len(term)-len(strings.TrimLeft(term, "<>=!~^"))]
	text := term[len(sign):]
	if sign == "" {
		cut := strings.TrimSuffix(strings.TrimSuffix(text, ".x"), ".*")
		if cut == text {
			return low, high, fmt.Errorf("%q is neither a version nor a comparison", term)
		}
		text = cut
	}
	parts, ok := numbers(text)
	if !ok || sign == "" && len(parts) == 3 {
		return low, high, fmt.Errorf("%q is not a version", text)
	}
	first, next := series(parts)
	switch sign {
	case "", "=":
		return first, next, nil
	case ">=":
		return first, endless, nil
	case ">":
		return next, endless, nil
	case "<":
		return low, first, nil
	case "<=":
		return low, next, nil
	}
	return low, high, fmt.Errorf("%q is not one of >=, >, <=, <, =", sign)
}

// series is the first version of a series, and the first after it.
func series(parts []int) (first, next version) {
	first.major = parts[0]
	switch len(parts) {
	case 1:
		return first, version{major: first.major + 1}
	case 2:
		first.minor = parts[1]
		return first, version{first.major, first.minor + 1, 0}
	}
	first.minor, first.patch = parts[1], parts[2]
	return first, version{first.major, first.minor, first.patch + 1}
}

// within picks the versions that lie in a range, in order.
func within(r versionRange, versions []string) []string {
	var out []string
	if r.exact { // as nearly all are; a version has one spelling
		if s := r.low.String(); slices.Contains(versions, s) {
			out = append(out, s)
		}
		return out
	}
	for _, s := range versions {
		if v, ok := parseVersion(s); ok && r.holds(v) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareVersions)
	return slices.Compact(out)
}
