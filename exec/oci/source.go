package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// A holder is where images lie: a registry, layout or archive.
type holder interface {
	// manifest is the manifest or index that a name or digest stands for. One
	// that is not there is fs.ErrNotExist.
	manifest(ctx context.Context, name string) (raw []byte, mediaType string, err error)
	// blob reads content, which need not be checked yet.
	blob(ctx context.Context, d plan.Digest, size int64) (io.ReadCloser, error)
	// known lists names that are there, for a person who asked for another; it
	// may be empty.
	known() []string
}

// source is an image that was found.
type source struct {
	reference string
	place     place
	holder    holder
	digest    plan.Digest
	manifest  manifest
	config    []byte
}

// size is what reading all of it costs.
func (s *source) size() int64 {
	n := s.manifest.Config.Size
	for _, l := range s.manifest.Layers {
		n += l.Size
	}
	return n
}

// find looks a reference up and picks the image of a platform. With a digest,
// that image must be there under it.
func find(ctx context.Context, st *store.Store, h holder, reference string, p place, platform string, want plan.Digest) (*source, error) {
	s := &source{reference: reference, place: p, holder: h}
	names := p.names
	if p.kind == registryPlace {
		names = []string{p.path}
	}
	var raw []byte
	var mediaType string
	var err error
	if want != "" {
		raw, mediaType, err = s.byDigest(ctx, st, want)
	} else {
		for _, name := range names {
			raw, mediaType, err = h.manifest(ctx, name)
			if !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
	if err != nil {
		return nil, s.wrap(err, want)
	}
	if isIndex(mediaType) {
		if raw, mediaType, err = s.pick(ctx, raw, platform); err != nil {
			return nil, err
		}
	}
	s.digest = plan.DigestOf(raw)
	if want != "" && s.digest != want {
		return nil, s.corrupt(fmt.Sprintf("its digest is %s, not %s", s.digest, want))
	}
	if mediaType != image.Manifest && mediaType != dockerManifest {
		return nil, s.fault("CV0612", fmt.Sprintf("it is no image but %q", mediaType), "take an image in the format of OCI or of Docker's schema 2")
	}
	if err := json.Unmarshal(raw, &s.manifest); err != nil {
		return nil, s.corrupt("its manifest is no JSON: " + err.Error())
	}
	for i, l := range s.manifest.Layers {
		t, ok := layerType(l.MediaType)
		if !ok {
			return nil, s.fault("CV0612", fmt.Sprintf("a layer is %q, which may not be distributed or is no layer", l.MediaType), "")
		}
		s.manifest.Layers[i].MediaType = t
	}
	if s.config, err = s.read(ctx, st, s.manifest.Config); err != nil {
		return nil, err
	}
	return s, s.fits(platform)
}

// byDigest is a manifest that the store may have from an earlier run.
func (s *source) byDigest(ctx context.Context, st *store.Store, want plan.Digest) ([]byte, string, error) {
	if raw, err := readBlob(st, want, -1); err == nil {
		var m struct {
			MediaType string `json:"mediaType"`
		}
		if json.Unmarshal(raw, &m) == nil && m.MediaType != "" {
			return raw, m.MediaType, nil
		}
	}
	name := string(want)
	if s.place.kind == registryPlace {
		name = repository(s.place.path) + "@" + string(want)
	}
	raw, mediaType, err := s.holder.manifest(ctx, name)
	if err == nil && plan.DigestOf(raw) == want {
		_, err = st.Put(raw)
	}
	return raw, mediaType, err
}

// pick takes the image of a platform out of an index.
func (s *source) pick(ctx context.Context, raw []byte, platform string) ([]byte, string, error) {
	var list index
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, "", s.corrupt("its index is no JSON: " + err.Error())
	}
	var has []string
	for _, d := range list.Manifests {
		if d.Platform == nil || d.Platform.OS == "unknown" {
			continue // an attestation
		}
		name := d.Platform.OS + "/" + d.Platform.Architecture
		has = append(has, name)
		if name != platform {
			continue
		}
		at := string(d.Digest)
		if s.place.kind == registryPlace {
			at = repository(s.place.path) + "@" + at
		}
		raw, mediaType, err := s.holder.manifest(ctx, at)
		if err != nil {
			return nil, "", s.wrap(err, "")
		}
		if plan.DigestOf(raw) != d.Digest {
			return nil, "", s.corrupt("the manifest for " + platform + " does not match its digest")
		}
		return raw, mediaType, nil
	}
	return nil, "", s.fault("CV0611", fmt.Sprintf("it has no image for %s", platform), "it has "+strings.Join(has, ", ")+": give os.image per architecture, or leave the others out of arch")
}

// fits says whether the config names the platform that was asked for.
func (s *source) fits(platform string) error {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	if err := json.Unmarshal(s.config, &c); err != nil {
		return s.corrupt("its config is no JSON: " + err.Error())
	}
	if got := c.OS + "/" + c.Architecture; got != platform && got != "/" {
		return s.fault("CV0611", fmt.Sprintf("it is for %s, not for %s", got, platform), "give the image of each architecture: os: image: {amd64: …, arm64: …}")
	}
	return nil
}

// read is a small blob, through the store.
func (s *source) read(ctx context.Context, st *store.Store, d image.Descriptor) ([]byte, error) {
	if b, err := readBlob(st, d.Digest, d.Size); err == nil {
		return b, nil
	}
	if err := s.fetch(ctx, st, d); err != nil {
		return nil, err
	}
	return readBlob(st, d.Digest, d.Size)
}

// fetch brings a blob into the store, if it is not there.
func (s *source) fetch(ctx context.Context, st *store.Store, d image.Descriptor) error {
	if st.Has(d.Digest, d.Size) {
		return nil
	}
	unlock, err := st.Lock(ctx, "fetch "+string(d.Digest))
	if err != nil {
		return err
	}
	defer unlock()
	if st.Has(d.Digest, d.Size) {
		return nil // another step brought it
	}
	r, err := s.holder.blob(ctx, d.Digest, d.Size)
	if err != nil {
		return s.wrap(err, d.Digest)
	}
	defer r.Close()
	if err := st.Import(ctx, r, d.Digest, d.Size); err != nil {
		if errors.Is(err, store.ErrCorrupt) || cameDamaged(err) {
			return s.corrupt(err.Error())
		}
		return fmt.Errorf("fetch %s of %s: %w", d.Digest, s.reference, err)
	}
	return nil
}

// open reads a layer out of the store, where it is brought to first.
func (s *source) open(ctx context.Context, st *store.Store, d image.Descriptor) (io.ReadCloser, error) {
	if err := s.fetch(ctx, st, d); err != nil {
		return nil, err
	}
	return st.Open(d.Digest, d.Size)
}

func readBlob(st *store.Store, d plan.Digest, size int64) ([]byte, error) {
	r, err := st.Open(d, size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	const most = 64 << 20 // of a manifest or config
	return io.ReadAll(io.LimitReader(r, most))
}

func (s *source) fault(code, reason, help string) error {
	return &SourceError{Code: code, Reference: s.reference, Place: s.place.String(), Reason: reason, Help: help}
}

func (s *source) corrupt(reason string) error {
	return s.fault("CV0612", reason, "fetch it again; if it stays so, the place that serves it is broken")
}

// wrap is an error of the holder, in terms of the reference.
func (s *source) wrap(err error, want plan.Digest) error {
	switch {
	case isContext(err):
		return err
	case errors.Is(err, store.ErrCorrupt):
		return s.corrupt(err.Error())
	}
	if cameDamaged(err) {
		return s.corrupt(err.Error())
	}
	e := &SourceError{Code: "CV0610", Reference: s.reference, Place: s.place.String(), Reason: err.Error(), Help: advice(err), Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		e.Reason = "it is not there"
		if want != "" {
			e.Reason = string(want) + " is not there"
		}
		if has := s.holder.known(); len(has) > 0 {
			e.Notes = []string{"there are " + some(has, 8)}
		}
		e.Help = "sources in the manifest says where references are read from"
		if s.place.kind != registryPlace {
			e.Help = "a layout names an image by " + refName + ": the whole reference, or what follows the prefix in sources"
		}
	}
	return e
}

// repository is a reference without tag and digest.
func repository(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		reference = reference[:i]
	}
	return reference
}
