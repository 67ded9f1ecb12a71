package registry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Retry is a failed attempt that will be repeated.
type Retry struct {
	Host string
	What string        // "push blob sha256:… to docker.io/acme/store"
	Err  error         // without What
	Wait time.Duration // 0: until all that is sent is made
}

const (
	longestPause = 20 * time.Second
	longestWait  = 2 * time.Minute // that a registry may ask for
)

// retry repeats f, and says in the error what was being done.
func (c *Client) retry(ctx context.Context, h *host, what string, f func() (moved bool, err error)) error {
	err := c.repeat(ctx, h, what, f)
	if context.Cause(ctx) != nil {
		return err
	}
	return explain(err, what)
}

// repeat calls f until it succeeds, fails for good, or has failed too often in a
// row without moving. f says whether it got further than ever before. To be turned
// away by a busy host that serves this client's other requests is no failure: its
// turn comes.
func (c *Client) repeat(ctx context.Context, h *host, what string, f func() (moved bool, err error)) error {
	pause := h.limits.Pause
	served := h.limit.count()
	for failed := 1; ; failed++ {
		moved, err := f()
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if moved {
			failed, pause = 1, h.limits.Pause
		}
		e := mine(ctx, err)
		if e != nil && e.Kind == Busy {
			if now := h.limit.count(); now > served {
				served = now
				failed = max(failed-1, 1)
			}
		}
		if e == nil || !e.transient() || e.after > longestWait || failed >= h.attempts(e) {
			return err
		}
		// Jitter, so that those who failed together do not come back together.
		wait := pause + rand.N(pause)
		if e.after > 0 {
			wait = e.after + rand.N(h.limits.Pause)
		}
		if c.Retried != nil {
			c.Retried(Retry{Host: h.shown, What: what, Err: err, Wait: wait})
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause = min(pause*2, longestPause)
	}
}

// attempts that an error is worth. A host that never answered is more likely
// misspelt than broken for a moment.
func (h *host) attempts(e *Error) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Kind == Unreachable && !h.answered {
		return min(h.limits.Attempts, 3)
	}
	return h.limits.Attempts
}
