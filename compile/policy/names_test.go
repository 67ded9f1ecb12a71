package policy

import (
	"slices"
	"strings"
	"testing"
)

// TestFamilyNames: what a rule is given has names that rules may use.
func TestFamilyNames(t *testing.T) {
	known := familyNames()
	family := side(t, strings.Replace(shop, `tag: "shop"`, `tag: "shop", labels: "com.acme.team": "edge", components: agent: "v4.4.12", arch: ["amd64"], compression: "zstd"`, 1)).Families[0]
	var walk func(path []string, in map[string]any)
	walk = func(path []string, in map[string]any) {
		for name, v := range in {
			at := append(slices.Clone(path), name)
			if why := known.unknown(at); why != "" {
				t.Error(why)
			}
			if sub, ok := v.(map[string]any); ok {
				walk(at, sub)
			}
		}
	}
	walk(nil, family.nested())
	for path := range family.Values {
		if why := known.unknown(split(path)); why != "" {
			t.Error(why)
		}
	}
	for _, name := range []string{"gpu.vendor", "ubuntuPro.env", "mirrors.base", "hardwareSpecs", "edgeConfig", "kubernetes.versions", "acknowledge.CV0203"} {
		if why := known.unknown(strings.Split(name, ".")); why != "" {
			t.Error(why)
		}
	}
	for _, other := range []string{"gpus", "os.images", "components.agents"} {
		if known.unknown(strings.Split(other, ".")) == "" {
			t.Errorf("%s is known", other)
		}
	}
}
