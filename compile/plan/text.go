package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Text is a plan for people: sources, steps with what they do, images, and the
// digest last. It says everything that the digest covers.
func (p Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %d, recipe %d, format %d\n", p.Version, p.Recipe, p.Format)
	for _, s := range p.Sources {
		fmt.Fprintf(&b, "\nsource %s\n  %s %d bytes\n", strings.TrimSpace(s.Reference+" "+s.Platform), s.Digest, s.Size)
	}
	names := p.names()
	numbers := map[Digest]int{}
	for i, s := range p.Steps {
		numbers[s.ID] = i + 1
		fmt.Fprintf(&b, "\nstep %d %s", i+1, s.Name)
		for j, n := range s.Needs {
			separator := ", "
			if j == 0 {
				separator = " on "
			}
			fmt.Fprintf(&b, "%s%d", separator, numbers[n])
		}
		b.WriteString("\n")
		for _, line := range s.Op.lines(names) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		fmt.Fprintf(&b, "  = %s\n", s.ID)
	}
	for _, i := range p.Images {
		fmt.Fprintf(&b, "\nimage %s\n  step %d, %s, %s\n", i.Reference, numbers[i.Step], strings.Join(i.Platforms, " "), pairs(i.Facts.Annotations()))
	}
	fmt.Fprintf(&b, "\n%s\n", p.Digest)
	return b.String()
}

// names are the references by which people know sources.
func (p Plan) names() map[Digest]string {
	names := map[Digest]string{}
	for _, s := range p.Sources {
		if _, ok := names[s.Digest]; !ok { // of equal ones, the first
			names[s.Digest] = s.Reference
		}
	}
	return names
}

func name(names map[Digest]string, d Digest) string {
	if n, ok := names[d]; ok {
		return n
	}
	return string(d)
}

// lines say what an operation does, with sources by name.
func (o Op) lines(names map[Digest]string) []string {
	switch {
	case o.Base != nil:
		prepared := ""
		if o.Base.Prepared {
			prepared = ", prepared"
		}
		return []string{"base " + name(names, o.Base.Source) + " for " + o.Base.Platform + prepared}
	case o.Files != nil:
		lines := []string{"files " + o.Files.Compression + " " + o.Files.Epoch}
		for _, a := range o.Files.Actions {
			lines = append(lines, "  "+a.text(names))
		}
		return lines
	case o.Run != nil:
		return o.Run.lines(names)
	case o.Image != nil:
		return o.Image.lines()
	}
	return nil
}

// lines say once what annotations, labels and facts have in common.
func (o *ImageOp) lines() []string {
	lines := []string{"image " + strings.Join(o.Platforms, " ") + " " + o.Epoch, "  annotations " + pairs(o.Annotations)}
	if facts := o.Facts.Annotations(); !within(facts, o.Annotations) {
		lines = append(lines, "  facts "+pairs(facts))
	}
	switch {
	case !within(o.Annotations, o.Labels):
		return append(lines, "  labels "+pairs(o.Labels))
	case len(o.Labels) > len(o.Annotations):
		own := maps.Clone(o.Labels)
		maps.DeleteFunc(own, func(k, _ string) bool { _, ok := o.Annotations[k]; return ok })
		return append(lines, "  labels too, and "+pairs(own))
	}
	return append(lines, "  labels too")
}

// within says whether b has all that a has.
func within(a, b map[string]string) bool {
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func (r *Run) lines(names map[Digest]string) []string {
	first := "run on " + r.Platform
	if r.Network {
		first += " with network"
	}
	if r.Refresh > 0 {
		first += fmt.Sprintf(", refreshed %d", r.Refresh)
	}
	lines := []string{first}
	for _, m := range r.Mounts {
		of := name(names, m.Source)
		if m.Step != "" {
			of = "the next step it needs"
		}
		lines = append(lines, "  mount "+m.From+" of "+of+" at "+m.To)
	}
	for _, s := range r.Secrets {
		lines = append(lines, "  secret "+s.Name)
	}
	if len(r.Env) > 0 {
		lines = append(lines, "  env "+pairs(r.Env))
	}
	for line := range strings.Lines(strings.TrimSuffix(r.Script, "\n")) {
		lines = append(lines, "  | "+strings.TrimSuffix(line, "\n"))
	}
	return lines
}

func (a Action) text(names map[Digest]string) string {
	switch {
	case a.Copy != nil:
		return a.Copy.text(names)
	case a.Write != nil:
		return "write " + a.Write.Path + " " + a.Write.Mode + fmt.Sprintf(" %q", a.Write.Content)
	case a.Mkdir != nil:
		return "mkdir " + a.Mkdir.Path + " " + a.Mkdir.Mode
	case a.Link != nil:
		return "link " + a.Link.Path + " to " + a.Link.Target
	case a.Touch != nil:
		return "touch " + a.Touch.Path + " " + a.Touch.Mode
	case a.Remove != nil:
		return "remove " + a.Remove.Path
	case a.Attr != nil:
		s := strings.TrimSpace("attr " + a.Attr.Path + " " + a.Attr.Mode)
		if a.Attr.Owner != "" {
			s += " owner " + a.Attr.Owner
		}
		if a.Attr.Optional {
			s += ", if there"
		}
		return s
	case a.Expect != nil:
		return "expect " + a.Expect.What + ", at " + strings.Join(a.Expect.Paths, " or ")
	}
	return "nothing"
}

func (c *Copy) text(names map[Digest]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "copy %s of %s to %s", c.From, name(names, c.Source), c.To)
	for _, option := range []struct {
		set  bool
		text string
	}{
		{c.Archive, "out of the archive"}, {c.Optional, "if there"}, {c.FromWorkdir, "from the working directory"}, {c.Follow, "following a link"},
		{c.EachTop, "each name by itself"}, {c.KeepTimes, "with times"}, {c.Owner != "", "owner " + c.Owner}, {c.Xattrs != "", "xattrs " + c.Xattrs},
	} {
		if option.set {
			b.WriteString(", " + option.text)
		}
	}
	return b.String()
}

func pairs(m map[string]string) string {
	words := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, k+"="+m[k])
	}
	return strings.Join(words, " ")
}
