package canvos

// Effect says what an argument changes.
type Effect string

const (
	Provider Effect = "P" // the provider image
	Build    Effect = "B" // the build alone: nothing of it is in an image
	Computed Effect = "C" // nothing that people set: the Earthfile computes it
	ISO      Effect = "I" // the installer image and ISO
	Keys     Effect = "K" // generated keys
	Other    Effect = "X" // other artifacts
	None     Effect = "0" // nothing
)

// Argument is a CanvOS argument and the field of a manifest that stands for it.
type Argument struct {
	Name   string
	Effect Effect
	// Field is the path of the field below a family, or from the top level if
	// it begins with "build". A computed argument names the fields that it
	// follows from. Empty for what canvos leaves to CanvOS.
	Field string
	Type  string // of the field
	Note  string
	value value
}

// Table is every argument, as docs/arguments.md shows it: of all releases in
// the catalog, and of the 4.10 line's candidates.
var Table = []Argument{
	// What the image is called.
	{"IMAGE_REGISTRY", Provider, "registry", "string", "name only", text(func(i Image) string { return i.Registry })},
	{"IMAGE_REPO", Provider, "repository", "string", "name only; default: os.distribution", text(func(i Image) string { return i.Repository })},
	{"CUSTOM_TAG", Provider, "tag", "string", "name only", text(func(i Image) string { return i.Tag })},

	// What it holds.
	{"OS_DISTRIBUTION", Provider, "os.distribution", "string", "", text(func(i Image) string { return i.OSDistribution })},
	{"OS_VERSION", Provider, "os.version", "string", "", text(func(i Image) string { return i.OSVersion })},
	{"BASE_IMAGE", Provider, "os.image", "reference", "one, or one per architecture", text(func(i Image) string { return i.BaseImage })},
	{"K8S_DISTRIBUTION", Provider, "kubernetes.distribution", "string", "", text(func(i Image) string { return i.KubernetesDistribution })},
	{"K8S_VERSION", Provider, "kubernetes.versions", "list of versions and ranges", "empty in CanvOS: kubernetes.allVersions", text(func(i Image) string { return i.KubernetesVersion })},
	{"ARCH", Provider, "arch", "list", "several make an index; CanvOS builds one at a time", text(func(i Image) string { return i.Arch })},
	{"TWO_NODE", Provider, "twoNode", "bool", "", flag(func(i Image) bool { return i.TwoNode })},
	{"FIPS_ENABLED", Provider, "fips", "bool", "", flag(func(i Image) bool { return i.FIPS })},
	{"IS_UKI", Provider, "uki", "bool", "", flag(func(i Image) bool { return i.UKI })},
	{"UPDATE_KERNEL", Provider, "updateKernel", "bool", "", flag(func(i Image) bool { return i.UpdateKernel })},
	{"CIS_HARDENING", Provider, "cisHardening", "bool", "default true in v4.4.2 alone", flag(func(i Image) bool { return i.CISHardening })},
	{"DISABLE_SELINUX", Provider, "disableSELinux", "bool", "default: true", disableSELinux},
	{"IS_MAAS", Provider, "maas", "bool", "", flag(func(i Image) bool { return i.MAAS })},
	{"EDGE_CUSTOM_CONFIG", Provider, "edgeConfig", "file", "or made from signingKey", text(func(i Image) string { return i.EdgeConfig })},
	{"PROXY_CERT_PATH", Provider, "certificates", "list of files", "one file; later releases take the directory certs/", certPath},
	{"UBUNTU_PRO_KEY", Provider, "ubuntuPro", "secret", "never written: a token in .arg stays in history and cache", nil},
	{"UBUNTU_PRO_ATTACH", Provider, "ubuntuPro", "secret", "the token itself is a secret of the build", flag(func(i Image) bool { return i.UbuntuPro })},
	{"BUNDLE_K8S_AND_AGENT_PROVIDER", Provider, "bundleKubernetes", "bool", "", flag(func(i Image) bool { return i.BundleKubernetes })},

	// Versions of components.
	{"PE_VERSION", Provider, "components.agent", "string", "also in the tag", text(func(i Image) string { return i.Components.Agent })},
	{"KAIROS_VERSION", Provider, "components.kairos", "string", "not of UKI images in v4.9", text(func(i Image) string { return i.Components.Kairos })},
	{"KAIROS_INIT_VERSION", Provider, "components.kairosInit", "string", "", text(func(i Image) string { return i.Components.KairosInit })},
	{"KUBEADM_PROVIDER_VERSION", Provider, "components.provider", "string", "kubeadm and kubeadm-fips", provider("kubeadm", "kubeadm-fips")},
	{"K3S_PROVIDER_VERSION", Provider, "components.provider", "string", "k3s", provider("k3s")},
	{"RKE2_PROVIDER_VERSION", Provider, "components.provider", "string", "rke2", provider("rke2")},
	{"NODEADM_PROVIDER_VERSION", Provider, "components.provider", "string", "nodeadm", provider("nodeadm")},
	{"CANONICAL_PROVIDER_VERSION", Provider, "components.provider", "string", "canonical", provider("canonical")},
	{"K3S_FLAVOR_TAG", Provider, "components.flavor", "string", "k3s", flavor("k3s")},
	{"RKE2_FLAVOR_TAG", Provider, "components.flavor", "string", "rke2", flavor("rke2")},
	{"KINE_VERSION", Provider, "components.kine", "string", "two-node images", text(func(i Image) string { return i.Components.Kine })},
	{"SPECTRO_LUET_VERSION", Provider, "components.luet", "string", "in the repository's path from v4.3.3 on", text(func(i Image) string { return i.Components.Luet })},
	{"BUILDER_3RDPARTY_VERSION", Provider, "components.thirdParty", "string", "", text(func(i Image) string { return i.Components.ThirdParty })},
	{"ALPINE_TAG", Provider, "components.alpine", "string", "helper image", text(func(i Image) string { return i.Components.Alpine })},
	{"OSBUILDER_VERSION", Provider, "components.osbuilder", "string", "UKI images; else the installer", text(func(i Image) string { return i.Components.Osbuilder })},
	{"GOLANG_VERSION", Provider, "components.golang", "string", "UKI images", text(func(i Image) string { return i.Components.Golang })},
	{"DRBD_VERSION", Provider, "components.drbd", "string", "for a Dockerfile that builds DRBD", text(func(i Image) string { return i.DRBD })},

	// Where components come from.
	{"SPECTRO_PUB_REPO", Provider, "mirrors.images", "string", "", text(func(i Image) string { return i.Components.Images })},
	{"KAIROS_BASE_IMAGE_URL", Provider, "mirrors.base", "string", "", baseURL("KAIROS_BASE_IMAGE_URL")},
	{"BASE_IMAGE_URL", Provider, "mirrors.base", "string", "without effect since v4.3.2", baseURL("BASE_IMAGE_URL")},
	{"SPECTRO_LUET_REPO", Provider, "mirrors.packages", "string", "", text(func(i Image) string { return i.Components.Packages })},
	{"LUET_PROJECT", Provider, "mirrors.packageProject", "string", "", text(func(i Image) string { return i.Components.PackageProject })},
	{"SPECTRO_THIRD_PARTY_IMAGE", Provider, "mirrors.thirdParty", "reference", "", text(func(i Image) string { return i.Components.ThirdPartyImage })},
	{"ALPINE_IMG", Provider, "mirrors.alpine", "reference", "helper image", text(func(i Image) string { return i.Components.AlpineImage })},
	{"OSBUILDER_IMAGE", Provider, "mirrors.osbuilder", "reference", "UKI images; else the installer", text(func(i Image) string { return i.Components.OsbuilderImage })},

	// GPU drivers: the 4.10 line.
	{"INSTALL_NVIDIA_GPU_DRIVERS", Provider, "gpu.vendor", "string", `"nvidia"`, flag(func(i Image) bool { return i.GPU == "nvidia" })},
	{"NVIDIA_DRIVER_BRANCH", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_DRIVER_BRANCH")},
	{"NVIDIA_DRIVER_TYPE", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_DRIVER_TYPE")},
	{"NVIDIA_USE_CUDA_REPO", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_USE_CUDA_REPO")},
	{"NVIDIA_INSTALL_FABRICMANAGER", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_INSTALL_FABRICMANAGER")},
	{"NVIDIA_INSTALL_IMEX", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_INSTALL_IMEX")},
	{"NVIDIA_INSTALL_CONTAINER_TOOLKIT", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_INSTALL_CONTAINER_TOOLKIT")},
	{"NVIDIA_REBUILD_INITRD", Provider, "gpu.arguments", "map", "", gpu("NVIDIA_REBUILD_INITRD")},
	{"INSTALL_AMD_GPU_DRIVERS", Provider, "gpu.vendor", "string", `"amd"`, flag(func(i Image) bool { return i.GPU == "amd" })},
	{"AMDGPU_DRIVER_SOURCE", Provider, "gpu.arguments", "map", "", gpu("AMDGPU_DRIVER_SOURCE")},
	{"AMDGPU_DRIVER_RELEASE", Provider, "gpu.arguments", "map", "", gpu("AMDGPU_DRIVER_RELEASE")},
	{"AMDGPU_ARTIFACT_PATH", Provider, "gpu.arguments", "map", "", gpu("AMDGPU_ARTIFACT_PATH")},
	{"AMDGPU_REBUILD_INITRD", Provider, "gpu.arguments", "map", "", gpu("AMDGPU_REBUILD_INITRD")},
	{"AMDGPU_INSTALL_SMI", Provider, "gpu.arguments", "map", "", gpu("AMDGPU_INSTALL_SMI")},

	// The build alone.
	{"HTTP_PROXY", Build, "build.httpProxy", "string", "", nil},
	{"HTTPS_PROXY", Build, "build.httpsProxy", "string", "", nil},
	{"NO_PROXY", Build, "build.noProxy", "string", "", nil},
	{"http_proxy", Build, "build.httpProxy", "string", "follows HTTP_PROXY", nil},
	{"https_proxy", Build, "build.httpsProxy", "string", "follows HTTPS_PROXY", nil},
	{"no_proxy", Build, "build.noProxy", "string", "follows NO_PROXY", nil},

	// Installer, keys, other artifacts: CanvOS's own business.
	{"ISO_NAME", ISO, "", "", "name of the ISO", nil},
	{"CLUSTERCONFIG", ISO, "", "", "cluster definition on the ISO", nil},
	{"FORCE_INTERACTIVE_INSTALL", ISO, "", "", "", nil},
	{"CMDLINE", ISO, "", "", "kernel command line of the UKI ISO", nil},
	{"BRANDING", ISO, "", "", "boot text of the UKI ISO", nil},
	{"AUTO_ENROLL_SECUREBOOT_KEYS", ISO, "", "", "", nil},
	{"DEBUG", ISO, "", "", "", nil},
	{"EFI_IMG_SIZE", ISO, "", "", "", nil},
	{"EFI_MAX_SIZE", ISO, "", "", "", nil},
	{"CLI_IMAGE", ISO, "", "", "computed", nil},
	{"STYLUS_PACKAGE_BASE", ISO, "", "", "computed", nil},
	{"MY_ORG", Keys, "", "", "", nil},
	{"EXPIRATION_IN_DAYS", Keys, "", "", "", nil},
	{"INCLUDE_MS_SECUREBOOT_KEYS", Keys, "", "", "", nil},
	{"UKI_BRING_YOUR_OWN_KEYS", Keys, "", "", "", nil},
	{"ENROLL_SPECTRO_EXTENSION_CERT", Keys, "", "", "", nil},
	{"SPECTRO_EXTENSION_CERT_IMAGE", Keys, "", "", "", nil},
	{"MAAS_IMAGE_NAME", Other, "", "", "name of the MAAS disk image", nil},
	{"IS_CLOUD_IMAGE", Other, "", "", "", nil},
	{"REGION", Other, "", "", "AWS image", nil},
	{"S3_BUCKET", Other, "", "", "AWS image", nil},
	{"S3_KEY", Other, "", "", "AWS image", nil},
	{"AURORABOOT_IMAGE", Other, "", "", "disk images; the ISO in the 4.10 line", nil},
	{"AURORABOOT_VERSION", Other, "", "", "disk images; the ISO in the 4.10 line", nil},

	// Without effect.
	{"ETCD_VERSION", None, "", "", "dead since v4.4.8: etcdctl comes from the third-party image", nil},
	{"ETCD_REPO", None, "", "", "dead since v4.4.8", nil},
	{"TARGETOS", None, "", "", "", nil},

	// Computed by the Earthfile. A line in .arg overrides these too; a
	// manifest sets what they follow from.
	{"IMAGE_TAG", Computed, "tag", "", "agent version and tag", nil},
	{"IMAGE_PATH", Computed, "registry, repository, tag", "", "the reference", nil},
	{"BASE_IMAGE_NAME", Computed, "os.image", "", "", nil},
	{"BASE_IMAGE_TAG", Computed, "os.image", "", "", nil},
	{"IS_JETSON", Computed, "os.image", "", "by the name of BASE_IMAGE", nil},
	{"STYLUS_BASE", Computed, "components.agent, mirrors.images", "", "", nil},
	{"PROVIDER_BASE", Computed, "components.provider, mirrors.images", "", "", nil},
	{"LUET_REPO", Computed, "mirrors.packages", "", "", nil},
	{"UBUNTU_IMAGE", Computed, "mirrors.images", "", "UKI images", nil},
	{"BASE_K8S_VERSION", Computed, "kubernetes.versions, components.flavor", "", "", nil},
	{"K8S_DISTRIBUTION_TAG", Computed, "components.flavor", "", "", nil},
	{"BIN_TYPE", Computed, "fips", "", "", nil},
	{"TARGET", Computed, "uki", "", "", nil},
	{"TARGETARCH", Computed, "arch", "", "of the builder; set by Earthly", nil},
	{"TARGETPLATFORM", Computed, "arch", "", "of the builder; set by Earthly", nil},
	{"KAIROS_IMAGE_LABEL", Computed, "os.version, arch, maas", "", "in /etc/kairos-release", nil},
	{"APT_UPGRADE_FLAGS", Computed, "updateKernel", "", "", nil},
	{"OS_ID", Computed, "os.distribution", "", osRelease, nil},
	{"OS_NAME", Computed, "os.distribution", "", osRelease, nil},
	{"FLAVOR", Computed, "os.distribution", "", osRelease, nil},
	{"VARIANT", Computed, "os.distribution", "", osRelease, nil},
	{"OS_LABEL", Computed, "", "", osRelease, nil},
	{"OS_REPO", Computed, "", "", osRelease, nil},
	{"HOME_URL", Computed, "", "", osRelease, nil},
	{"BUG_REPORT_URL", Computed, "", "", osRelease, nil},
	{"ARTIFACT", Computed, "", "", osRelease, nil},
	{"KAIROS_RELEASE", Computed, "", "", osRelease, nil},
	{"SYSTEMD_IMAGE", Computed, "", "", "UKI images of v4.4.8", nil},
	{"BIN", Computed, "", "", slink, nil},
	{"SRC", Computed, "", "", slink, nil},
	{"BUILD_DIR", Computed, "", "", slink, nil},
	{"WORKDIR", Computed, "", "", slink, nil},
	{"VERSION", Computed, "", "", slink, nil},
	{"GOOS", Computed, "", "", slink, nil},
	{"GOARCH", Computed, "", "", slink, nil},
	{"bin", Computed, "", "", "packs third-party programs", nil},
	{"binary", Computed, "", "", "names a third-party program", nil},
}

const (
	osRelease = "in /etc/os-release up to v4.7.11; nothing since"
	slink     = "builds a helper program"
)

func disableSELinux(i Image) (string, bool) {
	if i.KeepSELinux {
		return "false", true
	}
	return "true", false
}
