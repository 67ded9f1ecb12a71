package compile

import (
	"regexp"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// systems are the operating systems that CanvOS has package steps for.
var systems = []string{"ubuntu", "opensuse-leap", "rhel", "sles"}

var (
	ubuntuForm = regexp.MustCompile(`^[0-9]{2}\.(04|10)$`)
	leapForm   = regexp.MustCompile(`^[0-9]{2}\.[0-9]$`)
)

// fullUbuntu expands what CanvOS expands: 20 and 22, and those alone.
func fullUbuntu(version string) string {
	if version == "20" || version == "22" {
		return version + ".04"
	}
	return version
}

// checkSystem judges the operating system, and its version where the release
// makes the name of the base image of it.
func (s *subject) checkSystem() {
	d := s.OS.Distribution
	if !slices.Contains(systems, d.V) && s.release != nil && !s.since("v4.10.0") {
		help := "take one of " + strings.Join(systems, ", ")
		if meant := meantSystem(d.V); meant != "" {
			help = "write " + quoted(meant)
		}
		s.report("CV0111", "os.distribution", d.At, "CanvOS "+s.release.Tag+" does not build on "+quoted(d.V), help,
			"it knows "+strings.Join(systems, ", ")+"; the 4.10 line takes others with os.image")
		return
	}
	switch {
	case s.runs("ubuntu"):
		s.checkUbuntu()
	case s.runs("opensuse-leap") && s.since("v4.2.3"):
		s.checkLeap()
	}
}

// meantSystem is the operating system that a name stands for.
func meantSystem(name string) string {
	switch name {
	case "opensuse", "leap", "suse":
		return "opensuse-leap"
	case "redhat", "red-hat", "ubi":
		return "rhel"
	case "sle":
		return "sles"
	}
	return did(name, systems)
}

// checkUbuntu judges Ubuntu's version.
func (s *subject) checkUbuntu() {
	if s.release == nil {
		return
	}
	v := s.OS.Version
	where := firstAt(v.At, s.OS.At)
	short, tag := v.V == "20" || v.V == "22", s.release.Tag
	switch {
	case v.V == "" && imagesText(s.Family) != "":
	case v.V == "":
		s.report("CV0112", "os.version", where, "os.version is missing: CanvOS makes the base image's name of it", `set os.version: "22.04"`)
	case s.before("v4.2.3"):
		if !short && imagesText(s.Family) == "" {
			help := `write "22" or "20"`
			if cut := strings.TrimSuffix(v.V, ".04"); cut == "20" || cut == "22" {
				help = "write " + quoted(cut)
			}
			s.report("CV0112", "os.version", where, "CanvOS "+tag+" has no base image for Ubuntu "+quoted(v.V), help,
				"up to v4.1.4 the version is written without its month, 20 or 22")
		}
	case !short && !ubuntuForm.MatchString(v.V):
		help := `write "22.04" or "24.04"`
		if ubuntuForm.MatchString(v.V + ".04") {
			help = "write " + quoted(v.V+".04")
		} else if parts := strings.SplitN(v.V, ".", 3); len(parts) == 3 {
			help = "write " + quoted(parts[0]+"."+parts[1])
		}
		s.report("CV0112", "os.version", where, quoted(v.V)+" is not a version of Ubuntu as CanvOS "+tag+" takes it", help,
			"it expands 20 and 22, and no other; "+quoted(v.V)+" would be part of a name that does not exist")
	case short && s.since("v4.4.2"):
		s.report("CV0128", "os.version", where, quoted(v.V)+" is a short Ubuntu version: the kernel's packages have no such name",
			"write "+quoted(fullUbuntu(v.V)),
			"CanvOS expands it in the base image's name only, and names linux-image-generic-hwe-"+v.V+" as it stands")
	}
}

// checkLeap judges openSUSE Leap's version.
func (s *subject) checkLeap() {
	v := s.OS.Version
	where := firstAt(v.At, s.OS.At)
	switch {
	case imagesText(s.Family) != "":
	case v.V == "":
		s.report("CV0112", "os.version", where, "os.version is missing: the base image would be leap--core-…", `set os.version: "15.6"`,
			"CanvOS's openSUSE tutorial leaves it out; it is needed from v4.2.3 on")
	case !leapForm.MatchString(v.V):
		s.report("CV0112", "os.version", where, quoted(v.V)+" is not a version of openSUSE Leap", `write it as "15.6"`)
	}
}

// archAt is where an architecture is asked for.
func (s *subject) archAt(arch string) plan.Pos {
	for _, a := range s.Arch {
		if a.V == arch {
			return a.At
		}
	}
	return s.ArchSet.At
}

// checkArchitectures judges arm64, and what acts on amd64 only.
func (s *subject) checkArchitectures() {
	if s.ArchSet.Set && len(s.Arch) == 0 {
		s.report("CV0114", "arch", s.ArchSet.At, "arch is empty", `leave it out for ["amd64"], or list the architectures`)
	}
	if refused := s.is("canonical") || s.UKI.V || s.TwoNode.V; !refused && s.on("arm64") && s.imageFor("arm64").V == "" && slices.Contains(systems[:2], s.OS.Distribution.V) {
		s.report("CV0244", "arch", s.archAt("arm64"), `"arm64" is verified on NVIDIA Jetson Orin only`,
			"name a base image made for the board in os.image"+at(s.OS.At)+", or try it and acknowledge CV0244",
			"no package step runs on arm64: the image holds what its base image holds")
	}
	for _, o := range []struct {
		field string
		set   bool
		at    plan.Pos
		works func(arch string) bool
		where string
	}{
		{"cisHardening", s.CISHardening.V, s.CISHardening.At, s.ubuntuAMD64, "ubuntu and amd64"},
		{"ubuntuPro", hasUbuntuPro(s.Family), ubuntuProAt(s.Family), s.ubuntuAMD64, "ubuntu and amd64"},
		{"updateKernel", s.UpdateKernel.V, s.UpdateKernel.At, s.updatesKernel, "ubuntu and opensuse-leap for amd64, and from v4.7.2 on rhel and sles"},
	} {
		if !o.set || s.prepared() {
			continue
		}
		for _, arch := range archesOf(s.Family) {
			if o.works(arch) {
				continue
			}
			help := "remove " + o.field + ", or do its work in the base image"
			if s.ubuntuAMD64("amd64") && s.on("amd64") {
				help = "make a family of its own for " + arch + ", without " + o.field
			}
			s.report("CV0243", o.field, o.at, o.field+" does nothing on "+s.OS.Distribution.V+" and "+arch, help, "it acts on "+o.where)
		}
	}
	if s.prepared() {
		s.checkPrepared()
	}
	for i, a := range s.Arch {
		if slices.ContainsFunc(s.Arch[:i], func(b Field[string]) bool { return a.V == b.V }) {
			s.report("CV0243", "arch["+itoa(i)+"]", a.At, quoted(a.V)+" does nothing: arch has it already", "remove it")
		}
	}
	for _, p := range s.OS.ImageByArch {
		if !s.on(p.Key) {
			s.report("CV0243", "os.image."+p.Key, p.Value.At, "os.image."+p.Key+" does nothing: the family is not built for "+p.Key,
				"remove it, or add "+quoted(p.Key)+" to arch"+at(s.ArchSet.At))
		}
	}
}

// checkPrepared judges a family whose OS stage is left out: its base image must
// be one that somebody prepared, and nothing else is done to it.
func (s *subject) checkPrepared() {
	where := s.OS.Prepare.At
	if imagesText(s.Family) == "" && !s.OS.ByArch.Set && s.runs("ubuntu", "opensuse-leap") {
		s.report("CV0224", "os.prepare", where, "os.prepare is false, and the base image that CanvOS chooses is not prepared",
			"name a prepared image in os.image"+at(s.OS.At)+", or remove os.prepare")
	}
	for _, o := range options {
		if slices.Contains(osStageOptions, o.field) && o.set(s.Family) {
			s.report("CV0243", o.field, o.at(s.Family), o.field+" does nothing: os.prepare is false, so the OS stage does not run",
				"remove "+o.field+", or os.prepare"+at(where), "it says that the base image holds already what the stage would do")
		}
	}
}

// osStageOptions are what the OS stage alone looks at. Two-node is not among
// them: it says what the image is.
var osStageOptions = []string{"updateKernel", "cisHardening", "disableSELinux", "maas", "gpu", "ubuntuPro", "packages", "run", "dockerfile"}

func (s *subject) prepared() bool { return s.OS.Prepare.Set && !s.OS.Prepare.V }

func (s *subject) ubuntuAMD64(arch string) bool { return s.runs("ubuntu") && arch == "amd64" }

func (s *subject) updatesKernel(arch string) bool {
	if s.runs("rhel", "sles") {
		return s.release == nil || s.since("v4.7.2")
	}
	return s.runs("ubuntu", "opensuse-leap") && arch == "amd64"
}

// isRHEL8 says whether the family is RHEL 8 by its version, or else by the name
// of its base image.
func (s *subject) isRHEL8() bool {
	if !s.runs("rhel") {
		return false
	}
	if v := s.OS.Version.V; v != "" {
		return v == "8" || strings.HasPrefix(v, "8.")
	}
	return slices.Contains(namesOf(imagesText(s.Family)).versions["rhel"], "8")
}

// checkKernel judges what Kubernetes asks of a kernel.
func (s *subject) checkKernel() {
	if s.isRHEL8() && s.is("kubeadm", "kubeadm-fips") {
		for _, v := range s.from(1, 32) {
			s.report("CV0240", "kubernetes.versions", v.at, s.Kubernetes.Distribution.V+" "+v.version+" refuses the kernel of RHEL 8",
				"take RHEL 9"+at(firstAt(s.OS.Version.At, s.OS.Image.At))+", or Kubernetes before 1.32",
				"kubeadm checks the kernel's version from 1.32 on, and RHEL 8 has 4.18")
		}
	}
	if s.before("v4.9.10") {
		for _, v := range s.from(1, 35) {
			s.report("CV0241", "kubernetes.versions", v.at, "Kubernetes "+v.version+" refuses cgroup v1, which images of CanvOS "+s.release.Tag+" boot with",
				`set canvos: "v4.9.10" or later`+at(s.Release.At)+", or put systemd.unified_cgroup_hierarchy=1 on the kernel's command line and acknowledge CV0241")
		}
	}
	if s.runs("rhel") && s.UpdateKernel.V && !s.isRHEL8() && s.updatesKernel("amd64") {
		has := "an unknown version of rhel"
		if s.OS.Version.V != "" {
			has = "rhel " + s.OS.Version.V
		}
		s.report("CV0242", "updateKernel", s.UpdateKernel.At, "updateKernel takes RHEL 8's packages, also on "+has,
			"leave updateKernel out, and update the kernel in the base image")
	}
}

// checkDrivers judges GPU drivers and MAAS.
func (s *subject) checkDrivers() {
	g := s.GPU.Vendor
	if g.V != "" {
		nvidia := g.V == "nvidia" && s.OS.Version.V != "22.04" && s.OS.Version.V != "24.04"
		switch {
		case !s.runs("ubuntu"):
			s.report("CV0245", "gpu.vendor", g.At, "GPU drivers are installed on ubuntu only, not on "+quoted(s.OS.Distribution.V),
				`set os.distribution: "ubuntu"`+at(s.OS.Distribution.At)+", or install the drivers in the base image")
		case s.on("arm64"):
			s.report("CV0245", "gpu.vendor", g.At, `GPU drivers are installed on amd64 only, not on "arm64"`,
				`set arch: ["amd64"]`+at(s.ArchSet.At)+", or install the drivers in the base image")
		case nvidia:
			s.report("CV0245", "gpu.vendor", g.At, "NVIDIA's drivers are installed on Ubuntu 22.04 and 24.04 only, not on "+quoted(s.OS.Version.V),
				`set os.version: "22.04"`+at(s.OS.Version.At))
		}
	}
	if s.MAAS.V && !s.runs("ubuntu") {
		s.report("CV0254", "maas", s.MAAS.At, "MAAS images are made from ubuntu only, not from "+quoted(s.OS.Distribution.V),
			`set os.distribution: "ubuntu"`+at(s.OS.Distribution.At)+", or maas: false")
	}
}
