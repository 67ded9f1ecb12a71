package problem

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/constraints.md and the table of codes say the same: which codes enforce a
// constraint, in which rooms, how gravely. Each is compared with the other, so a
// code cannot be forgotten in either.
func TestConstraints(t *testing.T) {
	text, err := os.ReadFile("../../docs/constraints.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string][]Entry{}
	for _, e := range Codes() {
		for _, c := range e.Constraints {
			entries[c] = append(entries[c], e)
		}
	}
	row := regexp.MustCompile(`(?m)^\| (C\d\d) \| (.+) \| (.+) \| (.+) \| (.+) \| (.+) \|$`)
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) != 56 {
		t.Fatalf("%d rows, not 56", len(rows))
	}
	for i, r := range rows {
		id := r[1]
		if want := fmt.Sprintf("C%02d", i+1); id != want {
			t.Errorf("row %d is %s, not %s", i+1, id, want)
		}
		var codes, severities, rooms []string
		for _, e := range entries[id] {
			codes = append(codes, e.Code)
			severities = append(severities, string(e.Severity))
			rooms = append(rooms, map[string]string{"load": "schema"}[e.Room]+map[string]string{"compile": "compile", "engine": "engine"}[e.Room])
		}
		check := func(what, is string, want []string, none string, order ...string) {
			slices.SortFunc(want, func(a, b string) int {
				if len(order) == 0 {
					return strings.Compare(a, b)
				}
				return slices.Index(order, a) - slices.Index(order, b)
			})
			w := strings.Join(slices.Compact(want), ", ")
			if w == "" {
				w = none
			}
			if is != w {
				t.Errorf("%s: the %s is %q, the table of codes says %q", id, what, is, w)
			}
		}
		check("codes column", r[6], codes, "–")
		check("severity", r[3], severities, "–", "error", "warning")
		check("place", r[4], rooms, "not applicable", "schema", "compile", "engine")
		delete(entries, id)
	}
	for id := range entries {
		t.Errorf("%s is in the table of codes and in no row", id)
	}
}
