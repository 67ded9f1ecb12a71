// Command canvos turns a CUE manifest of edge image families into published
// images. This package is the door: flags, environment, working directory,
// signals and exit codes, one file per verb. What a manifest means is decided
// in compile, what is done in exec, how it is said in cmd/internal/view.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"golang.org/x/term"

	"canvos.dev/cmd/internal/view"
)

// gcPercent is for garbage that is mostly CUE's and short-lived: it is collected more
// rarely than by default, but not much more, since the first use of a page costs more
// than a collection on virtual machines.
const gcPercent = 200

func main() {
	if len(os.Args) == 2 && os.Args[1] == evaluateVerb {
		os.Exit(serveApart())
	}
	debug.SetGCPercent(gcPercent)
	// Which keeps that from growing without end on a small machine.
	debug.SetMemoryLimit(2 << 30)

	d := newDoor()
	ctx, stop := interruptible(context.Background(), d)
	err := execute(ctx, d, os.Args[1:])
	stop()
	os.Exit(d.report(ctx, err))
}

// newDoor is the only place that asks the process for its surroundings.
func newDoor() *door {
	dir, _ := os.Getwd() // an unknown one is reported by the first path that needs it
	terminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	width := 0
	if w, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
		width = w
	}
	return &door{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTerminal: terminal(os.Stdin), outTerminal: terminal(os.Stdout), errTerminal: terminal(os.Stderr),
		width:  width,
		env:    os.Getenv,
		dir:    dir,
		format: view.Text,
		limits: untrusted(),
	}
}
