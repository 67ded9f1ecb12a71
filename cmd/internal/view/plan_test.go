package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
)

// fakePlan has a family that is folded, one with every way to be refused, and
// one that prepares its OS.
func fakePlan() Plan {
	facts := plan.Facts{Release: "v4.4.12", AgentVersion: "v4.4.12", OSDistribution: "ubuntu", OSVersion: "22.04", KubernetesDistribution: "k3s", Channel: "production"}
	two := facts
	two.TwoNode = true
	p := plan.Plan{
		Version: 1, Digest: plan.DigestOf([]byte("plan")), Recipe: 1, Format: 1,
		Sources: []plan.Source{{Reference: "docker.io/library/debian:12", Platform: "linux/amd64", Digest: plan.DigestOf([]byte("s")), Size: 5000000}},
		Steps: []plan.Step{
			{ID: "sha256:base", Name: "base", Op: plan.Op{Base: &plan.Base{Platform: "linux/amd64"}}, At: plan.Pos{File: "images.cue", Line: 4, Column: 2}},
			{ID: "sha256:run", Name: "os", Needs: []plan.Digest{"sha256:base"}, Op: plan.Op{Run: &plan.Run{Platform: "linux/amd64", Script: "apt-get update"}}},
		},
	}
	var ds []Decision
	image := func(family, version, tag string, line int, f plan.Facts, step plan.Digest) plan.Image {
		i := plan.Image{
			Reference: "docker.io/acme/ubuntu:k3s-" + version + "-v4.4.12-" + tag, Line: "docker.io/acme/ubuntu:k3s-*-" + tag,
			Family: family, KubernetesVersion: version, Platforms: []string{"linux/amd64"}, Facts: f, Step: step, Publish: "once",
			At: plan.Pos{File: "images.cue", Line: line, Column: 2},
		}
		p.Images = append(p.Images, i)
		return i
	}
	for v := range 14 {
		ds = append(ds, Decision{Image: image("kiosk", fmt.Sprintf("1.29.%d", v), "kiosk", 30, facts, "sha256:base"), Action: []Action{Build, Unchanged}[v%2], Reason: "not published yet"})
	}
	ds[3].Action, ds[3].Reason = Replace, `other content, and publish: "replace"`
	ds = append(ds,
		Decision{Image: image("store", "1.29.8", "palette-learn", 8, facts, "sha256:run"), Action: Build, Reason: "not published yet"},
		Decision{Image: image("store", "1.30.4", "palette-learn", 8, facts, "sha256:run"), Action: Unchanged, Before: "sha256:4f1c"},
		Decision{Image: image("store-two-node", "1.30.4", "two-node", 19, two, "sha256:base"), Action: Refused, Code: "CV0401",
			Reason: "published with other content: overlay/etc/motd changed", Help: `revision: 2 makes a new tag; publish: "replace" or --replace moves this one`},
		Decision{Image: plan.Image{Reference: "docker.io/acme/ubuntu:k3s-1.28.5-v4.4.12-old", Family: "kiosk-old"}, Action: Kept, Reason: "published, no longer declared"},
	)
	return Plan{
		Plan: p, Manifest: "images.cue", Target: "oci:out", Decisions: ds, There: 1.9e9, Free: 71e9, Exit: 4,
		Costs: Costs{Download: 2112e6, Upload: 96e6, Store: 310e6},
	}
}

func TestPlan(t *testing.T) {
	for _, v := range voices {
		var b bytes.Buffer
		ShowPlan(&b, v.Style, fakePlan(), false)
		golden(t, "plan."+v.name, b.String())
	}
	var b bytes.Buffer
	ShowPlan(&b, Style{}, fakePlan(), true)
	golden(t, "plan.full", b.String())
}

// TestPlanHidesNothing checks that what replaces or refuses is in the folded
// text, whatever else is.
func TestPlanHidesNothing(t *testing.T) {
	var b bytes.Buffer
	p := fakePlan()
	ShowPlan(&b, Style{}, p, false)
	for _, d := range p.Decisions {
		_, short := splitReference(d.Image.Reference)
		if (d.Action == Replace || d.Action == Refused) && !strings.Contains(b.String(), short) {
			t.Errorf("%s %s is folded away", d.Action, short)
		}
	}
}

func TestPlanJSON(t *testing.T) {
	p := fakePlan()
	p.Decisions = p.Decisions[13:]
	var b bytes.Buffer
	if err := PlanJSON(&b, p); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", b.String())
}

func TestList(t *testing.T) {
	images := fakePlan().Plan.Images[12:]
	for _, v := range voices {
		var b bytes.Buffer
		if err := List(&b, v.Style, Text, images, nil); err != nil {
			t.Fatal(err)
		}
		golden(t, "list."+v.name, b.String())
	}
	var b bytes.Buffer
	if err := List(&b, Style{}, JSON, images[len(images)-1:], nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "list.json", b.String())
}
