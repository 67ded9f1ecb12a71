package compile

import (
	"errors"
	"slices"

	"canvos.dev/compile/catalog"
)

// releases are the CanvOS releases as one manifest sees them: the catalog, with
// what the manifest's own catalog adds and overrides. Each is read once.
type releases struct {
	own  map[string]CatalogEntry
	read map[string]found
}

type found struct {
	release *catalog.Release
	err     error
}

func releasesOf(m *Manifest) *releases {
	rel := &releases{own: map[string]CatalogEntry{}, read: map[string]found{}}
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
// manifest's own among them.
func (rel *releases) having(distribution, version string) []string {
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
	return tags
}

// offering are the releases that have a distribution at all, in order.
func (rel *releases) offering(distribution string) []string {
	var tags []string
	for _, tag := range catalog.Tags() {
		if r, err := rel.find(tag); err == nil && len(r.Versions(distribution)) > 0 {
			tags = append(tags, tag)
		}
	}
	return tags
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
	return catalog.Targeted(tag, argument)
}

// before says whether one release is older than another, by number. Releases
// that are another's build are judged by the agent that they build, which is
// what their files are: v4.10.0 is a v4.9.21.
func before(r *catalog.Release, tag string) bool {
	return catalog.CompareVersions(r.AgentVersion, tag) < 0
}
