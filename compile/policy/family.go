package policy

import (
	"path"
	"slices"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// Family is a family as reviews compare it: values by their path in the
// manifest, with what a field stands for when it is left out.
type Family struct {
	Name string
	At   plan.Pos
	// Values hold strings, booleans, numbers and lists of strings by path:
	// "os.version", "labels.team", `overlay."/etc"`. An empty text and an empty
	// list are not there.
	Values map[string]Value
	// Files are the digests of the local files and trees it names, by their
	// path as written; "" if one cannot be read.
	Files map[string]plan.Digest
	// Images are sorted by reference.
	Images []Image
	Line   string // "docker.io/acme/ubuntu:k3s-*-demo"
	// Extensions says that Kubernetes comes as a systemd extension: the 4.10
	// line with bundleKubernetes: false.
	Extensions bool
	// Partial says that only what a plan tells of a family is known.
	Partial bool

	input map[string]any // for rules, once it was asked for
}

// Value is what a field holds, and where it was written.
type Value struct {
	V  any
	At plan.Pos
}

// Image is an image of a family.
type Image struct {
	Reference string
	Version   string // of Kubernetes
	Platforms []string
	Facts     plan.Facts
	Publish   string // "once" or "replace"
	// Step names what it is; where there is no plan, a digest of what the
	// family says of its content.
	Step plan.Digest
	At   plan.Pos
}

// familyOf takes the values out of a family. images are its own.
func familyOf(m *compile.Manifest, f *compile.Family, images []compile.Image) Family {
	out := Family{Name: f.Name, At: f.At, Values: map[string]Value{}, Files: map[string]plan.Digest{}, Extensions: compile.Extensions(m, f)}
	out.set("canvos", f.Release)
	out.set("registry", f.Registry)
	if v, ok := out.Values["registry"]; ok { // as references have it
		out.Values["registry"] = Value{compile.NormalName(f.Registry.V), v.At}
	}
	out.set("repository", f.Repository)
	out.set("tag", f.Tag)
	out.Values["revision"] = Value{max(f.Revision.V, 1), or(f.Revision.At, f.At)}
	out.set("os.distribution", f.OS.Distribution)
	out.set("os.version", f.OS.Version)
	out.set("os.image", f.OS.Image)
	out.pairs("os.image", f.OS.ImageByArch)
	out.Values["os.prepare"] = Value{f.OS.Prepare.V, or(f.OS.Prepare.At, f.OS.At)}
	out.set("kubernetes.distribution", f.Kubernetes.Distribution)
	out.Values["disableSELinux"] = Value{f.DisableSELinux.V, or(f.DisableSELinux.At, f.At)}
	for path, v := range map[string]compile.Field[bool]{
		"techPreview": f.TechPreview, "twoNode": f.TwoNode, "fips": f.FIPS, "uki": f.UKI, "updateKernel": f.UpdateKernel,
		"cisHardening": f.CISHardening, "bundleKubernetes": f.BundleKubernetes, "maas": f.MAAS,
	} {
		if v.V || v.Set {
			out.Values[path] = Value{v.V, v.At}
		}
	}
	out.set("gpu.vendor", f.GPU.Vendor)
	out.pairs("gpu.arguments", f.GPU.Arguments)
	out.set("ubuntuPro.env", f.UbuntuPro.Env)
	out.file(m, "ubuntuPro.file", f.UbuntuPro.File)
	for path, v := range map[string]compile.Field[string]{
		"signingKey": f.SigningKey, "edgeConfig": f.EdgeConfig, "dockerfile": f.Dockerfile, "hardwareSpecs": f.HardwareDB,
	} {
		out.file(m, path, v)
	}
	for _, c := range f.Certificates {
		out.hash(m, c.V)
	}
	out.list("certificates", f.Certificates)
	for _, o := range f.Overlay {
		at := "overlay." + quoted(o.Target)
		out.file(m, at, o.Path)
		out.pairs(at+".modes", o.Modes)
	}
	out.list("packages", f.Packages)
	out.list("run", f.Run)
	out.pairs("labels", f.Labels)
	out.set("compression", f.Compression)
	c := f.Components
	for name, v := range map[string]compile.Field[string]{
		"agent": c.Agent, "kairos": c.Kairos, "kairosInit": c.KairosInit, "provider": c.Provider, "flavor": c.Flavor, "kine": c.Kine,
		"luet": c.Luet, "thirdParty": c.ThirdParty, "alpine": c.Alpine, "osbuilder": c.Osbuilder, "golang": c.Golang, "drbd": c.DRBD,
	} {
		out.set("components."+name, v)
	}
	r := f.Mirrors
	for name, v := range map[string]compile.Field[string]{
		"images": r.Images, "base": r.Base, "packages": r.Packages, "packageProject": r.PackageProject,
		"thirdParty": r.ThirdParty, "alpine": r.Alpine, "osbuilder": r.Osbuilder,
	} {
		out.set("mirrors."+name, v)
	}
	out.pairs("acknowledge", f.Acknowledge)
	out.addImages(f, images)
	return out
}

// addImages takes over what holds for all images of a family.
func (out *Family) addImages(f *compile.Family, images []compile.Image) {
	arch, versions := []string{}, []string{}
	for _, a := range f.Arch {
		arch = append(arch, a.V)
	}
	slices.Sort(arch)
	if arch = slices.Compact(arch); len(arch) == 0 {
		arch = []string{"amd64"}
	}
	out.Values["arch"] = Value{arch, or(f.ArchSet.At, f.At)}
	out.Values["channel"] = Value{f.Channel.V, or(f.Channel.At, f.At)}
	for _, i := range images {
		versions = append(versions, i.Version)
		out.Line = i.Line
		out.Values["channel"] = Value{i.Facts.Channel, or(f.Channel.At, f.At)}
		out.Values["publish"] = Value{i.Publish, or(f.Publish.At, f.At)}
		out.Images = append(out.Images, Image{
			Reference: i.Reference, Version: i.Version, Platforms: i.Platforms, Facts: i.Facts, Publish: i.Publish, At: i.At,
		})
	}
	if len(images) == 0 { // the manifest is wrong; what it says is all that is known
		for _, v := range f.Kubernetes.Versions {
			versions = append(versions, v.V)
		}
	}
	slices.SortFunc(versions, compareVersions)
	out.Values["kubernetes.versions"] = Value{versions, or(f.Kubernetes.VersionsSet.At, f.Kubernetes.At)}
	if _, ok := out.Values["repository"]; !ok {
		out.Values["repository"] = Value{f.OS.Distribution.V, f.At}
	}
	slices.SortFunc(out.Images, byReference)
}

func (out *Family) set(path string, v compile.Field[string]) {
	if v.V != "" {
		out.Values[path] = Value{v.V, or(v.At, out.At)}
	}
}

func (out *Family) pairs(path string, ps []compile.Pair) {
	for _, p := range ps {
		out.set(path+"."+label(p.Key), p.Value)
	}
}

func (out *Family) list(path string, fs []compile.Field[string]) {
	var texts []string
	for _, f := range fs {
		texts = append(texts, f.V)
	}
	if len(texts) > 0 {
		out.Values[path] = Value{texts, or(fs[0].At, out.At)}
	}
}

func (out *Family) file(m *compile.Manifest, path string, v compile.Field[string]) {
	out.set(path, v)
	out.hash(m, v.V)
}

// hash writes down what a local file holds. That it cannot be read is said by
// compile.
func (out *Family) hash(m *compile.Manifest, name string) {
	if name == "" {
		return
	}
	s, err := compile.HashLocal(m, "file:"+path.Join(m.Dir, name))
	if err != nil {
		s.Digest = ""
	}
	out.Files[name] = s.Digest
}

func or(a, b plan.Pos) plan.Pos {
	if a.File != "" {
		return a
	}
	return b
}

// at is where a value stands, or the family.
func (out *Family) at(path string) plan.Pos { return or(out.Values[path].At, out.At) }

// text is a value that is a text; "" if it is absent.
func (out *Family) text(path string) string {
	s, _ := out.Values[path].V.(string)
	return s
}

// is says whether a flag is set.
func (out *Family) is(path string) bool {
	b, _ := out.Values[path].V.(bool)
	return b
}

// texts is a value that is a list.
func (out *Family) texts(path string) []string {
	l, _ := out.Values[path].V.([]string)
	return l
}
