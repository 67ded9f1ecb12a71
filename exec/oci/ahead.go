package oci

import (
	"context"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// aheadSize is the size of what a layer holds from which on it is sent while it is
// made. One that is smaller is made before a registry has answered.
const aheadSize = 16 << 20 // bytes

// ahead begins to send a layer that step begins to make; nil if it is sent once it
// is made. It goes into the repository of the first image that needs it.
func (r *run) ahead(ctx context.Context, step plan.Digest, size int64, w *store.Writer) image.Sending {
	t, ok := r.Target.(image.Ahead)
	if !ok || size < aheadSize {
		return nil
	}
	reference := r.first[step]
	if !r.lacks(ctx, repository(reference)) {
		return nil
	}
	f, err := w.Follow()
	if err != nil {
		return nil // it can still be sent when it is made
	}
	s := t.Ahead(ctx, reference, f)
	if s == nil {
		f.Close()
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sendings = append(r.sendings, s)
	return s
}

// lacks says that a repository will not have a layer that the store does not have:
// it is empty, or was published to from here, where all that was made is kept. The
// digest of a layer, by which a registry could be asked, is known too late.
func (r *run) lacks(ctx context.Context, repo string) bool {
	t, ok := r.Target.(lister)
	if !ok {
		return false
	}
	references, err := t.Tags(ctx, repo) // known since the plan was compared
	if err != nil {
		return false
	}
	for _, ref := range references {
		var was remembered
		if r.store().Record(rememberKey(ref), &was) {
			return true
		}
	}
	return len(references) == 0
}
