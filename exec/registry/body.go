package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"
)

var (
	errNoAnswer = errors.New("it does not answer")
	errStalled  = errors.New("it has gone silent in the middle")
)

// watchdog ends a request that the other side has forgotten. It runs only while
// something is expected from there: a slow disk on this side is no reason.
type watchdog struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
}

func newWatchdog(cancel context.CancelCauseFunc) *watchdog { return &watchdog{cancel: cancel} }

func (w *watchdog) arm(d time.Duration, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(d, func() { w.cancel(fmt.Errorf("%w for %s", cause, d)) })
}

func (w *watchdog) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// sentBody is the body of a request. It must not embed its source: a WriteTo of
// that would go around the counting.
type sentBody struct {
	src      io.ReadCloser
	sent     func(int64)
	dog      *watchdog
	stall    time.Duration
	patience time.Duration // for the answer, besides what it takes to write what was sent
	size     int64

	// Only of Read.
	n int64

	mu     sync.Mutex
	err    error
	closed bool
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.dog.disarm()
	n, err := b.src.Read(p)
	b.mu.Lock()
	closed := b.closed
	if err != nil && err != io.EOF && !closed {
		b.err = err
	}
	b.n += int64(n)
	if err == io.EOF && b.n < b.size && !closed {
		b.err = fmt.Errorf("%w: %d bytes are missing", io.ErrUnexpectedEOF, b.size-b.n)
		err = b.err
	}
	b.mu.Unlock()
	if b.sent != nil && n > 0 && !closed {
		b.sent(int64(n))
	}
	switch {
	case closed: // the answer came before the end
	case err == io.EOF || b.n >= b.size:
		b.dog.arm(b.patience+commitTime(b.n), errNoAnswer)
	default:
		b.dog.arm(b.stall, errStalled)
	}
	return n, err
}

// Close is the transport's; it may come while Read runs.
func (b *sentBody) Close() error {
	b.close()
	return nil
}

func (b *sentBody) close() {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		b.src.Close()
	}
}

// failure is why the source could not be read; nil if it could.
func (b *sentBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// receivedBody is the body of an answer.
type receivedBody struct {
	body    io.ReadCloser
	dog     *watchdog
	stall   time.Duration
	ctx     context.Context // of the caller
	watched context.Context // of the request: ended by the watchdog too
	cancel  context.CancelCauseFunc
	h       *host
	method  string
	from    *url.URL
	status  int
}

func (b *receivedBody) Read(p []byte) (int, error) {
	b.dog.arm(b.stall, errStalled)
	n, err := b.body.Read(p)
	b.dog.disarm()
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.watched); cause != nil {
			err = cause
		}
		err = b.h.networkError(b.ctx, b.from, err, &Error{method: b.method, Status: b.status})
	}
	return n, err
}

func (b *receivedBody) Close() error {
	err := b.body.Close()
	b.cancel(nil)
	return err
}
