package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// dockerArchive is what docker save writes: configs and layers, without a
// manifest that could be digested. One is made for each image: its layers are
// the archive's files as they are.
type dockerArchive struct {
	files     *tarFiles
	manifests map[string][]byte // by name and by digest
	names     []string
	blobs     map[plan.Digest]string // file of a blob
}

func openDockerArchive(fsys fs.FS, file string) (*dockerArchive, error) {
	files, err := indexTar(fsys, file)
	if err != nil {
		return nil, err
	}
	a := &dockerArchive{files: files, manifests: map[string][]byte{}, blobs: map[plan.Digest]string{}}
	list, err := a.read("manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is not what docker save writes: it has no manifest.json")
	} else if err != nil {
		return nil, err
	}
	var images []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(list, &images); err != nil {
		return nil, fmt.Errorf("its manifest.json is no JSON: %w", err)
	}
	for _, i := range images {
		raw, err := a.image(i.Config, i.Layers)
		if err != nil {
			return nil, err
		}
		a.manifests[string(plan.DigestOf(raw))] = raw
		for _, tag := range i.RepoTags {
			a.manifests[tag] = raw
			a.names = append(a.names, tag)
		}
		if len(images) == 1 {
			a.manifests[""] = raw // the only one goes by any name
		}
	}
	slices.Sort(a.names)
	return a, nil
}

// image is the manifest of an image in the archive.
func (a *dockerArchive) image(config string, layers []string) ([]byte, error) {
	c, err := a.describe(config, image.Config)
	if err != nil {
		return nil, err
	}
	m := manifest{SchemaVersion: 2, MediaType: image.Manifest, Config: c}
	for _, l := range layers {
		d, err := a.describe(l, "")
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, d)
	}
	return plan.Canonical(m)
}

// describe hashes a file of the archive.
func (a *dockerArchive) describe(name, mediaType string) (image.Descriptor, error) {
	r, err := a.files.open(name)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("it names %s, which is not in it", name)
	}
	defer r.Close()
	h := sha256.New()
	head := &bytes.Buffer{}
	n, err := io.Copy(h, io.TeeReader(io.LimitReader(r, 4), head))
	if err == nil {
		var rest int64
		rest, err = io.Copy(h, r)
		n += rest
	}
	if err != nil {
		return image.Descriptor{}, err
	}
	if mediaType == "" {
		mediaType = image.Layer
		switch {
		case bytes.HasPrefix(head.Bytes(), []byte{0x1f, 0x8b}):
			mediaType += "+gzip"
		case bytes.Equal(head.Bytes(), []byte{0x28, 0xb5, 0x2f, 0xfd}):
			mediaType += "+zstd"
		}
	}
	d := plan.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	a.blobs[d] = name
	return image.Descriptor{MediaType: mediaType, Digest: d, Size: n}, nil
}

func (a *dockerArchive) read(name string) ([]byte, error) {
	r, err := a.files.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 64<<20))
}

func (a *dockerArchive) manifest(_ context.Context, name string) ([]byte, string, error) {
	// Docker leaves its own registry out of names.
	for _, n := range []string{name, strings.TrimPrefix(name, "docker.io/"), strings.TrimPrefix(name, "docker.io/library/"), ""} {
		if raw, ok := a.manifests[n]; ok && (n != "" || !strings.HasPrefix(name, "sha256:")) {
			return raw, image.Manifest, nil
		}
	}
	return nil, "", fs.ErrNotExist
}

func (a *dockerArchive) blob(_ context.Context, d plan.Digest, _ int64) (io.ReadCloser, error) {
	name, ok := a.blobs[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return a.files.open(name)
}

func (a *dockerArchive) known() []string { return a.names }
