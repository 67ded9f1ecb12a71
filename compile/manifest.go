package compile

import (
	"io/fs"

	"canvos.dev/compile/plan"
)

// Field is a value a person wrote, or did not, and where.
type Field[T any] struct {
	V   T
	At  plan.Pos // of the value; of the enclosing struct when not Set
	Set bool     // false: V is the zero value, or the default that the schema's comment names
}

// Manifest is a manifest package, read and decoded: no cue.Value leaves Load.
type Manifest struct {
	// FS is the tree the manifest lies in; its root is the module's root, which
	// no local path may leave. Dir is the manifest's directory in it, slash
	// separated, "." at the root.
	FS    fs.FS
	Dir   string
	Files []string // the CUE files of the package, as a person names them, sorted

	Release  Field[string] // canvos
	Registry Field[string]
	Epoch    Field[string] // RFC 3339, UTC, whole seconds

	Sources  []SourceRule
	Build    Build
	Catalog  []CatalogEntry
	Families []Family // in source order

	// Policies and Waivers are judged by package policy.
	Policies, Waivers Rules

	// partial: Load found something wrong, so that there is less here than was
	// written.
	partial bool
}

// Rules are policies or waivers as they were written: CUE that stands by itself,
// since patterns and computed lists have no value yet.
type Rules struct {
	CUE []byte // of a struct; nil if there are none
	At  plan.Pos
	// Of is where each is named, by name.
	Of map[string]plan.Pos
}

// SourceRule says where a reference, or all that begin with it, is read from.
type SourceRule struct {
	Reference string
	Place     Field[string] // "oci:DIR", "docker-archive:FILE", "oci-archive:FILE", "dir:DIR" or a reference prefix
}

// Build serves the build alone: no digest depends on it, nothing of it is in an
// image.
type Build struct {
	HTTPProxy, HTTPSProxy, NoProxy Field[string]
	Certificates                   []Field[string] // PEM files
}

// CatalogEntry adds a release, or overrides what the catalog says of one. Its
// JSON has the shape of catalog.Release; what it leaves out is taken from From.
type CatalogEntry struct {
	Release string
	From    Field[string]
	JSON    []byte
	At      plan.Pos
}

// Family is a family of images, as written, with top-level values applied where
// it does not override them.
type Family struct {
	Name string
	At   plan.Pos // of the name

	Release    Field[string] // canvos
	Registry   Field[string]
	Repository Field[string] // default: os.distribution
	Tag        Field[string]
	Revision   Field[int]
	OS         OS
	Kubernetes Kubernetes
	Arch       []Field[string] // default: amd64
	ArchSet    Field[bool]     // where arch stands
	Channel    Field[string]   // default: production
	Publish    Field[string]   // default: once; replace on channel development

	TechPreview, TwoNode, FIPS, UKI                Field[bool]
	UpdateKernel, CISHardening, BundleKubernetes   Field[bool]
	DisableSELinux                                 Field[bool] // default: true
	GPU                                            GPU
	MAAS                                           Field[bool]
	UbuntuPro                                      Secret
	SigningKey, EdgeConfig, Dockerfile, HardwareDB Field[string] // local files
	Certificates                                   []Field[string]
	Overlay                                        []Overlay // sorted by target
	Packages, Run                                  []Field[string]
	Labels                                         []Pair
	Compression                                    Field[string] // default: gzip
	Components                                     Components
	Mirrors                                        Mirrors
	Acknowledge                                    []Pair // problem code → why
}

// Pair is an entry of a map from string to string; slices of it are sorted by
// key.
type Pair struct {
	Key   string
	Value Field[string]
}

// OS is the operating system of a family.
type OS struct {
	At                    plan.Pos
	Distribution, Version Field[string]
	// Image is the base image; ImageByArch is set instead when it is given per
	// architecture, sorted by it. ByArch is where that stands, also of none.
	Image       Field[string]
	ImageByArch []Pair
	ByArch      Field[bool]
	Prepare     Field[bool] // default: true
}

// Kubernetes is what the images of a family run.
type Kubernetes struct {
	At           plan.Pos
	Distribution Field[string]
	Versions     []Field[string] // "x.y.z" or a range
	VersionsSet  Field[bool]
	AllVersions  Field[bool]
}

// GPU asks for drivers; "" is none.
type GPU struct {
	Vendor    Field[string] // "nvidia" or "amd"
	Arguments []Pair        // NVIDIA_*, AMDGPU_* by argument name
}

// Secret names where a secret comes from; never the secret.
type Secret struct {
	At        plan.Pos // nowhere if there is none
	Env, File Field[string]
}

// Overlay is a local tree, file or archive laid over the image.
type Overlay struct {
	Target string // absolute path in the image
	Path   Field[string]
	Modes  []Pair // path below Target → four octal digits
}

// Components override versions that the catalog gives for the release; each
// names its CanvOS argument in docs/arguments.md.
type Components struct {
	Agent, Kairos, KairosInit, Provider, Flavor, Kine, Luet Field[string]
	ThirdParty, Alpine, Osbuilder, Golang, DRBD             Field[string]
}

// Mirrors override the registries that components come from.
type Mirrors struct {
	Images, Base, Packages, PackageProject Field[string] // SPECTRO_PUB_REPO, KAIROS_BASE_IMAGE_URL, SPECTRO_LUET_REPO, LUET_PROJECT
	ThirdParty, Alpine, Osbuilder          Field[string] // images: SPECTRO_THIRD_PARTY_IMAGE, ALPINE_IMG, OSBUILDER_IMAGE
}
