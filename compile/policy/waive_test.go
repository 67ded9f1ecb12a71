package policy

import (
	"strings"
	"testing"
)

// TestWaiverBoundToChange: a waiver that is bound to the effect on a family holds
// whatever becomes of others, and for no other effect.
func TestWaiverBoundToChange(t *testing.T) {
	other := `families: kiosk: {
	os: {distribution: "ubuntu", version: "22.04", image: "docker.io/acme/base:22.04", prepare: false}
	kubernetes: {distribution: "k3s", versions: ["1.30.4"]}
	tag: "kiosk"
}
`
	dropped := strings.Replace(shop, `"1.29.8", `, "", 1)
	digest := string(effect(t, shop, dropped).Changes[0].Digest)
	waiver := Waiver{Name: "w", Rule: "version-dropped", Target: "store", Expires: "2026-12-31", Digest: digest}
	for _, c := range []struct {
		name, before, after string
		waived              bool
	}{
		{"the change", shop, dropped, true},
		{"after others merged", shop + other, dropped + other, true},
		{"with another family's change", shop + other, dropped + strings.Replace(other, "kiosk\"", "kiosk-b\"", 1), true},
		{"written otherwise", shop, strings.Replace(dropped, "canvos:", "// the release\ncanvos:", 1), true},
		{"another version", shop, strings.Replace(shop, `, "1.30.4"`, "", 1), false},
		{"and another base image", shop, strings.Replace(dropped, "base:22.04", "base:22.04.1", 1), false},
	} {
		rules := NewRuleset()
		rules.Waivers = []Waiver{waiver}
		r := Judge(Compare(StateOf(Side{}, []Manifest{side(t, c.before)}), StateOf(Side{}, []Manifest{side(t, c.after)})), Options{Today: "2026-01-15", Rules: rules})
		found := 0
		for _, f := range r.Findings {
			if f.Rule == "version-dropped" {
				found++
				if f.Waived() != c.waived {
					t.Errorf("%s: waived is %t", c.name, f.Waived())
				}
			}
		}
		if found != 1 {
			t.Errorf("%s: %d findings", c.name, found)
		}
		if !c.waived && !strings.Contains(r.Waivers.Unused[0].Why, "another effect") {
			t.Errorf("%s: %+v", c.name, r.Waivers)
		}
	}
}

// TestWaiverBoundToFamily: the family is that of the finding, not another
// manifest's of the same name.
func TestWaiverBoundToFamily(t *testing.T) {
	other := strings.Replace(shop, `"shop"`, `"shop-b"`, 1)
	in := func(name, text string) Manifest {
		m := side(t, text)
		m.Name = name
		return m
	}
	drop := func(text string) string { return strings.Replace(text, `"1.29.8", `, "", 1) }
	c := Compare(StateOf(Side{}, []Manifest{in("a", shop), in("b", other)}), StateOf(Side{}, []Manifest{in("a", drop(shop)), in("b", drop(other))}))
	rules := NewRuleset()
	rules.Waivers = []Waiver{{Name: "w", Rule: "version-dropped", Target: "store", Expires: "2026-12-31", Digest: string(c.Pairs[0].Change.Digest)}}
	waived := map[string]bool{}
	for _, f := range Judge(c, Options{Today: "2026-01-15", Rules: rules}).Findings {
		if f.Rule == "version-dropped" {
			waived[f.Manifest] = f.Waived()
		}
	}
	if len(waived) != 2 || !waived["a"] || waived["b"] {
		t.Errorf("%v", waived)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"store", "store", true}, {"store", "store-b", false}, {"store*", "store-b", true}, {"*", "", true}, {"*b", "ab", true},
		{"a*a", "a", false}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false}, {"", "a", false},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.text, got)
		}
	}
}
