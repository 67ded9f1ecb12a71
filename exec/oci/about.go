package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// inspector is a target that hands out what its images consist of.
type inspector interface {
	// Content is a manifest or blob of a repository, "docker.io/acme/ubuntu",
	// checked against its digest.
	Content(ctx context.Context, repository string, d image.Descriptor) ([]byte, error)
}

// about is what a published image says of itself.
type about struct {
	document
	facts     plan.Facts
	known     bool     // facts are: an image of another tool may say nothing
	platforms []string // that it was made for, or that are in it
}

// aboutOf asks a published image: the annotations of its manifest and the list of
// an index, or, where another tool has left the former out, its config; of an index
// that of its first image.
func aboutOf(ctx context.Context, t image.Target, reference string, pub *image.Published) (about, error) {
	doc, err := read(pub.Manifest)
	if err != nil {
		return about{}, err
	}
	a := about{document: doc}
	a.facts, a.known = plan.FactsOf(doc.Annotations)
	for name := range strings.FieldsSeq(doc.Annotations[PlatformsKey]) {
		a.runsOn(name)
	}
	for _, m := range doc.images() {
		if m.Platform != nil {
			a.runsOn(m.Platform.OS + "/" + m.Platform.Architecture)
		}
	}
	if a.known && len(a.platforms) > 0 {
		return a, nil
	}
	config, err := configFrom(ctx, t, repository(reference), doc)
	if err != nil {
		return about{}, err
	}
	if config.OS != "" && config.Architecture != "" {
		a.runsOn(config.OS + "/" + config.Architecture)
	}
	if !a.known {
		a.facts, a.known = plan.FactsOf(config.Config.Labels)
	}
	return a, nil
}

func (a *about) runsOn(platform string) {
	if !slices.Contains(a.platforms, platform) {
		a.platforms = append(a.platforms, platform)
	}
}

// document is a manifest or index, as far as Decide looks at it.
type document struct {
	Config      image.Descriptor   `json:"config"`
	Manifests   []image.Descriptor `json:"manifests"`
	Annotations map[string]string  `json:"annotations"`
}

func read(raw []byte) (document, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return doc, fmt.Errorf("its manifest is no JSON: %w", err)
	}
	return doc, nil
}

// images are those of an index, without attestations.
func (d document) images() []image.Descriptor {
	return slices.DeleteFunc(slices.Clone(d.Manifests), func(m image.Descriptor) bool {
		return m.Platform != nil && m.Platform.OS == "unknown"
	})
}

// config is an image's config, as far as Decide looks at it.
type config struct {
	OS           string                             `json:"os"`
	Architecture string                             `json:"architecture"`
	Config       struct{ Labels map[string]string } `json:"config"`
}

// configFrom is the config of an image, or of the first one of an index; empty if
// there is none, or it is lost.
func configFrom(ctx context.Context, t image.Target, repo string, doc document) (config, error) {
	target, ok := t.(inspector)
	if !ok {
		return config{}, nil
	}
	if images := doc.images(); len(images) > 0 {
		raw, err := target.Content(ctx, repo, images[0])
		if err != nil {
			return config{}, absent(err)
		}
		doc = document{}
		if json.Unmarshal(raw, &doc) != nil {
			return config{}, nil
		}
	}
	if doc.Config.Digest == "" {
		return config{}, nil // an artifact of another kind
	}
	raw, err := target.Content(ctx, repo, doc.Config)
	if err != nil {
		return config{}, absent(err)
	}
	var c config
	if json.Unmarshal(raw, &c) != nil {
		return config{}, nil
	}
	return c, nil
}

// absent is no error if it only says that something is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
