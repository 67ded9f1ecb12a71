package compile

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/problem"
)

// checkRelease finds the family's CanvOS release.
func (s *subject) checkRelease() {
	tag := s.Release.V
	r, err := s.rel.find(tag)
	if err != nil {
		if _, own := s.rel.own[tag]; own {
			return // said of the entry
		}
		s.unknownRelease(tag, err)
		return
	}
	s.release = r
	warning := r.Warning()
	if warning == "" || s.Components.Agent.V != "" || s.rel.namesAgent(tag) {
		return
	}
	p := s.report("CV0122", "canvos", s.Release.At, warning,
		"set canvos: "+quoted(sameAgent(r))+", whose agent has its number, or acknowledge CV0122",
		"the profile that CanvOS prints names "+tag+" all the same")
	s.shared(p, s.Release, s.m.Release, "canvos")
}

func (s *subject) unknownRelease(tag string, err error) {
	var unknown *catalog.UnknownError
	var nearest, notes []string
	if errors.As(err, &unknown) {
		nearest = unknown.Nearest
	}
	if own := did(tag, s.rel.ownTags()); own != "" {
		nearest = slices.Insert(nearest, 0, own)
	}
	help := "canvos catalog lists the releases; a newer one is added in the manifest under catalog"
	if len(nearest) > 0 {
		notes = append(notes, "nearest: "+strings.Join(nearest, ", "))
		help = "set canvos: " + quoted(nearest[0]) + "; a newer release is added in the manifest under catalog"
	}
	for _, e := range catalog.Entries() {
		if slices.Contains(e.Aliases, tag) && e.AgentVersion == e.Tag {
			notes = append(notes, tag+" is another tag of "+e.Tag)
		}
	}
	p := s.report("CV0106", "canvos", s.Release.At, "there is no CanvOS release "+quoted(tag), help, notes...)
	s.shared(p, s.Release, s.m.Release, "canvos")
}

// newestRelease is the newest release of the catalog that builds the agent its
// tag says.
func newestRelease() string {
	newest := ""
	for _, e := range catalog.Entries() {
		if e.AgentVersion == e.Tag {
			newest = e.Tag
		}
	}
	return newest
}

// sameAgent is the release that a release builds the agent of, or else one near
// it that builds its own.
func sameAgent(r *catalog.Release) string {
	for _, e := range catalog.Entries() {
		if e.Tag == r.AgentVersion && e.AgentVersion == e.Tag {
			return e.Tag
		}
	}
	return catalog.Nearest(r.AgentVersion, 1)[0]
}

// ownTags are the releases that the manifest adds or overrides, sorted.
func (rel *releases) ownTags() []string {
	var tags []string
	for tag := range rel.own {
		tags = append(tags, tag)
	}
	slices.SortFunc(tags, catalog.CompareVersions)
	return tags
}

// namesAgent says whether the manifest's own entry for a release says which
// agent it builds: then nobody has to be told.
func (rel *releases) namesAgent(tag string) bool {
	var entry struct {
		AgentVersion string `json:"agentVersion"`
	}
	e, own := rel.own[tag]
	return own && json.Unmarshal(e.JSON, &entry) == nil && entry.AgentVersion != ""
}

// isReleaseTag is the form of a tag of CanvOS.
func isReleaseTag(tag string) bool {
	rest, ok := strings.CutPrefix(tag, "v")
	rest, _, _ = strings.Cut(rest, "-rc.")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 3 {
		return false
	}
	_, numeric := numbers(rest)
	_, line := numbers(parts[0] + "." + parts[1])
	letter := len(parts[2]) == 1 && 'a' <= parts[2][0] && parts[2][0] <= 'z'
	return numeric || line && letter
}

// checkCatalog judges the releases that the manifest adds or overrides.
func checkCatalog(m *Manifest, rel *releases) []*problem.Problem {
	var problems []*problem.Problem
	for _, e := range m.Catalog {
		bad := func(message, help string, notes ...string) {
			p := newProblem(nil, problem.Problem{Code: "CV0132", Message: message, Help: help, Notes: notes, Path: "catalog." + label(e.Release), At: e.At})
			problems = append(problems, p)
		}
		if !isReleaseTag(e.Release) {
			bad("the catalog entry "+quoted(e.Release)+" is not named as a release", `name it by its tag, for example "v4.10.3"`)
			continue
		}
		if e.From.Set {
			if _, err := catalog.Lookup(e.From.V); err != nil {
				bad("the catalog entry "+quoted(e.Release)+" starts from "+quoted(e.From.V)+", which is no release of the catalog",
					"set from: "+quoted(catalog.Nearest(e.From.V, 1)[0]))
				continue
			}
		}
		r, err := rel.find(e.Release)
		if err != nil {
			bad("the catalog entry "+quoted(e.Release)+" is not a release: "+entryError(err),
				"canvos catalog show -o json "+newestRelease()+" shows the shape")
			continue
		}
		for _, dist := range r.Distributions() {
			for _, v := range r.Versions(dist) {
				if _, ok := parseVersion(v); !ok {
					bad("the catalog entry "+quoted(e.Release)+" lists "+quoted(v)+" for "+dist+", which is not a version",
						`write versions as MAJOR.MINOR.PATCH, for example "1.30.4"`)
				}
			}
		}
		if missing := incomplete(r); len(missing) > 0 {
			bad("the catalog entry "+quoted(e.Release)+" has no "+strings.Join(missing, ", no "),
				"add from: "+quoted(catalog.Nearest(e.Release, 1)[0])+", which gives what the entry leaves out")
		}
	}
	return problems
}

// entryError is what is wrong with the JSON of an entry, in words that do not
// speak of JSON.
func entryError(err error) string {
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		text = inner.Error()
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return "the field " + quoted(kind.Field) + " is a " + kind.Value
	}
	if _, field, ok := strings.Cut(text, "unknown field "); ok {
		return "it has no field " + field
	}
	return text
}

// incomplete names what a release lacks that no image can do without.
func incomplete(r *catalog.Release) []string {
	var missing []string
	if len(r.Kubernetes) == 0 {
		missing = append(missing, "kubernetes")
	}
	for _, dist := range r.Distributions() {
		if r.Providers[dist].Image == "" {
			missing = append(missing, "providers."+label(dist))
		}
	}
	if len(r.Stylus) == 0 {
		missing = append(missing, "stylus")
	}
	if len(r.LuetRepo) == 0 {
		missing = append(missing, "luetRepo")
	}
	return missing
}
