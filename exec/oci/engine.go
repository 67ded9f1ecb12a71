package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// Engine assembles the images of a plan in this process and publishes them.
type Engine struct {
	Sources *Sources
	Target  image.Target
	Jobs    int // steps at a time; 1 if less
	// KeepGoing goes on with what does not need a step or family that failed.
	KeepGoing bool
}

var _ exec.Engine = (*Engine)(nil)

// Run carries out a plan: layers are made, or found in the store; each image is
// put into the target when it is complete, and the tags of a family move together
// when all its images are there. The error joins what failed; the result tells of
// every image.
func (e *Engine) Run(ctx context.Context, p plan.Plan, emit func(exec.Event)) (exec.Result, error) {
	// What is live while layers are made is buffers and trees that stay: collecting
	// more often costs some 5 % of the processors' time and holds a quarter less.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	needs := needs(p)
	r := &run{
		Engine: e, plan: p,
		sources: map[plan.Digest]plan.Source{}, trees: map[treeKey]*treeOnce{}, made: map[plan.Digest]*made{},
		images: map[plan.Digest][]plan.Image{}, families: newFamilies(p), results: map[string]exec.ImageResult{},
		first:  map[plan.Digest]string{},
		tables: newTables(needs),
		recall: newRecall(e.Sources.Store, e.Sources.Root, p),
	}
	for _, s := range p.Sources {
		r.sources[s.Digest] = s
	}
	for _, s := range needs {
		r.first[s.ID] = s.by
	}
	for _, i := range p.Images {
		r.images[i.Step] = append(r.images[i.Step], i)
	}
	outcomes, err := exec.Walk(ctx, p, exec.WalkOptions{Jobs: e.Jobs, KeepGoing: e.KeepGoing}, emit, r.step)
	for _, s := range r.sendings {
		r.moved(s.End())
	}
	res := r.result(outcomes)
	for n, i := range res.Images {
		res.Images[n].Help = helpOf(i.Err)
		if i.State == exec.Failed {
			emit(exec.Event{Time: time.Now(), Kind: exec.ImageFailed, Name: i.Reference, Text: i.Error})
		}
	}
	return res, err
}

// run is one Run.
type run struct {
	*Engine
	plan    plan.Plan
	first   map[plan.Digest]string // reference of an image that needs a step
	sources map[plan.Digest]plan.Source
	images  map[plan.Digest][]plan.Image // by their Image step

	writing atomic.Int32 // layers that are being made
	recall  *recall

	mu       sync.Mutex
	trees    map[treeKey]*treeOnce
	made     map[plan.Digest]*made
	families *families
	results  map[string]exec.ImageResult
	tables   tables
	bytes    exec.Bytes
	sendings []image.Sending
}

func (r *run) store() *store.Store { return r.Sources.Store }

// step carries out one step.
func (r *run) step(ctx context.Context, s plan.Step, emit func(exec.Event)) error {
	var m *made
	do := r.base
	switch {
	case s.Op.Image != nil:
		return r.image(ctx, s, emit)
	case s.Op.Files != nil:
		do = r.files
	case s.Op.Base == nil:
		return fmt.Errorf("the embedded engine cannot run commands")
	}
	err := mending(emit, func() (err error) { m, err = do(ctx, s, emit); return err })
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[s.ID] = m
	return nil
}

// mending does something again as long as it meets another corrupt blob in the
// store. The store has put that aside, so it is fetched or made anew; one that is
// corrupt again is an error.
func mending(emit func(exec.Event), do func() error) error {
	met := map[string]bool{}
	for {
		err := do()
		if !errors.Is(err, store.ErrCorrupt) || met[err.Error()] {
			return err
		}
		met[err.Error()] = true
		emit(exec.Event{Kind: exec.Retry, Text: err.Error()})
	}
}

// need is what a step made.
func (r *run) need(id plan.Digest) *made {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made[id]
}

// image composes an image out of root filesystems, and publishes it under every
// reference that asks for it.
func (r *run) image(ctx context.Context, s plan.Step, emit func(exec.Event)) error {
	var parts []*made
	for _, n := range s.Needs {
		m := r.need(n)
		if s.Op.Image.Facts.TwoNode {
			if err := m.twoNode(); err != nil {
				return err
			}
		}
		parts = append(parts, m)
	}
	composed, err := compose(parts, *s.Op.Image, s.ID)
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range r.images[s.ID] {
		img := composed
		img.Reference, img.Family = i.Reference, i.Family
		if err := r.publish(ctx, img, emit); err != nil {
			errs = append(errs, err)
			if !r.KeepGoing {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// moved counts what a target did.
func (r *run) moved(p image.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes.Uploaded += p.Uploaded
	r.bytes.Mounted += p.Mounted
}

// publish puts one image into the target and, if it is the last of its family,
// moves the family's tags.
func (r *run) publish(ctx context.Context, img image.Image, emit func(exec.Event)) error {
	var total, done int64
	for _, b := range blobsOf(img) {
		total += b.Size
	}
	err := mending(emit, func() error {
		return r.Target.Put(ctx, img, func(p image.Progress) {
			r.moved(p)
			done += p.Uploaded + p.Mounted
			// What was sent twice counts once.
			emit(exec.Event{Kind: exec.StepProgress, Unit: "bytes", Done: min(done, total), Total: total})
		})
	})
	if err != nil {
		return &PublishError{img.Reference, err}
	}
	r.mu.Lock()
	family := r.families.complete(img)
	r.mu.Unlock()
	if family == nil {
		return nil
	}
	if err := r.Target.Tag(ctx, family); err != nil {
		err = &PublishError{img.Reference, err}
		for _, f := range family {
			r.record(exec.ImageResult{Reference: f.Reference, State: exec.Failed, Err: err, Error: err.Error()})
		}
		return err
	}
	for _, f := range family {
		// So that the next plan needs to ask for no more than the digest.
		step := r.stepOf(f.Reference)
		if err := r.store().PutRecord(rememberKey(f.Reference), remembered{step, f.Digest}); err != nil {
			return err
		}
		if err := r.recall.keep(step); err != nil {
			return err
		}
		r.record(exec.ImageResult{Reference: f.Reference, Digest: f.Digest, State: exec.Built})
		emit(exec.Event{Kind: exec.ImageDone, Name: f.Reference, Text: string(f.Digest)})
	}
	if err := r.keep(ctx); err != nil {
		emit(exec.Event{Kind: exec.Retry, Text: "what the base holds could not be kept beside the images: " + err.Error()})
	}
	return nil
}

func (r *run) stepOf(reference string) plan.Digest {
	for _, i := range r.plan.Images {
		if i.Reference == reference {
			return i.Step
		}
	}
	return ""
}

func (r *run) record(i exec.ImageResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[i.Reference] = i
}

// PublishError says that an image was made, and could not be published.
type PublishError struct {
	Reference string
	Err       error
}

// Error names the image unless the text already names its repository: a
// family moves its tags together, so the tag that was refused may be another
// than the one of the image that tells.
func (e *PublishError) Error() string {
	text := e.Err.Error()
	if strings.Contains(text, repository(e.Reference)) {
		return text
	}
	return "publish " + e.Reference + ": " + text
}

func (e *PublishError) Unwrap() error { return e.Err }

// blobsOf are all blobs of an image, also of its children.
func blobsOf(img image.Image) []image.Blob {
	blobs := img.Blobs
	for _, c := range img.Children {
		blobs = append(blobs[:len(blobs):len(blobs)], blobsOf(c)...)
	}
	return blobs
}

// families are images that wait for the others of their family.
type families struct {
	missing map[string]int
	ready   map[string][]image.Image
}

func newFamilies(p plan.Plan) *families {
	f := &families{missing: map[string]int{}, ready: map[string][]image.Image{}}
	for _, i := range p.Images {
		f.missing[i.Family]++
	}
	return f
}

// complete is the whole family of an image if none is missing any more.
func (f *families) complete(img image.Image) []image.Image {
	f.ready[img.Family] = append(f.ready[img.Family], img)
	if f.missing[img.Family]--; f.missing[img.Family] > 0 {
		return nil
	}
	slices.SortFunc(f.ready[img.Family], func(a, b image.Image) int { return cmp.Compare(a.Reference, b.Reference) })
	return f.ready[img.Family]
}

// result tells of every image, in the plan's order.
func (r *run) result(outcomes map[plan.Digest]exec.Outcome) exec.Result {
	res := exec.Result{Images: []exec.ImageResult{}, Bytes: r.bytes}
	for _, i := range r.plan.Images {
		if done, ok := r.results[i.Reference]; ok {
			res.Images = append(res.Images, done)
			continue
		}
		ir := exec.ImageResult{Reference: i.Reference, State: exec.Skipped}
		switch o := outcomes[i.Step]; {
		case failedStep(o.Err):
			ir.State, ir.Err, ir.Error = exec.Failed, o.Err, o.Err.Error()
		case o.Err != nil: // interrupted
			ir.Err, ir.Error = o.Err, o.Err.Error()
		case o.State == exec.Built:
			ir.Err = fmt.Errorf("built, but another image of family %q is missing, so its tag did not move", i.Family)
			ir.Error = ir.Err.Error()
		}
		res.Images = append(res.Images, ir)
	}
	return res
}

// failedStep says that something an image needs has failed, and was not merely
// kept from running.
func failedStep(err error) bool {
	_, ok := errors.AsType[*exec.StepError](err)
	return ok
}
