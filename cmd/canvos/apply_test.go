package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
)

// atTerminal is an apply with a person at the door, who says what in says.
func atTerminal(in io.Reader) *applying {
	return &applying{door: &door{in: in, out: io.Discard, err: io.Discard, inTerminal: true, errTerminal: true, env: func(string) string { return "" }}}
}

var oneToBuild = view.Plan{Decisions: []view.Decision{{Image: plan.Image{Reference: "docker.io/acme/ubuntu:1"}, Action: view.Build}}}

func TestAgreed(t *testing.T) {
	for answer, want := range map[string]bool{"yes\n": true, " yes \n": true, "y\n": false, "no\n": false, "\n": false, "": false} {
		ok, err := atTerminal(strings.NewReader(answer)).agreed(t.Context(), oneToBuild)
		if ok != want || ok != (err == nil) {
			t.Errorf("%q: %t, %v", answer, ok, err)
		}
	}
	if ok, err := atTerminal(strings.NewReader("")).agreed(t.Context(), view.Plan{}); !ok || err != nil {
		t.Errorf("nothing to do: %t, %v", ok, err)
	}
}

// An interrupt while a person is asked ends the question.
func TestAgreedInterrupted(t *testing.T) {
	in, never := io.Pipe()
	defer never.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	if ok, err := atTerminal(in).agreed(ctx, oneToBuild); ok || !errors.Is(err, errInterrupted) {
		t.Errorf("%t, %v", ok, err)
	}
}
