package compile

import (
	"testing"
	"testing/fstest"

	"canvos.dev/compile/problem"
)

// oneFamily is a manifest of one plain family, with nothing wrong.
func oneFamily(change func(*Manifest, *Family)) *Manifest {
	f := k3sFamily("store", 10, "1.30.4")
	m := &Manifest{FS: fstest.MapFS{}, Dir: ".", Release: f.Release, Registry: f.Registry, Families: []Family{f}}
	if change != nil {
		change(m, &m.Families[0])
	}
	return m
}

func has(ps []*problem.Problem, code string) *problem.Problem {
	for _, p := range ps {
		if p.Code == code {
			return p
		}
	}
	return nil
}

func TestCheckAccepts(t *testing.T) {
	if ps := Check(oneFamily(nil)); len(ps) > 0 {
		t.Errorf("%s", listing(ps))
	}
}

func TestSeed(t *testing.T) {
	ps := Check(oneFamily(func(_ *Manifest, f *Family) { f.Kubernetes.Versions[0].V = "1.32.3" }))
	const want = `images.cue:12:3: error[CV0107]: Kubernetes 1.32.3 is not in CanvOS v4.4.12 for k3s
  path: families.store.kubernetes.versions[0]
  note: nearest here: 1.30.4 (newest), 1.29.8
  note: first release after v4.4.12 that has 1.32.3: v4.6.21
  help: take 1.30.4, or set canvos: "v4.6.21" or later (canvos catalog diff v4.4.12 v4.6.21 shows what else moves)
`
	if got := listing(ps); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A rule, a manifest that breaks it, and one that was mended as the help says.
var rules = []struct {
	code      string
	bad, good func(*Manifest, *Family)
}{
	{"CV0106", func(_ *Manifest, f *Family) { f.Release.V = "v4.4.3" }, func(_ *Manifest, f *Family) { f.Release.V = "v4.4.2" }},
	{"CV0108", func(_ *Manifest, f *Family) { f.Kubernetes.Distribution.V = "nodeadm" }, nil},
	{"CV0112", func(_ *Manifest, f *Family) { f.OS.Version.V = "24" }, func(_ *Manifest, f *Family) { f.OS.Version.V = "24.04" }},
	{"CV0201", func(_ *Manifest, f *Family) { f.TwoNode, f.Kubernetes.Distribution.V = value(true, 20), "rke2" }, func(_ *Manifest, f *Family) { f.TwoNode = value(true, 20) }},
	{"CV0203", func(_ *Manifest, f *Family) { f.TwoNode = value(true, 20) }, func(_ *Manifest, f *Family) { f.TwoNode, f.Tag.V = value(true, 20), "demo-two-node" }},
	{"CV0210", func(_ *Manifest, f *Family) { f.FIPS = value(true, 20) }, func(_ *Manifest, f *Family) { f.FIPS, f.Kubernetes.Distribution.V = value(true, 20), "rke2" }},
	{"CV0252", func(_ *Manifest, f *Family) { f.MAAS = value(true, 20) }, func(_ *Manifest, f *Family) { f.MAAS, f.Release.V = value(true, 20), "v4.8.8" }},
}

func TestRules(t *testing.T) {
	for _, r := range rules {
		ps := Check(oneFamily(r.bad))
		p := has(ps, r.code)
		if p == nil {
			t.Errorf("%s is not found:\n%s", r.code, listing(ps))
			continue
		}
		if p.At.File == "" || p.Help == "" || p.Path == "" {
			t.Errorf("%s lacks place, help or path: %+v", r.code, p)
		}
		if p := has(Check(oneFamily(r.good)), r.code); p != nil {
			t.Errorf("%s is found in the mended manifest: %v", r.code, p)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	twoNode := func(f *Family) { f.TwoNode = value(true, 20) }
	ps := Check(oneFamily(func(_ *Manifest, f *Family) {
		twoNode(f)
		f.Acknowledge = []Pair{{"CV0203", value("the site's name says it", 21)}}
	}))
	if len(ps) > 0 {
		t.Errorf("an acknowledged warning is reported:\n%s", listing(ps))
	}
	ps = Check(oneFamily(func(_ *Manifest, f *Family) {
		f.Acknowledge = []Pair{{"CV0107", value("no", 20)}, {"CV0203", value("why", 21)}, {"CV0999", value("what", 22)}}
	}))
	if codes(ps) != "CV0130 CV0131 CV0130" {
		t.Errorf("%s", listing(ps))
	}
	ps = Check(oneFamily(func(_ *Manifest, f *Family) { f.Acknowledge = []Pair{{"CV0203", value("why", 21)}} }))
	if codes(ps) != "CV0131" {
		t.Errorf("%s", listing(ps))
	}
}

// What a thousand families have from the top of the manifest is one problem.
func TestShared(t *testing.T) {
	m := oneFamily(nil)
	m.Release.V = "v4.4.3"
	m.Families = nil
	for i := range 1000 {
		f := k3sFamily("store-"+itoa(i), 10+4*i, "1.30.4")
		f.Release = m.Release
		m.Families = append(m.Families, f)
	}
	ps := Check(m)
	if codes(ps) != "CV0106" || ps[0].Path != "canvos" || ps[0].Family != "" {
		t.Errorf("%s", listing(ps))
	}
}

// Time and memory grow with the families, whether something is wrong with each
// of them or not.
func BenchmarkCheck(b *testing.B) {
	for _, wrong := range []bool{false, true} {
		for _, n := range []int{10, 100, 1000} {
			m := oneFamily(nil)
			m.Families = nil
			for i := range n {
				f := k3sFamily("store-"+itoa(i), 10+4*i, "1.30.4", ">=1.28 <1.30")
				if wrong {
					f.Kubernetes.Versions[0].V, f.TwoNode, f.MAAS = "1.32.3", value(true, 11+4*i), value(true, 11+4*i)
				}
				m.Families = append(m.Families, f)
			}
			b.Run(map[bool]string{false: "good/", true: "bad/"}[wrong]+itoa(n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if ps := Check(m); (len(ps) > 0) != wrong {
						b.Fatal(listing(ps))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/family")
			})
		}
	}
}
