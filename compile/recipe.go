package compile

import (
	"encoding/base64"
	"io/fs"
	"path"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// A recipe makes the root filesystem of one image on one platform, as the
// Earthfile of its release does: base image, OS stage, provider stage. What it
// does otherwise, on purpose, is in docs/differences.md. Rules that hold from a
// release on name it.
type recipe struct {
	*walk
	*kitchen
	*Image
	f              *Family
	platform, arch string
}

// since says whether a rule that came with a release holds.
func (r *recipe) since(tag string) bool { return !before(r.release, tag) }

// base is the base image with the OS stage done: what all versions of a family
// share. It is nil if there is no base image.
func (r *recipe) base() chain {
	reference, by, ok := r.baseImage()
	if !ok {
		return nil
	}
	prepared := !r.prepares()
	c := chain{r.step("base "+shortLine(reference)+" "+r.platform, by.at, nil, plan.Op{Base: &plan.Base{
		Source: r.in.image(reference, r.platform, by), Platform: r.platform, Prepared: prepared,
	}})}
	if !prepared {
		c = r.osStage(c)
	}
	return r.then(c, "components "+r.platform, r.f.At, plan.Op{Files: r.files(r.components()...)})
}

func (r *recipe) prepares() bool { return !r.f.OS.Prepare.Set || r.f.OS.Prepare.V }

// baseImage is the image that a family names, or that its release builds on.
func (r *recipe) baseImage() (string, asker, bool) {
	given, by := r.f.OS.Image, asker{family: r.f, at: r.f.OS.Image.At, path: "os.image", what: "base image"}
	for _, p := range r.f.OS.ImageByArch {
		if p.Key == r.arch {
			given = p.Value
			by.at, by.path = p.Value.At, "os.image."+r.arch
		}
	}
	if given.V != "" {
		reference, err := NormalReference(given.V)
		if err != nil {
			r.report(problem.Problem{Code: "CV0115", Message: err.Error(), Path: by.path, At: by.at})
			return "", by, false
		}
		return reference, by, true
	}
	if r.f.OS.ByArch.Set {
		r.report(problem.Problem{Code: "CV0220", Message: "os.image names no base image for " + r.arch, Help: "add " + r.arch + `: "…"`, Path: "os.image." + r.arch, At: r.f.OS.ByArch.At})
		return "", by, false
	}
	by.at = r.f.OS.At
	reference, ok := r.parts.BaseImage(r.f.OS.Distribution.V, r.f.OS.Version.V, r.arch, r.f.UKI.V, r.f.FIPS.V)
	if !ok {
		r.report(problem.Problem{
			Code:    "CV0220",
			Message: "CanvOS " + r.release.Tag + " has no base image for " + strings.TrimSpace(r.f.OS.Distribution.V+" "+r.f.OS.Version.V) + " on " + r.arch,
			Help:    "name one: os: image: \"…\"",
			Path:    "os", At: r.f.OS.At,
		})
	}
	return reference, by, ok
}

// provider is the provider stage on top of base: file work, but for nodeadm.
func (r *recipe) provider(base chain) (chain, bool) {
	pkg := r.parts.PackageImage(r.f.Kubernetes.Distribution.V, r.Version, r.arch)
	if pkg == "" {
		r.report(problem.Problem{
			Code:    "CV0108",
			Message: "CanvOS " + r.release.Tag + " has no packages of " + quoted(r.f.Kubernetes.Distribution.V) + " for " + r.arch,
			Path:    "kubernetes.distribution", At: r.f.Kubernetes.Distribution.At,
		})
		return nil, false
	}
	c := base
	kubernetes := r.f.Kubernetes.Distribution.V + " " + r.Version + " " + r.platform
	source := r.component(pkg, "Kubernetes package", "kubernetes.versions", r.At)
	switch {
	case r.f.UKI.V:
		c = r.kubernetesLinks(c, source)
	case r.bundled():
		c = r.then(c, "kubernetes "+kubernetes, r.At, plan.Op{Files: r.files(r.kubernetes(source))})
	}
	c = r.then(c, "finish "+r.platform, r.f.At, plan.Op{Files: r.files(r.finish()...)})
	c = r.nodeadm(c)
	if r.f.UKI.V {
		c = r.trustedBoot(c, source)
	}
	return c, true
}

// components are the family's own files, the provider agent's and the Palette
// agent's, in the order in which upstream copies them: what comes later wins.
// What a checkout of CanvOS has in overlay/files/etc is the person's to name
// (difference checkout-files).
func (r *recipe) components() []plan.Action {
	var as []plan.Action
	if !r.prepares() {
		as = append(as, r.certificateFiles()...)
	}
	if f := r.f.HardwareDB; f.V != "" {
		as = append(as, r.local(f, "hardwareSpecs", "hardware lookup table", "/etc/spectrocloud/custom-hardware-specs-lookup.json"))
	}
	for _, o := range r.f.Overlay {
		as = append(as, r.overlay(o)...)
	}
	as = append(as, logRotation())
	if r.bundled() {
		as = append(as, r.agentProvider()...)
	}
	as = append(as, r.stylus()...)
	return append(as, r.edgeConfig()...)
}

// logRotation makes logrotate take the agent's file, which it refuses if others
// may write it.
func logRotation() plan.Action {
	return plan.Action{Attr: &plan.Attr{Path: "/etc/logrotate.d/stylus.conf", Mode: "0644", Optional: true}}
}

// bundled says whether Kubernetes and the provider agent are in the image. From
// the 4.10 line on they may come as a system extension instead (difference
// bundled-kubernetes).
func (r *recipe) bundled() bool {
	return !r.since("v4.10.0") || !r.f.BundleKubernetes.Set || r.f.BundleKubernetes.V
}

// agentProvider is all of the provider agent's image, from its working
// directory on.
func (r *recipe) agentProvider() []plan.Action {
	d := r.f.Kubernetes.Distribution
	source := r.component(r.parts.ProviderImage(d.V, r.f.FIPS.V), "provider agent", "kubernetes.distribution", d.At)
	as := []plan.Action{copied(plan.Copy{Source: source, From: ".", To: "/", FromWorkdir: true, EachTop: true})}
	if r.since("v4.10.0") {
		// An extension would bring these from /usr/local; a bundled agent is
		// looked for in /system, and by a mark.
		as = append(as,
			copied(plan.Copy{Source: source, From: "/usr/local/system/providers", To: "/system/providers", Optional: true}),
			plan.Action{Remove: &plan.Remove{Path: "/usr/local/system/providers/agent-provider-*"}},
			plan.Action{Write: &plan.Write{Path: "/etc/spectro-sysext/k8s-and-agent-provider-bundled", Mode: "0644"}})
	}
	return as
}

// stylus is the Palette agent's branding and configuration; the agent itself is
// no part of a provider image.
func (r *recipe) stylus() []plan.Action {
	source := r.palette()
	branding := copied(plan.Copy{Source: source, From: "/etc/kairos/branding", To: "/etc/kairos/branding"})
	settings := copied(plan.Copy{Source: source, From: "/oem/stylus_config.yaml", To: "/etc/kairos/branding/stylus_config.yaml", Follow: true})
	elemental := copied(plan.Copy{Source: source, From: "/etc/elemental/config.yaml", To: "/etc/elemental/config.yaml", Follow: true})
	switch {
	case !r.since("v4.2.3"):
		return []plan.Action{elemental, branding}
	case !r.since("v4.3.2"):
		return []plan.Action{branding, settings}
	case !r.since("v4.7.13"):
		return []plan.Action{branding, settings, elemental}
	}
	return []plan.Action{branding, r.stylusConfig(), settings, elemental}
}

func (r *recipe) palette() plan.Digest {
	return r.component(r.parts.StylusImage(r.arch, r.f.FIPS.V), "Palette agent", "canvos", r.f.Release.At)
}

// stylusConfig is there from v4.7.13 on, and elsewhere from v4.8.8 on.
func (r *recipe) stylusConfig() plan.Action {
	at := "/etc/kairos/80_stylus.yaml"
	if !r.since("v4.8.8") {
		at = "/system/oem/80_stylus.yaml"
	}
	return copied(plan.Copy{Source: r.palette(), From: at, To: at, Follow: true, Optional: true})
}

// edgeConfig is the file by which air-gapped hosts know whose content to trust.
func (r *recipe) edgeConfig() []plan.Action {
	const to = "/oem/.edge_custom_config.yaml"
	if f := r.f.EdgeConfig; f.V != "" {
		return []plan.Action{r.local(f, "edgeConfig", "edge configuration", to)}
	}
	f := r.f.SigningKey
	if f.V == "" {
		return nil
	}
	by := asker{family: r.f, at: f.At, path: "signingKey", what: "signing key"}
	in := r.in.local(f.V, by)
	key, err := fs.ReadFile(r.m.FS, in.name)
	if err != nil {
		return nil // the input has been reported
	}
	return []plan.Action{{Write: &plan.Write{Path: to, Mode: "0644", Content: signingConfig(key)}}}
}

// signingConfig has the shape of .edge-custom-config.yaml.template of v4.4.12
// (difference signing-key).
func signingConfig(key []byte) string {
	return "content:\n" +
		"  signing:\n" +
		"    publicKey:\n" +
		"      base64EncodedValue: " + quoted(base64.StdEncoding.EncodeToString(key)) + "\n" +
		"      description: \"checks the signatures of content and cluster configuration\"\n"
}

// kubernetes is the tree of a version's package (difference package-image). Up to
// v4.6.20 upstream copies its top-level names one by one, and up to v4.7.1 it
// sets their times.
func (r *recipe) kubernetes(source plan.Digest) plan.Action {
	return copied(plan.Copy{
		Source: source, From: "/", To: "/",
		EachTop:   !r.since("v4.6.21"),
		KeepTimes: r.since("v4.7.2"),
	})
}

// finish takes away what must differ from host to host, and adds etcdctl, of the
// image's architecture and as it is (differences etcdctl-architecture,
// etcdctl-unpacked).
func (r *recipe) finish() []plan.Action {
	as := []plan.Action{
		{Remove: &plan.Remove{Path: "/etc/ssh/ssh_host_*"}},
		{Remove: &plan.Remove{Path: "/etc/ssh/moduli"}},
	}
	// Before v4.4.8 etcdctl is downloaded: see osStage.
	if r.parts.ThirdPartyImage != "" {
		as = append(as, copied(plan.Copy{
			Source: r.thirdParty(),
			From:   "/binaries/etcdctl/latest/" + r.binaries() + "/" + r.arch + "/etcdctl",
			To:     "/usr/bin/etcdctl", Follow: true,
		}))
	}
	if !r.prepares() {
		as = append(as, r.expected()...)
	}
	return append(as, plan.Action{Touch: &plan.Touch{Path: "/etc/machine-id", Mode: "0444"}})
}

// expected are programs that no host can do without, and that a prepared base
// has to hold: upstream's provider stage brings them, canvos's OS stage does
// (difference prepared-programs). An overlay or a component may bring them too.
func (r *recipe) expected() []plan.Action {
	var as []plan.Action
	expect := func(program string, more ...string) {
		var paths []string
		for _, dir := range []string{"/usr/bin", "/usr/local/bin", "/bin", "/opt/bin"} {
			paths = append(paths, dir+"/"+program)
		}
		as = append(as, plan.Action{Expect: &plan.Expect{What: program, Paths: append(paths, more...)}})
	}
	if _, ok := r.parts.ContainerdPackage(r.f.Kubernetes.Distribution.V); ok {
		// Wherever it lies, a unit starts it.
		expect("containerd", "/etc/systemd/system/containerd.service", "/usr/lib/systemd/system/containerd.service", "/lib/systemd/system/containerd.service")
	}
	if r.downloadsEtcdctl() {
		expect("etcdctl")
	}
	return as
}

func (r *recipe) thirdParty() plan.Digest {
	return r.component(r.parts.ThirdPartyImage, "third-party programs", "canvos", r.f.Release.At)
}

// binaries is the kind of third-party programs.
func (r *recipe) binaries() string {
	if r.f.FIPS.V {
		return "vertex"
	}
	return "palette"
}

// component is the digest of an image that the release names.
func (r *recipe) component(reference, what, path string, at plan.Pos) plan.Digest {
	normal, err := NormalReference(reference)
	if err != nil {
		r.report(problem.Problem{Code: "CV0115", Message: "the " + what + "'s image: " + err.Error(), Path: path, At: at})
		return ""
	}
	return r.in.image(normal, r.platform, asker{family: r.f, at: at, path: path, what: what})
}

// copied is a copy as Earthly makes it: owned by root, of the extended
// attributes only capabilities.
func copied(c plan.Copy) plan.Action {
	c.Owner, c.Xattrs = "0:0", "capability"
	return plan.Action{Copy: &c}
}

// local copies a single file of the module.
func (r *recipe) local(f Field[string], field, what, to string) plan.Action {
	in := r.in.local(f.V, asker{family: r.f, at: f.At, path: field, what: what})
	return copied(plan.Copy{Source: in.digest, From: in.from(), To: to})
}

// overlay lays a tree, file or archive over the image. An archive keeps what it
// says of owners, times and attributes; trees have what git keeps of them
// (difference local-modes).
func (r *recipe) overlay(o Overlay) []plan.Action {
	by := asker{family: r.f, at: o.Path.At, path: "overlay." + label(o.Target), what: "overlay " + o.Target}
	in := r.in.local(o.Path.V, by)
	target := path.Clean(o.Target)
	var as []plan.Action
	if !in.dir && isArchive(in.name) {
		as = append(as, plan.Action{Copy: &plan.Copy{Source: in.digest, Archive: true, From: "/", To: target, KeepTimes: true, Xattrs: "all"}})
	} else {
		as = append(as, copied(plan.Copy{Source: in.digest, From: in.from(), To: target}))
	}
	for _, m := range o.Modes {
		as = append(as, plan.Action{Attr: &plan.Attr{Path: path.Join(target, m.Key), Mode: m.Value.V}})
	}
	return as
}

func isArchive(name string) bool {
	return slices.ContainsFunc([]string{".tar", ".tar.gz", ".tgz", ".tar.zst"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// certificateFiles puts certificates where the OS looks for them when its trust
// store is made, and, for Ubuntu, where programs look one by one: the bundle of
// a prepared image is not made again (difference certificates-prepared).
func (r *recipe) certificateFiles() []plan.Action {
	var as []plan.Action
	for _, c := range r.f.Certificates {
		in := r.in.local(c.V, r.certificate(c))
		for _, dir := range trustDirs(r.f.OS.Distribution.V) {
			as = append(as, copied(plan.Copy{Source: in.digest, From: in.from(), To: path.Join(dir, path.Base(in.name))}))
		}
	}
	return as
}

func (r *recipe) certificate(c Field[string]) asker {
	return asker{family: r.f, at: c.At, path: "certificates", what: "certificate"}
}

func trustDirs(distribution string) []string {
	switch distribution {
	case "rhel":
		return []string{"/etc/pki/ca-trust/source/anchors"}
	case "opensuse-leap", "sles":
		return []string{"/usr/share/pki/trust/anchors"}
	}
	return []string{"/usr/local/share/ca-certificates", "/etc/ssl/certs"}
}

func (r *recipe) files(as ...plan.Action) *plan.Files {
	compression := r.f.Compression.V
	if compression == "" {
		compression = "gzip"
	}
	return &plan.Files{Epoch: epochOf(r.m), Compression: compression, Actions: as}
}

func (r *recipe) report(p problem.Problem) {
	r.problems = append(r.problems, newProblem(r.f, p))
}

func archOf(platform string) string { return strings.TrimPrefix(platform, "linux/") }

// Extensions says whether a family's Kubernetes comes as a systemd extension
// instead of lying in its images.
func Extensions(m *Manifest, f *Family) bool {
	if !f.BundleKubernetes.Set || f.BundleKubernetes.V {
		return false
	}
	r, err := releasesOf(m).find(f.Release.V)
	return err == nil && !before(r, "v4.10.0")
}
