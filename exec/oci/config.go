package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// compose makes an image of root filesystems, one a platform, or an index of
// several.
func compose(parts []*made, op plan.ImageOp, step plan.Digest) (image.Image, error) {
	var children []image.Image
	for i, m := range parts {
		img, err := one(m, op, op.Platforms[i], step)
		if err != nil {
			return image.Image{}, err
		}
		children = append(children, img)
	}
	if len(children) == 1 {
		return children[0], nil
	}
	list := index{SchemaVersion: 2, MediaType: image.Index}
	var digests []plan.Digest
	for i, c := range children {
		d := c.Descriptor
		os, arch, _ := strings.Cut(op.Platforms[i], "/")
		d.Platform = &image.Platform{OS: os, Architecture: arch, Variant: variantOf(parts[i].config)}
		list.Manifests = append(list.Manifests, d)
		digests = append(digests, c.Digest)
	}
	var err error
	if list.Annotations, err = annotations(op, step, digests); err != nil {
		return image.Image{}, err
	}
	raw, err := plan.Canonical(list)
	if err != nil {
		return image.Image{}, err
	}
	return image.Image{
		Descriptor: image.Descriptor{MediaType: image.Index, Digest: plan.DigestOf(raw), Size: int64(len(raw))},
		Manifest:   raw, Children: children,
	}, nil
}

// variantOf is the processor's variant that a config names, such as "v8".
func variantOf(config []byte) string {
	var c struct {
		Variant string `json:"variant"`
	}
	if json.Unmarshal(config, &c) != nil {
		return "" // find has looked at it: not reached
	}
	return c.Variant
}

// one is the image of one platform.
func one(m *made, op plan.ImageOp, platform string, step plan.Digest) (image.Image, error) {
	config, err := configOf(m, op, platform, step)
	if err != nil {
		return image.Image{}, err
	}
	blobs := []image.Blob{{
		Descriptor: image.Descriptor{MediaType: image.Config, Digest: plan.DigestOf(config), Size: int64(len(config))},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(config)), nil },
	}}
	doc := manifest{SchemaVersion: 2, MediaType: image.Manifest, Config: blobs[0].Descriptor, Layers: []image.Descriptor{}}
	digests := []plan.Digest{doc.Config.Digest}
	for _, l := range m.layers {
		blobs = append(blobs, l.Blob)
		doc.Layers = append(doc.Layers, l.Descriptor)
		digests = append(digests, l.Digest)
	}
	if doc.Annotations, err = annotations(op, step, digests); err != nil {
		return image.Image{}, err
	}
	raw, err := plan.Canonical(doc)
	if err != nil {
		return image.Image{}, err
	}
	return image.Image{
		Descriptor: image.Descriptor{MediaType: image.Manifest, Digest: plan.DigestOf(raw), Size: int64(len(raw))},
		Manifest:   raw, Blobs: blobs,
	}, nil
}

// annotations are what a registry can be asked about an image: its facts, the
// step that made it, and contentOf what it is made of.
func annotations(op plan.ImageOp, step plan.Digest, content []plan.Digest) (map[string]string, error) {
	all := maps.Clone(op.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	all[StepKey] = string(step)
	all[PlatformsKey] = strings.Join(op.Platforms, " ")
	d, err := contentOf(content)
	all[ContentKey] = string(d)
	return all, err
}

// contentOf is a digest over what an image is made of: its config and layers, or
// the manifests of an index. It differs from what the annotation says if another
// tool has changed the image and kept the annotations.
func contentOf(digests []plan.Digest) (plan.Digest, error) {
	b, err := plan.Canonical(digests)
	return plan.DigestOf(b), err
}

// drifted says that a manifest or index is not what its ContentKey says.
func drifted(raw []byte) bool {
	var doc struct {
		Config      image.Descriptor   `json:"config"`
		Layers      []image.Descriptor `json:"layers"`
		Manifests   []image.Descriptor `json:"manifests"`
		Annotations map[string]string  `json:"annotations"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return true
	}
	var digests []plan.Digest
	if doc.Config.Digest != "" {
		digests = append(digests, doc.Config.Digest)
	}
	for _, d := range append(doc.Layers, doc.Manifests...) {
		digests = append(digests, d.Digest)
	}
	d, err := contentOf(digests)
	return err != nil || string(d) != doc.Annotations[ContentKey]
}

// dockerOnly are fields of a config that say how Docker made it on some machine.
var dockerOnly = []string{"container", "container_config", "docker_version", "id", "parent"}

// configOf is the base image's config, unchanged but for what the plan names and
// what follows from the layers. Fields that are not known here stay.
func configOf(m *made, op plan.ImageOp, platform string, step plan.Digest) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(m.config, &doc); err != nil {
		return nil, fmt.Errorf("the base image's config: %w", err)
	}
	for _, name := range dockerOnly {
		delete(doc, name)
	}
	diffs, history, err := layersOf(m, doc, op.Epoch)
	if err != nil {
		return nil, err
	}
	labels := maps.Clone(op.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[StepKey] = string(step)
	config, err := labelled(doc["config"], labels)
	if err != nil {
		return nil, err
	}
	os, arch, _ := strings.Cut(platform, "/")
	for name, v := range map[string]any{
		"created": op.Epoch, "os": os, "architecture": arch, "config": config, "history": history,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	} {
		if doc[name], err = plan.Canonical(v); err != nil {
			return nil, err
		}
	}
	return plan.Canonical(doc)
}

// layersOf is the digests of all layers' contents, and the history that goes with
// them. A base image's entries stay as they are, but if they do not fit its
// layers they are lost.
func layersOf(m *made, doc map[string]json.RawMessage, epoch string) ([]plan.Digest, []any, error) {
	var root struct {
		DiffIDs []plan.Digest `json:"diff_ids"`
	}
	if raw := doc["rootfs"]; raw != nil {
		if err := json.Unmarshal(raw, &root); err != nil {
			return nil, nil, fmt.Errorf("the base image's config: rootfs: %w", err)
		}
	}
	if len(root.DiffIDs) != m.base {
		return nil, nil, fmt.Errorf("the base image's config names %d layers, its manifest %d", len(root.DiffIDs), m.base)
	}
	history, err := baseHistory(m, doc, epoch)
	if err != nil {
		return nil, nil, err
	}
	diffs := append([]plan.Digest{}, root.DiffIDs...)
	for _, l := range m.layers[m.base:] {
		diffs = append(diffs, l.diffID)
		history = append(history, madeHere{epoch, "canvos"})
	}
	return diffs, history, nil
}

// madeHere is the history of a layer that the plan makes.
type madeHere struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

func baseHistory(m *made, doc map[string]json.RawMessage, epoch string) ([]any, error) {
	var entries []json.RawMessage
	if raw := doc["history"]; raw != nil {
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, fmt.Errorf("the base image's config: history: %w", err)
		}
	}
	history, told := []any{}, 0
	for _, raw := range entries {
		var h struct {
			EmptyLayer bool `json:"empty_layer"`
		}
		if err := json.Unmarshal(raw, &h); err != nil {
			return nil, fmt.Errorf("the base image's config: history: %w", err)
		}
		if !h.EmptyLayer {
			told++
		}
		history = append(history, raw)
	}
	if told == m.base {
		return history, nil
	}
	history = []any{}
	for range m.base {
		history = append(history, struct {
			Created string `json:"created"`
			Comment string `json:"comment"`
		}{epoch, "base image"})
	}
	return history, nil
}

// labelled is the run configuration with labels added.
func labelled(raw json.RawMessage, labels map[string]string) (map[string]json.RawMessage, error) {
	config := map[string]json.RawMessage{}
	if raw != nil {
		if err := json.Unmarshal(raw, &config); err != nil {
			return nil, fmt.Errorf("the base image's config: %w", err)
		}
		if config == nil { // "config": null
			config = map[string]json.RawMessage{}
		}
	}
	all := map[string]string{}
	if own := config["Labels"]; own != nil {
		if err := json.Unmarshal(own, &all); err != nil {
			return nil, fmt.Errorf("the base image's config: labels: %w", err)
		}
	}
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	b, err := plan.Canonical(all)
	config["Labels"] = b
	return config, err
}
