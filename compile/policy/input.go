package policy

import (
	"slices"
	"strconv"
	"strings"

	"canvos.dev/compile/plan"
)

// subjects are what a rule judges of a change.
func (c *Custom) subjects(of *Comparison) func(func(subject) bool) {
	switch c.Each {
	case "change":
		return func(yield func(subject) bool) {
			if s, ok := c.whole(of); ok {
				yield(s)
			}
		}
	case "image":
		return c.images(of)
	}
	return func(yield func(subject) bool) {
		for i := range of.Pairs {
			p := &of.Pairs[i]
			if !p.Effect || !c.judges(p) {
				continue
			}
			s := subject{pair: p, plain: map[string]any{"before": p.input(p.Before), "after": p.input(p.After)}}
			if c.computed && c.lifted == nil {
				s.values = c.in.encoded(s.plain)
			}
			if !yield(s) {
				return
			}
		}
	}
}

// judges says whether a rule is about a pair: a manifest's rules judge its own
// families.
func (c *Custom) judges(p *Pair) bool {
	return c.Manifest == "" || slices.Contains(p.whose, c.Manifest)
}

func (c *Custom) images(of *Comparison) func(func(subject) bool) {
	return func(yield func(subject) bool) {
		for i := range of.Pairs {
			p := &of.Pairs[i]
			if !p.Effect || !c.judges(p) {
				continue
			}
			before, after := imagesOf(p.Before), imagesOf(p.After)
			for _, change := range p.Change.Images {
				s := subject{pair: p, ref: change.Reference, plain: map[string]any{"before": nil, "after": nil}}
				old := change.Reference
				if change.Was != "" {
					old = change.Was
				}
				if b, ok := before[old]; ok && change.Kind != Added {
					s.plain["before"] = imageInput(b, change.Kind)
				}
				if a, ok := after[change.Reference]; ok && change.Kind != Removed {
					s.plain["after"] = imageInput(a, change.Kind)
				}
				if c.computed && c.lifted == nil {
					s.values = c.in.encoded(s.plain)
				}
				if !yield(s) {
					return
				}
			}
		}
	}
}

func imagesOf(f *Family) map[string]Image {
	m := map[string]Image{}
	if f != nil {
		for _, i := range f.Images {
			m[i.Reference] = i
		}
	}
	return m
}

// whole is the change as one subject; false if none of it is the rule's.
func (c *Custom) whole(of *Comparison) (subject, bool) {
	changes, images := map[string]any{}, []any{}
	for name, p := range c.named(of) {
		changes[name] = map[string]any{"before": p.input(p.Before), "after": p.input(p.After), "kind": string(p.Change.Kind), "digest": string(p.Change.Digest)}
		for _, one := range p.Change.Images {
			images = append(images, map[string]any{"reference": one.Reference, "family": name, "kind": string(one.Kind)})
		}
	}
	n := of.Images
	s := subject{plain: map[string]any{
		"changes": changes, "images": images,
		"totals": map[string]any{"added": n.Added, "removed": n.Removed, "rebuilt": n.Rebuilt, "retagged": n.Retagged, "unchanged": n.Unchanged},
	}}
	if c.computed {
		s.values = c.in.encoded(s.plain)
	}
	return s, len(changes) > 0
}

// named are the changed families that a rule judges, by the names that it has for
// them: a second one of a name is "MANIFEST:NAME".
func (c *Custom) named(of *Comparison) func(func(string, *Pair) bool) {
	return func(yield func(string, *Pair) bool) {
		taken := map[string]bool{}
		for i := range of.Pairs {
			p := &of.Pairs[i]
			if !p.Effect || !c.judges(p) {
				continue
			}
			name := p.Family().Name
			if taken[name] {
				name = p.In().Name + ":" + name
			}
			for taken[name] { // it goes, and another of its name comes
				name += "'"
			}
			taken[name] = true
			if !yield(name, p) {
				return
			}
		}
	}
}

// input is a family as rules read it: the manifest's own fields with what they
// stand for, the line and the images. It is made once.
func (p *Pair) input(f *Family) any {
	if f == nil {
		return nil // null: it is not there
	}
	if f.input == nil {
		f.input = f.nested()
	}
	return f.input
}

func (f *Family) nested() map[string]any {
	out := map[string]any{"name": f.Name, "line": f.Line, "systemdExtensions": f.Extensions}
	for _, flag := range []string{"techPreview", "twoNode", "fips", "uki", "updateKernel", "cisHardening", "maas"} {
		out[flag] = false
	}
	for path, v := range f.Values {
		at, labels := out, split(path)
		for _, name := range labels[:len(labels)-1] {
			sub, ok := at[name].(map[string]any)
			if !ok {
				// A text and what lies below it cannot both be, but of an
				// overlay: its path, and modes beside it.
				sub = map[string]any{}
				if text, ok := at[name].(string); ok {
					sub["path"] = text
				}
				at[name] = sub
			}
			at = sub
		}
		last := labels[len(labels)-1]
		if sub, ok := at[last].(map[string]any); ok {
			sub["path"] = v.V
		} else {
			at[last] = v.V
		}
	}
	files, images := map[string]any{}, []any{}
	for name, d := range f.Files {
		files[name] = string(d)
	}
	for _, i := range f.Images {
		images = append(images, map[string]any{"reference": i.Reference, "kubernetesVersion": i.Version, "platforms": i.Platforms, "step": string(i.Step)})
	}
	out["files"], out["images"] = files, images
	return out
}

// split takes a path of Values apart.
func split(path string) []string {
	var labels []string
	for path != "" {
		if path[0] == '"' {
			if q, err := strconv.QuotedPrefix(path); err == nil {
				name, _ := strconv.Unquote(q) // a quoted prefix is quoted right
				labels = append(labels, name)
				path = strings.TrimPrefix(path[len(q):], ".")
				continue
			}
		}
		name, rest, _ := strings.Cut(path, ".")
		labels = append(labels, name)
		path = rest
	}
	return labels
}

func imageInput(i Image, kind Kind) map[string]any {
	return map[string]any{
		"reference": i.Reference, "kubernetesVersion": i.Version, "platforms": i.Platforms, "publish": i.Publish, "step": string(i.Step),
		"kind": string(kind), "facts": factsInput(i.Facts),
	}
}

func factsInput(f plan.Facts) map[string]any {
	return map[string]any{
		"release": f.Release, "agentVersion": f.AgentVersion, "osDistribution": f.OSDistribution, "osVersion": f.OSVersion,
		"kubernetesDistribution": f.KubernetesDistribution, "channel": f.Channel, "techPreview": f.TechPreview,
		"twoNode": f.TwoNode, "fips": f.FIPS, "uki": f.UKI,
	}
}
