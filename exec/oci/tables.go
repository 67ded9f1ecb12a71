package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
)

// To build on a base image one has to know what is in it, but not to have it: its
// layers' tables of contents do. The first machine that reads a base puts them
// beside the images it publishes, under the tag contents-<first 16 hex digits of
// the base's digest>; machines with a cold store, as in CI, read these few
// kilobytes instead of the base. They are a memory and no authority over what is
// published: who may write them may write the images as well.

const (
	tablesType = "application/vnd.canvos.contents.v1"
	tableType  = "application/vnd.canvos.contents.v1.layer+zstd"
	tableLayer = "dev.canvos.layer" // annotation: whose table it is
	emptyType  = "application/vnd.oci.empty.v1+json"
	mostTable  = 256 << 20 // bytes of one, unpacked
	mostTables = 16 << 20  // bytes of one that a registry hands out as a document
)

// tablesFor is where the tables of a base image are kept, for images of a
// repository.
func tablesFor(repository string, base plan.Digest) string {
	return repository + ":contents-" + strings.TrimPrefix(string(base), "sha256:")[:16]
}

// tables is what a run knows of them.
type tables struct {
	at     map[plan.Digest]string // of a base: the reference of its tables
	layers map[plan.Digest][]plan.Digest
	absent map[string]bool // at the target, as far as was asked
}

// newTables finds out which bases a plan has, and beside which images their tables
// belong: the first that need them.
func newTables(needs []needed) tables {
	t := tables{at: map[plan.Digest]string{}, layers: map[plan.Digest][]plan.Digest{}, absent: map[string]bool{}}
	for _, s := range needs {
		if b := s.Op.Base; b != nil && t.at[b.Source] == "" {
			t.at[b.Source] = tablesFor(repository(s.by), b.Source)
		}
	}
	return t
}

// learn asks the target for the tables of a base that the store lacks. What goes
// wrong is no error: the base is read then.
func (r *run) learn(ctx context.Context, base plan.Digest, o *opened) {
	target, ok := r.Target.(*registry.Publisher)
	if !ok || len(o.layers) == 0 {
		return // into a layout the base is copied, and so read
	}
	var lacking []plan.Digest
	var all []plan.Digest
	for _, l := range o.layers {
		all = append(all, l.Digest)
		if _, ok := r.store().Contents(l.Digest); !ok {
			lacking = append(lacking, l.Digest)
		}
	}
	r.mu.Lock()
	r.tables.layers[base] = all
	ref := r.tables.at[base]
	r.mu.Unlock()
	if len(lacking) == 0 {
		return
	}
	pub, err := target.Published(ctx, ref, "")
	if err != nil {
		return
	}
	if pub == nil {
		r.mu.Lock()
		r.tables.absent[ref] = true
		r.mu.Unlock()
		return
	}
	var m manifest
	if json.Unmarshal(pub.Manifest, &m) != nil {
		return
	}
	for _, d := range m.Layers {
		of := plan.Digest(d.Annotations[tableLayer])
		for _, want := range lacking {
			if of != want || d.MediaType != tableType {
				continue
			}
			packed, err := target.Content(ctx, repository(ref), d)
			if err != nil {
				continue
			}
			if table, err := unpackTable(packed); err == nil {
				_ = r.store().PutContents(of, table) // rootfs looks at it before it is believed
			}
		}
	}
}

// keep publishes the tables of the bases that were built on, once for each
// repository. It says in err what went wrong, which harms no image.
func (r *run) keep(ctx context.Context) error {
	target, ok := r.Target.(*registry.Publisher)
	if !ok {
		return nil
	}
	for _, one := range r.unkept() {
		var done plan.Digest
		if r.store().Record(keptKey(one.ref), &done) {
			continue
		}
		if !one.absent {
			if pub, err := target.Published(ctx, one.ref, ""); err != nil {
				return err
			} else if pub != nil {
				_ = r.store().PutRecord(keptKey(one.ref), pub.Digest)
				continue
			}
		}
		img, ok := r.packed(one.ref, one.layers)
		if !ok {
			continue
		}
		if err := target.Put(ctx, img, func(image.Progress) {}); err != nil {
			return err
		}
		if err := target.Tag(ctx, []image.Image{img}); err != nil {
			return err
		}
		if err := r.store().PutRecord(keptKey(one.ref), img.Digest); err != nil {
			return err
		}
	}
	return nil
}

// unkept are bases that keep was not asked about before.
type unkept struct {
	ref    string
	layers []plan.Digest
	absent bool // at the target, which was asked
}

func (r *run) unkept() []unkept {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []unkept
	for base, layers := range r.tables.layers {
		if ref := r.tables.at[base]; ref != "" {
			all = append(all, unkept{ref, layers, r.tables.absent[ref]})
			delete(r.tables.at, base)
		}
	}
	return all
}

func keptKey(ref string) string { return "tables " + ref }

// packed is the artifact that holds the tables of layers.
func (r *run) packed(ref string, layers []plan.Digest) (image.Image, bool) {
	blob := func(mediaType string, b []byte) image.Blob {
		return image.Blob{
			Descriptor: image.Descriptor{MediaType: mediaType, Digest: plan.DigestOf(b), Size: int64(len(b))},
			Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
		}
	}
	blobs := []image.Blob{blob(emptyType, []byte("{}"))}
	doc := struct {
		manifest
		ArtifactType string `json:"artifactType"`
	}{manifest{SchemaVersion: 2, MediaType: image.Manifest, Config: blobs[0].Descriptor, Layers: []image.Descriptor{}}, tablesType}
	seen := map[plan.Digest]bool{}
	for _, l := range layers {
		table, ok := r.store().Contents(l)
		if !ok {
			return image.Image{}, false
		}
		if seen[l] {
			continue
		}
		seen[l] = true
		b := blob(tableType, packTable(table))
		if b.Size > mostTables {
			return image.Image{}, false
		}
		blobs = append(blobs, b)
		d := b.Descriptor
		d.Annotations = map[string]string{tableLayer: string(l)}
		doc.Layers = append(doc.Layers, d)
	}
	raw, err := plan.Canonical(doc)
	if err != nil {
		return image.Image{}, false
	}
	return image.Image{
		Reference:  ref,
		Descriptor: image.Descriptor{MediaType: image.Manifest, Digest: plan.DigestOf(raw), Size: int64(len(raw))},
		Manifest:   raw, Blobs: blobs,
	}, true
}

func packTable(b []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil // these options are good
	}
	defer z.Close()
	return z.EncodeAll(b, nil)
}

func unpackTable(b []byte) ([]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostTable))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(io.LimitReader(z, mostTable))
}
