package policy

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
)

// fleet is a manifest of many families, and a complete lock of it.
func fleet(b testing.TB, families int, version string) Input {
	b.Helper()
	var text strings.Builder
	text.WriteString("package images\n\ncanvos: \"v4.7.13\"\nregistry: \"docker.io/acme\"\n")
	for i := range families {
		fmt.Fprintf(&text, "families: \"store-%d\": {\n\tos: {distribution: \"ubuntu\", version: \"22.04\", image: \"docker.io/acme/base:%s\", prepare: false}\n", i, version)
		fmt.Fprintf(&text, "\tkubernetes: {distribution: \"k3s\", versions: [\"1.31.4\", \"1.32.1\"]}\n\ttag: \"s%d\"\n}\n", i)
	}
	in := Input{Name: ".", Source: compile.Source{FS: fstest.MapFS{"images.cue": {Data: []byte(text.String())}}, Dir: "."}, Lock: lock.New()}
	m, ps := compile.Load(in.Source)
	for _, p := range ps {
		b.Fatal(p)
	}
	compile.Complete(m, in.Lock)
	for _, q := range compile.Requests(m, in.Lock) {
		in.Lock.SetSource(q.Reference, q.Platform, lock.Source{Digest: plan.DigestOf([]byte(q.Reference)), Size: 1000})
	}
	return in
}

// twentyRules are ten by patterns and ten computed.
func twentyRules(b testing.TB) *Ruleset {
	b.Helper()
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, "policies: \"p%d\": {severity: \"warn\", message: \"m\", #when: after: channel: \"production\", #require: after: {tag: =~\"^s\", labels: team: string}}\n", i)
		fmt.Fprintf(&text, "policies: \"c%d\": {severity: \"warn\", message: \"m\", #before: _, #after: _, #violations: [if #before != null if #after != null if #before.os.image != #after.os.image {field: \"os.image\", message: \"\\(#before.os.image) became \\(#after.os.image)\"}]}\n", i)
	}
	return rulesOf(b, text.String())
}

// BenchmarkJudge judges 1,000 changed families by 20 rules, and says how that
// compares with a tenth of them.
func BenchmarkJudge(b *testing.B) {
	for _, families := range []int{100, 1000} {
		b.Run(fmt.Sprintf("families=%d", families), func(b *testing.B) {
			base, head := Evaluate(fleet(b, families, "22.04")), Evaluate(fleet(b, families, "22.04.1"))
			rules := twentyRules(b)
			var took time.Duration
			for b.Loop() {
				began := time.Now()
				r := Judge(Compare(StateOf(Side{Name: "a"}, []Manifest{base}), StateOf(Side{Name: "b"}, []Manifest{head})), Options{Today: "2026-01-15", Rules: rules})
				took += time.Since(began)
				if len(r.Changes) != families || len(r.Findings) < 20*families {
					b.Fatalf("%d changes, %d findings, %v", len(r.Changes), len(r.Findings), r.Findings[0])
				}
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N)/float64(families), "us/family")
		})
	}
}

// BenchmarkReview compares the review of a one-line change in a manifest of 100
// families with making the plans of both sides alone.
func BenchmarkReview(b *testing.B) {
	base, head := fleet(b, 100, "22.04"), fleet(b, 100, "22.04")
	files := head.Source.FS.(fstest.MapFS)
	changed := strings.Replace(string(files["images.cue"].Data), `tag: "s50"`, `tag: "t50"`, 1)
	head.Source.FS = fstest.MapFS{"images.cue": {Data: []byte(changed)}}
	m, _ := compile.Load(head.Source)
	compile.Complete(m, head.Lock)
	var plans, whole time.Duration
	for b.Loop() {
		began := time.Now()
		for _, in := range []Input{base, head} {
			j := compile.Judge(in.Source, in.Lock)
			if p, ps := compile.Lower(j.Manifest, in.Lock); len(p.Images) != 200 {
				b.Fatal(ps)
			}
		}
		plans += time.Since(began)
		began = time.Now()
		r := Judge(Compare(StateOf(Side{Name: "a"}, []Manifest{Evaluate(base)}), StateOf(Side{Name: "b"}, []Manifest{Evaluate(head)})), Options{Today: "2026-01-15"})
		whole += time.Since(began)
		if len(r.Changes) != 1 {
			b.Fatalf("%d changes", len(r.Changes))
		}
	}
	b.ReportMetric(float64(whole)/float64(plans), "x-plans")
	b.ReportMetric(float64(whole.Milliseconds())/float64(b.N), "ms/review")
}
