package policy

import (
	"slices"
	"strings"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// place is where a reference is read from.
type place struct {
	name     string // a reference, or "oci:DIR" and its like
	registry bool
	at       plan.Pos // of the entry of sources; none if it is the reference itself
}

// place is where a manifest has a complete reference read from: the longest entry
// of sources that it begins with holds, as schema.#Sources says.
func (m *Manifest) place(reference string) place {
	found, length := place{name: reference, registry: true}, -1
	for _, r := range m.Sources {
		from := normalPrefix(r.Reference)
		rest, ok := strings.CutPrefix(reference, from)
		if !ok || rest != "" && !strings.ContainsRune("/:@", rune(rest[0])) || len(from) <= length {
			continue
		}
		to := strings.TrimSuffix(r.Place.V, "/")
		kind, _, _ := strings.Cut(to, ":")
		switch kind {
		case "dir":
			if rest != "" {
				continue // it is one image
			}
			fallthrough
		case "oci", "oci-archive", "docker-archive":
			found = place{name: to, at: r.Place.At}
		default:
			found = place{name: to + rest, registry: true, at: r.Place.At}
			if normal, err := compile.NormalReference(found.name); err == nil {
				found.name = normal
			}
		}
		length = len(from)
	}
	return found
}

// normalPrefix is a reference, or the beginning of one, as plans spell it.
func normalPrefix(reference string) string {
	reference = strings.TrimSuffix(reference, "/")
	if normal, err := compile.NormalReference(reference); err == nil && strings.ContainsAny(reference[strings.LastIndexByte(reference, '/')+1:], ":@") {
		return normal
	}
	return compile.NormalName(reference)
}

// move is a reference that is read from another place than before.
type move struct {
	reference string
	from, to  place
	other     bool // what is read there is not what it was
}

// moves are those of a manifest at head, compared with the one it was, by reference.
func (c *Comparison) moves(m *Manifest) []move {
	was := named(c.Base.Manifests, m.Name)
	for i := range c.Pairs {
		if p := &c.Pairs[i]; was == nil && p.InAfter == m && p.InBefore != nil {
			was = p.InBefore // it is in another directory
		}
	}
	if was == nil || len(was.Sources)+len(m.Sources) == 0 {
		return nil
	}
	before := map[string]plan.Digest{}
	for _, s := range was.Plan.Sources {
		before[s.Reference+" "+s.Platform] = s.Digest
	}
	var all []move
	for _, s := range m.Plan.Sources {
		a, b := was.place(s.Reference), m.place(s.Reference)
		if isLocal(s.Reference) || a.name == b.name {
			continue
		}
		d, known := before[s.Reference+" "+s.Platform]
		if !known {
			continue // newly used: what it is made of is an effect
		}
		other := d != s.Digest
		if n := len(all) - 1; n >= 0 && all[n].reference == s.Reference {
			all[n].other = all[n].other || other
			continue
		}
		all = append(all, move{s.Reference, a, b, other})
	}
	return all
}

// judgeSources finds references that are read from another place.
func judgeSources(j *judgement) {
	for i := range j.Head.Manifests {
		m := &j.Head.Manifests[i]
		// One entry may be of many references: they are told together.
		type entry struct {
			from, to plan.Pos
			other    bool
		}
		told := map[entry][]move{}
		var order []entry
		for _, mv := range j.moves(m) {
			e := entry{mv.from.at, mv.to.at, mv.other}
			if told[e] == nil {
				order = append(order, e)
			}
			told[e] = append(told[e], mv)
		}
		for _, e := range order {
			first := told[e][0]
			f := Finding{
				Message: first.reference + " is read from " + first.to.name + ", before from " + first.from.name, Manifest: m.Name,
				Reference: first.reference, At: or(e.to, e.from),
			}
			if more := len(told[e]) - 1; more > 0 {
				f.Message += ", and so with " + count(more, "more reference")
			}
			if e.other {
				f.Message += "; what is read there is another image"
				f.Help = "find out who made it, and from what"
			} else {
				f.Severity = SeverityInfo
				f.Message += "; the images are the same"
			}
			j.find(nil, f)
		}
	}
}

// judgeAllowed looks at the base images of what is made by this change, and of what
// is read from another place by it.
func judgeAllowed(j *judgement) {
	moved := map[*Manifest][]move{}
	for i := range j.Head.Manifests {
		moved[&j.Head.Manifests[i]] = j.moves(&j.Head.Manifests[i])
	}
	for i := range j.Pairs {
		p := &j.Pairs[i]
		if p.After == nil || !p.Effect && len(moved[p.InAfter]) == 0 || len(j.setting("", p).Allow) == 0 {
			continue
		}
		judge := func(path, ref string) {
			if normal, err := compile.NormalReference(ref); err == nil {
				ref = normal
			}
			if p.Effect || slices.ContainsFunc(moved[p.InAfter], func(m move) bool { return m.reference == ref }) {
				j.allowed(p, path, ref)
			}
		}
		for path, ref := range bases(p.After) {
			judge(path, ref)
		}
		for _, ref := range p.InAfter.basesOf(p.After) {
			judge("os.image", ref)
		}
	}
}

func (j *judgement) allowed(p *Pair, path, ref string) {
	from := p.InAfter.place(ref)
	for _, list := range j.setting("", p).Allow {
		allows := func(ref string) bool {
			return slices.ContainsFunc(list, func(prefix string) bool { return begins(ref, prefix) })
		}
		switch names := strings.Join(list, " or "); {
		case !allows(ref):
			j.family(p, path, "the base image "+ref+" is not from "+names, "mirror it there, and name it in os.image")
			return
		case from.registry && !allows(from.name):
			j.find(p, Finding{
				Message: "the base image " + ref + " is read from " + from.name + ", which is not from " + names,
				Help:    "take the entry out of sources, or have that registry allowed", Reference: p.After.Line, At: from.at,
			})
			return
		}
	}
}

// begins says that a reference begins with another, or with a part of it.
func begins(ref, prefix string) bool {
	rest, ok := strings.CutPrefix(ref, normalPrefix(prefix))
	return ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0])))
}
