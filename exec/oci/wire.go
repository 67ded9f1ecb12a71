// Package oci assembles images in this process: it reads them out of registries,
// layouts, archives and directories, changes their files by package rootfs, and
// makes configs, manifests and indexes. It starts no process, and publishes
// through an image.Target.
package oci

import "canvos.dev/exec/image"

// manifest is an image manifest, of OCI or Docker's schema 2.
type manifest struct {
	SchemaVersion int                `json:"schemaVersion"`
	MediaType     string             `json:"mediaType"`
	Config        image.Descriptor   `json:"config"`
	Layers        []image.Descriptor `json:"layers"`
	Annotations   map[string]string  `json:"annotations,omitempty"`
}

// index is an image index, a Docker manifest list, or the list of a layout.
type index struct {
	SchemaVersion int                `json:"schemaVersion"`
	MediaType     string             `json:"mediaType"`
	Manifests     []image.Descriptor `json:"manifests"`
	Annotations   map[string]string  `json:"annotations,omitempty"`
}

// Docker's names for the same content.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// refName is the annotation by which a layout names what it holds.
const refName = "org.opencontainers.image.ref.name"

// Annotations of images that canvos made.
const (
	// StepKey names the Image step that made it.
	StepKey = "dev.canvos.step"
	// PlatformsKey names what it runs on, "linux/amd64 linux/arm64": the manifest of
	// one platform does not say.
	PlatformsKey = "dev.canvos.platforms"
	// ContentKey is a digest over config and layers: see contentOf.
	ContentKey = "dev.canvos.content"
)

func isIndex(mediaType string) bool { return mediaType == image.Index || mediaType == dockerList }

// layerType is the OCI media type of a layer.
func layerType(mediaType string) (string, bool) {
	switch mediaType {
	case "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return image.Gzip, true
	case "application/vnd.docker.image.rootfs.diff.tar":
		return image.Layer, true
	case image.Layer, image.Gzip, image.Zstd:
		return mediaType, true
	}
	return "", false
}
