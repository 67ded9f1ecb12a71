// Package plan holds the contract between what a manifest means and who carries
// it out: plain data, one canonical form, one digest. It knows no CUE, no
// registry and no clock, and imports nothing outside the standard library.
package plan

// Version is the version of the plan's shape. A reader refuses one it does not
// know.
const Version = 1

// Recipe and Format are the newest rules, and part of every step's identity:
// raising one rebuilds all images, so a lock keeps naming the one that it was
// written with until somebody asks for the newer.
//
// Recipe is raised when compile.Lower makes other steps of the same family for
// a release that was lowered before. A new release, or a field that was not
// there, needs no new recipe.
//
// Format is raised when the same step results in other bytes: order or headers
// of archive entries, compression, config, manifest.
const (
	Recipe = 1
	Format = 1
)

// A Digest names content: "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

// Pos is a place in a manifest, as the person sees it. The zero value is
// nowhere. Line and Column count from 1; Column counts bytes.
type Pos struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Plan is everything that shall be built and published, and all it is built
// from. It is made by compile and read by engines.
type Plan struct {
	Version int      `json:"version"`
	Digest  Digest   `json:"digest"`  // see Plan.Seal
	Recipe  int      `json:"recipe"`  // version of the rules that turn a family into steps
	Format  int      `json:"format"`  // version of the rules that turn a step into bytes
	Sources []Source `json:"sources"` // sorted by reference, then platform
	Steps   []Step   `json:"steps"`   // each after all it needs
	Images  []Image  `json:"images"`  // sorted by reference
}

// Source is one external input. What it holds is named by digest; where it is
// read from is no part of a plan.
type Source struct {
	// Reference is the complete name of an image, such as
	// "docker.io/library/debian:12", or "file:" and a slash-separated path
	// relative to the module's root for a local file or tree.
	Reference string `json:"reference"`
	// Platform is "linux/amd64" or "linux/arm64"; empty for local files.
	Platform string `json:"platform,omitempty"`
	// Digest is the digest of the platform's image manifest; of a local file
	// or tree, the digest defined by package compile's tree hash.
	Digest Digest `json:"digest"`
	// Size is what reading all of it costs: bytes of config and compressed
	// layers, or of the local files.
	Size int64 `json:"size"`
}

// Step is one deed. Its ID covers Op, Needs, recipe and format version and
// nothing else: a family that is renamed or moved rebuilds nothing.
type Step struct {
	ID    Digest   `json:"id"`
	Name  string   `json:"name"` // for people: "kubernetes k3s 1.30.4 linux/amd64"
	Needs []Digest `json:"needs,omitempty"`
	Op    Op       `json:"op"`
	At    Pos      `json:"at"` // where the manifest asked for it
}

// Op says what a step does; exactly one field is set.
//
// Base, Files and Run each result in a root filesystem for one platform: Base
// has no needs, Files and Run change the one they need. What a Run mounts of
// other steps follows among its needs. Image needs one root filesystem per
// platform and results in an image or index.
type Op struct {
	Base  *Base    `json:"base,omitempty"`
	Files *Files   `json:"files,omitempty"`
	Run   *Run     `json:"run,omitempty"`
	Image *ImageOp `json:"image,omitempty"`
}

// Base starts from an existing image: its layers and its config.
type Base struct {
	Source   Digest `json:"source"`   // of Plan.Sources
	Platform string `json:"platform"` // "linux/amd64"; an image whose config says otherwise is an error
	// Prepared says that the image must hold already what the OS stage makes;
	// an engine that can tell that it does not reports an error.
	Prepared bool `json:"prepared,omitempty"`
}

// ImageOp gives a root filesystem per platform a config and a manifest. Config
// starts from the base image's, unchanged but for what is named here.
type ImageOp struct {
	Platforms   []string          `json:"platforms"` // Platforms[i] is Needs[i]'s; more than one makes an index
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Facts       Facts             `json:"facts"`
	Epoch       string            `json:"epoch"` // RFC 3339, UTC, whole seconds: the config's created time
}

// Image is what shall be published under one reference.
type Image struct {
	Reference         string            `json:"reference"` // complete: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"
	Line              string            `json:"line"`      // see LineOf
	Family            string            `json:"family"`
	KubernetesVersion string            `json:"kubernetesVersion"`
	Platforms         []string          `json:"platforms"`
	Facts             Facts             `json:"facts"`
	Step              Digest            `json:"step"`                // the Image step
	Publish           string            `json:"publish"`             // "once" or "replace"
	Arguments         map[string]string `json:"arguments,omitempty"` // the CanvOS arguments that ask for the same image
	At                Pos               `json:"at"`
}

// Facts are what an image is, as far as people and policies ask.
type Facts struct {
	Release                string `json:"release"`      // the CanvOS release: "v4.4.12"
	AgentVersion           string `json:"agentVersion"` // peVersion, in the tag: "v4.4.12"
	OSDistribution         string `json:"osDistribution"`
	OSVersion              string `json:"osVersion,omitempty"`
	KubernetesDistribution string `json:"kubernetesDistribution"`
	Channel                string `json:"channel"`
	TechPreview            bool   `json:"techPreview"`
	TwoNode                bool   `json:"twoNode"`
	FIPS                   bool   `json:"fips"`
	UKI                    bool   `json:"uki"`
}
