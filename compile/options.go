package compile

import (
	"strings"

	"canvos.dev/compile/plan"
)

// An option is a field of a family, besides those that name it, that changes
// its images: by the argument that CanvOS knows it by.
type option struct {
	field    string
	argument string // "" if canvos does it by itself
	set      func(*Family) bool
	at       func(*Family) plan.Pos
	text     func(*Family) string         // for comparing; never a secret
	word     func(*Family) *Field[string] // the value, if that is all
}

// options are in the manifest's order of fields.
var options = []option{
	flag("twoNode", "TWO_NODE", func(f *Family) *Field[bool] { return &f.TwoNode }),
	flag("fips", "FIPS_ENABLED", func(f *Family) *Field[bool] { return &f.FIPS }),
	flag("uki", "IS_UKI", func(f *Family) *Field[bool] { return &f.UKI }),
	flag("updateKernel", "UPDATE_KERNEL", func(f *Family) *Field[bool] { return &f.UpdateKernel }),
	flag("cisHardening", "CIS_HARDENING", func(f *Family) *Field[bool] { return &f.CISHardening }),
	given("disableSELinux", "DISABLE_SELINUX", func(f *Family) *Field[bool] { return &f.DisableSELinux }),
	given("bundleKubernetes", "BUNDLE_K8S_AND_AGENT_PROVIDER", func(f *Family) *Field[bool] { return &f.BundleKubernetes }),
	flag("maas", "IS_MAAS", func(f *Family) *Field[bool] { return &f.MAAS }),
	{field: "gpu", argument: "", // by vendor: see gpuArgument
		set:  func(f *Family) bool { return f.GPU.Vendor.V != "" },
		at:   func(f *Family) plan.Pos { return f.GPU.Vendor.At },
		text: func(f *Family) string { return strings.TrimSpace(f.GPU.Vendor.V + " " + pairsText(f.GPU.Arguments)) }},
	{field: "ubuntuPro", argument: "", // UBUNTU_PRO_KEY, then a secret: see secretArgument
		set:  hasUbuntuPro,
		at:   ubuntuProAt,
		text: func(f *Family) string { return f.UbuntuPro.Env.V + f.UbuntuPro.File.V }},
	word("signingKey", "EDGE_CUSTOM_CONFIG", func(f *Family) *Field[string] { return &f.SigningKey }),
	word("edgeConfig", "EDGE_CUSTOM_CONFIG", func(f *Family) *Field[string] { return &f.EdgeConfig }),
	list("certificates", func(f *Family) []Field[string] { return f.Certificates }),
	{field: "overlay",
		set: func(f *Family) bool { return len(f.Overlay) > 0 },
		at:  func(f *Family) plan.Pos { return f.Overlay[0].Path.At },
		text: func(f *Family) string {
			var b strings.Builder
			for _, o := range f.Overlay {
				b.WriteString(o.Target + "=" + o.Path.V + " " + pairsText(o.Modes))
			}
			return strings.TrimSpace(b.String())
		}},
	list("packages", func(f *Family) []Field[string] { return f.Packages }),
	list("run", func(f *Family) []Field[string] { return f.Run }),
	word("dockerfile", "", func(f *Family) *Field[string] { return &f.Dockerfile }),
	word("components.kairos", "KAIROS_VERSION", func(f *Family) *Field[string] { return &f.Components.Kairos }),
	word("components.kairosInit", "KAIROS_INIT_VERSION", func(f *Family) *Field[string] { return &f.Components.KairosInit }),
	word("components.provider", "", func(f *Family) *Field[string] { return &f.Components.Provider }),
	word("components.flavor", "", func(f *Family) *Field[string] { return &f.Components.Flavor }),
	word("components.kine", "KINE_VERSION", func(f *Family) *Field[string] { return &f.Components.Kine }),
	word("components.luet", "SPECTRO_LUET_VERSION", func(f *Family) *Field[string] { return &f.Components.Luet }),
	word("components.thirdParty", "BUILDER_3RDPARTY_VERSION", func(f *Family) *Field[string] { return &f.Components.ThirdParty }),
	word("components.alpine", "ALPINE_TAG", func(f *Family) *Field[string] { return &f.Components.Alpine }),
	word("components.osbuilder", "OSBUILDER_VERSION", func(f *Family) *Field[string] { return &f.Components.Osbuilder }),
	word("components.golang", "GOLANG_VERSION", func(f *Family) *Field[string] { return &f.Components.Golang }),
	word("components.drbd", "DRBD_VERSION", func(f *Family) *Field[string] { return &f.Components.DRBD }),
	word("mirrors.images", "SPECTRO_PUB_REPO", func(f *Family) *Field[string] { return &f.Mirrors.Images }),
	word("mirrors.base", "", func(f *Family) *Field[string] { return &f.Mirrors.Base }),
	word("mirrors.packages", "SPECTRO_LUET_REPO", func(f *Family) *Field[string] { return &f.Mirrors.Packages }),
	word("mirrors.packageProject", "LUET_PROJECT", func(f *Family) *Field[string] { return &f.Mirrors.PackageProject }),
	word("mirrors.thirdParty", "SPECTRO_THIRD_PARTY_IMAGE", func(f *Family) *Field[string] { return &f.Mirrors.ThirdParty }),
	word("mirrors.alpine", "ALPINE_IMG", func(f *Family) *Field[string] { return &f.Mirrors.Alpine }),
	word("mirrors.osbuilder", "OSBUILDER_IMAGE", func(f *Family) *Field[string] { return &f.Mirrors.Osbuilder }),
}

// flag is an option that asks for something when it is true.
func flag(field, argument string, get func(*Family) *Field[bool]) option {
	return option{field: field, argument: argument,
		set:  func(f *Family) bool { return get(f).V },
		at:   func(f *Family) plan.Pos { return get(f).At },
		text: func(f *Family) string { return yesno(get(f).V) }}
}

// given is an option that asks for something when it is written at all.
func given(field, argument string, get func(*Family) *Field[bool]) option {
	o := flag(field, argument, get)
	o.set = func(f *Family) bool { return get(f).Set }
	return o
}

func word(field, argument string, get func(*Family) *Field[string]) option {
	return option{field: field, argument: argument,
		set:  func(f *Family) bool { return get(f).V != "" },
		at:   func(f *Family) plan.Pos { return get(f).At },
		text: func(f *Family) string { return get(f).V },
		word: get}
}

func list(field string, get func(*Family) []Field[string]) option {
	return option{field: field,
		set: func(f *Family) bool { return len(get(f)) > 0 },
		at:  func(f *Family) plan.Pos { return get(f)[0].At },
		text: func(f *Family) string {
			var words []string
			for _, w := range get(f) {
				words = append(words, w.V)
			}
			return strings.Join(words, " ")
		}}
}

func pairsText(pairs []Pair) string {
	var words []string
	for _, p := range pairs {
		words = append(words, p.Key+"="+p.Value.V)
	}
	return strings.Join(words, " ")
}

// imagesText is a family's base image, or images by architecture.
func imagesText(f *Family) string {
	if f.OS.ByArch.Set {
		return pairsText(f.OS.ImageByArch)
	}
	return f.OS.Image.V
}

func hasUbuntuPro(f *Family) bool { return f.UbuntuPro.Env.V != "" || f.UbuntuPro.File.V != "" }

func ubuntuProAt(f *Family) plan.Pos {
	if f.UbuntuPro.Env.Set {
		return f.UbuntuPro.Env.At
	}
	return f.UbuntuPro.File.At
}

// argumentOf is the argument of an option in a release, where it is not the
// same in all.
func argumentOf(o option, f *Family) string {
	switch {
	case o.argument != "":
		return o.argument
	case o.field == "gpu" && f.GPU.Vendor.V == "nvidia":
		return "INSTALL_NVIDIA_GPU_DRIVERS"
	case o.field == "gpu" && f.GPU.Vendor.V == "amd":
		return "INSTALL_AMD_GPU_DRIVERS"
	}
	return ""
}
