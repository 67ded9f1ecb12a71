package registry

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// ahead sends a blob while it is made, in pieces: what was made while the one before
// was sent, so that they are as long as the registry is slow. What that does not
// achieve is left to an upload like any other, once the blob is whole: it goes on in
// the same session if the registry has kept it. After one that failed nothing is sent
// ahead to its host.
//
// A single PATCH of a length that nobody knows, as Docker pushes, would be one request;
// but a registry that writes to a disk waits for all of it only when the last byte has
// come, and proxies that want to know the length, or see no byte for a while, refuse it.
type ahead struct {
	p   *Publisher
	u   *upload
	src image.Unfinished

	stop  context.CancelFunc
	whole chan struct{} // closed by Finish
	over  chan struct{} // closed once all is done

	mu     sync.Mutex
	landed func(error) // ends the blob's flight; nil before Finish
	ended  bool        // no flight will be ended any more but by Finish
}

var _ image.Ahead = (*Publisher)(nil)

// errNotAhead is of a blob whose sending was given up.
var errNotAhead = errors.New("it was not sent while it was made")

// Ahead begins to send a blob while it is made, if nothing suggests that it will not
// arrive in one go.
func (p *Publisher) Ahead(ctx context.Context, reference string, b image.Unfinished) image.Sending {
	r, err := p.Client.repository(reference)
	if err != nil || p.Journal.resumed() || r.longest() > 0 || r.limit.eased() || !p.blobs.ahead(r) {
		return nil
	}
	a := &ahead{
		p: p, u: &upload{r: r, meter: &meter{}}, src: b,
		whole: make(chan struct{}), over: make(chan struct{}),
	}
	var sending context.Context
	sending, a.stop = context.WithCancel(ctx)
	go a.run(ctx, sending)
	return a
}

// Finish lets those who need the blob wait for it.
func (a *ahead) Finish(b image.Blob) {
	here, wait, end := a.p.blobs.begin(a.u.r, b.Digest)
	if here || wait != nil { // another step made the same
		a.stop()
		return
	}
	a.mu.Lock()
	ended := a.ended
	if !ended {
		a.landed, a.u.b = end, b
	}
	a.mu.Unlock()
	if ended {
		end(errNotAhead)
		return
	}
	a.p.blobs.sentAhead(a.u.r, b.Digest, a.u.meter)
	close(a.whole)
}

// End gives up a blob that is not whole.
func (a *ahead) End() image.Progress {
	select {
	case <-a.whole:
	default:
		a.stop()
	}
	<-a.over
	if sent := a.p.blobs.claim(a.u.r, a.u.b.Digest, &meter{}); sent != nil {
		return sent.total()
	}
	return image.Progress{}
}

// run sends the blob. parent outlives ctx.
func (a *ahead) run(parent, ctx context.Context) {
	defer close(a.over)
	defer a.src.Close()
	defer a.stop()
	err := a.first(ctx)
	if _, failed := err.(*Error); failed { // and not because it was given up
		a.p.blobs.notAhead(a.u.r)
	}
	if e := mine(ctx, err); e != nil && (e.transient() || e.uploadLost()) {
		err = nil // another attempt, of the whole
	}
	if err == nil {
		select {
		case <-a.whole:
			err = a.rest(ctx)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		a.u.settle(0)
		defer a.forget(parent)
		err = errNotAhead // whoever needs the blob finds out why for itself
	}
	a.mu.Lock()
	landed := a.landed
	a.ended = true
	a.mu.Unlock()
	if landed != nil {
		landed(err)
	}
}

// forget frees what the registry holds of the blob.
func (a *ahead) forget(ctx context.Context) {
	if a.u.session != nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		a.u.r.cancel(ctx, a.u.session)
	}
}

// first sends what there is, and what comes, to its end.
func (a *ahead) first(ctx context.Context) (err error) {
	u := a.u
	if u.session, err = u.r.session(ctx); err != nil {
		return err
	}
	for ended := false; !ended; {
		size, err := a.src.Wait(ctx, u.off+large)
		if err != nil {
			return err
		}
		if ended = size < u.off+large; size == u.off {
			break
		}
		if err := a.piece(ctx, size-u.off, ended && u.off == 0); err != nil {
			return err
		}
	}
	return nil
}

// piece sends the next n bytes.
func (a *ahead) piece(ctx context.Context, n int64, all bool) error {
	u, off := a.u, a.u.off
	err := u.patch(ctx, u.sending(off, n, func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(a.src, off, n)), nil
	}), !all)
	if err == nil {
		return nil
	}
	u.ask, u.cut = true, true
	if e := mine(ctx, err); e != nil {
		if e.uploadLost() {
			u.session = nil
		}
		if tell := a.p.Client.Retried; tell != nil && e.transient() {
			tell(Retry{Host: u.r.shown, What: "push a layer to " + u.r.String() + " while it is made", Err: err})
		}
	}
	return err
}

// rest ends the upload of the whole blob, and does what is left of it.
func (a *ahead) rest(ctx context.Context) error {
	u := a.u
	what := "blob " + string(u.b.Digest) + " to " + u.r.String()
	err := a.p.Client.retry(ctx, u.r.host, "push "+what, func() (bool, error) {
		moved, found, err := u.attempt(ctx)
		if err == nil && found {
			u.meter.add(0, u.b.Size)
		}
		return moved, err
	})
	if err != nil {
		return err
	}
	return a.p.Journal.blob(u.r, u.b.Digest)
}

// ahead says whether a blob may be sent into a repository while it is made.
func (k *blobs) ahead(r repository) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.whole[r.name] && !k.doubted[r.String()]
}

// notAhead notes a host that did not take a blob while it was made.
func (k *blobs) notAhead(r repository) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.whole[r.name] = true
}

// sentAhead keeps what was sent of a blob for the image that has it.
func (k *blobs) sentAhead(r repository, d plan.Digest, m *meter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.aheads[flightKey{blobKey{r.name, d}, r.path}] = m
}

// claim counts as m's what was sent of a blob while it was made; nil if it was not.
func (k *blobs) claim(r repository, d plan.Digest, m *meter) (sent *meter) {
	k.mu.Lock()
	key := flightKey{blobKey{r.name, d}, r.path}
	sent = k.aheads[key]
	delete(k.aheads, key)
	k.mu.Unlock()
	if sent != nil {
		sent.join(m)
	}
	return sent
}
