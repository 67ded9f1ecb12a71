package compile

import (
	"errors"
	"slices"

	"canvos.dev/compile/catalog"
)

// releases are the CanvOS releases as one manifest sees them: the catalog, with
// what the manifest's own catalog adds and overrides. Each is read once.
type releases struct {
	own   map[string]CatalogEntry
	read  map[string]found
	lists map[string][]string // what having and offering found, by what they were asked
	spans map[string]span     // of arguments
	// targeted is what the catalog said of arguments of targets, by release and
	// argument.
	targeted map[string]bool
}

// span is the first and last release of the catalog with an argument; "" if none
// has it.
type span struct{ first, last string }

type found struct {
	release *catalog.Release
	err     error
}

func releasesOf(m *Manifest) *releases {
	rel := &releases{own: map[string]CatalogEntry{}, read: map[string]found{}, lists: map[string][]string{}, targeted: map[string]bool{}}
	for _, e := range m.Catalog {
		rel.own[e.Release] = e
	}
	return rel
}

// find reads a release; an unknown one is a *catalog.UnknownError.
func (rel *releases) find(tag string) (*catalog.Release, error) {
	f, ok := rel.read[tag]
	if !ok {
		f.release, f.err = rel.lookup(tag)
		rel.read[tag] = f
	}
	return f.release, f.err
}

func (rel *releases) lookup(tag string) (*catalog.Release, error) {
	e, ok := rel.own[tag]
	if !ok {
		return catalog.Lookup(tag)
	}
	from := tag
	if e.From.Set {
		from = e.From.V
	}
	base, err := catalog.Lookup(from)
	var unknown *catalog.UnknownError
	switch {
	case errors.As(err, &unknown) && !e.From.Set:
		base = nil // a release all of its own
	case err != nil:
		return nil, err
	}
	return catalog.Override(base, tag, e.JSON)
}

// having are the releases that offer a Kubernetes version, in order, the
// manifest's own among them, as suggestions.
func (rel *releases) having(distribution, version string) []string {
	key := distribution + " " + version
	if tags, ok := rel.lists[key]; ok {
		return tags
	}
	var tags []string
	for _, tag := range catalog.Having(distribution, version) {
		if _, overridden := rel.own[tag]; !overridden {
			tags = append(tags, tag)
		}
	}
	for tag := range rel.own {
		if r, err := rel.find(tag); err == nil && r.Has(distribution, version) {
			tags = append(tags, tag)
		}
	}
	slices.SortFunc(tags, catalog.CompareVersions)
	rel.lists[key] = withoutOthers(tags)
	return rel.lists[key]
}

// withoutOthers leaves out releases that build another agent than their tag
// says: they are no suggestion.
func withoutOthers(tags []string) []string {
	others := map[string]bool{}
	for _, e := range catalog.Entries() {
		others[e.Tag] = e.AgentVersion != e.Tag
	}
	return slices.DeleteFunc(tags, func(t string) bool { return others[t] })
}

// offering are the releases that have a distribution at all, in order, as
// suggestions.
func (rel *releases) offering(distribution string) []string {
	if tags, ok := rel.lists[distribution]; ok {
		return tags
	}
	var tags []string
	for _, tag := range catalog.Tags() {
		if r, err := rel.find(tag); err == nil && len(r.Versions(distribution)) > 0 {
			tags = append(tags, tag)
		}
	}
	rel.lists[distribution] = withoutOthers(tags)
	return rel.lists[distribution]
}

// spanOf is where the catalog has an argument.
func (rel *releases) spanOf(argument string) span {
	if rel.spans == nil {
		rel.spans = map[string]span{}
		for _, a := range catalog.Arguments() {
			if a.Let {
				continue
			}
			s := rel.spans[a.Name]
			if s.first == "" || catalog.CompareVersions(a.First, s.first) < 0 {
				s.first = a.First
			}
			if s.last == "" || catalog.CompareVersions(a.Last, s.last) > 0 {
				s.last = a.Last
			}
			rel.spans[a.Name] = s
		}
	}
	return rel.spans[argument]
}

// declares says whether a release's Earthfile takes an argument anywhere.
func (rel *releases) declares(r *catalog.Release, argument string) bool {
	if r.Declares(argument) {
		return true
	}
	tag := r.Tag
	if e, own := rel.own[tag]; own && e.From.Set {
		tag = e.From.V
	}
	key := tag + " " + argument
	known, ok := rel.targeted[key]
	if !ok {
		known = catalog.Targeted(tag, argument)
		rel.targeted[key] = known
	}
	return known
}

// before says whether one release is older than another, by number. Releases
// that are another's build are judged by the agent that they build, which is
// what their files are: v4.10.0 is a v4.9.21.
func before(r *catalog.Release, tag string) bool {
	return catalog.CompareVersions(r.AgentVersion, tag) < 0
}
