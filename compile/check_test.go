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
