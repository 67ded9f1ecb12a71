package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// PushOptions say how images are pushed.
type PushOptions struct {
	Jobs      int  // images at once (8)
	KeepGoing bool // with the other families when one fails
	// Progress is told of each image's bytes, by one goroutine at a time; nil:
	// nobody is.
	Progress func(reference string, p image.Progress)
}

// Pushed is what became of an image.
type Pushed struct {
	Reference string
	Digest    plan.Digest
	Unchanged bool  // it was there already
	Err       error // why it is not there; nil if it is
}

// ErrSkipped is the Err of images whose family failed for another's sake, or that
// were not begun.
var ErrSkipped = errors.New("not published, since another image was not")

// Push publishes images that are ready, and says in their order what became of
// each. A family's tags move together once all its images are there; those of one
// that failed do not move. The error is the first, or nil.
func (p *Publisher) Push(ctx context.Context, images []image.Image, o PushOptions) ([]Pushed, error) {
	if o.Jobs <= 0 {
		o.Jobs = 8
	}
	results := make([]Pushed, len(images))
	families := map[string][]int{}
	var order []string
	for i, img := range images {
		results[i] = Pushed{Reference: img.Reference, Digest: img.Digest, Err: ErrSkipped}
		if families[img.Family] == nil {
			order = append(order, img.Family)
		}
		families[img.Family] = append(families[img.Family], i)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	slots := make(chan struct{}, o.Jobs)
	var first error
	var once sync.Once
	var reporting sync.Mutex
	report := func(reference string) func(image.Progress) {
		if o.Progress == nil {
			return nil
		}
		return func(pr image.Progress) {
			reporting.Lock()
			defer reporting.Unlock()
			o.Progress(reference, pr)
		}
	}
	var all sync.WaitGroup
	begin := make(chan struct{}, 2*o.Jobs) // families under way, so that early ones are finished early
	for _, name := range order {
		begin <- struct{}{}
		all.Go(func() {
			defer func() { <-begin }()
			err := p.pushFamily(ctx, images, families[name], results, slots, report)
			if err == nil {
				return
			}
			once.Do(func() { first = fmt.Errorf("publish %s: %w", name, err) })
			if !o.KeepGoing {
				stop(ErrSkipped)
			}
		})
	}
	all.Wait()
	return results, first
}

// pushFamily pushes the images with the given indexes.
func (p *Publisher) pushFamily(ctx context.Context, images []image.Image, members []int, results []Pushed, slots chan struct{}, report func(string) func(image.Progress)) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, i := range members {
		g.Go(func() error {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-gctx.Done():
				return context.Cause(gctx)
			}
			img := images[i]
			there, err := p.Published(gctx, img.Reference, img.Digest)
			if err == nil && there != nil && there.Digest == img.Digest {
				results[i].Unchanged = true
				return nil
			}
			if err == nil {
				err = p.Put(gctx, img, report(img.Reference))
			}
			if err != nil && context.Cause(gctx) == nil {
				results[i].Err = err
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		for _, i := range members {
			results[i].Unchanged = false
		}
		return err
	}
	var changed []image.Image
	for _, i := range members {
		if !results[i].Unchanged {
			changed = append(changed, images[i])
		}
	}
	if len(changed) > 0 {
		if err := p.Tag(ctx, changed); err != nil {
			for _, i := range members {
				if !results[i].Unchanged {
					results[i].Err = err
				}
			}
			return err
		}
	}
	for _, i := range members {
		results[i].Err = nil
	}
	return nil
}
