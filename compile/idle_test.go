package compile

import (
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile/plan"
)

// byName answers with digests of names, so that steps are the same when all
// they are made of has the same names.
type byName struct{ m *Manifest }

func (byName) image(reference, platform string, _ asker) plan.Digest {
	return plan.DigestOf([]byte(reference + platform))
}

func (b byName) local(name string, _ asker) localInput {
	return localInput{digest: plan.DigestOf([]byte(name)), name: localName(b.m, name)}
}

// A version or registry of which it is said that it does nothing is in no step,
// and one of which that is not said is in one. Nobody builds UKI images here:
// there the arguments for CanvOS count as well.
func TestIdle(t *testing.T) {
	judged := 0
	for _, tag := range []string{"v4.0.6", "v4.4.4", "v4.4.12", "v4.5.15", "v4.7.11", "v4.7.13", "v4.8.18", "v4.9.38", "v4.10.3"} {
		for variant, change := range map[string]func(*Family){
			"plain":     func(*Family) {},
			"arm64 too": func(f *Family) { f.Arch = []Field[string]{value("amd64", 1), value("arm64", 1)} },
			"two-node":  func(f *Family) { f.TwoNode = value(true, 1) },
			"image":     func(f *Family) { f.OS.Image = value("m.example.com/base:1", 1) },
			"prepared": func(f *Family) {
				f.OS.Image, f.OS.Prepare, f.TwoNode, f.Dockerfile = value("m.example.com/base:1", 1), value(false, 1), value(true, 1), value("Dockerfile", 1)
			},
			"dockerfile": func(f *Family) { f.Dockerfile = value("Dockerfile", 1) },
			"uki":        func(f *Family) { f.UKI, f.OS.Version = value(true, 1), value("24.04", 1) },
			"extension":  func(f *Family) { f.BundleKubernetes = value(false, 1) },
			"mirrored": func(f *Family) {
				f.Mirrors.ThirdParty, f.Mirrors.Osbuilder = value("m.example.com/t:1", 1), value("m.example.com/o:1", 1)
			},
		} {
			f := k3sFamily("a", 10, "1.30.4")
			f.Release = value(tag, 3)
			change(&f)
			if tag == "v4.0.6" { // which has images of 20 and 22, and none for UKI
				f.OS.Version, f.UKI = value("22", 1), value(false, 1)
			}
			m := &Manifest{FS: fstest.MapFS{"Dockerfile": {Data: []byte("RUN true\n")}}, Dir: ".", Families: []Family{f}}
			if tag == "v4.10.3" {
				m.Catalog = []CatalogEntry{{Release: tag, From: value("v4.9.38", 4), JSON: []byte(`{}`)}}
			}
			rel := releasesOf(m)
			r, err := rel.find(tag)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range options {
				if !overrides(o.field) {
					continue
				}
				s := &subject{Family: &m.Families[0], m: m, rel: rel, release: r}
				if args := s.argumentsOf(o); len(args) > 0 && !s.has(args[0]) {
					continue // CV0252
				}
				set := func(text string) string {
					m.Families[0] = f
					*o.word(&m.Families[0]) = value(text, 20)
					w := &walk{m: m, in: byName{m}, lk: locked(t, &Manifest{FS: m.FS, Dir: "."}), releases: rel, families: map[*Family]*kitchen{}}
					img := imageOf(&m.Families[0], r, expanded{version: "1.30.4"})
					made, ok := w.image(&img)
					if !ok {
						t.Fatalf("%s %s %s: %v", tag, variant, o.field, w.problems)
					}
					return string(made.Step)
				}
				one, two := "v1.2.3", "v1.2.4"
				switch {
				case o.field == "mirrors.thirdParty" || o.field == "mirrors.alpine" || o.field == "mirrors.osbuilder":
					one, two = "m.example.com/x:1", "m.example.com/x:2"
				case strings.HasPrefix(o.field, "mirrors."):
					one, two = "m.example.com/x", "m.example.com/y"
				}
				moves := set(one) != set(two)
				why := s.idle(o)
				if forCanvOS := f.UKI.V && (o.field == "components.golang" || strings.HasSuffix(o.field, ".alpine")); !forCanvOS && moves != (why == "") {
					t.Errorf("%s %s %s: moves a step: %v, said to do nothing: %q", tag, variant, o.field, moves, why)
				}
				judged++
			}
		}
	}
	if judged < 500 {
		t.Errorf("only %d fields were judged", judged)
	}
}
