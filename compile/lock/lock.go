// Package lock holds the data of canvos.lock: what every reference, local
// source and version range stood for when somebody last looked, and the facts
// of every image line that was ever declared. It reads, writes, compares and
// merges; it resolves nothing.
package lock

import "canvos.dev/compile/plan"

// Name is the file's name, beside the manifest package.
const Name = "canvos.lock"

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
