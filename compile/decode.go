package compile

import (
	"encoding/json"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// decode takes the values out of a manifest. What is not of its kind stays unset:
// the diagnosis has said so.
func (d *diagnosis) decode(m *Manifest, raw cue.Value) {
	for name, v := range fieldsOf(raw) {
		switch name {
		case "canvos":
			text(&m.Release, v)
		case "registry":
			text(&m.Registry, v)
		case "epoch":
			text(&m.Epoch, v)
		case "sources":
			for ref, place := range fieldsOf(v) {
				r := SourceRule{Reference: ref}
				text(&r.Place, place)
				m.Sources = append(m.Sources, r)
			}
		case "build":
			m.Build = decodeBuild(v)
		case "catalog":
			for tag, entry := range fieldsOf(v) {
				m.Catalog = append(m.Catalog, d.catalogEntry(tag, entry))
			}
		case "policies":
			m.Policies = d.rules(name, v)
		case "waivers":
			m.Waivers = d.rules(name, v)
		case "families":
			for name, f := range fieldsOf(v) {
				m.Families = append(m.Families, d.family(name, f))
			}
		}
	}
	d.inherit(m)
	m.Families = slices.DeleteFunc(m.Families, func(f Family) bool {
		return f.OS.Distribution.V == "" || f.Kubernetes.Distribution.V == "" || f.Release.V == "" || f.Registry.V == ""
	})
	if m.Epoch.V == "" {
		m.Epoch.V = defaultEpoch
	}
}

// defaultEpoch is what Earthly stamps copied files with.
const defaultEpoch = "2020-04-16T12:00:00Z"

// inherit gives families the release and registry of the manifest, and says where
// neither has one: once, unless some families have their own.
func (d *diagnosis) inherit(m *Manifest) {
	for _, field := range []struct {
		name string
		top  *Field[string]
		own  func(*Family) *Field[string]
	}{
		{"canvos", &m.Release, func(f *Family) *Field[string] { return &f.Release }},
		{"registry", &m.Registry, func(f *Family) *Field[string] { return &f.Registry }},
	} {
		var without []*Family
		for i := range m.Families {
			if f := &m.Families[i]; !field.own(f).Set {
				*field.own(f) = *field.top
				if !field.top.Set && !d.said[joined("families", f.Name)+"."+field.name] {
					without = append(without, f)
				}
			}
		}
		switch {
		case len(without) == 0 || d.said[field.name]:
		case len(without) == len(m.Families):
			d.lack("", field.name, plan.Pos{File: m.Files[0]})
		default:
			for _, f := range without {
				d.lack(joined("families", f.Name), field.name, f.At)
			}
		}
	}
}

func (d *diagnosis) lack(path, name string, at plan.Pos) {
	if d.said == nil {
		d.said = map[string]bool{}
	}
	p := newProblem(nil, problem.Problem{
		Code:    "CV0102",
		Message: container(path) + " has no " + name,
		Path:    joined(path, name),
		Help:    "add " + example(path, name),
	})
	p.At = at
	d.add(p)
}

func (d *diagnosis) family(name string, v cue.Value) Family {
	path := joined("families", name)
	at := d.index[path]
	if at == (plan.Pos{}) {
		at = valuePos(v)
	}
	f := Family{Name: name, At: at}
	f.OS.At, f.Kubernetes.At = at, at
	f.Revision.V = 1
	f.DisableSELinux.V = true
	f.OS.Prepare.V = true
	f.Channel.V, f.Compression.V = "production", "gzip"
	for name, v := range fieldsOf(v) {
		switch name {
		case "canvos":
			text(&f.Release, v)
		case "registry":
			text(&f.Registry, v)
		case "repository":
			text(&f.Repository, v)
		case "tag":
			text(&f.Tag, v)
		case "revision":
			if n, err := v.Int64(); err == nil {
				f.Revision = Field[int]{int(n), valuePos(v), true}
			}
		case "os":
			f.OS = d.os(path+".os", v)
		case "kubernetes":
			f.Kubernetes = d.kubernetes(path+".kubernetes", v)
		case "arch":
			f.Arch = texts(v)
			f.ArchSet = Field[bool]{true, d.listPos(path+".arch", v), true}
		case "channel":
			text(&f.Channel, v)
		case "publish":
			text(&f.Publish, v)
		case "techPreview":
			flagOf(&f.TechPreview, v)
		case "twoNode":
			flagOf(&f.TwoNode, v)
		case "fips":
			flagOf(&f.FIPS, v)
		case "uki":
			flagOf(&f.UKI, v)
		case "updateKernel":
			flagOf(&f.UpdateKernel, v)
		case "cisHardening":
			flagOf(&f.CISHardening, v)
		case "disableSELinux":
			flagOf(&f.DisableSELinux, v)
		case "bundleKubernetes":
			flagOf(&f.BundleKubernetes, v)
		case "maas":
			flagOf(&f.MAAS, v)
		case "gpu":
			for name, v := range fieldsOf(v) {
				switch name {
				case "vendor":
					text(&f.GPU.Vendor, v)
				case "arguments":
					f.GPU.Arguments = pairs(v)
				}
			}
		case "ubuntuPro":
			f.UbuntuPro.At = d.near(path + ".ubuntuPro")
			for name, v := range fieldsOf(v) {
				switch name {
				case "env":
					text(&f.UbuntuPro.Env, v)
				case "file":
					text(&f.UbuntuPro.File, v)
				}
			}
		case "signingKey":
			text(&f.SigningKey, v)
		case "edgeConfig":
			text(&f.EdgeConfig, v)
		case "dockerfile":
			text(&f.Dockerfile, v)
		case "hardwareSpecs":
			text(&f.HardwareDB, v)
		case "certificates":
			f.Certificates = texts(v)
		case "overlay":
			f.Overlay = overlays(v)
		case "packages":
			f.Packages = texts(v)
		case "run":
			f.Run = texts(v)
		case "labels":
			f.Labels = pairs(v)
		case "compression":
			text(&f.Compression, v)
		case "components":
			f.Components = decodeComponents(v)
		case "mirrors":
			f.Mirrors = decodeMirrors(v)
		case "acknowledge":
			f.Acknowledge = pairs(v)
		}
	}
	return f
}

func (d *diagnosis) os(path string, v cue.Value) OS {
	o := OS{At: d.near(path), Prepare: Field[bool]{V: true}}
	for name, v := range fieldsOf(v) {
		switch name {
		case "distribution":
			text(&o.Distribution, v)
		case "version":
			text(&o.Version, v)
		case "image":
			if v.IncompleteKind() == cue.StructKind {
				o.ImageByArch = pairs(v)
				o.ByArch = Field[bool]{true, d.near(path + ".image"), true}
			} else {
				text(&o.Image, v)
			}
		case "prepare":
			flagOf(&o.Prepare, v)
		}
	}
	return o
}

func (d *diagnosis) kubernetes(path string, v cue.Value) Kubernetes {
	k := Kubernetes{At: d.near(path)}
	for name, v := range fieldsOf(v) {
		switch name {
		case "distribution":
			text(&k.Distribution, v)
		case "versions":
			k.Versions = texts(v)
			k.VersionsSet = Field[bool]{true, d.listPos(path+".versions", v), true}
		case "allVersions":
			flagOf(&k.AllVersions, v)
		}
	}
	return k
}

// listPos is where a list is written; of one that several places make up, where
// its field is named.
func (d *diagnosis) listPos(path string, v cue.Value) plan.Pos {
	if at := valuePos(v); at != (plan.Pos{}) {
		return at
	}
	return d.near(path)
}

func decodeBuild(v cue.Value) Build {
	var b Build
	for name, v := range fieldsOf(v) {
		switch name {
		case "httpProxy":
			text(&b.HTTPProxy, v)
		case "httpsProxy":
			text(&b.HTTPSProxy, v)
		case "noProxy":
			text(&b.NoProxy, v)
		case "certificates":
			b.Certificates = texts(v)
		}
	}
	return b
}

func decodeComponents(v cue.Value) Components {
	var c Components
	into(v, map[string]*Field[string]{
		"agent": &c.Agent, "kairos": &c.Kairos, "kairosInit": &c.KairosInit, "provider": &c.Provider,
		"flavor": &c.Flavor, "kine": &c.Kine, "luet": &c.Luet, "thirdParty": &c.ThirdParty,
		"alpine": &c.Alpine, "osbuilder": &c.Osbuilder, "golang": &c.Golang, "drbd": &c.DRBD,
	})
	return c
}

func decodeMirrors(v cue.Value) Mirrors {
	var m Mirrors
	into(v, map[string]*Field[string]{
		"images": &m.Images, "base": &m.Base, "packages": &m.Packages, "packageProject": &m.PackageProject,
		"thirdParty": &m.ThirdParty, "alpine": &m.Alpine, "osbuilder": &m.Osbuilder,
	})
	return m
}

func into(v cue.Value, fields map[string]*Field[string]) {
	for name, v := range fieldsOf(v) {
		if f := fields[name]; f != nil {
			text(f, v)
		}
	}
}

func overlays(v cue.Value) []Overlay {
	var out []Overlay
	for target, v := range fieldsOf(v) {
		o := Overlay{Target: target}
		if v.IncompleteKind() == cue.StructKind {
			for name, v := range fieldsOf(v) {
				switch name {
				case "path":
					text(&o.Path, v)
				case "modes":
					o.Modes = pairs(v)
				}
			}
		} else {
			text(&o.Path, v)
		}
		if o.Path.Set {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Overlay) int { return strings.Compare(a.Target, b.Target) })
	return out
}

func (d *diagnosis) catalogEntry(tag string, v cue.Value) CatalogEntry {
	e := CatalogEntry{Release: tag, At: d.near(joined("catalog", tag))}
	own := map[string]json.RawMessage{}
	for name, v := range fieldsOf(v) {
		if name == "from" {
			text(&e.From, v)
			continue
		}
		if b, err := v.MarshalJSON(); err == nil {
			own[name] = b
		}
	}
	e.JSON, _ = json.Marshal(own) // of JSON: cannot fail
	return e
}

// fieldsOf goes through the regular fields of a struct, in the order of its
// source; through none if v is not a struct. One that holds an error somewhere is
// gone through all the same.
func fieldsOf(v cue.Value) func(func(string, cue.Value) bool) {
	return func(yield func(string, cue.Value) bool) {
		// Without Definitions a struct that holds an error has no fields.
		it, err := v.Fields(cue.Definitions(true))
		for err == nil && it.Next() {
			if sel := it.Selector(); sel.LabelType() == cue.StringLabel && !yield(sel.Unquoted(), it.Value()) {
				return
			}
		}
	}
}

func text(f *Field[string], v cue.Value) {
	if s, err := v.String(); err == nil {
		*f = Field[string]{s, valuePos(v), true}
	}
}

func flagOf(f *Field[bool], v cue.Value) {
	if b, err := v.Bool(); err == nil {
		*f = Field[bool]{b, valuePos(v), true}
	}
}

func texts(v cue.Value) []Field[string] {
	var out []Field[string]
	it, err := v.List()
	for err == nil && it.Next() {
		var f Field[string]
		if text(&f, it.Value()); f.Set {
			out = append(out, f)
		}
	}
	return out
}

// pairs is a struct of texts, sorted by name.
func pairs(v cue.Value) []Pair {
	var out []Pair
	for name, v := range fieldsOf(v) {
		p := Pair{Key: name}
		if text(&p.Value, v); p.Value.Set {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return out
}
