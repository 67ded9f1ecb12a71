package main

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"

	"canvos.dev/compile/catalog"
)

// source is a release as releases.json has it: what is carried over of it.
type source struct {
	Tag               string
	OtherTagsAtCommit []string
	Date              string
	PEVersion         string
	KairosVersion     string
	KairosVersionUKI  string
	KairosInitVersion string
	Registries        map[string]*string
	Luet              struct {
		Version  string
		Repo     map[string]string
		Packages []string
	}
	Providers    map[string]struct{ Version, Image, ImageFIPS string }
	FlavorTags   map[string]string
	StylusImages map[string]struct{ Framework string }
	BaseImages   map[string]string
	Osbuilder    versioned
	Auroraboot   versioned
	AlpineImage  string
	ThirdParty   string `json:"thirdPartyImage"`
	KineVersion  string
	EtcdVersion  string
	Golang       string `json:"golangVersion"`
	Earthly      versioned
	Certificates string
	K8sVersions  map[string][]string
	OSVersions   struct {
		File map[string][]string `json:"os_version.json"`
	}
	Args     map[string][]declaration
	Warnings []string
}

type versioned struct{ Version, Image string }

type declaration struct {
	Kind, Scope string
	Default     *string
	Conditional bool
}

// read reads releases.json: the releases in order, and every declaration of an
// argument in every release, Last being First.
func read(in io.Reader) ([]*catalog.Release, []catalog.Argument, error) {
	var sources map[string]source
	if err := json.NewDecoder(in).Decode(&sources); err != nil {
		return nil, nil, err
	}
	var rs []*catalog.Release
	var args []catalog.Argument
	for _, s := range sources {
		rs = append(rs, s.release())
		for name, ds := range s.Args {
			for _, d := range ds {
				a := catalog.Argument{Name: name, Scope: d.Scope, Let: d.Kind == "let", Conditional: d.Conditional, First: s.Tag, Last: s.Tag}
				if d.Default != nil {
					a.Default, a.HasDefault = *d.Default, true
				}
				args = append(args, a)
			}
		}
	}
	slices.SortFunc(rs, func(a, b *catalog.Release) int { return catalog.CompareVersions(a.Tag, b.Tag) })
	slices.SortFunc(args, compareArguments)
	return rs, slices.Compact(args), nil
}

// compareArguments orders by name, scope, kind and default, then by release, so
// that equal declarations of neighbouring releases are neighbours.
func compareArguments(a, b catalog.Argument) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Scope, b.Scope), cmp.Compare(kind(a), kind(b)),
		cmp.Compare(a.Default, b.Default), catalog.CompareVersions(a.First, b.First))
}

func (s source) release() *catalog.Release {
	r := &catalog.Release{
		Tag: s.Tag, Aliases: s.OtherTagsAtCommit, Date: s.Date, AgentVersion: s.PEVersion,
		KairosVersion: s.KairosVersion, KairosVersionUKI: s.KairosVersionUKI, KairosInitVersion: s.KairosInitVersion,
		Kubernetes: s.K8sVersions, Providers: map[string]catalog.Provider{}, FlavorTags: s.FlavorTags,
		Stylus: map[string]string{}, BaseImages: s.BaseImages,
		LuetRepo: s.Luet.Repo, LuetVersion: s.Luet.Version, LuetPackages: s.Luet.Packages,
		ThirdPartyImage: s.ThirdParty, AlpineImage: s.AlpineImage,
		OsbuilderImage: s.Osbuilder.Image, OsbuilderVersion: s.Osbuilder.Version,
		AurorabootImage: s.Auroraboot.Image, AurorabootVersion: s.Auroraboot.Version,
		KineVersion: s.KineVersion, EtcdVersion: s.EtcdVersion, GolangVersion: s.Golang,
		EarthlyImage: s.Earthly.Image, EarthlyVersion: s.Earthly.Version,
		OSVersions: s.OSVersions.File, Certificates: s.Certificates,
		Registries: map[string]string{}, Notes: s.Warnings,
	}
	for d, p := range s.Providers {
		r.Providers[d] = catalog.Provider(p)
	}
	for arch, i := range s.StylusImages {
		r.Stylus[arch] = i.Framework
	}
	for name, host := range s.Registries {
		if host != nil {
			r.Registries[name] = *host
		}
	}
	return r
}
