package compile

import (
	"canvos.dev/compile/canvos"
	"canvos.dev/compile/catalog"
)

// argumentsOf are the CanvOS arguments that ask for the same image. CanvOS
// builds one architecture at a time; of several the first is named.
func argumentsOf(img *Image, r *catalog.Release) map[string]string {
	args, _ := canvos.Arguments(canvosImage(img, r, archOf(img.Platforms[0])))
	return args
}

func canvosImage(img *Image, r *catalog.Release, arch string) canvos.Image {
	f := img.Family
	i := canvos.Image{
		Release:  r,
		Registry: f.Registry.V, Repository: f.Repository.V, Tag: f.Tag.V,
		OSDistribution: f.OS.Distribution.V, OSVersion: f.OS.Version.V, BaseImage: f.OS.Image.V,
		KubernetesDistribution: f.Kubernetes.Distribution.V, KubernetesVersion: img.Version,
		Arch:    arch,
		TwoNode: f.TwoNode.V, FIPS: f.FIPS.V, UKI: f.UKI.V, UpdateKernel: f.UpdateKernel.V, MAAS: f.MAAS.V,
		CISHardening: f.CISHardening.V, BundleKubernetes: f.BundleKubernetes.V,
		KeepSELinux:  f.DisableSELinux.Set && !f.DisableSELinux.V,
		UbuntuPro:    hasUbuntuPro(f),
		EdgeConfig:   f.EdgeConfig.V,
		GPU:          f.GPU.Vendor.V,
		GPUArguments: map[string]string{},
		DRBD:         f.Components.DRBD.V,
		Components:   componentsOf(f),
	}
	if i.Repository == "" {
		i.Repository = f.OS.Distribution.V
	}
	for _, p := range f.OS.ImageByArch {
		if p.Key == arch {
			i.BaseImage = p.Value.V
		}
	}
	for _, p := range f.GPU.Arguments {
		i.GPUArguments[p.Key] = p.Value.V
	}
	for _, c := range f.Certificates {
		i.Certificates = append(i.Certificates, c.V)
	}
	return i
}

// componentsOf are the versions and registries that a family overrides.
func componentsOf(f *Family) catalog.Components {
	c, m := f.Components, f.Mirrors
	return catalog.Components{
		Agent: c.Agent.V, Kairos: c.Kairos.V, KairosInit: c.KairosInit.V, Provider: c.Provider.V, Flavor: c.Flavor.V, Kine: c.Kine.V, Luet: c.Luet.V,
		ThirdParty: c.ThirdParty.V, Alpine: c.Alpine.V, Osbuilder: c.Osbuilder.V, Golang: c.Golang.V,
		Images: m.Images.V, Base: m.Base.V, Packages: m.Packages.V, PackageProject: m.PackageProject.V,
		ThirdPartyImage: m.ThirdParty.V, AlpineImage: m.Alpine.V, OsbuilderImage: m.Osbuilder.V,
	}
}
