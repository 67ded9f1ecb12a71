// Package canvos speaks CanvOS's own formats: the arguments of its Earthfile
// and .arg file. It reads no manifest and reaches no network; what it knows of
// releases it asks package catalog.
package canvos

import (
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
)

// Image is what CanvOS must be told to build one image.
type Image struct {
	Release *catalog.Release // as the catalog has it, components not yet applied

	Registry, Repository, Tag              string
	OSDistribution, OSVersion, BaseImage   string
	KubernetesDistribution                 string
	KubernetesVersion                      string
	Arch                                   string // CanvOS builds one at a time
	TwoNode, FIPS, UKI, UpdateKernel, MAAS bool
	CISHardening, BundleKubernetes         bool
	KeepSELinux                            bool // disableSELinux: false
	UbuntuPro                              bool // a token is given; never the token

	EdgeConfig   string   // path of the edge configuration
	Certificates []string // paths of PEM files

	GPU          string            // "nvidia", "amd" or ""
	GPUArguments map[string]string // NVIDIA_*, AMDGPU_*
	DRBD         string
	Components   catalog.Components
}

// Arguments is the arguments that make CanvOS build the image, by name: those
// that its release declares and that matter for a provider image. Options are
// spelt out even where they are the default, since defaults differ between
// releases. undeclared names what was asked for and the release would ignore.
//
// A release that was added to the catalog without arguments is taken to declare
// all.
func Arguments(i Image) (args map[string]string, undeclared []string) {
	args = map[string]string{}
	for _, a := range Table {
		if a.value == nil {
			continue
		}
		v, asked := a.value(i)
		if v == "" {
			continue
		}
		if i.Release.Arguments == nil || i.Release.Declares(a.Name) {
			args[a.Name] = v
		} else if asked {
			undeclared = append(undeclared, a.Name)
		}
	}
	slices.Sort(undeclared)
	return args, undeclared
}

// value reads an argument's value from an image; asked is false for one that
// merely repeats a default.
type value func(Image) (v string, asked bool)

func text(get func(Image) string) value {
	return func(i Image) (string, bool) {
		v := get(i)
		return v, v != ""
	}
}

func flag(get func(Image) bool) value {
	return func(i Image) (string, bool) {
		if get(i) {
			return "true", true
		}
		return "false", false
	}
}

// provider is the provider version, for the distributions that an argument is
// about.
func provider(dists ...string) value {
	return text(func(i Image) string {
		if slices.Contains(dists, i.KubernetesDistribution) {
			return i.Components.Provider
		}
		return ""
	})
}

func flavor(dist string) value {
	return text(func(i Image) string {
		if i.KubernetesDistribution == dist {
			return i.Components.Flavor
		}
		return ""
	})
}

// certPath is for releases that take one certificate, by its path; later ones
// take all files of a directory, for which there is no argument.
func certPath(i Image) (string, bool) {
	if i.Release.Certificates != catalog.CertPath || len(i.Certificates) == 0 {
		return "", false
	}
	return i.Certificates[0], true
}

// baseURL is where base images come from: an argument that was renamed, and
// whose old name is declared again since v4.4.2 without effect.
func baseURL(name string) value {
	return text(func(i Image) string {
		renamed := i.Release.Arguments == nil || i.Release.Declares("KAIROS_BASE_IMAGE_URL")
		if renamed == (name == "KAIROS_BASE_IMAGE_URL") {
			return i.Components.Base
		}
		return ""
	})
}

func gpu(name string) value {
	return text(func(i Image) string {
		if prefix, _, _ := strings.Cut(name, "_"); (prefix == "NVIDIA") == (i.GPU == "nvidia") {
			return i.GPUArguments[name]
		}
		return ""
	})
}
