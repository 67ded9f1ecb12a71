package oci

import (
	"path"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
)

// A machine that has published an image, or has seen it as it would make it, says
// in what another one differs.
func TestReasons(t *testing.T) {
	const ref = "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"
	// The module: an overlay, a base, and what the manifest says besides.
	type module struct {
		files  map[string]string
		base   string
		tools  bool
		step   string
		labels map[string]string
		epoch  string
	}
	first := func() module {
		return module{files: map[string]string{"motd": "hello", "issue": "edge"}, base: "etc", step: "a", epoch: epoch}
	}
	planOf := func(l *lab, m module) plan.Plan {
		clear(l.fs)
		l.rules(Rule{"docker.io/acme", "oci:bases"}) // what was read of the other is forgotten
		l.writeAll("bases", layoutOf(t, map[string]built{
			baseImage: list(t, image.Index, plainImage(t, amd64, dir(m.base)), plainImage(t, arm64, dir(m.base))),
			tool:      list(t, image.Index, plainImage(t, amd64, dir("usr")), plainImage(t, arm64, dir("usr"))),
		}))
		for name, content := range m.files {
			l.write("overlay/etc/"+name, []byte(content))
		}
		d := draw(t)
		var tops []plan.Digest
		overlay := d.source(l, "file:overlay/etc", "")
		for _, platform := range []string{amd64, arm64} {
			actions := []plan.Action{{Copy: &plan.Copy{Source: overlay, From: "/", To: "/etc"}}, write("/step", m.step)}
			if m.tools {
				actions = append(actions, plan.Action{Copy: &plan.Copy{Source: d.source(l, tool, platform), From: "/", To: "/"}})
			}
			top := d.base(d.source(l, baseImage, platform), platform)
			tops = append(tops, d.step("finish "+platform, plan.Op{Files: &plan.Files{Epoch: epoch, Compression: "gzip", Actions: actions}}, top))
		}
		d.image(ref, "demo", plan.ImageOp{Annotations: demo.Annotations(), Labels: m.labels, Facts: demo, Epoch: m.epoch}, tops...)
		d.Images[0].Line = demoLine
		return d.Plan
	}
	for _, c := range []struct {
		name   string
		change func(*module)
		want   string
	}{
		{"a file", func(m *module) { m.files["motd"] = "bye" }, "overlay/etc/motd changed"},
		{"files come and go", func(m *module) { delete(m.files, "motd"); m.files["ssh/banner"] = "x" }, "overlay/etc/motd is gone, overlay/etc/ssh/banner is new"},
		{"many files", func(m *module) {
			for _, name := range strings.Fields("a b c d e") {
				m.files[name] = name
			}
		}, "overlay/etc/a is new, overlay/etc/b is new, overlay/etc/c is new, and 2 more changes"},
		{"the base, on all platforms", func(m *module) { m.base = "opt" }, "base:22.04 changed"},
		{"another component", func(m *module) { m.tools = true }, "with tool:1"},
		{"no input", func(m *module) { m.step = "b" }, "the step finish linux/amd64 does something else, the step finish linux/arm64 does something else"},
		{"labels", func(m *module) { m.labels = map[string]string{"com.acme.owner": "edge"} }, "labels changed"},
		{"a file and labels", func(m *module) { m.labels = map[string]string{"a": "b"}; m.files["motd"] = "" }, "overlay/etc/motd changed, labels changed"},
		{"times", func(m *module) { m.epoch = "2021-01-01T00:00:00Z" }, "epoch or platforms changed"},
	} {
		l := newLab(t)
		out := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
		p := planOf(l, first())
		_, err := (&Engine{Sources: l.sources, Target: out}).Run(t.Context(), p, func(exec.Event) {})
		check(t, err)
		seen, blank := newLab(t).sources.Store, newLab(t).sources.Store
		is := Comparison{Target: out, Store: seen, Root: l.fs}
		if ds, err := Decide(t.Context(), planOf(l, first()), is); err != nil || ds[0].Action != Unchanged {
			t.Fatal(ds, err)
		}
		changed := first()
		c.change(&changed)
		p = planOf(l, changed)
		for _, one := range []struct {
			with Comparison
			want string
		}{
			{Comparison{Target: out, Store: l.sources.Store, Root: l.fs}, ": " + c.want},
			{is, ": " + c.want},
			{Comparison{Target: out, Store: blank, Root: l.fs}, ""},
			{Comparison{Target: out, Store: seen}, ""},
		} {
			ds, err := Decide(t.Context(), p, one.with)
			check(t, err)
			if want := "published with other content" + one.want; ds[0].Code != "CV0401" || ds[0].Reason != want {
				t.Errorf("%s: %s", c.name, decided(ds))
			}
		}
		with := Comparison{Target: out, Store: seen, Root: l.fs, Consent: Consent{Replace: func(string) bool { return true }}}
		ds, err := Decide(t.Context(), p, with)
		check(t, err)
		if want := "published with other content: " + c.want + "; --replace consents"; ds[0].Reason != want {
			t.Errorf("%s: %s", c.name, decided(ds))
		}
	}
}
