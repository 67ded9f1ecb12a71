package compile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
)

// Moves is what becomes other for the images of a manifest from one CanvOS release
// to another: the Kubernetes versions that its families ask for, the agent in
// their tags, and the images they are made of. Families are taken as they are
// written, whatever release they name. An unknown release is a
// *catalog.UnknownError.
func Moves(m *Manifest, before, after string) ([]catalog.Change, error) {
	rel := releasesOf(m)
	a, err := rel.find(before)
	if err != nil {
		return nil, err
	}
	b, err := rel.find(after)
	if err != nil {
		return nil, err
	}
	all := moves{}
	for i := range m.Families {
		all.family(m, m.Families[i], a, b)
	}
	kinds := []string{"version", "component", "image"}
	return slices.SortedFunc(maps.Values(all), func(x, y catalog.Change) int {
		if x.Kind == "version" && y.Kind == "version" {
			distribution, version, _ := strings.Cut(x.Name, " ")
			other, than, _ := strings.Cut(y.Name, " ")
			return cmp.Or(cmp.Compare(distribution, other), catalog.CompareVersions(version, than))
		}
		return cmp.Or(cmp.Compare(slices.Index(kinds, x.Kind), slices.Index(kinds, y.Kind)), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Before, y.Before))
	}), nil
}

// moves are changes, each once, however many families share it.
type moves map[string]catalog.Change

func (all moves) add(kind, name, before, after string) {
	c := catalog.Change{Kind: kind, Name: name, Before: before, After: after, Effect: "changed"}
	switch {
	case before == after:
		return
	case before == "":
		c.Effect = "added"
	case after == "":
		c.Effect = "removed"
	}
	all[kind+" "+name+" "+before+" "+after] = c
}

func (all moves) family(m *Manifest, f Family, a, b *catalog.Release) {
	in := func(r *catalog.Release) (*Family, []expanded) {
		moved := f
		moved.Release.V = r.Tag
		versions, _ := recorded(&moved, r, nil)
		return &moved, versions
	}
	was, before := in(a)
	is, after := in(b)
	all.add("component", "agentVersion", agentOf(was, a), agentOf(is, b))

	var shared []expanded
	for _, v := range before {
		if holds(after, v) {
			shared = append(shared, v)
		} else {
			all.add("version", f.Kubernetes.Distribution.V+" "+v.version, v.version, "")
		}
	}
	for _, v := range after {
		if !holds(before, v) {
			all.add("version", f.Kubernetes.Distribution.V+" "+v.version, "", v.version)
		}
	}
	for _, v := range shared {
		all.parts(partsOf(m, was, a, v), partsOf(m, is, b, v))
	}
	if one := append(after, before...); len(shared) == 0 && len(one) > 0 {
		// What the versions have in common stays in sight.
		x, y := partsOf(m, was, a, one[0]), partsOf(m, is, b, one[0])
		packaged := func(p part, _ string) bool { return p.version != "" }
		maps.DeleteFunc(x, packaged)
		maps.DeleteFunc(y, packaged)
		all.parts(x, y)
	}
}

func holds(versions []expanded, v expanded) bool {
	return slices.ContainsFunc(versions, func(e expanded) bool { return e.version == v.version })
}

func (all moves) parts(a, b map[part]string) {
	for p := range a {
		all.add("image", p.name(), a[p], b[p])
	}
	for p := range b {
		all.add("image", p.name(), a[p], b[p])
	}
}

// part is what an image is used for: "Palette agent". version is Kubernetes's, of
// its package: "k3s 1.30.4".
type part struct{ what, version, platform string }

func (p part) name() string {
	if p.version != "" {
		return p.what + " " + p.version + " " + p.platform
	}
	return p.what + " " + p.platform
}

// parts are inputs that only writes down which images it is asked for.
type parts struct {
	version string
	images  map[part]string
}

func (p *parts) image(reference, platform string, by asker) plan.Digest {
	key := part{what: by.what, platform: platform}
	if by.path == "kubernetes.versions" {
		key.version = p.version
	}
	p.images[key] = reference
	return ""
}

func (p *parts) local(name string, _ asker) localInput { return localInput{name: name} }

// partsOf are the images that one version of a family is made of.
func partsOf(m *Manifest, f *Family, r *catalog.Release, v expanded) map[part]string {
	p := &parts{f.Kubernetes.Distribution.V + " " + v.version, map[part]string{}}
	walkRecipes(m, nil, []Image{imageOf(f, r, v)}, p)
	return p.images
}
