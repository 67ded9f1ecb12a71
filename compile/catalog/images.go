package catalog

import (
	"maps"
	"slices"
	"strings"
)

// BaseImage is the image that the release builds on when BASE_IMAGE is not
// given. It is not known for distributions that need BASE_IMAGE (rhel, sles),
// for a version that is missing, and up to v4.1.4 for ubuntu versions other
// than 20 and 22.
//
// As in the Earthfiles of v4.2.3 to v4.9.38, ubuntu 20 and 22 stand for 20.04
// and 22.04, those two alone, and they never get a UKI image.
func (r *Release) BaseImage(os, version, arch string, uki, fips bool) (ref string, ok bool) {
	short := os == "ubuntu" && (version == "20" || version == "22")
	sample, sampled := r.baseSample(os, version, uki, fips)
	if sample == "" {
		return "", false
	}
	switch {
	case !strings.Contains(sample, "-core-"):
		// Up to v4.1.4: core-ubuntu-22-lts:v2.3.2, core-opensuse-leap:v2.3.2.
		if os == "ubuntu" && !short {
			return "", false
		}
		return strings.Replace(sample, "-"+sampled+"-lts:", "-"+version+"-lts:", 1), true
	case version == "":
		return "", false
	}
	if short {
		version += ".04"
		sample = strings.TrimSuffix(sample, "-uki")
	}
	ref = strings.Replace(sample, sampled+"-core-amd64-", version+"-core-"+arch+"-", 1)
	return ref, true
}

// baseSample is a base image with the wanted options, and the version it is
// for: the version asked for if the release has it, another one if not.
func (r *Release) baseSample(os, version string, uki, fips bool) (ref, sampled string) {
	options := ""
	if fips && r.Registries["KAIROS_BASE_IMAGE_URL_fips"] != r.Registries["KAIROS_BASE_IMAGE_URL"] {
		options += "+fips"
	}
	if uki {
		options += "+uki"
	}
	if ref, ok := r.BaseImages[os+":"+version+options]; ok {
		return ref, version
	}
	for _, key := range slices.Sorted(maps.Keys(r.BaseImages)) {
		v, found := strings.CutPrefix(key, os+":")
		if v, same := strings.CutSuffix(v, options); found && same && !strings.Contains(v, "+") {
			return r.BaseImages[key], v
		}
	}
	return "", ""
}

// PackageImage is the image of the Kubernetes package: luet keeps a package as
// the tag name-category-version of its repository, with "-" for "+". It is ""
// if the release has no repository for the architecture.
func (r *Release) PackageImage(dist, version, arch string) string {
	repo := r.LuetRepo[arch]
	if repo == "" {
		return ""
	}
	if flavor := r.FlavorTags[dist]; flavor != "" {
		version += "-" + flavor
	}
	return repo + ":" + strings.ReplaceAll(dist+"-k8s-"+version, "+", "-")
}

// ContainerdPackage is the luet package that kubeadm and kubeadm-fips also
// install, up to v4.7.11. Upstream gives it no version: it takes the newest of
// the repository at the time of the build, so there is no image to name.
func (r *Release) ContainerdPackage(dist string) (name string, ok bool) {
	name = map[string]string{
		"kubeadm":      "container-runtime/containerd",
		"kubeadm-fips": "container-runtime/containerd-fips",
	}[dist]
	return name, name != "" && slices.Contains(r.LuetPackages, name)
}

// StylusImage is the agent's framework image.
func (r *Release) StylusImage(arch string, fips bool) string {
	if fips {
		return r.Stylus[arch+"-fips"]
	}
	return r.Stylus[arch]
}

// ProviderImage is the Kubernetes agent's image.
func (r *Release) ProviderImage(dist string, fips bool) string {
	p := r.Providers[dist]
	if fips && p.ImageFIPS != "" {
		return p.ImageFIPS
	}
	return p.Image
}

// Components are versions and registries that a family sets over those of its
// release; "" leaves the release's.
type Components struct {
	Agent, Kairos, KairosInit, Provider, Flavor, Kine, Luet string
	ThirdParty, Alpine, Osbuilder, Golang                   string // versions, the tags of their images

	Images, Base, Packages, PackageProject       string // SPECTRO_PUB_REPO, KAIROS_BASE_IMAGE_URL, SPECTRO_LUET_REPO, LUET_PROJECT
	ThirdPartyImage, AlpineImage, OsbuilderImage string
}

// With is a copy of the release that has the given components in place of its
// own. Provider and Flavor are dist's.
func (r *Release) With(dist string, c Components) *Release {
	out := *r
	out.Providers = maps.Clone(r.Providers)
	out.FlavorTags = maps.Clone(r.FlavorTags)
	out.Stylus = maps.Clone(r.Stylus)
	out.BaseImages = maps.Clone(r.BaseImages)
	out.LuetRepo = maps.Clone(r.LuetRepo)
	out.Registries = map[string]string{}
	maps.Copy(out.Registries, r.Registries)

	out.setVersions(dist, c)
	out.setMirrors(c)
	return &out
}

func (r *Release) setVersions(dist string, c Components) {
	if v := c.Agent; v != "" {
		for arch, ref := range r.Stylus {
			r.Stylus[arch] = retag(ref, v)
		}
		r.AgentVersion = v
	}
	if v := c.Kairos; v != "" && v != r.KairosVersion {
		for key, ref := range r.BaseImages {
			// A UKI image that has a version of its own keeps it.
			r.BaseImages[key] = strings.Replace(ref, r.KairosVersion, v, 1)
		}
		r.KairosVersion = v
	}
	if v := c.KairosInit; v != "" && r.KairosInitVersion != "" {
		for key, ref := range r.BaseImages {
			r.BaseImages[key] = strings.Replace(ref, r.KairosInitVersion, v, 1)
		}
		r.KairosInitVersion = v
	}
	if p, ok := r.Providers[dist]; ok && c.Provider != "" {
		p.Version = c.Provider
		p.Image, p.ImageFIPS = retag(p.Image, c.Provider), retag(p.ImageFIPS, c.Provider)
		r.Providers[dist] = p
	}
	if _, ok := r.FlavorTags[dist]; ok && c.Flavor != "" {
		r.FlavorTags[dist] = c.Flavor
	}
	if v := c.Luet; v != "" && r.LuetVersion != "" {
		for arch, repo := range r.LuetRepo {
			if base, ok := strings.CutSuffix(repo, "/"+r.LuetVersion); ok {
				r.LuetRepo[arch] = base + "/" + v
			}
		}
		r.LuetVersion = v
	}
	set(&r.KineVersion, c.Kine)
	set(&r.GolangVersion, c.Golang)
	set(&r.OsbuilderVersion, c.Osbuilder)
	r.ThirdPartyImage = retag(r.ThirdPartyImage, c.ThirdParty)
	r.AlpineImage = retag(r.AlpineImage, c.Alpine)
	r.OsbuilderImage = retag(r.OsbuilderImage, c.Osbuilder)
}

func (r *Release) setMirrors(c Components) {
	if to := c.Images; to != "" {
		// A mirror that is not the default also serves FIPS images: the
		// Earthfiles turn to palette-images-fips for the default only.
		from, fips := r.Registries["SPECTRO_PUB_REPO"], r.Registries["SPECTRO_PUB_REPO_fips"]
		move := func(ref string) string { return rehost(rehost(ref, from, to), fips, to) }
		for arch, ref := range r.Stylus {
			r.Stylus[arch] = move(ref)
		}
		for d, p := range r.Providers {
			p.Image, p.ImageFIPS = move(p.Image), move(p.ImageFIPS)
			r.Providers[d] = p
		}
		if r.baseFollowsImages() {
			for key, ref := range r.BaseImages {
				r.BaseImages[key] = move(ref)
			}
			for _, name := range []string{"KAIROS_BASE_IMAGE_URL", "KAIROS_BASE_IMAGE_URL_fips"} {
				if url := r.Registries[name]; url != "" {
					r.Registries[name] = move(url)
				}
			}
		}
		r.AlpineImage = r.follow("ALPINE_IMG", r.AlpineImage, move)
		r.ThirdPartyImage = r.followThirdParty(move)
		r.Registries["SPECTRO_PUB_REPO"] = to
		if fips != "" {
			r.Registries["SPECTRO_PUB_REPO_fips"] = to
		}
	}
	if to := c.Base; to != "" {
		// Up to v4.2.3 the argument is BASE_IMAGE_URL.
		for _, name := range []string{"KAIROS_BASE_IMAGE_URL", "KAIROS_BASE_IMAGE_URL_fips", "BASE_IMAGE_URL"} {
			from := r.Registries[name]
			if from == "" || name == "BASE_IMAGE_URL" && r.Registries["KAIROS_BASE_IMAGE_URL"] != "" {
				continue
			}
			for key, ref := range r.BaseImages {
				r.BaseImages[key] = rehost(ref, from, to)
			}
			r.Registries[name] = to
		}
	}
	if to := c.PackageProject; to != "" && r.Declares("LUET_PROJECT") {
		from := r.Registries["LUET_PROJECT"]
		for arch, repo := range r.LuetRepo {
			r.LuetRepo[arch] = strings.Replace(repo, "/"+from, "/"+to, 1)
		}
		r.Registries["LUET_PROJECT"] = to
	}
	if to := c.Packages; to != "" {
		for arch, repo := range r.LuetRepo {
			r.LuetRepo[arch] = rehost(repo, r.Registries["SPECTRO_LUET_REPO"], to)
		}
		r.Registries["SPECTRO_LUET_REPO"] = to
	}
	set(&r.ThirdPartyImage, c.ThirdPartyImage)
	set(&r.AlpineImage, c.AlpineImage)
	set(&r.OsbuilderImage, c.OsbuilderImage)
}

// baseFollowsImages says whether KAIROS_BASE_IMAGE_URL is derived from
// SPECTRO_PUB_REPO: from v4.5.3 on.
func (r *Release) baseFollowsImages() bool {
	return strings.Contains(r.Arguments["KAIROS_BASE_IMAGE_URL"], "$SPECTRO_PUB_REPO")
}

// follow moves an image whose argument's default names SPECTRO_PUB_REPO.
func (r *Release) follow(argument, ref string, move func(string) string) string {
	if strings.Contains(r.Arguments[argument], "$SPECTRO_PUB_REPO") {
		return move(ref)
	}
	return ref
}

// followThirdParty moves the third-party image where it follows
// SPECTRO_PUB_REPO: v4.4.8 to v4.4.13, where it has no argument. Later releases
// name a host of its own.
func (r *Release) followThirdParty(move func(string) string) string {
	if strings.Contains(r.ThirdPartyImage, "/builders/") && !r.Declares("SPECTRO_THIRD_PARTY_IMAGE") && r.Registries["SPECTRO_PUB_REPO_fips"] == "" {
		return move(r.ThirdPartyImage)
	}
	return r.ThirdPartyImage
}

func set(field *string, v string) {
	if v != "" {
		*field = v
	}
}

// retag gives an image reference another tag. No reference and no tag change
// nothing.
func retag(ref, tag string) string {
	if ref == "" || tag == "" {
		return ref
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i+1] + tag
	}
	return ref + ":" + tag
}

// rehost replaces the first path elements of a reference.
func rehost(ref, from, to string) string {
	if rest, ok := strings.CutPrefix(ref, from+"/"); ok && from != "" {
		return to + "/" + rest
	}
	if ref == from && from != "" {
		return to
	}
	return ref
}
