package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/rootfs"
)

// imageFile, in a directory that stands for an image, says what a directory
// cannot: platform, config and modes. It is no file of the image.
const imageFile = "image.json"

// dirImage is a directory that stands for an image: a stand-in, or a tree made by
// hand. Its files are 0:0 and have the time of the plan.
type dirImage struct {
	digest plan.Digest
	size   int64
	config []byte // OCI image config without layers
	tree   *rootfs.Tree
}

type imageJSON struct {
	OS           string            `json:"os"`
	Architecture string            `json:"architecture"`
	Config       json.RawMessage   `json:"config,omitempty"`
	Modes        map[string]string `json:"modes"` // four octal digits, by path from the directory
}

// openDir reads a directory as an image. want, if set, is the digest that it had.
func openDir(fsys fs.FS, reference string, p place, platform string, want plan.Digest) (*dirImage, error) {
	fault := func(code, reason, help string) error {
		return &SourceError{Code: code, Reference: reference, Place: p.String(), Reason: reason, Help: help}
	}
	digest, size, err := plan.HashTree(fsys, p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault("CV0610", "there is no directory "+p.path, "sources in the manifest names it")
	} else if err != nil {
		return nil, fault("CV0610", err.Error(), "")
	}
	if want != "" && digest != want {
		return nil, fault("CV0612", "it has changed since the lock was written", "run canvos lock, and plan again")
	}
	var j imageJSON
	b, err := fs.ReadFile(fsys, path.Join(p.path, imageFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fault("CV0612", err.Error(), "")
	default:
		if err := strict(b, &j); err != nil {
			return nil, fault("CV0612", fmt.Sprintf("its %s: %v", imageFile, err), `it holds "os", "architecture", "config" and "modes"`)
		}
	}
	os, arch, _ := strings.Cut(platform, "/")
	if j.OS == "" {
		j.OS = os
	}
	if j.Architecture == "" {
		j.Architecture = arch
	}
	if got := j.OS + "/" + j.Architecture; got != platform {
		return nil, fault("CV0611", fmt.Sprintf("it is for %s, not for %s", got, platform), "its "+imageFile+" says so")
	}
	d := &dirImage{digest: digest, size: size}
	config := map[string]any{"os": j.OS, "architecture": j.Architecture, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}}}
	if j.Config != nil {
		config["config"] = j.Config
	}
	if d.config, err = plan.Canonical(config); err != nil {
		return nil, fault("CV0612", err.Error(), "")
	}
	modes := map[string]string{}
	for name, mode := range j.Modes {
		modes[path.Join("/", name)] = mode
	}
	d.tree, err = rootfs.FromLocal(rootfs.Local{Name: reference, FS: fsys, Path: p.path, Digest: digest, Without: []string{imageFile}, Modes: modes})
	if err != nil {
		return nil, fault("CV0612", err.Error(), "")
	}
	return d, nil
}

// strict decodes JSON that has nothing but what v knows.
func strict(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
