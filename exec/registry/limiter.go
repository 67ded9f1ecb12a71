package registry

import (
	"context"
	"sync"
	"time"
)

// limiter bounds the requests to one host. It begins with one, so that the first
// answer teaches what all others need, has all once that came, halves when the
// host is asked too often and recovers by one for each round of good answers.
type limiter struct {
	mu      sync.Mutex
	most    int
	now     int
	used    int
	good    int           // answers since the limit last changed
	served  int           // good answers, ever
	era     int           // counts halvings: an answer to an older question halves nothing
	until   time.Time     // nobody begins before
	changed chan struct{} // closed and replaced when somebody may begin
	opened  bool
}

func newLimiter(most int) *limiter {
	return &limiter{most: most, now: 1, changed: make(chan struct{})}
}

// enter waits for a place, and not if the host wants to be left alone for longer than
// is worth waiting. What it returns says when the request began.
func (l *limiter) enter(ctx context.Context) (era int, err error) {
	for {
		l.mu.Lock()
		pause := time.Until(l.until)
		if pause <= 0 && l.used < l.now {
			l.used++
			era := l.era
			l.mu.Unlock()
			return era, nil
		}
		changed := l.changed
		l.mu.Unlock()
		if pause > longestWait {
			return 0, &Error{Kind: Busy, after: pause}
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (l *limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used--
	l.wake()
}

// open says that the host has answered.
func (l *limiter) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.opened {
		l.opened, l.now = true, l.most
		l.wake()
	}
}

// well says that a request went well.
func (l *limiter) well() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served++
	if l.good++; l.good >= l.now && l.now < l.most && l.opened {
		l.good = 0
		l.now++
		l.wake()
	}
}

// tooMany says that a request that began in era was one too many, and that the
// host wants to be left alone for a while.
func (l *limiter) tooMany(era int, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if era == l.era {
		l.era++
		l.good = 0
		l.now = max(l.now/2, 1)
	}
	if until := time.Now().Add(pause); until.After(l.until) {
		l.until = until
		l.wake()
	}
}

// eased says that the host was asked too often once.
func (l *limiter) eased() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.era > 0
}

// count is how many requests went well.
func (l *limiter) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served
}

func (l *limiter) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}
