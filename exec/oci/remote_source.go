package oci

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/registry"
)

// remoteHolder is one repository of a registry.
type remoteHolder struct {
	repository string
	client     *registry.Client
}

func (h *remoteHolder) manifest(ctx context.Context, reference string) ([]byte, string, error) {
	raw, d, err := h.client.Manifest(ctx, reference)
	return raw, d.MediaType, err
}

func (h *remoteHolder) blob(ctx context.Context, d plan.Digest, size int64) (io.ReadCloser, error) {
	return h.client.Blob(ctx, h.repository, d, size)
}

func (h *remoteHolder) known() []string { return nil }

// advice is what a person can do about an error of a registry, or "".
func advice(err error) string {
	if e, ok := errors.AsType[*registry.Error](err); ok && !errors.Is(err, fs.ErrNotExist) {
		return e.Help()
	}
	return ""
}

// cameDamaged says that a registry served something else than a digest names, more
// often than once.
func cameDamaged(err error) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind == registry.Corrupt
}
