package oci

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Rule says where a reference, or all that begin with it, is read from.
type Rule struct {
	Reference string // complete, or cut at a "/", ":" or "@"
	// Place is "oci:DIR", "oci-archive:FILE", "docker-archive:FILE", "dir:DIR", or
	// the beginning of references in another registry. DIR and FILE are slash
	// separated, relative to the directory of the manifest.
	Place string
}

// Kinds of places.
const (
	registryPlace      = "registry"
	layoutPlace        = "oci"
	layoutArchivePlace = "oci-archive"
	dockerArchivePlace = "docker-archive"
	dirPlace           = "dir"
)

// Places says where references are read from. The zero value reads each from
// its own registry.
type Places struct{ rules []rule }

type rule struct {
	reference  string
	kind, path string // path: in the module's tree, or a prefix in a registry
}

// NewPlaces makes places of rules. dir is the manifest's directory in the tree of
// its module.
func NewPlaces(dir string, rules []Rule) (Places, error) {
	var p Places
	for _, r := range rules {
		kind, rest := registryPlace, strings.TrimSuffix(r.Place, "/")
		for _, k := range []string{layoutPlace, layoutArchivePlace, dockerArchivePlace, dirPlace} {
			if name, ok := strings.CutPrefix(r.Place, k+":"); ok {
				kind, rest = k, path.Join(dir, name)
				if path.IsAbs(name) || rest == ".." || strings.HasPrefix(rest, "../") {
					return Places{}, fmt.Errorf("place %q is outside of the module", r.Place)
				}
			}
		}
		p.rules = append(p.rules, rule{strings.TrimSuffix(r.Reference, "/"), kind, rest})
	}
	// The longest match wins, so it comes first.
	slices.SortStableFunc(p.rules, func(a, b rule) int { return len(b.reference) - len(a.reference) })
	return p, nil
}

// place is where one reference is read from.
type place struct {
	kind string
	// path is a directory or file of the module; of a registry, the reference to
	// ask for.
	path string
	// names are those under which a layout or archive may have it, the best first.
	names []string
}

// StandIns is how many rules read an image from a directory, which is never what
// a reference names.
func (p Places) StandIns() int {
	n := 0
	for _, r := range p.rules {
		if r.kind == dirPlace {
			n++
		}
	}
	return n
}

// Local says whether reading a reference needs no registry.
func (p Places) Local(reference string) bool { return p.find(reference).kind != registryPlace }

// File is the file or directory of the module that a reference is read from; false
// if it is read from a registry.
func (p Places) File(reference string) (string, bool) {
	at := p.find(reference)
	return at.path, at.kind != registryPlace
}

// Registry is the reference that a registry is asked for instead of another; false
// if no registry is.
func (p Places) Registry(reference string) (string, bool) {
	at := p.find(reference)
	return at.path, at.kind == registryPlace
}

// find is the place of a complete reference.
func (p Places) find(reference string) place {
	for _, r := range p.rules {
		rest, ok := strings.CutPrefix(reference, r.reference)
		if !ok || rest != "" && !strings.ContainsRune("/:@", rune(rest[0])) {
			continue
		}
		switch r.kind {
		case registryPlace:
			return place{kind: r.kind, path: r.path + rest}
		case dirPlace:
			if rest != "" {
				continue
			}
			return place{kind: r.kind, path: r.path}
		}
		names := []string{reference}
		if short := strings.TrimLeft(rest, "/:@"); short != "" {
			names = append(names, short)
		}
		return place{kind: r.kind, path: r.path, names: names}
	}
	return place{kind: registryPlace, path: reference}
}

func (p place) String() string {
	if p.kind == registryPlace {
		return p.path
	}
	return p.kind + ":" + p.path
}
