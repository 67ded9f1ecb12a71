package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"canvos.dev/compile"
	"canvos.dev/compile/catalog"
	"canvos.dev/compile/problem"
)

// firstManifest is a manifest of one family that vet has nothing to say about. It
// is judged before anybody sees it: releases differ in how they write a version
// of Ubuntu, and in the Kubernetes versions that their images can boot.
func firstManifest(pkg string, r *catalog.Release, registry string) (string, error) {
	var ps []*problem.Problem
	for _, version := range slices.Backward(r.Versions("k3s")) {
		text := manifestText(pkg, r, registry, version)
		if ps = judgeText(text); len(ps) == 0 {
			return text, nil
		}
		if i := slices.IndexFunc(ps, func(p *problem.Problem) bool { return p.Path == "registry" }); i >= 0 {
			return "", fail(exitUsage, ps[i].Help, "--registry: %s", ps[i].Message)
		}
	}
	if len(ps) == 0 {
		return "", fail(exitError, "--release names another", "CanvOS %s has no version of k3s", r.Tag)
	}
	return "", fail(exitError, "--release names another", "there is no first manifest for CanvOS %s: %s", r.Tag, ps[0].Message)
}

// judgeText is what vet says of a manifest that is not written yet.
func judgeText(text string) []*problem.Problem {
	files := fstest.MapFS{"images.cue": {Data: []byte(text)}}
	return compile.Judge(compile.Source{FS: files, Dir: "."}, nil).Problems
}

func manifestText(pkg string, r *catalog.Release, registry, version string) string {
	system := "22.04"
	if _, ok := r.BaseImage("ubuntu", system, "amd64", false, false); !ok {
		system = "22" // as releases up to v4.1.4 write it
	}
	acknowledged := ""
	if r.Warning() != "" {
		acknowledged = "\n\t\tacknowledge: " + quoted("CV0122") + ": " + quoted("agent "+r.AgentVersion+" is meant")
	}
	return fmt.Sprintf(`// Edge images: what should exist. canvos vet checks this file, canvos plan shows
// what it stands for, canvos apply builds and publishes it.
package %s

import "canvos.dev/schema"

// canvos is the CanvOS release: agent, providers, Kubernetes versions.
canvos: %s

// registry is where the images are published: host[:port][/namespace].
registry: %s

families: schema.#Families & {
	// A family is one image for each of its Kubernetes versions.
	"store": {
		os: {distribution: "ubuntu", version: %s}
		kubernetes: {distribution: "k3s", versions: [%s]}
		tag: %s%s
	}
}
`, pkg, quoted(r.Tag), quoted(registry), quoted(system), quoted(version), quoted(pkg), acknowledged)
}

// quoted is a text as JSON and CUE write it.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings encode
	}
	return string(b)
}

// packageName is the CUE package of a manifest: below a module's root it has the
// directory's name, since a package takes in what directories above have of the
// same name.
func packageName(dir, root string) string {
	name := "images"
	if dir != root {
		name = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(filepath.Base(dir)))
		name = strings.TrimLeft(name, "0123456789")
	}
	if name == "" {
		name = "images"
	}
	files := fstest.MapFS{"images.cue": {Data: []byte("package " + name)}}
	if (compile.Source{FS: files, Dir: ".", File: "images.cue"}).Package() != name {
		name += "images" // it is one of CUE's own words
	}
	return name
}
