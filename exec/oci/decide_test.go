package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
)

var demo = plan.Facts{Release: "v4.4.12", AgentVersion: "v4.4.12", OSDistribution: "ubuntu", OSVersion: "22.04", KubernetesDistribution: "k3s", Channel: "production"}

const demoLine = "docker.io/acme/ubuntu:k3s-*-demo"

// wanted is a module, and the plan of one image of a line: content decides the
// step.
func wanted(t testing.TB, l *lab, reference, content string, facts plan.Facts, platforms ...string) *drawn {
	d := draw(t)
	var tops []plan.Digest
	for _, platform := range platforms {
		tops = append(tops, d.files(d.base(d.source(l, baseImage, platform), platform), write("/content", content)))
	}
	d.image(reference, "demo", plan.ImageOp{Annotations: facts.Annotations(), Facts: facts, Platforms: platforms}, tops...)
	d.Images[0].Line = demoLine
	return d
}

func decided(ds []Decision) string {
	var lines []string
	for _, d := range ds {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s: %s", d.Action, d.Code, shortName(d.Image.Reference), d.Reason)))
	}
	return strings.Join(lines, "\n")
}

func TestDecide(t *testing.T) {
	other := demo
	other.TwoNode = true
	fleet := demo
	fleet.Release = "v4.5.15"
	all := func(string) bool { return true }
	const ref, next = "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo", "docker.io/acme/ubuntu:k3s-1.31.1-v4.4.12-demo"
	for _, c := range []struct {
		name    string
		before  func(*lab, *Layout) // what was published
		plan    func(*lab) *drawn
		consent Consent
		want    string
	}{
		{"new", nil, func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{}, "build  ubuntu:k3s-1.30.4-v4.4.12-demo: not published yet"},
		{"same", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{}, "unchanged  ubuntu:k3s-1.30.4-v4.4.12-demo: DIGEST"},
		{"other content", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "b", demo, amd64) }, Consent{}, "refused CV0401 ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content"},
		{"other release, no fact of the line", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "a", fleet, amd64) }, Consent{}, "refused CV0401 ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content"},
		{"other content, adopted", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "b", demo, amd64) }, Consent{Adopt: all}, "refused CV0401 ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content"},
		{"other content, publish replaces", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn {
			d := wanted(t, l, ref, "b", demo, amd64)
			d.Images[0].Publish = "replace"
			return d
		}, Consent{}, `replace  ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content; publish is "replace"`},
		{"other content, --replace", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "b", demo, amd64) }, Consent{Replace: all}, "replace  ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content; --replace consents"},
		{"--replace of another", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "b", demo, amd64) }, Consent{Replace: func(r string) bool { return r == next }}, "refused CV0401 ubuntu:k3s-1.30.4-v4.4.12-demo: published with other content"},
		{"other facts", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "a", other, amd64) }, Consent{Replace: all, Adopt: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: published with twoNode: false, and wanted with true"},
		{"other facts and a new version", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, next, "a", other, amd64) }, Consent{Replace: all, Adopt: all}, "refused CV0403 ubuntu:k3s-1.31.1-v4.4.12-demo: other images of the line ubuntu:k3s-*-demo are published with twoNode: false, and wanted with true"},
		{"new version", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, next, "a", demo, amd64) }, Consent{}, "build  ubuntu:k3s-1.31.1-v4.4.12-demo: not published yet"},
		{"new version after a damaged one", func(l *lab, out *Layout) {
			publishes(t, "docker.io/acme/ubuntu:k3s-1.0.0-v4.4.12-demo", "a", demo, amd64)(l, out)
			p, err := out.Published(t.Context(), "docker.io/acme/ubuntu:k3s-1.0.0-v4.4.12-demo", "")
			check(t, err)
			check(t, os.Remove(out.file(p.Digest)))
			publishes(t, ref, "b", demo, amd64)(l, out)
		}, func(l *lab) *drawn { return wanted(t, l, next, "a", other, amd64) }, Consent{}, "refused CV0403"},
		{"platform added", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64, arm64) }, Consent{Replace: all}, "replace"},
		{"platform dropped", publishes(t, ref, "a", demo, amd64, arm64), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Replace: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: it was published for linux/arm64 too"},
		{"platform exchanged", publishes(t, ref, "a", demo, arm64), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Replace: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: it was published for linux/arm64 too"},
		{"platform dropped, index mute", then(publishes(t, ref, "a", demo, amd64, arm64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: it was published for linux/arm64 too"},
		{"platform exchanged, image mute", then(publishes(t, ref, "a", demo, arm64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: it was published for linux/arm64 too"},
		{"platform kept, image mute", then(publishes(t, ref, "a", demo, arm64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, arm64, amd64) }, Consent{Adopt: all}, "replace"},
		{"platform dropped and a new version", publishes(t, ref, "a", demo, amd64, arm64), func(l *lab) *drawn { return wanted(t, l, next, "a", demo, amd64) }, Consent{Replace: all, Adopt: all}, "refused CV0403 ubuntu:k3s-1.31.1-v4.4.12-demo: other images of the line ubuntu:k3s-*-demo are published for linux/arm64 too"},
		{"platform dropped and a new version, index mute", then(publishes(t, ref, "a", demo, amd64, arm64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, next, "a", demo, amd64) }, Consent{}, "refused CV0403"},
		{"platform added and a new version", publishes(t, ref, "a", demo, amd64), func(l *lab) *drawn { return wanted(t, l, next, "a", demo, amd64, arm64) }, Consent{}, "build"},
		{"foreign", foreign(t, ref), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Replace: all}, "refused CV0402 ubuntu:k3s-1.30.4-v4.4.12-demo: published by something else than canvos"},
		{"foreign, adopted", foreign(t, ref), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "replace  ubuntu:k3s-1.30.4-v4.4.12-demo: published by something else than canvos; taken over"},
		{"drifted", drifts(t, ref, demo), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Replace: all}, "refused CV0402 ubuntu:k3s-1.30.4-v4.4.12-demo: changed by another tool since canvos published it"},
		{"drifted, adopted", drifts(t, ref, demo), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "replace  ubuntu:k3s-1.30.4-v4.4.12-demo: changed by another tool since canvos published it; taken over"},
		{"mute, in a line of other facts, adopted", then(publishes(t, next, "a", demo, amd64), publishes(t, ref, "a", demo, amd64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, ref, "a", other, amd64) }, Consent{Replace: all, Adopt: all}, "refused CV0403 ubuntu:k3s-1.30.4-v4.4.12-demo: other images of the line ubuntu:k3s-*-demo are published with twoNode: false, and wanted with true"},
		{"mute, in a line of the same facts, adopted", then(publishes(t, next, "a", demo, amd64), publishes(t, ref, "a", demo, amd64), mutes(t, ref)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "replace  ubuntu:k3s-1.30.4-v4.4.12-demo: published by something else than canvos; taken over"},
		{"mute, and so is its line, adopted", then(publishes(t, next, "a", demo, amd64), publishes(t, ref, "a", demo, amd64), mutes(t, ref), mutes(t, next)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "replace  ubuntu:k3s-1.30.4-v4.4.12-demo: published by something else than canvos; taken over; another image of its line does not say what it is"},
		{"facts gone, content kept, --replace", then(publishes(t, next, "a", demo, amd64), publishes(t, ref, "a", demo, amd64), mutes(t, ref, StepKey, ContentKey)), func(l *lab) *drawn { return wanted(t, l, ref, "a", other, amd64) }, Consent{Replace: all, Adopt: all}, "refused CV0403"},
		{"new version, the newest is mute", then(publishes(t, next, "a", demo, amd64), publishes(t, ref, "a", demo, amd64), mutes(t, next)), func(l *lab) *drawn {
			return wanted(t, l, "docker.io/acme/ubuntu:k3s-1.32.0-v4.4.12-demo", "a", other, amd64)
		}, Consent{}, "refused CV0403"},
		{"new version in a mute line", then(publishes(t, next, "a", demo, amd64), mutes(t, next)), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{}, "build  ubuntu:k3s-1.30.4-v4.4.12-demo: not published yet; another image of its line does not say what it is"},
		{"drifted, of other facts, adopted", drifts(t, ref, other), func(l *lab) *drawn { return wanted(t, l, ref, "a", demo, amd64) }, Consent{Adopt: all}, "refused CV0403"},
	} {
		for _, remembers := range []bool{true, false} {
			l := newLab(t, Rule{"docker.io/acme/base", "oci:bases"})
			l.writeAll("bases", layoutOf(t, map[string]built{baseImage: list(t, image.Index, plainImage(t, amd64, dir("etc")), plainImage(t, arm64, dir("etc")))}))
			out := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
			if c.before != nil {
				c.before(l, out)
			}
			st := l.sources.Store
			if !remembers {
				st = newLab(t).sources.Store
			}
			p := c.plan(l).Plan
			ds, err := Decide(t.Context(), p, Comparison{Target: out, Store: st, Consent: c.consent, Jobs: 2})
			if err != nil || len(ds) != 1 {
				t.Errorf("%s: %v, %v", c.name, ds, err)
				continue
			}
			got := decided(ds)
			if ds[0].Before != "" {
				got = strings.Replace(got, string(ds[0].Before), "DIGEST", 1)
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %s", c.name, got)
			}
			if (ds[0].Action == Refused) != (ds[0].Code != "" && ds[0].Help != "") {
				t.Errorf("%s: code %q, help %q", c.name, ds[0].Code, ds[0].Help)
			}
		}
	}
}

// publishes runs a plan of one image.
func publishes(t testing.TB, reference, content string, facts plan.Facts, platforms ...string) func(*lab, *Layout) {
	return func(l *lab, out *Layout) {
		d := wanted(t, l, reference, content, facts, platforms...)
		_, err := (&Engine{Sources: l.sources, Target: out}).Run(t.Context(), d.Plan, func(exec.Event) {})
		check(t, err)
	}
}

// foreign puts an image there that some other tool made.
func foreign(t testing.TB, reference string) func(*lab, *Layout) {
	return func(_ *lab, out *Layout) { put(t, out, ready(t, reference, "x", "by docker")) }
}

// then does one thing after the other.
func then(deeds ...func(*lab, *Layout)) func(*lab, *Layout) {
	return func(l *lab, out *Layout) {
		for _, deed := range deeds {
			deed(l, out)
		}
	}
}

// mutes is another tool that copies an image and keeps none of its labels, and of
// its annotations only some; of an index those of its images stay.
func mutes(t testing.TB, reference string, keep ...string) func(*lab, *Layout) {
	return func(_ *lab, out *Layout) {
		p, err := out.Published(t.Context(), reference, "")
		check(t, err)
		var m map[string]any
		check(t, json.Unmarshal(p.Manifest, &m))
		annotations := map[string]any{}
		for _, key := range keep {
			annotations[key] = m["annotations"].(map[string]any)[key]
		}
		m["annotations"] = annotations
		img := image.Image{Reference: reference, Family: "demo"}
		if old, ok := m["config"].(map[string]any); ok {
			raw, err := os.ReadFile(out.file(plan.Digest(old["digest"].(string))))
			check(t, err)
			var config map[string]any
			check(t, json.Unmarshal(raw, &config))
			delete(config, "config")
			raw, err = json.Marshal(config)
			check(t, err)
			d := image.Descriptor{MediaType: image.Config, Digest: plan.DigestOf(raw), Size: int64(len(raw))}
			m["config"] = d
			img.Blobs = []image.Blob{{Descriptor: d, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }}}
			if _, ok := annotations[ContentKey]; ok { // as if it had never had labels
				digests := []plan.Digest{d.Digest}
				for _, l := range m["layers"].([]any) {
					digests = append(digests, plan.Digest(l.(map[string]any)["digest"].(string)))
				}
				annotations[ContentKey], err = contentOf(digests)
				check(t, err)
			}
		}
		img.Manifest, err = json.Marshal(m)
		check(t, err)
		img.Descriptor = image.Descriptor{MediaType: p.MediaType, Digest: plan.DigestOf(img.Manifest), Size: int64(len(img.Manifest))}
		put(t, out, img)
	}
}

// drifts publishes, and lets another tool add a layer and keep the annotations.
func drifts(t testing.TB, reference string, facts plan.Facts) func(*lab, *Layout) {
	return func(l *lab, out *Layout) {
		publishes(t, reference, "a", facts, amd64)(l, out)
		p, err := out.Published(t.Context(), reference, "")
		check(t, err)
		var m map[string]any
		check(t, json.Unmarshal(p.Manifest, &m))
		m["layers"] = append(m["layers"].([]any), m["layers"].([]any)[0])
		img := ready(t, reference, "demo")
		img.Manifest, err = json.Marshal(m)
		check(t, err)
		img.Digest, img.Size = plan.DigestOf(img.Manifest), int64(len(img.Manifest))
		put(t, out, img)
	}
}

// A line's platforms are those of all its images, also of such as are no part of
// the plan.
func TestDecideAPartOfALine(t *testing.T) {
	l := newLab(t, Rule{"docker.io/acme/base", "oci:bases"})
	l.writeAll("bases", layoutOf(t, map[string]built{baseImage: list(t, image.Index, plainImage(t, amd64, dir("etc")), plainImage(t, arm64, dir("etc")))}))
	out := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
	publishes(t, "docker.io/acme/ubuntu:k3s-1.31.1-v4.4.12-demo", "a", demo, amd64, arm64)(l, out)
	p := wanted(t, l, "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo", "a", demo, amd64).Plan
	for _, c := range []struct {
		declared Declared
		want     Action
	}{
		{DeclaredBy(p), Refused},
		{Declared{demoLine: {amd64, arm64}}, Build},
	} {
		ds, err := Decide(t.Context(), p, Comparison{Target: out, Store: l.sources.Store, Declared: c.declared, Jobs: 2})
		check(t, err)
		if ds[0].Action != c.want {
			t.Errorf("%v: %s", c.declared, decided(ds))
		}
	}
}

func TestDecideAsksEachReferenceOnce(t *testing.T) {
	l := newLab(t, Rule{"docker.io/acme/base", "oci:bases"})
	l.writeAll("bases", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, dir("etc"))}))
	d := draw(t)
	base := d.base(d.source(l, baseImage, amd64), amd64)
	for i := range 30 {
		d.image(fmt.Sprintf("docker.io/acme/ubuntu:k3s-1.30.%d-v4.4.12-demo", i), "demo", plan.ImageOp{}, d.files(base, write("/n", fmt.Sprint(i))))
		d.Images[i].Line = demoLine
	}
	out, _ := l.apply(d)
	for _, known := range []bool{true, false} {
		st := l.sources.Store
		if !known {
			st = newLab(t).sources.Store
		}
		counted := &countingTarget{Layout: out, asked: map[string]int{}}
		if _, err := Decide(t.Context(), d.Plan, Comparison{Target: counted, Store: st, Jobs: 1}); err != nil {
			t.Fatal(err)
		}
		if len(counted.asked) != 30 {
			t.Errorf("%d references were asked for", len(counted.asked))
		}
		for ref, n := range counted.asked {
			if n != 1 {
				t.Errorf("%s: %d times", ref, n)
			}
		}
	}
	broken := errors.New("no route")
	_, err := Decide(t.Context(), d.Plan, Comparison{Target: &countingTarget{Layout: out, asked: map[string]int{}, err: broken}, Store: l.sources.Store, Jobs: 4})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "ask for docker.io/acme/ubuntu:k3s-1.30.0-v4.4.12-demo: no route") {
		t.Error(err)
	}
}

type countingTarget struct {
	*Layout
	asked map[string]int
	err   error
}

func (c *countingTarget) Published(ctx context.Context, reference string, known plan.Digest) (*image.Published, error) {
	c.mu.Lock()
	c.asked[reference]++
	c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	return c.Layout.Published(ctx, reference, known)
}
