package oci

import (
	"cmp"
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
	about  imageJSON
	tree   *rootfs.Tree
	fault  func(code, reason, help string) error
}

type imageJSON struct {
	OS           string            `json:"os"`
	Architecture string            `json:"architecture"`
	Config       json.RawMessage   `json:"config,omitempty"`
	Modes        map[string]string `json:"modes"` // four octal digits, by path from the directory
}

// openDir reads a directory as an image.
func openDir(fsys fs.FS, reference string, p place) (*dirImage, error) {
	d := &dirImage{fault: func(code, reason, help string) error {
		return &SourceError{Code: code, Reference: reference, Place: p.String(), Reason: reason, Help: help}
	}}
	if info, err := fs.Stat(fsys, p.path); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, d.fault("CV0610", "there is no directory "+p.path, "sources in the manifest names it")
	}
	b, err := fs.ReadFile(fsys, path.Join(p.path, imageFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, d.fault("CV0612", err.Error(), "")
	default:
		if err := strict(b, &d.about); err != nil {
			return nil, d.fault("CV0612", fmt.Sprintf("its %s: %v", imageFile, err), `it holds "os", "architecture", "config" and "modes"`)
		}
	}
	modes := map[string]string{}
	for name, mode := range d.about.Modes {
		modes[path.Join("/", name)] = mode
	}
	d.tree, d.digest, d.size, err = rootfs.ReadLocal(rootfs.Local{Name: reference, FS: fsys, Path: p.path, Without: []string{imageFile}, Modes: modes})
	if err != nil {
		return nil, d.fault("CV0612", err.Error(), "")
	}
	return d, nil
}

// config is the OCI image config, without layers, for a platform. want, if set,
// is the digest that the directory had.
func (d *dirImage) config(platform string, want plan.Digest) ([]byte, error) {
	if want != "" && d.digest != want {
		return nil, d.fault("CV0612", "it has changed since the lock was written", "run canvos lock, and plan again")
	}
	os, arch, _ := strings.Cut(platform, "/")
	os, arch = cmp.Or(d.about.OS, os), cmp.Or(d.about.Architecture, arch)
	if got := os + "/" + arch; got != platform {
		return nil, d.fault("CV0611", fmt.Sprintf("it is for %s, not for %s", got, platform), "its "+imageFile+" says so")
	}
	config := map[string]any{"os": os, "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}}}
	if d.about.Config != nil {
		config["config"] = d.about.Config
	}
	b, err := plan.Canonical(config)
	if err != nil {
		return nil, d.fault("CV0612", err.Error(), "")
	}
	return b, nil
}

// strict decodes JSON that has nothing but what v knows.
func strict(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
