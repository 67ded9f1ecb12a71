package policy

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
)

// judgeTwoNode compares the line of each image with what was declared of it,
// whatever its family was called, and with what is published.
func judgeTwoNode(j *judgement) {
	before := j.linesBefore()
	j.declared(func(p *Pair) {
		f := p.After
		for _, was := range j.linesOf(before, f) {
			if was.facts.TwoNode == f.is("twoNode") {
				continue
			}
			help := "leave " + quoted(f.Name) + " as it was, and make a new family with another tag, for example " + quoted(j.otherTag(f)) + "; move clusters by installing them anew"
			j.find(p, Finding{
				Message: "the line " + short(was.line) + " has twoNode: " + yesno(was.facts.TwoNode) + " " + was.by + " and cannot become " + yesno(f.is("twoNode")),
				Help:    help, Reference: was.line, At: f.at("twoNode"), Also: places(was.at),
			})
		}
	})
	j.published("twoNode")
}

// otherTag is a tag that makes another line of a family that flipped.
func (j *judgement) otherTag(f *Family) string {
	tag := f.text("tag")
	if f.is("twoNode") {
		return strings.TrimPrefix(tag+"-two-node", "-")
	}
	rest := strings.Trim(marked.ReplaceAllString(tag, "-"), "-._")
	taken := rest == "" || rest == tag
	j.declared(func(other *Pair) { taken = taken || other.After.text("tag") == rest })
	if taken {
		return strings.TrimPrefix(rest+"-etcd", "-")
	}
	return rest
}

// judgeLines does the same for the other facts.
func judgeLines(j *judgement) {
	before := j.linesBefore()
	platforms := map[string][]string{}
	j.declared(func(p *Pair) {
		for _, i := range p.After.Images {
			platforms[p.After.Line] = append(platforms[p.After.Line], i.Platforms...)
		}
	})
	dropped := map[string]bool{}
	j.declared(func(p *Pair) {
		for _, was := range j.linesOf(before, p.After) {
			j.fixed(p, was)
			has := append(platforms[was.line], platforms[p.After.Line]...)
			for _, platform := range was.facts.Platforms {
				if !slices.Contains(has, platform) && !dropped[was.line+platform] {
					dropped[was.line+platform] = true
					j.find(p, Finding{
						Message: "the line " + short(was.line) + " has images for " + platform + " " + was.by + ", which may not be dropped: hosts of that platform would find no image",
						Help:    "add " + quoted(strings.TrimPrefix(platform, "linux/")) + " to arch, or make a new family with another tag", Reference: was.line, At: p.After.at("arch"),
					})
				}
			}
		}
	})
	j.published("")
}

// fixed finds facts of a family that are not those of its line.
func (j *judgement) fixed(p *Pair, was lineWas) {
	f := p.After
	for _, fact := range []struct{ path, was, is, why string }{
		{"fips", yesno(was.facts.FIPS), yesno(f.is("fips")), "a cluster does not become FIPS-compliant, or cease to be, by an upgrade"},
		{"uki", yesno(was.facts.UKI), yesno(f.is("uki")), "trusted boot is set up when a host is installed"},
		{"os.distribution", was.facts.OSDistribution, f.text("os.distribution"), "hosts are not upgraded from one operating system to another"},
	} {
		if fact.was != fact.is {
			j.find(p, Finding{
				Message: "the line " + short(was.line) + " has " + fact.path + ": " + fact.was + " " + was.by + " and cannot become " + fact.is + ": " + fact.why,
				Help:    "make a new family with another tag, and leave " + quoted(f.Name) + " as it was", Reference: was.line, At: f.at(fact.path), Also: places(was.at),
			})
		}
	}
}

// published are the refusals of a registry because of the facts of a line: of
// one fact, or with "" of all but two-node.
func (j *judgement) published(fact string) {
	told := map[string]bool{}
	for _, r := range j.observed.Refusals {
		if r.Code != "CV0403" || (fact != "") != strings.Contains(r.Reason, "twoNode") {
			continue
		}
		p := j.publisher(r.Reference)
		if p == nil || told[p.After.Line] {
			continue
		}
		f := p.After
		told[f.Line] = true
		path := fact
		if path == "" {
			path = "arch"
		}
		j.find(p, Finding{
			Message:   "the registry says of the line " + short(f.Line) + ": " + r.Reason,
			Help:      "make a new family with another tag, for example " + quoted(j.otherTag(f)) + ", and leave what is published as it is",
			Reference: f.Line, At: f.at(path),
		})
	}
}

// publisher is the family at head that publishes a reference.
func (j *judgement) publisher(reference string) *Pair {
	var found *Pair
	j.declared(func(p *Pair) {
		for _, i := range p.After.Images {
			if i.Reference == reference && found == nil {
				found = p
			}
		}
	})
	return found
}

// declared are the families of head that have images, in order.
func (j *judgement) declared(each func(*Pair)) {
	for i := range j.Pairs {
		if p := &j.Pairs[i]; p.After != nil && p.After.Line != "" {
			each(p)
		}
	}
}

// marked is a tag with a part that says two-node.
var marked = regexp.MustCompile(`(^|[._-])(two-?node|2node)([._-]|$)`)

func judgeMarks(j *judgement) {
	before := j.linesBefore()
	j.declared(func(p *Pair) {
		f := p.After
		// The lock at head knows the lines that are new in it.
		if before[f.Line].base || !f.is("twoNode") || marked.MatchString(strings.ToLower(f.text("tag"))) {
			return
		}
		j.family(p, "tag", "the new two-node line "+short(f.Line)+" does not say so in its tag", "tag: "+quoted(j.otherTag(f)))
	})
}

// judgeForgotten finds lines that a lock recorded and no lock does any more, or with
// other facts.
func judgeForgotten(j *judgement) {
	kept := map[string][]lock.LineFacts{}
	for _, m := range j.Head.Manifests {
		for line, facts := range m.Recorded {
			kept[line] = append(kept[line], facts)
		}
	}
	for i := range j.Base.Manifests {
		m := &j.Base.Manifests[i]
		head := j.manifest(m.Name)
		if head != nil && (head.NoLock || len(head.Recorded) == 0 && len(head.Stale) > 0) {
			continue // judgeLocks says so
		}
		for _, line := range slices.Sorted(maps.Keys(m.Recorded)) {
			was := m.Recorded[line]
			if slices.ContainsFunc(kept[line], func(is lock.LineFacts) bool { return otherFacts(was, is) == "" }) {
				continue
			}
			f := Finding{
				Message:  "the lock of " + m.Name + " no longer records the line " + short(line),
				Help:     "take the entry back; if no cluster follows the line, a waiver that is merged before says so",
				Manifest: m.Name, Reference: line, At: plan.Pos{File: lockName(m.Name)},
			}
			switch {
			case len(kept[line]) > 0:
				f.Message = "the lock of " + m.Name + " records of the line " + short(line) + " " + otherFacts(was, kept[line][0])
			case head == nil:
				f.Message = "the lock of " + m.Name + " is gone, and nothing records the line " + short(line) + " any more"
				f.Help = "move its facts into the lock of another manifest; if no cluster follows the line, a waiver that is merged before says so"
				f.At = plan.Pos{}
			}
			j.find(nil, f)
		}
	}
}

// otherFacts are the first of a line that are not what they were; "" if none are.
// Platforms may be added.
func otherFacts(was, is lock.LineFacts) string {
	for _, fact := range []struct{ name, was, is string }{
		{"twoNode", yesno(was.TwoNode), yesno(is.TwoNode)}, {"fips", yesno(was.FIPS), yesno(is.FIPS)}, {"uki", yesno(was.UKI), yesno(is.UKI)},
		{"os.distribution", was.OSDistribution, is.OSDistribution},
	} {
		if fact.was != fact.is {
			return fact.name + ": " + fact.is + ", before " + fact.was
		}
	}
	for _, p := range was.Platforms {
		if !slices.Contains(is.Platforms, p) {
			return "no images for " + p + ", before some"
		}
	}
	return ""
}

// lockName is the lock of a manifest that is named by its directory or a file.
func lockName(manifest string) string {
	dir := manifest
	if strings.HasSuffix(manifest, ".cue") {
		dir = manifest[:max(strings.LastIndexByte(manifest, '/'), 0)]
	}
	if dir == "" || dir == "." {
		return "canvos.lock"
	}
	return dir + "/canvos.lock"
}

func yesno(b bool) string { return strconv.FormatBool(b) }

func places(at plan.Pos) []plan.Pos {
	if at.File == "" {
		return nil
	}
	return []plan.Pos{at}
}
