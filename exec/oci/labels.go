package oci

import (
	"context"
	"encoding/json"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// inspector is a target that hands out what its images consist of.
type inspector interface {
	// Content is a manifest or blob of a repository, "docker.io/acme/ubuntu",
	// checked against its digest.
	Content(ctx context.Context, repository string, d image.Descriptor) ([]byte, error)
}

// factsOf is what a published image says of itself: by the annotations of its
// manifest, or, where another tool has left these out, by the labels of its config,
// of an index by those of its first image. known is false for an image that says
// nothing.
func factsOf(ctx context.Context, t image.Target, reference string, pub *image.Published) (facts plan.Facts, known bool, err error) {
	doc, err := read(pub.Manifest)
	if err != nil {
		return facts, false, err
	}
	if facts, known = plan.FactsOf(doc.Annotations); known {
		return facts, true, nil
	}
	labels, err := labelsOf(ctx, t, repository(reference), pub.Manifest)
	if err != nil {
		return facts, false, err
	}
	facts, known = plan.FactsOf(labels)
	return facts, known, nil
}

func labelsOf(ctx context.Context, t image.Target, repo string, raw []byte) (map[string]string, error) {
	target, ok := t.(inspector)
	if !ok {
		return nil, nil
	}
	var list index
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list.Manifests) > 0 {
		child, err := target.Content(ctx, repo, list.Manifests[0])
		if err != nil {
			return nil, err
		}
		raw = child
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.Config.Digest == "" {
		return nil, nil // no image: an artifact of another kind
	}
	b, err := target.Content(ctx, repo, m.Config)
	if err != nil {
		return nil, err
	}
	var config struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	if json.Unmarshal(b, &config) != nil {
		return nil, nil
	}
	return config.Config.Labels, nil
}
