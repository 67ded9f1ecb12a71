package compile

import (
	"slices"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Image is one image that a manifest stands for, before anything is known of
// how it is made.
type Image struct {
	Reference string // complete: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"
	Line      string // "docker.io/acme/ubuntu:k3s-*-demo"
	Family    *Family
	Version   string   // of Kubernetes
	Platforms []string // "linux/amd64", sorted
	Facts     plan.Facts
	Publish   string   // "once" or "replace"
	At        plan.Pos // of the version, or of what it is expanded from
}

// Images says which images a manifest stands for: families in the manifest's
// order, each with its versions in theirs. Ranges stand for what the lock
// recorded, or without an entry for what the catalog has.
//
// The problems are those between images: references that collide, and facts
// of a line that may not change. A family that Check finds an error in may be
// missing; Images does not say why again.
func Images(m *Manifest, lk *lock.File) ([]Image, []*problem.Problem) {
	var images []Image
	var problems []*problem.Problem
	rel := releasesOf(m)
	for i := range m.Families {
		f := &m.Families[i]
		r, err := rel.find(f.Release.V)
		if err != nil {
			continue
		}
		versions, ps := recorded(f, r, lk)
		problems = append(problems, ps...)
		for _, v := range versions {
			images = append(images, imageOf(f, r, v))
		}
	}
	problems = append(problems, Collisions([][]Image{images})...)
	problems = append(problems, changed(images, lk)...)
	return images, problem.Sort(problems)
}

func imageOf(f *Family, r *catalog.Release, v expanded) Image {
	agent := agentOf(f, r)
	return Image{
		Reference: referenceOf(f, v.version, agent),
		Line:      lineOf(f),
		Family:    f,
		Version:   v.version,
		Platforms: platformsOf(f),
		Facts: plan.Facts{
			Release:                f.Release.V,
			AgentVersion:           agent,
			OSDistribution:         f.OS.Distribution.V,
			OSVersion:              f.OS.Version.V,
			KubernetesDistribution: f.Kubernetes.Distribution.V,
			Channel:                channelOf(f),
			TechPreview:            f.TechPreview.V,
			TwoNode:                f.TwoNode.V,
			FIPS:                   f.FIPS.V,
			UKI:                    f.UKI.V,
		},
		Publish: publishOf(f),
		At:      v.at,
	}
}

// LineFacts are the facts of the lines that images belong to, as a lock records
// them. A line's platforms are those of all its images.
func LineFacts(images []Image) map[string]lock.LineFacts {
	lines := map[string]lock.LineFacts{}
	for _, img := range images {
		facts, ok := lines[img.Line]
		if !ok {
			facts = lock.LineFacts{TwoNode: img.Facts.TwoNode, FIPS: img.Facts.FIPS, UKI: img.Facts.UKI, OSDistribution: img.Facts.OSDistribution}
		}
		for _, p := range img.Platforms {
			if !slices.Contains(facts.Platforms, p) {
				facts.Platforms = append(slices.Clip(facts.Platforms), p)
			}
		}
		slices.Sort(facts.Platforms)
		lines[img.Line] = facts
	}
	return lines
}

// agentOf is the agent's version in a family's tags: the catalog's word for the
// release, which is not always the release's own number.
func agentOf(f *Family, r *catalog.Release) string {
	if f.Components.Agent.V != "" {
		return f.Components.Agent.V
	}
	return r.AgentVersion
}

func archesOf(f *Family) []string {
	if len(f.Arch) == 0 {
		return []string{"amd64"}
	}
	var arches []string
	for _, a := range f.Arch {
		arches = append(arches, a.V)
	}
	slices.Sort(arches)
	return slices.Compact(arches)
}

func platformsOf(f *Family) []string {
	platforms := archesOf(f)
	for i, a := range platforms {
		platforms[i] = "linux/" + a
	}
	return platforms
}

func channelOf(f *Family) string {
	if f.Channel.V == "" {
		return "production"
	}
	return f.Channel.V
}

func publishOf(f *Family) string {
	switch {
	case f.Publish.V != "" && f.Publish.Set:
		return f.Publish.V
	case channelOf(f) == "development":
		return "replace"
	}
	return "once"
}
