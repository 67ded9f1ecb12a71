package compile

import (
	"regexp"
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
)

// imageFor is the base image that is named for an architecture, if any.
func (s *subject) imageFor(arch string) Field[string] {
	for _, p := range s.OS.ImageByArch {
		if p.Key == arch {
			return p.Value
		}
	}
	return s.OS.Image
}

// checkBaseImages judges os.image, and that it is there where CanvOS has no
// image of its own.
func (s *subject) checkBaseImages() {
	for _, arch := range archesOf(s.Family) {
		image := s.imageFor(arch)
		if image.V == "" && s.OS.ByArch.Set {
			help := "add " + arch + `: "…"`
			if s.runs("ubuntu", "opensuse-leap") {
				help += ", or leave os.image out to build on CanvOS's own for all"
			}
			s.report("CV0220", "os.image."+arch, s.OS.ByArch.At, "os.image names no base image for "+arch, help)
			continue
		}
		if image.V == "" {
			if known := s.release != nil && (slices.Contains(systems, s.OS.Distribution.V) || s.since("v4.10.0")); known && !s.runs("ubuntu", "opensuse-leap") {
				s.report("CV0220", "os.image", firstAt(s.OS.Distribution.At, s.OS.At), s.OS.Distribution.V+" needs a base image: CanvOS has none of its own",
					"build one as CanvOS documents it, and name it in os.image"+at(s.OS.At))
				break
			}
			continue
		}
		path := "os.image"
		if s.OS.ByArch.Set {
			path += "." + arch
		} else if arch != archesOf(s.Family)[0] {
			s.checkImageArch(image, path, arch)
			continue
		}
		ref, ok := s.checkReference(image, path)
		if !ok {
			continue
		}
		s.checkLocalOnly(image, path, ref)
		s.checkDefault(image, path, arch, ref)
		s.checkImageNames(image, path)
		s.checkImageArch(image, path, arch)
		s.checkSTIG(image, path)
	}
	for _, mirror := range []struct {
		path string
		ref  Field[string]
	}{{"mirrors.thirdParty", s.Mirrors.ThirdParty}, {"mirrors.alpine", s.Mirrors.Alpine}, {"mirrors.osbuilder", s.Mirrors.Osbuilder}} {
		if mirror.ref.V != "" {
			s.checkReference(mirror.ref, mirror.path)
		}
	}
	s.checkComposed()
	for _, o := range options {
		if overrides(o.field) && o.set(s.Family) {
			if why := s.idle(o); why != "" {
				s.report("CV0243", o.field, o.at(s.Family), o.field+" does nothing: "+why, "remove it")
			}
		}
	}
}

// idle says why the version or registry of a component that the family sets is
// in none of its images, or "".
func (s *subject) idle(o option) string {
	unless := func(used bool, why string) string {
		if used {
			return ""
		}
		return why
	}
	const uki, stage = "it is for UKI images", "os.prepare is false, so the OS stage does not run"
	switch o.field {
	case "components.kine":
		if !s.TwoNode.V {
			return "it is for two-node images"
		}
		return unless(!s.prepared(), stage)
	case "components.golang", "mirrors.alpine", "mirrors.osbuilder":
		return unless(s.UKI.V, uki)
	case "components.alpine", "components.osbuilder":
		mirror := map[string]Field[string]{"components.alpine": s.Mirrors.Alpine, "components.osbuilder": s.Mirrors.Osbuilder}[o.field]
		if mirror.V != "" {
			return "mirrors" + strings.TrimPrefix(o.field, "components") + " names the whole image"
		}
		return unless(s.UKI.V, uki)
	case "components.thirdParty":
		return unless(s.Mirrors.ThirdParty.V == "", "mirrors.thirdParty names the whole image")
	case "components.drbd":
		if s.Dockerfile.V == "" {
			return "it is for a dockerfile that builds DRBD"
		}
		return unless(!s.prepared(), stage)
	case "components.provider", "components.flavor", "components.luet", "mirrors.packages", "mirrors.packageProject":
		if s.since("v4.10.0") && s.BundleKubernetes.Set && !s.BundleKubernetes.V && !s.UKI.V {
			return "bundleKubernetes is false, so Kubernetes and its agent are not in the image"
		}
		return unless(o.field != "components.luet" || s.release == nil || s.moves(o, s.packages), "the package repository of this release has no version in its path")
	case "components.kairos", "components.kairosInit", "mirrors.base":
		// Up to v4.7.11 the OS stage writes Kairos' version into the image.
		writes := o.field == "components.kairos" && s.before("v4.7.13") && !s.prepared()
		if s.release == nil || writes || s.moves(o, s.bases) {
			return ""
		}
		if imagesText(s.Family) != "" {
			return "os.image names the base image"
		}
		if s.UKI.V {
			return "CanvOS " + s.release.Tag + " takes a base image of its own for UKI"
		}
		return "the base image of CanvOS " + s.release.Tag + " has no part of it"
	}
	return ""
}

// moves says whether references are others when a field has another value.
func (s *subject) moves(o option, references func(*catalog.Release, string) string) bool {
	other := *s.Family
	o.word(&other).V += "x"
	of := func(f *Family) string {
		r := s.release.With(f.Kubernetes.Distribution.V, componentsOf(f))
		var all []string
		for _, arch := range archesOf(f) {
			all = append(all, references(r, arch))
		}
		return strings.Join(all, " ")
	}
	return of(s.Family) != of(&other)
}

func (s *subject) bases(r *catalog.Release, arch string) string {
	if s.imageFor(arch).V != "" {
		return ""
	}
	base, _ := r.BaseImage(s.OS.Distribution.V, s.OS.Version.V, arch, s.UKI.V, s.FIPS.V)
	return base
}

func (s *subject) packages(r *catalog.Release, arch string) string {
	return r.PackageImage(s.Kubernetes.Distribution.V, "", arch)
}

// checkComposed judges the references that the family's components and mirrors
// are put into, and tells of the fields that break one.
func (s *subject) checkComposed() {
	if s.release == nil || componentsOf(s.Family) == (catalog.Components{}) || s.misnamedPart(s.Family) == "" {
		return
	}
	found := false
	for _, o := range options {
		if !overrides(o.field) || !o.set(s.Family) {
			continue
		}
		alone := *s.Family
		alone.Components, alone.Mirrors = Components{}, Mirrors{}
		*o.word(&alone) = *o.word(s.Family)
		if why := s.misnamedPart(&alone); why != "" {
			found = true
			s.report("CV0115", o.field, o.at(s.Family), o.field+" "+quoted(o.text(s.Family))+" gives no image reference: "+why, "correct "+o.field)
		}
	}
	if !found {
		s.report("CV0115", "components", s.At, "components and mirrors together give no image reference: "+s.misnamedPart(s.Family), "correct components or mirrors")
	}
}

// misnamedPart says why the reference of a component is none, or "".
func (s *subject) misnamedPart(f *Family) string {
	r := s.release.With(f.Kubernetes.Distribution.V, componentsOf(f))
	const anyVersion = "1.30.4"
	references := []string{r.ThirdPartyImage, r.ProviderImage(f.Kubernetes.Distribution.V, f.FIPS.V)}
	if f.UKI.V {
		references = append(references, r.OsbuilderImage)
	}
	for _, arch := range archesOf(f) {
		references = append(references, r.StylusImage(arch, f.FIPS.V), r.PackageImage(f.Kubernetes.Distribution.V, anyVersion, arch))
		if base, ok := r.BaseImage(f.OS.Distribution.V, f.OS.Version.V, arch, f.UKI.V, f.FIPS.V); ok && s.imageFor(arch).V == "" {
			references = append(references, base)
		}
	}
	for _, reference := range references {
		if reference == "" {
			continue
		}
		ref, err := ParseReference(reference)
		switch {
		case err != nil:
			return quoted(reference) + ": " + err.Error()
		case len(ref.Path) > longestRepository:
			return quoted(reference) + ": its path has " + itoa(len(ref.Path)) + " characters, a registry takes " + itoa(longestRepository)
		}
	}
	return ""
}

// overrides says whether a field is one of a version or registry that the
// release has too.
func overrides(field string) bool {
	return strings.HasPrefix(field, "components.") || strings.HasPrefix(field, "mirrors.")
}

// checkDefault finds the image that the release would take anyway.
func (s *subject) checkDefault(image Field[string], path, arch string, ref Reference) {
	if s.release == nil || s.FIPS.V || !strings.Contains(ref.Tag, "-core-") || len(s.OS.ImageByArch) > 1 {
		return // of several, one may be CanvOS's own: none can be left out
	}
	own, ok := s.release.BaseImage(s.OS.Distribution.V, s.OS.Version.V, arch, s.UKI.V, false)
	if !ok {
		return
	}
	computed, err := ParseReference(own)
	if err != nil || lastPart(computed.Path) != lastPart(ref.Path) {
		return
	}
	notes := []string{"CanvOS " + s.release.Tag + " takes " + own}
	help := "leave os.image out"
	switch {
	case ref.Host != computed.Host || ref.Path != computed.Path:
		help += ", and say under mirrors.base or sources where base images come from"
	case ref.Tag != computed.Tag:
		help += ", and set components.kairos for another Kairos version"
	}
	s.report("CV0222", path, image.At, quoted(image.V)+" is the base image that CanvOS chooses by itself", help, notes...)
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// named is what the name of an image says of it.
type named struct {
	systems  []string
	versions map[string][]string // by system
	arches   []string
	jetson   bool
	stig     bool
}

// systemWords are the words of image names that tell an operating system.
var systemWords = map[string]string{
	"ubuntu": "ubuntu", "opensuse": "opensuse-leap", "leap": "opensuse-leap", "rhel": "rhel", "ubi": "rhel",
	"redhat": "rhel", "sles": "sles", "sle": "sles", "rocky": "rocky", "almalinux": "almalinux", "debian": "debian",
	"fedora": "fedora", "alpine": "alpine", "hadron": "hadron",
}

var archWords = map[string]string{"amd64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64"}

// wordForm parts a word of a name from a version that follows it: ubi9, rhel8.10.
var wordForm = regexp.MustCompile(`^([a-z]+)([0-9]+(?:\.[0-9]+)?)?$`)

// namesOf reads the name of an image, without its registry. It is a guess, and
// what is built on it a warning.
func namesOf(images string) named {
	n := named{versions: map[string][]string{}}
	for _, image := range strings.Fields(images) {
		name, _, _ := strings.Cut(image, "@")
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			name = name[i+1:]
		}
		if strings.Contains(name, "x86_64") {
			n.arches = append(n.arches, "amd64")
		}
		n.jetson = n.jetson || strings.Contains(name, "jetson")
		last := ""
		for _, word := range strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return strings.ContainsRune(":-_=", c) }) {
			if arch := archWords[word]; arch != "" {
				n.arches = append(n.arches, arch)
			}
			n.stig = n.stig || word == "stig"
			if ubuntuForm.MatchString(word) && last != "" {
				n.versions["ubuntu"] = append(n.versions["ubuntu"], word)
			}
			if isNumber(word) && last == "rhel" {
				n.versions[last] = append(n.versions[last], majorOf(word))
			}
			if leapForm.MatchString(word) && last == "opensuse-leap" {
				n.versions[last] = append(n.versions[last], word)
			}
			parts := wordForm.FindStringSubmatch(word)
			if parts == nil || systemWords[parts[1]] == "" {
				continue
			}
			last = systemWords[parts[1]]
			n.systems = append(n.systems, last)
			if parts[2] != "" && last == "rhel" {
				n.versions[last] = append(n.versions[last], majorOf(parts[2]))
			}
		}
	}
	return n
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789.") == "" && s != "" }

func majorOf(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return major
}

// checkImageNames compares the name of a base image with the fields beside it.
func (s *subject) checkImageNames(image Field[string], path string) {
	n := namesOf(image.V)
	own := s.OS.Distribution
	switch {
	case len(n.systems) > 0 && !slices.Contains(n.systems, own.V):
		s.report("CV0221", path, image.At, "the name "+quoted(image.V)+" tells of "+n.systems[0]+", os.distribution says "+quoted(own.V),
			"correct one of them, or acknowledge CV0221 if only the name misleads")
		return
	case s.OS.Version.V == "":
		return
	}
	version := fullUbuntu(s.OS.Version.V)
	if own.V == "rhel" {
		version = majorOf(version)
	}
	if told := n.versions[own.V]; len(told) > 0 && !slices.Contains(told, version) {
		s.report("CV0221", path, image.At, "the name "+quoted(image.V)+" tells of version "+told[0]+", os.version says "+quoted(s.OS.Version.V),
			"correct one of them"+at(s.OS.Version.At)+", or acknowledge CV0221 if only the name misleads")
	}
}

// checkImageArch compares the name of a base image with an architecture that it
// is used for.
func (s *subject) checkImageArch(image Field[string], path, arch string) {
	n := namesOf(image.V)
	if n.jetson {
		if arch != "arm64" {
			s.report("CV0223", path, image.At, quoted(image.V)+" is an image for NVIDIA Jetson, which is arm64, not "+arch,
				`set arch: ["arm64"]`+at(s.ArchSet.At))
		}
		return
	}
	if len(n.arches) > 0 && !slices.Contains(n.arches, arch) {
		s.report("CV0221", path, image.At, "the name "+quoted(image.V)+" tells of "+n.arches[0]+", it is used for "+arch,
			"name an image for each: os.image: {amd64: …, arm64: …}, or correct arch"+at(s.ArchSet.At))
	}
}

// checkSTIG compares a STIG image with what is documented.
func (s *subject) checkSTIG(image Field[string], path string) {
	if !namesOf(image.V).stig {
		return
	}
	major := majorOf(s.OS.Version.V)
	if s.runs("rhel") && (major == "9" || major == "" && !s.isRHEL8()) && s.is("kubeadm", "kubeadm-fips", "rke2") ||
		s.runs("ubuntu") && s.OS.Version.V == "24.04" && s.is("kubeadm-fips", "rke2") {
		return
	}
	s.report("CV0216", path, image.At, "a STIG image of "+strings.TrimSpace(s.OS.Distribution.V+" "+s.OS.Version.V)+" with "+s.Kubernetes.Distribution.V+" is not documented",
		"take RHEL 9 with kubeadm, kubeadm-fips or rke2, or Ubuntu 24.04 with kubeadm-fips or rke2, or acknowledge CV0216")
}
