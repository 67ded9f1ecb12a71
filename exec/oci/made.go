package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/rootfs"
	"canvos.dev/exec/store"
)

// made is what a step results in: a root filesystem, as the layers that hold it
// and as the tree that they come to.
type made struct {
	tree     *rootfs.Tree
	layers   []made1
	config   []byte // the base image's
	base     int    // how many of the layers are the base image's
	prepared string // the base image's name, if it must hold what the OS stage makes
}

// made1 is one layer, and the digest of what it holds uncompressed; "" of a base
// image's, whose config has it.
type made1 struct {
	image.Blob
	diffID plan.Digest
}

// blobs are the layers of an image, as those of one that is built on it.
func (o *opened) blobs() []made1 {
	var blobs []made1
	for _, l := range o.layers {
		b := image.Blob{Descriptor: image.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}, Open: l.blob.Open}
		if l.from != "" {
			b.From = []string{l.from}
		}
		blobs = append(blobs, made1{Blob: b})
	}
	return blobs
}

// dirEpoch is the time of a directory that stands for a base image, whatever the
// plan's epoch is: such an image has its time from nowhere else.
const dirEpoch = "2020-04-16T12:00:00Z"

func (r *run) base(ctx context.Context, s plan.Step, emit func(exec.Event)) (*made, error) {
	op := s.Op.Base
	o, err := r.open(ctx, op.Source, op.Platform)
	if err != nil {
		return nil, err
	}
	m := &made{config: o.config}
	if op.Prepared {
		m.prepared = o.name
	}
	if o.dir != nil {
		files := plan.Files{Epoch: dirEpoch, Compression: "gzip", Actions: []plan.Action{{Copy: &plan.Copy{Source: op.Source, From: "/", To: "/", Xattrs: "all"}}}}
		change, tree, err := rootfs.Empty(o.name).Apply(ctx, files, func(plan.Digest) (rootfs.Source, error) { return rootfs.Source{Tree: o.dir.tree}, nil })
		if err != nil {
			return nil, err
		}
		l, err := r.layer(ctx, s.ID, change, emit)
		if err != nil {
			return nil, err
		}
		m.tree, m.layers = tree, l
		return m, m.identity()
	}
	r.learn(ctx, op.Source, o)
	if m.tree, err = o.tree(ctx, r.store()); err != nil {
		return nil, err
	}
	m.layers = o.blobs()
	m.base = len(m.layers)
	return m, m.identity()
}

// identity finds out, where a tree can tell, that a base image is not what the OS
// stage leaves behind. That stage empties /etc/machine-id: an image with one
// would give all hosts the same identity, and no later step would take it away.
func (m *made) identity() error {
	const hexDigits = 32
	if m.prepared == "" {
		return nil
	}
	if e, err := m.tree.Stat("/etc/machine-id"); err == nil && e.Size >= hexDigits {
		return &SourceError{
			Code: "CV0605", Reference: m.prepared, Reason: "it is not prepared: /etc/machine-id has an identity in it, which all hosts would share",
			Help: "empty the file in the image, or leave os.prepare out",
		}
	}
	return nil
}

// twoNode finds out that a two-node image would lack what keeps its state: the
// OS stage puts kine there, and nothing else does.
func (m *made) twoNode() error {
	const kine = "/opt/spectrocloud/bin/kine"
	if m.prepared == "" {
		return nil
	}
	if _, err := m.tree.Stat(kine); err != nil {
		return &SourceError{
			Code: "CV0605", Reference: m.prepared, Reason: "it is not prepared for two-node: there is no " + kine,
			Help: "put kine and PostgreSQL into the image, or leave os.prepare out", Err: err,
		}
	}
	return nil
}

func (r *run) files(ctx context.Context, s plan.Step, emit func(exec.Event)) (*made, error) {
	before := r.need(s.Needs[0])
	archives := map[plan.Digest]bool{}
	for _, a := range s.Op.Files.Actions {
		if a.Copy != nil && a.Copy.Archive {
			archives[a.Copy.Source] = true
		}
	}
	platform := platformOf(before.config)
	change, tree, err := before.tree.Apply(ctx, *s.Op.Files, func(d plan.Digest) (rootfs.Source, error) {
		return r.tree(ctx, treeKey{d, platform, archives[d]})
	})
	if missing, ok := errors.AsType[*rootfs.MissingError](err); ok && before.prepared != "" {
		return nil, &SourceError{
			Code: "CV0605", Reference: before.prepared, Reason: "it is not prepared: " + missing.Error(),
			Help: "put it into the image, lay it over with overlay, or leave os.prepare out", Err: err,
		}
	}
	if err != nil {
		return nil, err
	}
	l, err := r.layer(ctx, s.ID, change, emit)
	if err != nil {
		return nil, err
	}
	return &made{tree: tree, config: before.config, base: before.base, prepared: before.prepared, layers: append(before.layers[:len(before.layers):len(before.layers)], l...)}, nil
}

// layer writes a change as a layer, or finds it in the store; an empty change is
// none.
func (r *run) layer(ctx context.Context, step plan.Digest, c *rootfs.Change, emit func(exec.Event)) ([]made1, error) {
	// Layers that are made at once share the cores, and so the memory.
	writing := r.writing.Add(1)
	var sending image.Sending
	rec, reused, err := rootfs.Write(ctx, r.store(), c, rootfs.Options{
		Cores: max(1, runtime.GOMAXPROCS(0)/int(writing)),
		Progress: func(done, total int64) {
			emit(exec.Event{Kind: exec.StepProgress, Unit: "bytes", Done: done, Total: total})
		},
		Begun: func(w *store.Writer) { sending = r.ahead(ctx, step, c.Size(), w) },
	})
	r.writing.Add(-1)
	if err != nil {
		return nil, err
	}
	if old, ok := r.store().Layer(stepKey(step)); !ok || old != rec {
		if err := r.store().PutLayer(stepKey(step), rec); err != nil {
			return nil, err
		}
	}
	if reused {
		emit(exec.Event{Kind: exec.StepCached})
		r.mu.Lock()
		r.bytes.Reused++
		r.mu.Unlock()
	}
	if rec.Digest == "" {
		return nil, nil
	}
	made := made1{layerBlob(r.store(), c, rec), rec.DiffID}
	if sending != nil {
		sending.Finish(made.Blob)
	}
	return []made1{made}, nil
}

// layerBlob reads a layer that was made; one that was found to be corrupt
// meanwhile is made again.
func layerBlob(st *store.Store, c *rootfs.Change, rec store.LayerRecord) image.Blob {
	return image.Blob{
		Descriptor: image.Descriptor{MediaType: rec.MediaType, Digest: rec.Digest, Size: rec.Size},
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			f, err := st.Open(rec.Digest, rec.Size)
			if !errors.Is(err, fs.ErrNotExist) {
				return f, err
			}
			if _, _, err := rootfs.Write(ctx, st, c, rootfs.Options{}); err != nil {
				return nil, err
			}
			return st.Open(rec.Digest, rec.Size)
		},
	}
}

// treeKey names a source as a step reads it.
type treeKey struct {
	digest   plan.Digest
	platform string
	archive  bool
}

// treeOnce is a source's tree, made once for all steps.
type treeOnce struct {
	once sync.Once
	src  rootfs.Source
	err  error
}

func (r *run) tree(ctx context.Context, k treeKey) (rootfs.Source, error) {
	r.mu.Lock()
	t, ok := r.trees[k]
	if !ok {
		t = &treeOnce{}
		r.trees[k] = t
	}
	r.mu.Unlock()
	t.once.Do(func() { t.src, t.err = r.read(ctx, k) })
	if t.err != nil {
		r.mu.Lock()
		if r.trees[k] == t {
			delete(r.trees, k) // who asks again tries again
		}
		r.mu.Unlock()
	}
	return t.src, t.err
}

func (r *run) read(ctx context.Context, k treeKey) (rootfs.Source, error) {
	src, ok := r.sources[k.digest]
	switch {
	case !ok:
		return rootfs.Source{}, fmt.Errorf("the plan has no source %s", k.digest)
	case src.Platform == "" && k.archive:
		l, err := rootfs.LocalArchive(r.Sources.local(src))
		if err != nil {
			return rootfs.Source{}, changed(src, err)
		}
		t, err := rootfs.FromArchive(ctx, r.store(), src.Reference, l)
		return rootfs.Source{Tree: t}, changed(src, err)
	case src.Platform == "":
		t, err := rootfs.FromLocal(r.Sources.local(src))
		return rootfs.Source{Tree: t}, changed(src, err)
	}
	o, err := r.open(ctx, k.digest, src.Platform)
	if err != nil {
		return rootfs.Source{}, err
	}
	t, err := o.tree(ctx, r.store())
	return rootfs.Source{Tree: t, WorkingDir: workingDir(o.config)}, err
}

// changed is an error about a local input.
func changed(src plan.Source, err error) error {
	if err == nil {
		return nil
	}
	var own *SourceError
	if errors.As(err, &own) {
		return err
	}
	return &SourceError{Code: "CV0610", Reference: src.Reference, Reason: err.Error(), Help: "run canvos lock, and plan again", Err: err}
}

// open is the image that the plan means by a digest.
func (r *run) open(ctx context.Context, d plan.Digest, platform string) (*opened, error) {
	src, ok := r.sources[d]
	if !ok {
		return nil, fmt.Errorf("the plan has no source %s", d)
	}
	return r.Sources.open(ctx, src.Reference, platform, d)
}

func workingDir(config []byte) string {
	var c struct {
		Config struct{ WorkingDir string } `json:"config"`
	}
	if json.Unmarshal(config, &c) != nil {
		return "/" // find has looked at it: not reached
	}
	return c.Config.WorkingDir
}

func platformOf(config []byte) string {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	return c.OS + "/" + c.Architecture
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
