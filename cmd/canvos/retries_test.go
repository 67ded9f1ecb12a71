package main

import (
	"errors"
	"testing"
	"time"

	"canvos.dev/exec/registry"
)

func TestRetries(t *testing.T) {
	refused, reset := errors.New("connection refused"), errors.New("connection reset by peer")
	at := time.Unix(1000, 0)
	var known retries
	for i, c := range []struct {
		after time.Duration // the one before
		r     registry.Retry
		news  bool
	}{
		{0, registry.Retry{Host: "a", What: "one", Err: refused, Wait: time.Second}, true},
		{0, registry.Retry{Host: "a", What: "two", Err: refused, Wait: time.Minute}, false},
		{0, registry.Retry{Host: "a", What: "one", Err: reset, Wait: time.Second}, true},
		{0, registry.Retry{Host: "b", What: "one", Err: refused, Wait: time.Second}, true},
		{time.Second - 1, registry.Retry{Host: "a", What: "three", Err: refused, Wait: time.Second}, false},
		{1, registry.Retry{Host: "a", What: "three", Err: refused, Wait: 2 * time.Second}, true},
		{time.Second, registry.Retry{Host: "a", What: "one", Err: refused, Wait: 2 * time.Second}, false},
	} {
		at = at.Add(c.after)
		if got := known.news(c.r, at); got != c.news {
			t.Errorf("%d: %+v: %t", i, c.r, got)
		}
	}
}
