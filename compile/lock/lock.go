// Package lock holds the data of canvos.lock: what every reference, local
// source and version range stood for when somebody last looked, and the facts
// of every image line that was ever declared. It reads, writes, compares and
// merges; it resolves nothing.
package lock

import (
	"maps"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// Name is the file's name, beside the manifest package.
const Name = "canvos.lock"

// Version is the version of the file's shape.
const Version = 1

// File is canvos.lock.
type File struct {
	Version int `json:"version"` // of this shape
	Recipe  int `json:"recipe"`  // see plan.Plan
	Format  int `json:"format"`
	// Sources: "REFERENCE PLATFORM" → what it was. Local files and trees:
	// "file:PATH" without a platform.
	Sources map[string]Source `json:"sources"`
	// Versions: "RELEASE DISTRIBUTION RANGE" → versions; the range of
	// allVersions is "*".
	Versions map[string][]string `json:"versions"`
	// Catalog: release → digest of the catalog entry that was used.
	Catalog map[string]plan.Digest `json:"catalog"`
	// Refresh: family → how often its OS stage was asked to run again.
	Refresh map[string]int `json:"refresh"`
	// Facts: image line → what may not change.
	Facts map[string]LineFacts `json:"facts"`
}

// Source is what a reference was resolved to.
type Source struct {
	Digest plan.Digest `json:"digest"`
	Size   int64       `json:"size"`
}

// LineFacts are fixed when a line is first declared; platforms may be added.
type LineFacts struct {
	TwoNode        bool     `json:"twoNode"`
	FIPS           bool     `json:"fips"`
	UKI            bool     `json:"uki"`
	OSDistribution string   `json:"osDistribution"`
	Platforms      []string `json:"platforms"`
}

// New is a lock that nothing was written to, with the newest recipe and format.
func New() *File {
	return &File{
		Version: Version, Recipe: plan.Recipe, Format: plan.Format,
		Sources:  map[string]Source{},
		Versions: map[string][]string{},
		Catalog:  map[string]plan.Digest{},
		Refresh:  map[string]int{},
		Facts:    map[string]LineFacts{},
	}
}

// Clone is a copy that shares nothing with f. The clone of nil is New().
func (f *File) Clone() *File {
	c := New()
	if f == nil {
		return c
	}
	c.Version, c.Recipe, c.Format = f.Version, f.Recipe, f.Format
	maps.Copy(c.Sources, f.Sources)
	maps.Copy(c.Catalog, f.Catalog)
	maps.Copy(c.Refresh, f.Refresh)
	for key, versions := range f.Versions {
		c.Versions[key] = slices.Clone(versions)
	}
	for line, facts := range f.Facts {
		facts.Platforms = slices.Clone(facts.Platforms)
		c.Facts[line] = facts
	}
	return c
}

// Key is the key of a source: a local one has no platform.
func Key(reference, platform string) string {
	if platform == "" {
		return reference
	}
	return reference + " " + platform
}

// SplitKey takes a source's key apart.
func SplitKey(key string) (reference, platform string) {
	if IsLocal(key) {
		return key, "" // a path may hold blanks
	}
	reference, platform, _ = strings.Cut(key, " ")
	return reference, platform
}

// IsLocal says whether a reference names a file or tree of the module.
func IsLocal(reference string) bool { return strings.HasPrefix(reference, "file:") }

// Source is what a reference is locked to. A nil lock holds nothing.
func (f *File) Source(reference, platform string) (Source, bool) {
	if f == nil {
		return Source{}, false
	}
	s, ok := f.Sources[Key(reference, platform)]
	return s, ok
}

// SetSource locks a reference.
func (f *File) SetSource(reference, platform string, s Source) {
	f.Sources[Key(reference, platform)] = s
}

// Prune drops the sources, versions, catalog entries and refresh numbers that
// are not among those that are used, each by its key. It never drops facts.
func (f *File) Prune(used Used) {
	maps.DeleteFunc(f.Sources, func(key string, _ Source) bool { return !used.Sources[key] })
	maps.DeleteFunc(f.Versions, func(key string, _ []string) bool { return !used.Versions[key] })
	maps.DeleteFunc(f.Catalog, func(tag string, _ plan.Digest) bool { return !used.Releases[tag] })
	maps.DeleteFunc(f.Refresh, func(family string, _ int) bool { return !used.Families[family] })
}

// Used are the keys of a lock that a manifest needs.
type Used struct {
	Sources  map[string]bool // by Key
	Versions map[string]bool // "RELEASE DISTRIBUTION RANGE"
	Releases map[string]bool
	Families map[string]bool
}

// Declare writes down the facts of image lines: lines that are new, and
// platforms that known ones gained. What a known line says otherwise stays; to
// compare it is the caller's.
func (f *File) Declare(lines map[string]LineFacts) {
	for line, facts := range lines {
		was, known := f.Facts[line]
		if !known {
			was = facts
			was.Platforms = nil
		}
		was.Platforms = slices.Concat(was.Platforms, facts.Platforms)
		slices.Sort(was.Platforms)
		was.Platforms = slices.Compact(was.Platforms)
		f.Facts[line] = was
	}
}

// Forget drops the facts of a line; false says that there were none.
func (f *File) Forget(line string) bool {
	_, known := f.Facts[line]
	delete(f.Facts, line)
	return known
}
