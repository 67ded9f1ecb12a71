package oci

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// Estimate is what carrying out a plan costs, in bytes of blobs. They are upper
// bounds unless Exact: how large a layer is, is known once it was made, and what a
// target lacks once it was asked. What another repository of the registry has
// counts as there, since it is mounted from there.
type Estimate struct {
	Download int64 // of sources, from registries
	There    int64 // of Download: in the store already
	Upload   int64 // to the target
	Store    int64 // on the disk of the store
	Exact    bool
}

// A weigher is a target that can say what a blob would cost.
type weigher interface {
	// Weigh is how many bytes of a blob would be sent into a repository,
	// "docker.io/acme/ubuntu"; sure is false if it may come to less.
	Weigh(ctx context.Context, repository string, b image.Blob) (send int64, sure bool, err error)
}

// stepKey is of the record of the layer that a step made.
func stepKey(id plan.Digest) string { return "step " + string(id) }

// Bounds of what is not known. A header of a tar archive is 512 bytes, of which
// what the entry before it did not have is left once it is compressed.
const (
	mostHeader  = 256      // and twice the path, which may need a header of its own
	mostAgain   = 16 << 10 // a small file of the base that an action brings again
	mostConfig  = 64 << 10 // of a base image that was never read
	mostArchive = 64 << 10 // headers of an image's archives that become those of a layer
	mostRecord  = 1 << 10  // of a step in the store
	mostAsked   = 64       // blobs that a target is asked about for one estimate
)

// Estimate looks at what the images that are built or replaced need, what of it
// the store has, and what of it the target has. t is nil if nobody is asked.
func (s *Sources) Estimate(ctx context.Context, t image.Target, p plan.Plan, ds []Decision) (Estimate, error) {
	e := &estimate{
		s: s, Estimate: Estimate{Exact: true},
		steps: map[plan.Digest]plan.Step{}, sources: map[plan.Digest]plan.Source{},
		made: map[plan.Digest]*madeUp{}, read: map[plan.Digest]bool{}, blobs: map[blobAt]*weighed{},
	}
	for _, step := range p.Steps {
		e.steps[step.ID] = step
	}
	for _, src := range p.Sources {
		e.sources[src.Digest] = src
	}
	for _, d := range ds {
		if d.Action == Build || d.Action == Replace {
			if err := e.image(ctx, d.Image); err != nil {
				return Estimate{}, err
			}
		}
	}
	return e.Estimate, e.ask(ctx, t)
}

type estimate struct {
	Estimate
	s       *Sources
	steps   map[plan.Digest]plan.Step
	sources map[plan.Digest]plan.Source
	made    map[plan.Digest]*madeUp
	read    map[plan.Digest]bool
	blobs   map[blobAt]*weighed
}

// madeUp is what a step results in as far as it is known: layers that were not
// made have a size that is a bound, and a digest that stands for them.
type madeUp struct {
	made
	known bool // all of it
}

// blobAt is a blob of a registry, which is sent there once.
type blobAt struct {
	host   string
	digest plan.Digest
}

// weighed is a blob, and the repositories that need it.
type weighed struct {
	image.Blob
	real         bool // its digest is one, so that it can be asked for
	repositories []string
}

// image adds the blobs of an image.
func (e *estimate) image(ctx context.Context, img plan.Image) error {
	step := e.steps[img.Step]
	known := true
	var parts []*made
	for _, n := range step.Needs {
		m, err := e.step(ctx, n)
		if err != nil {
			return err
		}
		known = known && m.known
		parts = append(parts, &m.made)
	}
	if step.Op.Image == nil {
		return nil // no plan of ours
	}
	repo := repository(img.Reference)
	if !known {
		e.unmade(parts, step, repo)
		return nil
	}
	composed, err := compose(parts, *step.Op.Image, step.ID)
	if err != nil {
		return err
	}
	for _, b := range blobsOf(composed) {
		e.needs(repo, b, true)
	}
	return nil
}

// unmade adds the layers of an image that is not known whole, and bounds its
// configs: composing them would cost more than it tells.
func (e *estimate) unmade(parts []*made, step plan.Step, repo string) {
	e.Exact = false
	op := step.Op.Image
	for i, m := range parts {
		size := int64(len(m.config)) + 1<<10
		for k, v := range op.Labels {
			size += int64(len(k)+len(v)) + 8
		}
		for _, l := range m.layers {
			size += 512 // in its list of layers, and its history
			e.needs(repo, l.Blob, l.Open != nil)
		}
		config := image.Descriptor{MediaType: image.Config, Digest: step.ID + plan.Digest(rune('a'+i)), Size: size}
		e.needs(repo, image.Blob{Descriptor: config}, false)
	}
}

// needs notes that a repository needs a blob. One that is real can be asked for.
func (e *estimate) needs(repo string, b image.Blob, real bool) {
	host, _, _ := strings.Cut(repo, "/")
	at := blobAt{host, b.Digest}
	w := e.blobs[at]
	if w == nil {
		w = &weighed{Blob: b, real: real}
		e.blobs[at] = w
	}
	if !slices.Contains(w.repositories, repo) {
		w.repositories = append(w.repositories, repo)
	}
}

// step is what a step comes to; each is looked at once.
func (e *estimate) step(ctx context.Context, id plan.Digest) (*madeUp, error) {
	if m := e.made[id]; m != nil {
		return m, nil
	}
	s := e.steps[id]
	m := &madeUp{known: true}
	for _, n := range s.Needs {
		before, err := e.step(ctx, n)
		if err != nil {
			return nil, err
		}
		m.made, m.known = before.made, before.known
		m.layers = slices.Clip(m.layers)
	}
	e.made[id] = m
	switch {
	case s.Op.Base != nil:
		return m, e.base(ctx, s, m)
	case s.Op.Files != nil:
		bound, err := e.files(ctx, *s.Op.Files)
		if err != nil {
			return nil, err
		}
		e.layer(m, id, bound)
	default: // commands: nobody knows
		m.known = false
	}
	return m, nil
}

// base is a base image: its layers if the store has heard of it, or one that is as
// large as all of it.
func (e *estimate) base(ctx context.Context, s plan.Step, m *madeUp) error {
	src, op := e.sources[s.Op.Base.Source], s.Op.Base
	whole, err := e.source(ctx, op.Source)
	if err != nil {
		return err
	}
	if !e.near(src) {
		m.known = false
		m.config = make([]byte, mostConfig) // for its length
		m.layers = []made1{standIn(s.ID, src.Size)}
		if at, ok := e.s.Places.Registry(src.Reference); ok {
			m.layers[0].From = []string{repository(at)}
		}
		return nil
	}
	o, err := e.s.open(ctx, src.Reference, op.Platform, op.Source)
	if err != nil {
		return err
	}
	m.config = o.config
	if o.dir != nil {
		e.layer(m, s.ID, whole)
		return nil
	}
	m.layers = o.blobs()
	m.base = len(m.layers)
	return nil
}

// layer adds the layer of a step: the one that was made, or a bound.
func (e *estimate) layer(m *madeUp, id plan.Digest, bound int64) {
	rec, ok := e.s.Store.Layer(stepKey(id))
	switch {
	case !ok:
		e.Store += bound + mostRecord
		m.known = false
		m.layers = append(m.layers, standIn(id, bound))
	case rec.Digest != "": // an empty one is a step that changed nothing
		m.layers = append(m.layers, made1{image.Blob{
			Descriptor: image.Descriptor{MediaType: rec.MediaType, Digest: rec.Digest, Size: rec.Size}, Open: notRead,
		}, rec.DiffID})
	}
}

// standIn is a layer that was not made, under the digest of its step, which is as
// long as its own.
func standIn(step plan.Digest, bound int64) made1 {
	return made1{image.Blob{Descriptor: image.Descriptor{MediaType: image.Gzip, Digest: step, Size: bound}}, step}
}

// files bounds the layer of file work: what is copied, wherever it comes from, and
// the entries it makes.
func (e *estimate) files(ctx context.Context, f plan.Files) (int64, error) {
	var bound int64
	for _, a := range f.Actions {
		switch {
		case a.Copy != nil:
			n, err := e.source(ctx, a.Copy.Source)
			if err != nil {
				return 0, err
			}
			bound += n
		case a.Write != nil:
			bound += int64(len(a.Write.Content)) + header(a.Write.Path)
		case a.Link != nil:
			bound += header(a.Link.Path + a.Link.Target)
		case a.Mkdir != nil:
			bound += header(a.Mkdir.Path)
		case a.Remove != nil:
			bound += 4 * header(a.Remove.Path) // a pattern may take several
		default:
			bound += mostAgain
		}
	}
	return bound, nil
}

func header(path string) int64 { return mostHeader + 2*int64(len(path)) }

// source counts an external input, once, and bounds the layer that holds all of
// it. A file that does not compress stays as large as it is; what was compressed
// better than here grows by a quarter at most.
func (e *estimate) source(ctx context.Context, d plan.Digest) (int64, error) {
	src := e.sources[d]
	switch {
	case src.Platform == "":
		entries, _, size, err := plan.SumTree(e.s.Root, strings.TrimPrefix(src.Reference, "file:"))
		if err != nil {
			return 0, changed(src, err)
		}
		size += size / 1000
		for _, t := range entries {
			size += header(t.Path)
		}
		return size, nil
	case e.s.Places.find(src.Reference).kind == dirPlace:
		o, err := e.s.open(ctx, src.Reference, src.Platform, d)
		if err != nil {
			return 0, err
		}
		size := o.size + o.size/1000
		for path := range o.dir.tree.All() {
			size += header(path)
		}
		return size, nil
	case !e.s.Places.Local(src.Reference) && !e.read[d]:
		e.read[d] = true
		e.Download += src.Size
		if inStore(e.s.Store, d) {
			e.There += src.Size
		} else {
			e.Store += src.Size + src.Size/16 // and its tables of contents
		}
	}
	return src.Size + src.Size/4 + mostArchive, nil
}

// near says that an image's manifest and config can be read without a network.
func (e *estimate) near(src plan.Source) bool {
	if e.s.Places.Local(src.Reference) {
		return true
	}
	m, err := manifestIn(e.s.Store, src.Digest)
	return err == nil && e.s.Store.Has(m.Config.Digest, m.Config.Size)
}

// ask weighs the blobs, the largest first. Questions have an end: what is not
// asked for counts whole.
func (e *estimate) ask(ctx context.Context, t image.Target) error {
	target, ok := t.(weigher)
	keys := slices.SortedFunc(maps.Keys(e.blobs), func(a, b blobAt) int {
		if d := e.blobs[b].Size - e.blobs[a].Size; d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a.host+string(a.digest), b.host+string(b.digest))
	})
	asked := 0
	for _, key := range keys {
		w := e.blobs[key]
		if !ok || !w.real || asked+len(w.repositories) > mostAsked {
			e.Exact = false
			if !slices.ContainsFunc(w.From, func(from string) bool { return strings.HasPrefix(from, key.host+"/") }) {
				e.Upload += w.Size
			}
			continue
		}
		asked += len(w.repositories)
		send, err := e.weigh(ctx, target, w)
		if err != nil {
			return err
		}
		e.Upload += send
	}
	return nil
}

// weigh asks each repository that needs a blob: it is sent to the first that lacks
// it, if all do.
func (e *estimate) weigh(ctx context.Context, t weigher, w *weighed) (int64, error) {
	lack := 0
	for _, repo := range w.repositories {
		send, sure, err := t.Weigh(ctx, repo, w.Blob)
		if err != nil {
			return 0, err
		}
		e.Exact = e.Exact && sure
		if send > 0 {
			lack++
		}
	}
	if lack > 0 && lack < len(w.repositories) {
		e.Exact = false // it depends on which of them is first
	}
	if lack == 0 {
		return 0, nil
	}
	return w.Size, nil
}

// notRead is the content of a layer that an estimate knows of.
func notRead(context.Context) (io.ReadCloser, error) {
	return nil, errors.New("an estimate reads no content")
}

// manifestIn is an image's manifest, if the store has it.
func manifestIn(st *store.Store, d plan.Digest) (m manifest, err error) {
	raw, err := readBlob(st, d, -1)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err == nil && m.Config.Digest == "" {
		err = fs.ErrNotExist
	}
	return m, err
}

// inStore says whether the store has an image whole.
func inStore(st *store.Store, d plan.Digest) bool {
	m, err := manifestIn(st, d)
	if err != nil {
		return false
	}
	for _, b := range append([]image.Descriptor{m.Config}, m.Layers...) {
		if !st.Has(b.Digest, b.Size) {
			return false
		}
	}
	return true
}

// LayerOf is the layer that a step made, if the store knows. An empty record is a
// step that changed nothing.
func LayerOf(st *store.Store, step plan.Digest) (store.LayerRecord, bool) {
	return st.Layer(stepKey(step))
}
