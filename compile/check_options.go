package compile

import (
	"slices"
	"strings"

	"canvos.dev/compile/canvos"
	"canvos.dev/compile/catalog"
)

// checkCanonical keeps a technical preview out of production.
func (s *subject) checkCanonical() {
	if !s.is("canonical") {
		return
	}
	where := s.Kubernetes.Distribution.At
	if !s.TechPreview.V {
		s.report("CV0205", "techPreview", firstAt(s.TechPreview.At, where), "canonical is a technical preview: it needs techPreview: true",
			`set techPreview: true and channel: "staging" or "development"`)
	}
	if channelOf(s.Family) == "production" {
		s.report("CV0205", "channel", firstAt(s.Channel.At, where), "canonical is a technical preview: it may not go to channel "+quoted(channelOf(s.Family)),
			`set channel: "staging" or "development"`)
	}
	if !s.runs("ubuntu") {
		s.report("CV0206", "os.distribution", s.OS.Distribution.At, "canonical runs on ubuntu only, not on "+quoted(s.OS.Distribution.V),
			`set os.distribution: "ubuntu", or take another kubernetes.distribution`+at(where))
	}
	if s.on("arm64") {
		s.report("CV0206", "arch", s.archAt("arm64"), `canonical runs on amd64 only, not on "arm64"`,
			`set arch: ["amd64"], or take another kubernetes.distribution`+at(where))
	}
}

// checkBundle asks the 4.10 line where Kubernetes lies, and keeps out what does
// not go with extensions or with Hadron.
func (s *subject) checkBundle() {
	if s.since("v4.10.0") {
		b := s.BundleKubernetes
		switch what := s.unextended(); {
		case !b.Set && what != "":
			s.report("CV0208", "bundleKubernetes", s.At, "family "+quoted(s.Name)+" does not say whether its images bundle Kubernetes",
				"set bundleKubernetes: true: "+what+" images cannot use extensions")
		case !b.Set:
			s.report("CV0208", "bundleKubernetes", s.At, "family "+quoted(s.Name)+" does not say whether its images bundle Kubernetes",
				"set bundleKubernetes: true to have it in the image, false for a systemd extension",
				"CanvOS's default is false in the candidates of 4.10 and true in its documentation")
		case !b.V && what != "":
			s.report("CV0207", "bundleKubernetes", b.At, what+" images must bundle Kubernetes: they cannot use extensions", "set bundleKubernetes: true")
		}
	}
	if !s.runs("hadron") {
		return
	}
	for _, not := range []struct {
		is   bool
		name string
	}{{s.UKI.V, "uki"}, {s.is("canonical"), "canonical"}, {s.TwoNode.V, "twoNode"}} {
		if not.is {
			s.report("CV0209", "os.distribution", s.OS.Distribution.At, "hadron is not built with "+not.name,
				`set os.distribution: "ubuntu", or leave `+not.name+" out")
		}
	}
}

// unextended names what keeps the family from systemd extensions, or is "".
func (s *subject) unextended() string {
	switch {
	case s.TwoNode.V:
		return "two-node"
	case s.UKI.V:
		return "UKI"
	}
	return ""
}

// checkFIPS judges what a FIPS image is made of.
func (s *subject) checkFIPS() {
	dist := s.Kubernetes.Distribution
	if !s.FIPS.V {
		if s.is("kubeadm-fips") {
			s.report("CV0211", "kubernetes.distribution", dist.At, "kubeadm-fips needs fips: true",
				`set fips: true`+at(s.FIPS.At)+`, or kubernetes.distribution: "kubeadm"`, "else it is mixed with an agent and tools that are not FIPS")
		}
		return
	}
	if !s.is("rke2", "kubeadm-fips") {
		help := `set kubernetes.distribution: "rke2"`
		if s.is("kubeadm") {
			help = `set kubernetes.distribution: "kubeadm-fips"`
		}
		s.report("CV0210", "kubernetes.distribution", dist.At, quoted(dist.V)+" has no FIPS build", help+", or fips: false"+at(s.FIPS.At),
			"rke2 and kubeadm-fips are the distributions that have one")
	}
	if imagesText(s.Family) == "" {
		s.report("CV0212", "fips", s.FIPS.At, "FIPS needs a base image: the one CanvOS computes is not FIPS",
			"build a FIPS base image as CanvOS documents it, and name it in os.image"+at(s.OS.At))
	}
	if s.UpdateKernel.V {
		s.report("CV0213", "updateKernel", s.UpdateKernel.At, "fips and updateKernel exclude each other", "set updateKernel: false",
			"an updated kernel is not the validated one")
	}
	if s.UKI.V {
		s.report("CV0214", "uki", s.UKI.At, "the FIPS installer does not work with secure boot, which uki needs", "set uki or fips to false")
	}
	line := "fips=1"
	if s.runs("rhel") {
		line = "fips=1 selinux=0"
	}
	s.report("CV0215", "fips", s.FIPS.At, "FIPS mode is switched on by the kernel's command line, not by the image",
		"put "+line+" into the installer's user-data, and acknowledge CV0215 with where that is done")
}

// checkUKI judges where trusted boot is documented.
func (s *subject) checkUKI() {
	if !s.UKI.V {
		return
	}
	interim := s.OS.Version.V == "23.10" && s.release != nil && strings.HasPrefix(s.release.AgentVersion, "v4.4.")
	if !s.runs("ubuntu") || s.OS.Version.V != "24.04" && !interim {
		has := s.OS.Distribution.V
		if s.OS.Version.V != "" {
			has += " " + s.OS.Version.V
		}
		s.report("CV0230", "uki", s.UKI.At, "uki needs Ubuntu 24.04, not "+has,
			`set os: {distribution: "ubuntu", version: "24.04"}`+at(s.OS.At)+", or uki: false",
			"CanvOS takes a base image that is not made for UKI, without a word")
	}
	if s.on("arm64") {
		s.report("CV0231", "arch", s.archAt("arm64"), `uki is built for amd64 only, not for "arm64"`, `set arch: ["amd64"]`)
	}
	if !s.is("rke2") {
		s.report("CV0232", "kubernetes.distribution", s.Kubernetes.Distribution.At, "uki is documented with rke2 only, not with "+s.Kubernetes.Distribution.V,
			`set kubernetes.distribution: "rke2", or acknowledge CV0232`, "and for clusters connected to Palette only")
	}
}

// checkAvailable finds options whose argument the release does not have.
func (s *subject) checkAvailable() {
	if s.release == nil {
		return
	}
	for _, o := range options {
		if !o.set(s.Family) {
			continue
		}
		if args := s.argumentsOf(o); len(args) > 0 && !slices.ContainsFunc(args, s.has) {
			s.unavailable(o, args)
		}
	}
	for _, a := range s.GPU.Arguments {
		known := slices.ContainsFunc(canvos.Table, func(t canvos.Argument) bool { return t.Name == a.Key && t.Field == "gpu.arguments" })
		if !known {
			help := "remove it"
			if meant := did(a.Key, gpuArguments()); meant != "" {
				help = "write " + meant
			}
			s.report("CV0252", "gpu.arguments."+a.Key, a.Value.At, "no CanvOS release has an argument "+quoted(a.Key), help)
		}
	}
	if s.HardwareDB.V != "" && s.before("v4.8.8") {
		s.report("CV0252", "hardwareSpecs", s.HardwareDB.At, "CanvOS "+s.release.Tag+" does not read hardwareSpecs",
			`set canvos: "v4.8.8" or later, or remove the field`, "v4.8.8 is the first release that does")
	}
}

// argumentsOf are the arguments that an option may stand for in some release;
// none for what canvos does by itself.
func (s *subject) argumentsOf(o option) []string {
	switch o.field {
	case "ubuntuPro":
		return []string{"UBUNTU_PRO_KEY", "UBUNTU_PRO_ATTACH"}
	case "mirrors.base":
		return []string{"KAIROS_BASE_IMAGE_URL", "BASE_IMAGE_URL"}
	case "components.provider":
		return []string{providerArgument(s.Kubernetes.Distribution.V, "_PROVIDER_VERSION")}
	case "components.flavor":
		return []string{providerArgument(s.Kubernetes.Distribution.V, "_FLAVOR_TAG")}
	}
	if a := argumentOf(o, s.Family); a != "" {
		return []string{a}
	}
	return nil
}

// providerArgument is K3S_PROVIDER_VERSION and the like; kubeadm-fips shares
// kubeadm's.
func providerArgument(dist, end string) string {
	return strings.ToUpper(strings.TrimSuffix(dist, "-fips")) + end
}

// has says whether the release has an argument. An entry of the manifest for a
// release after those of the catalog rarely lists its arguments: it is taken to
// have those that came with the 4.10 line.
func (s *subject) has(argument string) bool {
	if s.rel.declares(s.release, argument) {
		return true
	}
	_, own := s.rel.own[s.release.Tag]
	if !own || !s.since("v4.10.0") || !slices.ContainsFunc(canvos.Table, func(t canvos.Argument) bool { return t.Name == argument }) {
		return false
	}
	first := s.rel.spanOf(argument).first
	return first == "" || catalog.CompareVersions(first, "v4.10.0") >= 0
}

// unavailable is an option that does nothing in the release.
func (s *subject) unavailable(o option, args []string) {
	tag := s.release.Tag
	help, note := "remove "+o.field, "no release of CanvOS has such an argument"
	if slices.ContainsFunc(canvos.Table, func(t canvos.Argument) bool { return t.Name == args[0] }) {
		note = "it came with the 4.10 line, which the catalog does not have yet"
		help += ", or add a release of that line under catalog"
	}
	for _, a := range args {
		in := s.rel.spanOf(a)
		if in == (span{}) {
			continue
		}
		note = a + " is in " + in.first + " to " + in.last
		switch {
		case catalog.CompareVersions(in.first, tag) > 0:
			help = "set canvos: " + quoted(in.first) + " or later" + at(s.Release.At) + ", or remove " + o.field
		case catalog.CompareVersions(in.last, tag) < 0:
			help = "remove " + o.field + ": " + in.last + " is the last release that has it"
		}
	}
	s.report("CV0252", o.field, o.at(s.Family), "CanvOS "+tag+" has no "+strings.Join(args, " or ")+": "+o.field+" would do nothing", help, note)
}

func gpuArguments() []string {
	var names []string
	for _, a := range canvos.Table {
		if a.Field == "gpu.arguments" {
			names = append(names, a.Name)
		}
	}
	return names
}
