package oci

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/rootfs"
	"canvos.dev/exec/store"
)

// Sources is where the external inputs of a plan come from.
type Sources struct {
	Store  *store.Store
	Root   fs.FS // the tree of the module: local files, layouts, archives
	Places Places
	// Registries is who asks them; the zero Client if nil.
	Registries *registry.Client

	mu      sync.Mutex
	holders map[string]*asked
	dirs    map[string]func() (*dirImage, error) // by reference
}

// Request is a question: what is this reference, for this platform?
type Request struct{ Reference, Platform string }

// Resolved is the answer: the digest of the platform's image, and what reading
// all of it costs in bytes. Err is a *SourceError or an error of the place.
type Resolved struct {
	Request
	Digest plan.Digest
	Size   int64
	Err    error
}

// Resolve answers requests, in their order, at most jobs at a time. Each manifest
// is asked for once.
func (s *Sources) Resolve(ctx context.Context, requests []Request, jobs int) []Resolved {
	answers := make([]Resolved, len(requests))
	slots := make(chan struct{}, max(jobs, 1))
	var wg sync.WaitGroup
	for i, q := range requests {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			a := Resolved{Request: q}
			o, err := s.open(ctx, q.Reference, q.Platform, "")
			if a.Err = err; err == nil {
				a.Digest, a.Size = o.digest, o.size
			}
			answers[i] = a
		})
	}
	wg.Wait()
	return answers
}

// opened is an image that is ready to be read.
type opened struct {
	digest plan.Digest
	size   int64
	config []byte
	dir    *dirImage // instead of layers
	layers []layer
	from   string // repository that holds the layers, or ""
	name   string
}

// layer is one of an image's layers.
type layer struct {
	image.Descriptor
	blob rootfs.Layer
	from string // repository that holds it, or ""
}

// open finds an image; with a digest, that image.
func (s *Sources) open(ctx context.Context, reference, platform string, want plan.Digest) (*opened, error) {
	p := s.Places.find(reference)
	if p.kind == dirPlace {
		d, err := s.dir(reference, p)
		if err != nil {
			return nil, err
		}
		config, err := d.config(platform, want)
		return &opened{digest: d.digest, size: d.size, config: config, dir: d, name: reference}, err
	}
	h, err := s.holder(p)
	if err != nil {
		return nil, &SourceError{Code: "CV0610", Reference: reference, Place: p.String(), Reason: err.Error(), Help: "sources in the manifest names it", Err: err}
	}
	src, err := find(ctx, s.Store, h, reference, p, platform, want)
	if err != nil {
		return nil, err
	}
	o := &opened{digest: src.digest, size: src.size(), config: src.config, name: reference}
	if p.kind == registryPlace {
		o.from = repository(p.path)
	}
	for _, d := range src.manifest.Layers {
		open := func(ctx context.Context) (io.ReadCloser, error) { return src.open(ctx, s.Store, d) }
		o.layers = append(o.layers, layer{d, rootfs.Layer{Digest: d.Digest, Open: open}, o.from})
	}
	return o, nil
}

// dir is a directory that stands for an image; each is read once in a run.
func (s *Sources) dir(reference string, p place) (*dirImage, error) {
	s.mu.Lock()
	if s.dirs == nil {
		s.dirs = map[string]func() (*dirImage, error){}
	}
	read, ok := s.dirs[reference]
	if !ok {
		read = sync.OnceValues(func() (*dirImage, error) { return openDir(s.Root, reference, p) })
		s.dirs[reference] = read
	}
	s.mu.Unlock()
	return read()
}

// tree is the merged view of the image's files.
func (o *opened) tree(ctx context.Context, st *store.Store) (*rootfs.Tree, error) {
	if o.dir != nil {
		return o.dir.tree, nil
	}
	var layers []*rootfs.Layer
	for i := range o.layers {
		layers = append(layers, &o.layers[i].blob)
	}
	return rootfs.FromLayers(ctx, st, o.name, layers)
}

// local is a file or tree of the module.
func (s *Sources) local(src plan.Source) rootfs.Local {
	return rootfs.Local{Name: src.Reference, FS: s.Root, Path: strings.TrimPrefix(src.Reference, "file:"), Digest: src.Digest}
}

// holder is the one of a place; each is opened once.
func (s *Sources) holder(p place) (holder, error) {
	key := p.kind + ":" + p.path
	if p.kind == registryPlace {
		key = repository(p.path)
	}
	s.mu.Lock()
	if s.holders == nil {
		s.holders = map[string]*asked{}
	}
	a, ok := s.holders[key]
	if !ok {
		a = &asked{answers: map[string]*answer{}}
		s.holders[key] = a
	}
	s.mu.Unlock()
	a.once.Do(func() {
		switch p.kind {
		case registryPlace:
			client := s.Registries
			if client == nil {
				client = &registry.Client{}
			}
			a.inner = &remoteHolder{key, client}
		case layoutPlace:
			a.inner, a.err = openLayout(s.Root, p.path)
		case layoutArchivePlace:
			a.inner, a.err = openLayoutArchive(s.Root, p.path)
		case dockerArchivePlace:
			a.inner, a.err = openDockerArchive(s.Root, p.path)
		default:
			a.err = fmt.Errorf("unknown kind of place %q", p.kind)
		}
	})
	if a.err != nil {
		return nil, a.err
	}
	return a, nil
}

// asked is a holder that is asked for each manifest once in a run.
type asked struct {
	once  sync.Once
	inner holder
	err   error

	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	once sync.Once
	raw  []byte
	typ  string
	err  error
}

func (a *asked) manifest(ctx context.Context, name string) ([]byte, string, error) {
	a.mu.Lock()
	got, ok := a.answers[name]
	if !ok {
		got = &answer{}
		a.answers[name] = got
	}
	a.mu.Unlock()
	got.once.Do(func() { got.raw, got.typ, got.err = a.inner.manifest(ctx, name) })
	return got.raw, got.typ, got.err
}

func (a *asked) blob(ctx context.Context, d plan.Digest, size int64) (io.ReadCloser, error) {
	return a.inner.blob(ctx, d, size)
}

func (a *asked) known() []string { return a.inner.known() }
