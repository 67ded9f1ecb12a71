package main

import (
	"sync"
	"time"

	"canvos.dev/exec/registry"
)

// retries tells which failed attempts are news: what is wrong with a registry meets
// all that is sent to it, and again and again.
type retries struct {
	mu    sync.Mutex
	until map[string]time.Time // by host and what is wrong: when the attempt that was told of is repeated
}

// news says whether r is something else than what was told of the host, and is still
// waited for.
func (t *retries) news(r registry.Retry, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.Host + "\x00" + r.Err.Error()
	if now.Before(t.until[key]) {
		return false
	}
	if t.until == nil {
		t.until = map[string]time.Time{}
	}
	t.until[key] = now.Add(r.Wait)
	return true
}
