package policy

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"canvos.dev/compile/plan"
)

// State is one side of a review, with all manifests found there.
type State struct {
	Side
	Manifests []Manifest
}

// StateOf names the manifests of a side.
func StateOf(side Side, ms []Manifest) State {
	side.Manifests = []string{}
	for _, m := range ms {
		side.Manifests = append(side.Manifests, m.Name)
	}
	return State{side, ms}
}

// Comparison is two sides, family by family.
type Comparison struct {
	Base, Head State
	Pairs      []Pair
	Images     Counts
	Bytes      Bytes

	lines  map[string][]*Family // of base, by image line
	merged map[string]string    // image lines of base, by reference
}

// Pair is one family at both sides; one of them is nil if it comes or goes.
type Pair struct {
	Before, After *Family
	// InBefore and InAfter are the manifests they are in.
	InBefore, InAfter *Manifest
	Change            Change
	// Effect says that the change does anything at all.
	Effect bool

	// whose are the manifests whose policies judge it: those it is and was in; and
	// if it is in a new one, all that families left, since it may be one of these
	// under another name.
	whose []string
}

// Family is the one that is judged: the newer.
func (p *Pair) Family() *Family {
	if p.After != nil {
		return p.After
	}
	return p.Before
}

// In is the manifest that it is in.
func (p *Pair) In() *Manifest {
	if p.After != nil {
		return p.InAfter
	}
	return p.InBefore
}

// Compare says what becomes of each family and image.
func Compare(base, head State) *Comparison {
	guessWhereNeeded(base.Manifests, head.Manifests)
	c := &Comparison{Base: base, Head: head}
	c.pair()
	old, was := together(base.Manifests)
	new, is := together(head.Manifests)
	byFamily := map[*Family][]plan.Change{}
	for _, change := range plan.Diff(old, new) {
		if change.New != nil {
			f := is[change.Reference]
			byFamily[f] = append(byFamily[f], change)
		} else {
			f := was[change.Reference]
			byFamily[f] = append(byFamily[f], change)
		}
	}
	for i := range c.Pairs {
		p := &c.Pairs[i]
		c.describe(p, byFamily)
	}
	c.Bytes.Read = toRead(new, c.Pairs)
	return c
}

// guessWhereNeeded compares manifests without a plan by what they say.
func guessWhereNeeded(base, head []Manifest) {
	for i := range head {
		if len(head[i].Plan.Images) == 0 && hasImages(&head[i]) {
			guessBoth(head[i].Name, base, head)
		}
	}
	for i := range base {
		if len(base[i].Plan.Images) == 0 && hasImages(&base[i]) {
			guessBoth(base[i].Name, base, head)
		}
	}
}

func hasImages(m *Manifest) bool {
	return slices.ContainsFunc(m.Families, func(f Family) bool { return len(f.Images) > 0 })
}

// guessBoth guesses the manifest of a name at both sides; where a side has none
// of that name, all of it.
func guessBoth(name string, sides ...[]Manifest) {
	for _, ms := range sides {
		some := slices.ContainsFunc(ms, func(m Manifest) bool { return m.Name == name })
		for i := range ms {
			if ms[i].Name == name || !some {
				guess(&ms[i])
				ms[i].Plan = plan.Plan{}
			}
		}
	}
}

// together are the plans of all manifests as one, and the family of each reference.
func together(ms []Manifest) (plan.Plan, map[string]*Family) {
	var all plan.Plan
	of := map[string]*Family{}
	steps, sources := map[plan.Digest]bool{}, map[plan.Source]bool{}
	for i := range ms {
		m := &ms[i]
		all.Recipe, all.Format = max(all.Recipe, m.Plan.Recipe), max(all.Format, m.Plan.Format)
		for _, s := range m.Plan.Steps {
			if !steps[s.ID] {
				steps[s.ID] = true
				all.Steps = append(all.Steps, s)
			}
		}
		for _, s := range m.Plan.Sources {
			if !sources[s] {
				sources[s] = true
				all.Sources = append(all.Sources, s)
			}
		}
		for n := range m.Families {
			f := &m.Families[n]
			for _, img := range f.Images {
				if of[img.Reference] == nil { // else a collision, which is a finding
					of[img.Reference] = f
					all.Images = append(all.Images, plan.Image{
						Reference: img.Reference, Family: f.Name, KubernetesVersion: img.Version, Platforms: img.Platforms,
						Facts: img.Facts, Step: img.Step, Publish: img.Publish, At: img.At,
					})
				}
			}
		}
	}
	return all, of
}

// pair finds for each family the one that it was: by what its images are and are
// called, else by the image line, which clusters follow whatever the family is
// called, else by name, else by what its images are alone. Families of head come
// first, in order.
func (c *Comparison) pair() {
	var old, new []*Pair
	c.lines, c.merged = map[string][]*Family{}, map[string]string{}
	for i := range c.Base.Manifests {
		m := &c.Base.Manifests[i]
		for n := range m.Families {
			f := &m.Families[n]
			old = append(old, &Pair{Before: f, InBefore: m})
			if f.Line != "" {
				c.lines[f.Line] = append(c.lines[f.Line], f)
			}
			for _, image := range f.Images {
				c.merged[image.Reference] = f.Line
			}
		}
	}
	for i := range c.Head.Manifests {
		m := &c.Head.Manifests[i]
		for n := range m.Families {
			new = append(new, &Pair{After: &m.Families[n], InAfter: m})
		}
	}
	taken := map[*Pair]bool{}
	for _, same := range []func(*Manifest, *Family) string{contentKey, inLine(ownNameKey), inLine(nameKey), lineKey, ownNameKey, stepsKey, nameKey} {
		left := map[string][]*Pair{}
		for _, was := range old {
			if k := same(was.InBefore, was.Before); !taken[was] && k != "" {
				left[k] = append(left[k], was)
			}
		}
		for _, p := range new {
			k := same(p.InAfter, p.After)
			if was := left[k]; p.Before == nil && len(was) > 0 {
				p.Before, p.InBefore = was[0].Before, was[0].InBefore
				taken[was[0]] = true
				left[k] = was[1:]
			}
		}
	}
	for _, p := range new {
		c.Pairs = append(c.Pairs, *p)
	}
	for _, was := range old {
		if !taken[was] {
			c.Pairs = append(c.Pairs, *was)
		}
	}
	c.own()
}

// own says whose each pair is.
func (c *Comparison) own() {
	left := c.deserted()
	for i := range c.Pairs {
		p := &c.Pairs[i]
		p.whose = []string{p.In().Name}
		if p.InBefore != nil {
			p.whose = append(p.whose, p.InBefore.Name)
		}
		if p.After != nil && named(c.Base.Manifests, p.InAfter.Name) == nil {
			p.whose = append(p.whose, left...)
		}
		slices.Sort(p.whose)
		p.whose = slices.Compact(p.whose)
	}
}

// deserted are the manifests of base that are gone, or that a family left.
func (c *Comparison) deserted() []string {
	var left []string
	for _, m := range c.Base.Manifests {
		if c.manifest(m.Name) == nil || slices.ContainsFunc(c.Pairs, func(p Pair) bool {
			return p.InBefore != nil && p.InBefore.Name == m.Name && p.In().Name != m.Name || p.After == nil && p.InBefore.Name == m.Name
		}) {
			left = append(left, m.Name)
		}
	}
	return left
}

// manifest is that of head with a name.
func (c *Comparison) manifest(name string) *Manifest { return named(c.Head.Manifests, name) }

func named(ms []Manifest, name string) *Manifest {
	for i := range ms {
		if ms[i].Name == name {
			return &ms[i]
		}
	}
	return nil
}

// before are the families whose hosts would take what a family at head builds:
// those of its image line, or if that is new the family that it was. A family of
// a line that several make up is compared with itself alone.
func (c *Comparison) before(p *Pair) []*Family {
	switch of := c.lines[p.After.Line]; {
	case len(of) > 0 && (p.Before == nil || p.Before.Line != p.After.Line):
		return of
	case p.Before != nil:
		return []*Family{p.Before}
	}
	return nil
}

// contentKey is what a family's images are and are called.
func contentKey(_ *Manifest, f *Family) string {
	key := ""
	for _, i := range f.Images {
		key += i.Reference + " " + string(i.Step) + "\n"
	}
	return key
}

// ownNameKey pairs families of one name in one manifest.
func ownNameKey(m *Manifest, f *Family) string { return m.Name + "\x00" + f.Name }

// inLine adds the image line to a key.
func inLine(key func(*Manifest, *Family) string) func(*Manifest, *Family) string {
	return func(m *Manifest, f *Family) string {
		if f.Line == "" {
			return ""
		}
		return key(m, f) + "\x00" + f.Line
	}
}

// lineKey is the image line.
func lineKey(_ *Manifest, f *Family) string { return f.Line }

// stepsKey is what a family's images are, under whatever reference.
func stepsKey(_ *Manifest, f *Family) string {
	var steps []string
	for _, i := range f.Images {
		steps = append(steps, string(i.Step))
	}
	slices.Sort(steps)
	key := ""
	for _, s := range steps {
		key += s + "\n"
	}
	return key
}

// nameKey pairs families of one name in different manifests.
func nameKey(_ *Manifest, f *Family) string { return f.Name }

// describe fills in the change of a pair.
func (c *Comparison) describe(p *Pair, images map[*Family][]plan.Change) {
	f := p.Family()
	ch := &p.Change
	ch.Family, ch.At = f.Name, f.At
	ch.Before, ch.After = map[string]any{}, map[string]any{}
	ch.Manifest = p.In().Name
	if p.Before != nil && p.After != nil && p.Before.Name != p.After.Name {
		ch.Renamed = p.Before.Name
	}
	changes := images[f]
	if c.unread(p) {
		if p.After != nil {
			p.differences()
		}
		ch.Kind, p.Effect = Changed, true
		if p.After != nil {
			ch.Why = why(p, nil)
		}
		ch.Why = append(ch.Why, "its images are not known: the manifest has errors")
		return
	}
	if p.Before != nil && p.After != nil {
		// What base had and head has not at all.
		for _, one := range images[p.Before] {
			if one.Kind == plan.Removed {
				changes = append(changes, one)
			}
		}
	}
	kinds := map[Kind]bool{}
	for _, one := range changes {
		kind := imageKinds[one.Kind]
		c.Images.add(kind)
		if one.Kind == plan.Unchanged {
			ch.Unchanged++
			continue
		}
		kinds[kind] = true
		ch.Images = append(ch.Images, ImageChange{Reference: one.Reference, Was: one.Was, Kind: kind, Why: p.whyImage(one)})
	}
	slices.SortFunc(ch.Images, func(a, b ImageChange) int { return cmp.Compare(a.Reference, b.Reference) })
	p.differences()
	ch.Why = why(p, changes)
	ch.Kind = kindOf(p, kinds)
	p.Effect = ch.Kind != None
	ch.Digest = p.digest()
}

// unread says that a manifest's errors keep from knowing what becomes of a family.
func (c *Comparison) unread(p *Pair) bool {
	if p.After != nil {
		return len(p.After.Images) == 0 && p.InAfter.wrong(p.After.Name)
	}
	m := c.manifest(p.InBefore.Name)
	return m != nil && m.wrong(p.Before.Name)
}

var imageKinds = map[plan.ChangeKind]Kind{
	plan.Added: Added, plan.Removed: Removed, plan.Rebuilt: Rebuilt, plan.Retagged: Retagged, plan.Unchanged: None,
}

func (c *Counts) add(k Kind) {
	switch k {
	case Added:
		c.Added++
	case Removed:
		c.Removed++
	case Rebuilt:
		c.Rebuilt++
	case Retagged:
		c.Retagged++
	default:
		c.Unchanged++
	}
}

// Total is how many images are touched.
func (c Counts) Total() int { return c.Added + c.Removed + c.Rebuilt + c.Retagged }

func kindOf(p *Pair, kinds map[Kind]bool) Kind {
	switch {
	case p.Before == nil:
		return Added
	case p.After == nil:
		return Removed
	case kinds[Rebuilt]:
		return Rebuilt
	case kinds[Added] || kinds[Removed]:
		return Changed
	case kinds[Retagged]:
		return Retagged
	case len(p.Change.Before)+len(p.Change.After) > 0:
		return Changed
	case p.Change.Renamed != "":
		return Renamed
	}
	return None
}

// differences writes down the values that differ.
func (p *Pair) differences() {
	before, after := values(p.Before), values(p.After)
	for _, path := range union(before, after) {
		a, had := before[path]
		b, has := after[path]
		if had == has && reflect.DeepEqual(a, b) || p.unknown(path) {
			continue
		}
		if had {
			p.Change.Before[path] = a
		}
		if has {
			p.Change.After[path] = b
		}
	}
}

// unknown says that one side is a plan, which does not tell a value.
func (p *Pair) unknown(path string) bool {
	told := []string{"canvos", "os.distribution", "os.version", "kubernetes.distribution", "kubernetes.versions", "channel", "publish", "techPreview", "twoNode", "fips", "uki"}
	return p.Before != nil && p.After != nil && (p.Before.Partial || p.After.Partial) && !slices.Contains(told, path)
}

// values are those of a family by path, with the digests of its files. What
// silences warnings has no effect.
func values(f *Family) map[string]any {
	all := map[string]any{}
	if f == nil {
		return all
	}
	for path, v := range f.Values {
		// A flag that is not set is false; but whether the 4.10 line was told
		// where Kubernetes lies is a value of its own.
		if !isAcknowledge(path) && (v.V != false || path == "bundleKubernetes") {
			all[path] = v.V
		}
	}
	for name, d := range f.Files {
		all["file:"+name] = string(d)
	}
	return all
}

func union(a, b map[string]any) []string {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	return slices.Sorted(maps.Keys(keys))
}

// digest names a change: what its images were and are.
func (p *Pair) digest() plan.Digest {
	type image struct {
		Reference string      `json:"reference"`
		Step      plan.Digest `json:"step"`
	}
	list := func(f *Family) []image {
		all := []image{}
		if f != nil {
			for _, i := range f.Images {
				all = append(all, image{i.Reference, i.Step})
			}
		}
		return all
	}
	b, err := plan.Canonical(struct {
		Before []image `json:"before"`
		After  []image `json:"after"`
	}{list(p.Before), list(p.After)})
	if err != nil {
		panic(err) // texts encode
	}
	return plan.DigestOf(b)
}

// toRead is the bytes of the sources of all images that are added or rebuilt.
func toRead(p plan.Plan, pairs []Pair) int64 {
	steps := map[plan.Digest]plan.Step{}
	for _, s := range p.Steps {
		steps[s.ID] = s
	}
	of := map[string]plan.Digest{}
	for _, i := range p.Images {
		of[i.Reference] = i.Step
	}
	used, seen := map[plan.Digest]bool{}, map[plan.Digest]bool{}
	var walk func(plan.Digest)
	walk = func(id plan.Digest) {
		if seen[id] {
			return
		}
		seen[id] = true
		for _, d := range steps[id].Op.Sources() {
			used[d] = true
		}
		for _, n := range steps[id].Needs {
			walk(n)
		}
	}
	for _, pair := range pairs {
		for _, i := range pair.Change.Images {
			if i.Kind == Added || i.Kind == Rebuilt {
				walk(of[i.Reference])
			}
		}
	}
	var n int64
	for _, s := range p.Sources {
		if used[s.Digest] {
			n += s.Size
			delete(used, s.Digest)
		}
	}
	return n
}
