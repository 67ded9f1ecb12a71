package policy

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"canvos.dev/compile"
	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// saidByRules are problems of manifests that rules of their own say.
var saidByRules = map[string]string{"CV0205": "tech-preview-gated", ofLines: "line-immutable"}

func judgeManifests(j *judgement) {
	for _, m := range j.Head.Manifests {
		for _, p := range m.Problems {
			if p.Severity == problem.Error && saidByRules[p.Code] == "" {
				j.find(j.named(m.Name, p.Family), Finding{Message: p.Message + " [" + p.Code + "]", Help: p.Help, Manifest: m.Name, Family: p.Family, At: p.At, Also: p.Also})
			}
		}
	}
}

func judgeLocks(j *judgement) {
	for _, m := range j.Head.Manifests {
		at := plan.Pos{File: lockName(m.Name)}
		switch {
		case len(m.Stale) == 0:
		case m.NoLock:
			j.find(nil, Finding{Message: "the manifest " + m.Name + " has no lock", Help: "run canvos lock " + m.Name + ", and commit canvos.lock with the change", Manifest: m.Name, At: at})
		default:
			message := m.Stale[0].Message
			if more := len(m.Stale) - 1; more > 0 {
				message += ", and " + count(more, "more entry")
				message = strings.Replace(message, "entrys", "entries", 1)
			}
			help := m.Stale[0].Help
			if help == "run canvos lock" {
				help = "run canvos lock " + m.Name + ", and commit canvos.lock with the change"
			}
			j.find(j.named(m.Name, m.Stale[0].Family), Finding{Message: message, Help: help, Manifest: m.Name, Family: m.Stale[0].Family, At: or(m.Stale[0].At, at)})
		}
	}
}

func judgePreview(j *judgement) {
	j.declared(func(p *Pair) {
		f := p.After
		if f.text("kubernetes.distribution") != "canonical" {
			return
		}
		if !f.is("techPreview") {
			j.family(p, "kubernetes.distribution", "canonical is a technical preview, and the family does not consent to one", "techPreview: true, and a channel other than production")
		}
		if f.text("channel") == "production" {
			j.family(p, "channel", "canonical is a technical preview, and the family's channel is production", `channel: "staging" or "development"`)
		}
	})
}

func judgeOneWay(j *judgement) {
	j.succeeded(func(p *Pair, was []*Family) {
		switch {
		case slices.ContainsFunc(was, func(f *Family) bool { return f.Extensions == p.After.Extensions }):
		case p.After.Extensions:
			j.family(p, "bundleKubernetes", "Kubernetes leaves the image for a systemd extension; hosts that took it do not go back", "make a new family with another tag, or keep bundleKubernetes: true")
		default:
			j.family(p, "bundleKubernetes", "Kubernetes goes back from a systemd extension into the image, which hosts cannot follow", "make a new family with another tag, or keep bundleKubernetes: false")
		}
	})
}

// succeeded are the changed families that come after others, and these.
func (j *judgement) succeeded(each func(p *Pair, was []*Family)) {
	j.changed(func(p *Pair) {
		if p.After == nil {
			return
		}
		if was := j.before(p); len(was) > 0 {
			each(p, was)
		}
	})
}

func judgeMoved(j *judgement) {
	j.changed(func(p *Pair) {
		if p.Before == nil || p.After == nil {
			return
		}
		for _, path := range []string{"registry", "repository"} {
			if a, b := p.Before.text(path), p.After.text(path); a != b {
				j.family(p, path, "the "+path+" moves from "+a+" to "+b+"; what follows "+short(p.Before.Line)+" there finds nothing new",
					"keep publishing there until nothing follows it any more")
			}
		}
	})
}

// judgeReplaced finds tags whose content is another and that may be published.
func judgeReplaced(j *judgement) {
	refused := map[string]Refusal{}
	for _, r := range j.observed.Refusals {
		if r.Code == "CV0401" || r.Code == "CV0402" {
			refused[r.Reference] = r
		}
	}
	j.changed(func(p *Pair) {
		if p.After == nil {
			return
		}
		var tags []string
		var first *Refusal
		for _, i := range p.Change.Images {
			r, no := refused[i.Reference]
			if no && first == nil {
				first = &r
			}
			if (i.Kind == Rebuilt || no) && !j.observed.Free[i.Reference] {
				tags = append(tags, short(i.Reference))
			}
		}
		if len(tags) == 0 {
			return
		}
		f := Finding{
			Message:   "other content under " + count(len(tags), "tag") + ": " + few(tags),
			Help:      `revision: 2 makes new tags of the same line; publish: "replace" says that they may move`,
			Reference: p.After.Line, At: p.After.At,
		}
		switch {
		case first != nil:
			f.Message += "; apply would refuse: " + first.Reason
			f.Severity = SeverityDeny
			if first.Help != "" {
				f.Help = first.Help
			}
		case p.Before != nil && p.Before.text("publish") == "replace" && p.After.text("publish") == "replace":
			f.Severity, f.Help = SeverityInfo, ""
			f.Message += "; the family publishes with replace"
		}
		j.find(p, f)
	})
}

// few is a list, or its beginning.
func few(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:most], ", ") + ", …"
}

func judgeDowngrades(j *judgement) {
	newest := map[string]string{} // Kubernetes version of each line at head
	j.declared(func(p *Pair) { newest[p.After.Line] = newestOf(newest[p.After.Line], p.After) })
	told := map[string]bool{}
	j.succeeded(func(p *Pair, was []*Family) {
		if p.InAfter.wrong(p.After.Name) {
			return
		}
		if release := olderThanAll(p.After, was); release != "" {
			j.family(p, "canvos", "CanvOS goes back from "+release+" to "+p.After.text("canvos"), "agents are not downgraded: stay on "+release+", or make a new family with another tag")
		}
		line := p.After.Line
		if told[line] || was[0].text("kubernetes.distribution") != p.After.text("kubernetes.distribution") {
			return
		}
		before := ""
		if of := j.lines[line]; len(of) > 0 {
			was = of
		}
		for _, f := range was {
			before = newestOf(before, f)
		}
		if is := newest[line]; before != "" && is != "" && compareVersions(is, before) < 0 {
			told[line] = true
			j.family(p, "kubernetes.versions", "the newest Kubernetes goes back from "+before+" to "+is, "clusters on "+before+" cannot follow: keep it")
		}
	})
}

// olderThanAll is the oldest release of the families before, if a family's is older.
func olderThanAll(f *Family, was []*Family) string {
	release, oldest := "", ""
	for _, w := range was {
		if a := agent(w); a != "" && (oldest == "" || compareVersions(a, oldest) < 0) {
			release, oldest = w.text("canvos"), a
		}
	}
	if is := agent(f); is == "" || oldest == "" || compareVersions(is, oldest) >= 0 {
		return ""
	}
	return release
}

// newestOf is the newest of a Kubernetes version and those of a family.
func newestOf(version string, f *Family) string {
	for _, v := range f.texts("kubernetes.versions") {
		if version == "" || compareVersions(v, version) > 0 {
			version = v
		}
	}
	return version
}

// agent is what the images of a family run; releases are older or newer by it.
func agent(f *Family) string {
	if len(f.Images) == 0 {
		return ""
	}
	return f.Images[0].Facts.AgentVersion
}

func judgeDropped(j *judgement) {
	type built struct{ line, version string }
	still, kept := map[built]bool{}, map[string]bool{}
	j.declared(func(p *Pair) {
		kept[p.After.Line] = true
		for _, i := range p.After.Images {
			still[built{p.After.Line, i.Version}] = true
		}
	})
	j.changed(func(p *Pair) {
		if p.Before == nil || j.unread(p) || p.After != nil && p.InAfter.wrong(p.After.Name) {
			return
		}
		if p.After == nil {
			j.family(p, "", "the family is gone; "+left(len(p.Before.Images)), "clusters on its images get no newer ones")
			return
		}
		line := p.Before.Line
		name, where := "Kubernetes ", ""
		same := p.Before.text("kubernetes.distribution") == p.After.text("kubernetes.distribution")
		if !same {
			name = p.Before.text("kubernetes.distribution") + " "
		}
		if kept[line] && line != p.After.Line {
			where = " in the line " + short(line)
		}
		var gone []string
		for _, v := range p.Before.texts("kubernetes.versions") {
			// A family that takes its whole line elsewhere goes on building it there.
			moved := !kept[line] && same && slices.Contains(p.After.texts("kubernetes.versions"), v)
			if !moved && !still[built{line, v}] {
				gone = append(gone, v)
			}
		}
		if len(gone) > 0 {
			verb := " are"
			if len(gone) == 1 {
				verb = " is"
			}
			j.family(p, "kubernetes.versions", name+strings.Join(gone, ", ")+verb+" no longer built"+where+"; "+left(len(gone)), "clusters on it get no newer images; keep it until they have moved")
		}
	})
}

func left(n int) string {
	if n == 1 {
		return "1 published image is left as it is"
	}
	return count(n, "published image") + " are left as they are"
}

func judgeUnpinned(j *judgement) {
	j.changed(func(p *Pair) {
		if p.After == nil {
			return
		}
		for path, ref := range bases(p.After) {
			normal, err := compile.NormalReference(ref)
			if err == nil && !strings.Contains(ref, "@sha256:") && p.InAfter.Unlocked[normal] {
				j.family(p, path, "the base image "+ref+" has neither a digest nor an entry in the lock", "run canvos lock, or name it by digest: "+ref+"@sha256:…")
			}
		}
	})
}

// bases are the base images that a family names, by their path, in order.
func bases(f *Family) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, path := range slices.Sorted(maps.Keys(f.Values)) {
			if isBelow(path, "os.image") && !yield(path, f.text(path)) {
				return
			}
		}
	}
}

// basesOf are the base images that the plan has for a family.
func (m *Manifest) basesOf(f *Family) []string {
	steps := map[plan.Digest]*plan.Step{}
	for i := range m.Plan.Steps {
		steps[m.Plan.Steps[i].ID] = &m.Plan.Steps[i]
	}
	var found []string
	seen := map[plan.Digest]bool{}
	var walk func(plan.Digest)
	walk = func(id plan.Digest) {
		s := steps[id]
		if s == nil || seen[id] {
			return
		}
		seen[id] = true
		if s.Op.Base != nil {
			for _, src := range m.Plan.Sources {
				if src.Digest == s.Op.Base.Source && !slices.Contains(found, src.Reference) {
					found = append(found, src.Reference)
				}
			}
		}
		for _, n := range s.Needs {
			walk(n)
		}
	}
	for _, i := range f.Images {
		walk(i.Step)
	}
	return found
}

// judgeEndOfLife looks at the images that are made by this change.
func judgeEndOfLife(j *judgement) {
	j.changed(func(p *Pair) {
		if p.After == nil {
			return
		}
		made := map[string]bool{}
		for _, i := range p.Change.Images {
			made[i.Reference] = i.Kind == Added || i.Kind == Rebuilt
		}
		told := map[string]bool{}
		for _, i := range p.After.Images {
			minor := minorOf(i.Version)
			if !made[i.Reference] || told[minor] {
				continue
			}
			end := endOfLife[minor]
			dist := i.Facts.KubernetesDistribution
			switch {
			case end != "" && j.today > end:
				told[minor] = true
				j.find(p, Finding{
					Message: "Kubernetes " + minor + " reached its end of life on " + end, Help: "take a newer minor version: canvos catalog lists them",
					Reference: i.Reference, At: i.At,
				})
			case withdrawn(i.Facts.Release, dist, i.Version):
				told[minor] = true
				j.find(p, Finding{
					Message: dist + " " + i.Version + " is no longer offered by the releases after CanvOS " + i.Facts.Release, Help: "take a version that stays: canvos catalog lists them",
					Reference: i.Reference, At: i.At,
				})
			}
		}
	})
}

// withdrawn says that a release's successors have a distribution, and a version
// of it no more.
func withdrawn(release, distribution, version string) bool {
	tags := catalog.Tags()
	at := slices.Index(tags, release)
	if at < 0 || at == len(tags)-1 {
		return false
	}
	newest, err := catalog.Lookup(tags[len(tags)-1])
	having := catalog.Having(distribution, version)
	return err == nil && len(newest.Versions(distribution)) > 0 && len(having) > 0 && slices.Index(tags, having[len(having)-1]) <= at
}

func minorOf(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// endOfLife is the last day of each minor version of Kubernetes, as the project's
// page of patch releases has it (kubernetes.io/releases/patch-releases).
var endOfLife = map[string]string{
	"1.22": "2022-10-28", "1.23": "2023-02-28", "1.24": "2023-07-28", "1.25": "2023-10-27", "1.26": "2024-02-28",
	"1.27": "2024-06-28", "1.28": "2024-10-28", "1.29": "2025-02-28", "1.30": "2025-06-28", "1.31": "2025-10-28",
	"1.32": "2026-02-28", "1.33": "2026-06-28", "1.34": "2026-10-27",
}

func judgeFIPS(j *judgement) {
	j.changed(func(p *Pair) {
		was := p.Before
		if was == nil { // another family may have taken its line
			was = j.namedBefore(p.InAfter.Name, p.After.Name)
		}
		if was != nil && p.After != nil && was.is("fips") && !p.After.is("fips") && was.Line != p.After.Line {
			j.family(p, "fips", "the family is no longer FIPS", "make another family without FIPS, and leave this one")
		}
	})
}

// namedBefore is the family of a manifest at base; nil if it had none of that name.
func (j *judgement) namedBefore(manifest, family string) *Family {
	for i := range j.Base.Manifests {
		m := &j.Base.Manifests[i]
		for n := range m.Families {
			if m.Name == manifest && m.Families[n].Name == family {
				return &m.Families[n]
			}
		}
	}
	return nil
}

// trusted are the values that say whom images trust.
var trusted = []string{"signingKey", "certificates", "ubuntuPro"}

func judgeCertificates(j *judgement) {
	j.succeeded(func(p *Pair, was []*Family) {
		var first []trustChange
		for i, f := range was {
			changes := trustChanges(f, p.After)
			if len(changes) == 0 {
				return
			}
			if i == 0 {
				first = changes
			}
		}
		for _, c := range first {
			j.family(p, c.field, c.what, "ask who owns it whether it is meant")
		}
	})
}

// trustChange is a difference in whom images trust.
type trustChange struct{ field, what string }

func trustChanges(a, b *Family) []trustChange {
	if a.Partial || b.Partial {
		return nil
	}
	var found []trustChange
	before, after := values(a), values(b)
	for _, path := range union(before, after) {
		of := trustedBy(b, path)
		was, is := before[path], after[path]
		name, file := strings.CutPrefix(path, "file:")
		switch {
		case of == "", reflect.DeepEqual(was, is), file && (was == nil || is == nil): // the field that names it is another, too
		case file:
			found = append(found, trustChange{of, of + ": the file " + name + " has other content"})
		default:
			found = append(found, trustChange{of, difference(path, was, is)})
		}
	}
	return found
}

// trustedBy is the field of trust that a path of a family is of, or that names
// the file.
func trustedBy(f *Family, path string) string {
	name, file := strings.CutPrefix(path, "file:")
	for _, field := range trusted {
		if !file && isBelow(path, field) {
			return field
		}
		for at, v := range f.Values {
			if file && isBelow(at, field) && (v.V == name || slices.Contains(f.texts(at), name)) {
				return at
			}
		}
	}
	return ""
}

func judgeThreshold(j *judgement) {
	most := *j.setting("", nil).Threshold
	if n := j.Images.Rebuilt; n > most {
		j.find(nil, Finding{Message: count(n, "image") + " would be rebuilt, more than " + shown(most), Help: "change family by family, or ask for the whole at a quiet hour"})
	}
}

func judgeUnique(j *judgement) {
	by := map[string]*Pair{}
	shared := map[[2]*Pair][]string{}
	j.declared(func(p *Pair) {
		for _, i := range p.After.Images {
			if first, taken := by[i.Reference]; !taken {
				by[i.Reference] = p
			} else if first.InAfter != p.InAfter {
				shared[[2]*Pair{first, p}] = append(shared[[2]*Pair{first, p}], short(i.Reference))
			}
		}
	})
	j.declared(func(p *Pair) {
		for _, i := range p.After.Images {
			first := by[i.Reference]
			if tags := shared[[2]*Pair{first, p}]; len(tags) > 0 {
				delete(shared, [2]*Pair{first, p})
				j.find(p, Finding{
					Message: few(tags) + ": published by " + quoted(first.After.Name) + " of " + first.InAfter.Name + " and by " + quoted(p.After.Name) + " of " + p.InAfter.Name,
					Help:    "give one of them another tag or repository", Reference: i.Reference, At: p.After.At, Also: []plan.Pos{first.After.At},
				})
			}
		}
	})
}

func judgeRegistry(j *judgement) {
	if j.observed.Unchecked != "" && j.Images.Total() > 0 {
		j.find(nil, Finding{Message: "what is published was not compared: " + j.observed.Unchecked, Help: "canvos doctor tells what is wrong with a registry"})
	}
}

func judgePolicies(j *judgement) {
	for _, c := range j.changes {
		for _, x := range []struct {
			name       string
			was, after compile.Rules
		}{{"policies", c.Before.Policies, c.After.Policies}, {"waivers", c.Before.Waivers, c.After.Waivers}} {
			if string(x.was.CUE) != string(x.after.CUE) {
				j.find(nil, Finding{Message: "the " + x.name + " of " + c.Name + " change; they judge from the next change on", At: or(x.after.At, x.was.At)})
			}
		}
	}
	for _, x := range []struct {
		name string
		of   func(*Manifest) compile.Rules
	}{{"policies", func(m *Manifest) compile.Rules { return m.Policies }}, {"waivers", func(m *Manifest) compile.Rules { return m.Waivers }}} {
		// What is in another directory now is the same all the same.
		moved := func(from, to []Manifest, text string) bool {
			return slices.ContainsFunc(from, func(m Manifest) bool { return string(x.of(&m).CUE) == text && named(to, m.Name) == nil })
		}
		for i := range j.Head.Manifests {
			m := &j.Head.Manifests[i]
			is, was := x.of(m), compile.Rules{}
			before := named(j.Base.Manifests, m.Name)
			if before != nil {
				was = x.of(before)
			}
			if string(was.CUE) != string(is.CUE) && (before != nil || !moved(j.Base.Manifests, j.Head.Manifests, string(is.CUE))) {
				j.find(nil, Finding{Message: "the " + x.name + " of " + m.Name + " change; they judge from the next change on", Manifest: m.Name, At: or(is.At, was.At)})
			}
		}
		for i := range j.Base.Manifests {
			m := &j.Base.Manifests[i]
			if was := x.of(m); was.CUE != nil && j.manifest(m.Name) == nil && !moved(j.Head.Manifests, j.Base.Manifests, string(was.CUE)) {
				j.find(nil, Finding{Message: "the " + x.name + " of " + m.Name + " go with it; they judge for the last time", Manifest: m.Name, At: was.At})
			}
		}
	}
}
