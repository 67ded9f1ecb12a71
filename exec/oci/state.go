package oci

import (
	"context"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// Published is what a target has under a reference, as list --published shows it.
type Published struct {
	Digest  plan.Digest // of the manifest or index; "" is nothing
	Step    plan.Digest // that made it; "" of images that canvos did not make
	Drifted bool        // another tool has changed it since
}

// PublishedAs asks a target for references, each once, at most jobs at a time.
// The first error ends it.
func PublishedAs(ctx context.Context, t image.Target, references []string, jobs int) ([]Published, error) {
	out := make([]Published, len(references))
	errs := make([]error, len(references))
	slots := make(chan struct{}, max(jobs, 1))
	var wg sync.WaitGroup
	for i, ref := range references {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i], errs[i] = publishedAs(ctx, t, ref)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func publishedAs(ctx context.Context, t image.Target, reference string) (Published, error) {
	pub, err := t.Published(ctx, reference, "")
	if err != nil || pub == nil {
		return Published{}, err
	}
	doc, err := read(pub.Manifest)
	if err != nil {
		return Published{}, err
	}
	p := Published{Digest: pub.Digest}
	if _, ours := plan.FactsOf(doc.Annotations); ours {
		p.Step = plan.Digest(doc.Annotations[StepKey])
		p.Drifted = drifted(pub.Manifest)
	}
	return p, nil
}
