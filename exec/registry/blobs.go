package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// meter sums what is reported as progress.
type meter struct {
	mu     sync.Mutex
	report func(image.Progress) // nil: nobody
	sum    image.Progress       // of all that was added
}

func (m *meter) add(uploaded, mounted int64) {
	if uploaded == 0 && mounted == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum.Uploaded += uploaded
	m.sum.Mounted += mounted
	if m.report != nil {
		m.report(image.Progress{Uploaded: uploaded, Mounted: mounted})
	}
}

// total is what was added.
func (m *meter) total() image.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum
}

// join makes what was added to a meter of nobody's, and all that comes, part of another.
func (m *meter) join(to *meter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	to.add(m.sum.Uploaded, m.sum.Mounted)
	m.report = func(p image.Progress) { to.add(p.Uploaded, p.Mounted) }
}

// blobs is what is known of where blobs are, and who is bringing one: each
// distinct blob is sent once to a registry, however many images have it.
type blobs struct {
	mu      sync.Mutex
	known   map[blobKey][]string // paths of repositories that have it
	flights map[flightKey]*flight
	doubted map[string]bool // repositories where what was thought to be there was not
	refused map[string]int  // mounts, by host, of blobs that were known to be there
	mounted map[string]bool // hosts that did mount
	// aheads are what was sent of blobs while they were made, until the first image
	// that has one asks for it.
	aheads map[flightKey]*meter
	whole  map[string]bool // hosts that only take blobs that are whole
}

type blobKey struct {
	host   string
	digest plan.Digest
}

// flightKey without a path is of the whole host.
type flightKey struct {
	blobKey
	path string
}

// flight is a blob on its way.
type flight struct {
	done chan struct{}
	err  error // once done
}

func newBlobs() *blobs {
	return &blobs{
		known: map[blobKey][]string{}, flights: map[flightKey]*flight{},
		doubted: map[string]bool{}, refused: map[string]int{}, mounted: map[string]bool{},
		aheads: map[flightKey]*meter{}, whole: map[string]bool{},
	}
}

// learn notes that a repository has a blob. k is locked.
func (k *blobs) learn(r repository, d plan.Digest) {
	key := blobKey{r.name, d}
	if !slices.Contains(k.known[key], r.path) {
		k.known[key] = append(k.known[key], r.path)
	}
}

// forget is for a repository that lacks what it was thought to have.
func (k *blobs) forget(r repository, ds []image.Blob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doubted[r.String()] = true
	for _, d := range ds {
		key := blobKey{r.name, d.Digest}
		k.known[key] = slices.DeleteFunc(k.known[key], func(p string) bool { return p == r.path })
	}
}

// begin says what is to be done about a blob in a repository: nothing, if it is
// here; wait for another flight; or bring it and call end.
func (k *blobs) begin(r repository, d plan.Digest) (here bool, wait *flight, end func(error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := blobKey{r.name, d}
	if slices.Contains(k.known[key], r.path) {
		return true, nil, nil
	}
	keys := []flightKey{{key, r.path}}
	if len(k.known[key]) == 0 {
		keys = append(keys, flightKey{key, ""})
	}
	for _, f := range keys {
		if w := k.flights[f]; w != nil {
			return false, w, nil
		}
	}
	f := &flight{done: make(chan struct{})}
	for _, at := range keys {
		k.flights[at] = f
	}
	return false, nil, func(err error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if f.err = err; err == nil {
			k.learn(r, d)
		}
		for _, at := range keys {
			delete(k.flights, at)
		}
		close(f.done)
	}
}

// origin is a repository of the same host from which a blob may be mounted.
type origin struct {
	path string
	sure bool // it has the blob
}

const mostOrigins = 3 // more refusals than that mean that mounting does not work

// origins of a blob, the surest first. maybe are repositories that may have it,
// besides the blob's own.
func (k *blobs) origins(c *Client, r repository, b image.Blob, maybe []string) []origin {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refused[r.name] >= mostOrigins && !k.mounted[r.name] {
		return nil
	}
	var list []origin
	add := func(path string, sure bool) {
		if path != r.path && len(list) < mostOrigins && !slices.ContainsFunc(list, func(o origin) bool { return o.path == path }) {
			list = append(list, origin{path, sure})
		}
	}
	for _, path := range k.known[blobKey{r.name, b.Digest}] {
		add(path, true)
	}
	for _, from := range slices.Concat(maybe, b.From) {
		if o, err := c.repository(strings.TrimSuffix(from, "/")); err == nil && o.name == r.name {
			add(o.path, false)
		}
	}
	return list
}

// ensure makes a blob part of a repository.
func (p *Publisher) ensure(ctx context.Context, r repository, b image.Blob, m *meter) error {
	sent := p.blobs.claim(r, b.Digest, m)
	for {
		here, wait, end := p.blobs.begin(r, b.Digest)
		switch {
		case here:
			if sent == nil || sent.total() == (image.Progress{}) {
				m.add(0, b.Size)
			}
			return nil
		case wait != nil:
			select {
			case <-wait.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if _, broken := errors.AsType[*sourceError](wait.err); broken {
				return wait.err
			}
			continue // it is there now, or this one has to bring it
		}
		found, err := p.bring(ctx, r, b, m)
		if err == nil {
			err = p.Journal.blob(r, b.Digest)
		}
		if err == nil && found {
			m.add(0, b.Size)
		}
		end(err)
		return err
	}
}

// bring mounts or sends a blob. found says that no byte of it was needed.
func (p *Publisher) bring(ctx context.Context, r repository, b image.Blob, m *meter) (found bool, err error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	what := "blob " + string(b.Digest) + " to " + r.String()
	p.blobs.mu.Lock()
	doubted := p.blobs.doubted[r.String()]
	p.blobs.mu.Unlock()
	u := &upload{r: r, b: b, meter: m, ask: b.Size >= small || doubted || p.Journal.resumed()}
	earlier := p.Journal.where(b.Digest)
	if doubted || slices.Contains(earlier, r.String()) {
		// Most likely it is here, so that mounting would be the second question.
		if found, err := p.ask(ctx, r, b, what); found || err != nil {
			return found, err
		}
	}
	for _, o := range p.blobs.origins(p.Client, r, b, earlier) {
		var mounted bool
		err := p.Client.retry(ctx, r.host, "mount "+what, func() (bool, error) {
			var err error
			mounted, u.session, err = r.mount(ctx, b.Digest, o.path)
			return false, err
		})
		if e := mine(ctx, err); e != nil && (e.Status == 400 || e.Status == 401 || e.Status == 403 || e.Status == 404 || e.Status == 405) {
			err = nil // not from there; whether it may be sent at all shows next
		}
		if err != nil {
			return false, err
		}
		p.blobs.mu.Lock()
		if mounted {
			p.blobs.mounted[r.name] = true
		} else if o.sure {
			p.blobs.refused[r.name]++
		}
		p.blobs.mu.Unlock()
		if mounted {
			return true, nil
		}
	}
	err = p.Client.retry(ctx, r.host, "push "+what, func() (moved bool, err error) {
		moved, found, err = u.attempt(ctx)
		return moved, err
	})
	if err != nil {
		u.settle(0)
	}
	return found, err
}

func (p *Publisher) ask(ctx context.Context, r repository, b image.Blob, what string) (found bool, err error) {
	err = p.Client.retry(ctx, r.host, "ask for "+what, func() (bool, error) {
		var err error
		found, err = r.has(ctx, b.Digest)
		return false, err
	})
	return found, err
}
