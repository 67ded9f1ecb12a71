// Package catalog holds what is known of CanvOS releases: the Kubernetes
// versions each offers, the images its components come from, the arguments it
// understands. It is data, embedded as text and read a release at a time; the
// package asks no registry and knows no CUE.
//
// Where a rule is not in the data but in a release's Earthfile, the function
// that applies it says which releases it was read from.
package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"canvos.dev/compile/plan"
)

//go:generate go run ./gen -releases ${CANVOS_RELEASES}

// Release is one CanvOS release. Its JSON is also the shape of an entry that a
// manifest adds; see Override.
type Release struct {
	Tag     string   `json:"tag"`
	Aliases []string `json:"aliases,omitempty"` // other tags of the same commit
	Date    string   `json:"date,omitempty"`    // of the commit, RFC 3339

	// AgentVersion is the version of the agent and a part of every image tag:
	// peVersion to upstream. For a few releases it is not the tag.
	AgentVersion string `json:"agentVersion"`

	KairosVersion     string `json:"kairosVersion,omitempty"`
	KairosVersionUKI  string `json:"kairosVersionUKI,omitempty"` // where UKI images have a version of their own
	KairosInitVersion string `json:"kairosInitVersion,omitempty"`

	// Kubernetes is the versions by distribution, oldest first. Versions are
	// removed too: no list holds for another release.
	Kubernetes map[string][]string `json:"kubernetes"`
	// Providers is the Kubernetes agent by distribution.
	Providers map[string]Provider `json:"providers,omitempty"`
	// FlavorTags is what is appended to a version in package names: k3s1.
	FlavorTags map[string]string `json:"flavorTags,omitempty"`

	// Stylus is the agent's framework image by "amd64", "arm64", "amd64-fips"
	// and "arm64-fips".
	Stylus map[string]string `json:"stylus,omitempty"`
	// BaseImages is the default base image for amd64, by "ubuntu:22.04" with
	// "+fips", "+uki" or "+fips+uki" behind it. BaseImage derives the others.
	BaseImages map[string]string `json:"baseImages,omitempty"`

	LuetRepo     map[string]string `json:"luetRepo,omitempty"` // package repository by architecture
	LuetVersion  string            `json:"luetVersion,omitempty"`
	LuetPackages []string          `json:"luetPackages,omitempty"` // as the Earthfile writes them

	ThirdPartyImage   string `json:"thirdPartyImage,omitempty"` // etcdctl; none before v4.4.8
	AlpineImage       string `json:"alpineImage,omitempty"`     // helper image
	OsbuilderImage    string `json:"osbuilderImage,omitempty"`
	OsbuilderVersion  string `json:"osbuilderVersion,omitempty"`
	AurorabootImage   string `json:"aurorabootImage,omitempty"`
	AurorabootVersion string `json:"aurorabootVersion,omitempty"`
	KineVersion       string `json:"kineVersion,omitempty"` // without "v"
	EtcdVersion       string `json:"etcdVersion,omitempty"` // without effect since v4.4.8
	GolangVersion     string `json:"golangVersion,omitempty"`
	EarthlyImage      string `json:"earthlyImage,omitempty"`
	EarthlyVersion    string `json:"earthlyVersion,omitempty"`

	// OSVersions is upstream's os_version.json, which documents and binds
	// nothing; none before v4.4.12.
	OSVersions map[string][]string `json:"osVersions,omitempty"`
	// Certificates is CertPath or CertDirectory.
	Certificates string `json:"certificates,omitempty"`
	// Registries is the hosts by argument name; SPECTRO_PUB_REPO_fips and
	// KAIROS_BASE_IMAGE_URL_fips are what FIPS_ENABLED=true makes of them.
	Registries map[string]string `json:"registries,omitempty"`
	// Arguments is the arguments of the Earthfile's base section with their
	// defaults, as written there. "" also stands for no default, and for one
	// that depends on other arguments.
	Arguments map[string]string `json:"arguments,omitempty"`

	// Notes is what one should know before using the release.
	Notes []string `json:"notes,omitempty"`
}

// Provider is the Kubernetes agent of a distribution.
type Provider struct {
	Version string `json:"version"`
	Image   string `json:"image"`
	// ImageFIPS is the image when FIPS_ENABLED=true; from v4.5.3 on the same.
	ImageFIPS string `json:"imageFIPS,omitempty"`
}

// How a release takes certificates into the image.
const (
	CertPath      = "PROXY_CERT_PATH" // one file, up to v4.5.10
	CertDirectory = "certs directory" // all files in certs/, from v4.5.11
)

// Versions is the Kubernetes versions of a distribution, oldest first; nil if
// the release does not have it.
func (r *Release) Versions(dist string) []string { return r.Kubernetes[dist] }

// Has says whether the release offers a Kubernetes version.
func (r *Release) Has(dist, version string) bool {
	return slices.Contains(r.Kubernetes[dist], version)
}

// Distributions is the Kubernetes distributions of the release, sorted.
func (r *Release) Distributions() []string {
	names := make([]string, 0, len(r.Kubernetes))
	for d := range r.Kubernetes {
		names = append(names, d)
	}
	slices.Sort(names)
	return names
}

// Declares says whether the release's Earthfile has an argument in its base
// section. CanvOS ignores arguments that are not declared.
func (r *Release) Declares(argument string) bool {
	_, ok := r.Arguments[argument]
	return ok
}

// Warning is what a person who pins the release must know, or "". The release
// is usable, but does not build what its tag says.
func (r *Release) Warning() string {
	if r.AgentVersion == r.Tag {
		return ""
	}
	return fmt.Sprintf("CanvOS %s builds agent %s: image tags carry %[2]s, not %[1]s", r.Tag, r.AgentVersion)
}

// Digest is the digest of the release's canonical JSON, without what says
// nothing of an image: date, aliases, notes and documented OS versions.
func (r *Release) Digest() plan.Digest {
	entry := *r
	entry.Date, entry.Aliases, entry.Notes, entry.OSVersions = "", nil, nil, nil
	b, err := plan.Canonical(entry)
	if err != nil {
		panic(err) // a struct of strings cannot fail to encode
	}
	return plan.DigestOf(b)
}

// Override is the release tag as a manifest describes it: the JSON of a
// Release, laid over base. Objects are merged, anything else is replaced, null
// removes. What the JSON leaves out and base has under its own versions follows
// the new ones: with another agentVersion (the tag, unless it is given) go the
// agent's images, with a provider's version its image, with kairosVersion the
// base images. base may be nil.
func Override(base *Release, tag string, entry []byte) (*Release, error) {
	var patch map[string]any
	if err := json.Unmarshal(entry, &patch); err != nil {
		return nil, fmt.Errorf("catalog entry %s: %w", tag, err)
	}
	from := &Release{Tag: tag}
	if base != nil {
		from = base
	}
	patch["tag"] = tag
	if _, ok := patch["agentVersion"]; !ok && (base == nil || base.Tag != tag) {
		patch["agentVersion"] = tag
	}
	if base != nil && base.Tag != tag {
		// These are about base alone.
		for _, field := range []string{"aliases", "date", "notes"} {
			if _, ok := patch[field]; !ok {
				patch[field] = nil
			}
		}
	}
	from = from.with(patch)
	b, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("catalog entry %s: %w", tag, err)
	}
	var whole map[string]any
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, fmt.Errorf("catalog entry %s: %w", tag, err)
	}
	if b, err = json.Marshal(merge(whole, patch)); err != nil {
		return nil, fmt.Errorf("catalog entry %s: %w", tag, err)
	}
	r := &Release{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("catalog entry %s: %w", tag, err)
	}
	return r, nil
}

// with is r after the versions that a patch names.
func (r *Release) with(patch map[string]any) *Release {
	str := func(m map[string]any, key string) string {
		s, _ := m[key].(string)
		return s
	}
	o := Components{Agent: str(patch, "agentVersion"), Kairos: str(patch, "kairosVersion")}
	out := r.With("", o)
	providers, _ := patch["providers"].(map[string]any)
	for dist, p := range providers {
		if p, ok := p.(map[string]any); ok {
			out = out.With(dist, Components{Provider: str(p, "version")})
		}
	}
	return out
}

// merge lays patch over target as RFC 7386 says.
func merge(target, patch map[string]any) map[string]any {
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, k)
		case map[string]any:
			t, ok := target[k].(map[string]any)
			if !ok {
				t = map[string]any{}
			}
			target[k] = merge(t, v)
		default:
			target[k] = v
		}
	}
	return target
}
