package main

import (
	"context"
	"errors"
	"fmt"

	"canvos.dev/cmd/internal/view"
)

// Exit codes, the same for every command.
const (
	exitDone        = 0
	exitError       = 1   // also of the network or a registry
	exitChanges     = 2   // changes are pending (--detailed-exitcode)
	exitInvalid     = 3   // the manifest or the lock is; also warnings under --strict
	exitRefused     = 4   // something was refused, or a policy denies
	exitPartly      = 5   // some images failed (--keep-going)
	exitUnpublished = 6   // built but not published
	exitStale       = 7   // the plan is
	exitUsage       = 64  // the command line is wrong (EX_USAGE of sysexits.h)
	exitInterrupted = 130 // 128 + SIGINT, as shells say it
)

// exitTable is what the help of canvos says of them.
var exitTable = []struct {
	code    int
	meaning string
}{
	{exitDone, "done"},
	{exitError, "error, also of the network or a registry"},
	{exitChanges, "changes pending (--detailed-exitcode)"},
	{exitInvalid, "manifest or lock invalid (also warnings under --strict)"},
	{exitRefused, "something refused, or policy denies"},
	{exitPartly, "some images failed (--keep-going)"},
	{exitUnpublished, "built but not published"},
	{exitStale, "plan stale"},
	{exitUsage, "wrong usage"},
	{exitInterrupted, "interrupted"},
}

// A failure is an error with an exit code and, if there is one, a way on. A
// failure without an error was told already: only the code is left to say.
type failure struct {
	code int
	err  error
	help string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// fail is an error that ends the run with code.
func fail(code int, help, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...), help: help}
}

// told ends the run with code; the reason is on the screen.
func told(code int) error { return &failure{code: code} }

// ranError is an error of a verb, as opposed to one of the command line.
type ranError struct{ error }

func (e ranError) Unwrap() error { return e.error }

// report says what went wrong, once, and returns the exit code. Nothing else
// prints an error.
func (d *door) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	f := &failure{code: exitUsage, err: err}
	if ran := (ranError{}); errors.As(err, &ran) {
		if !errors.As(err, &f) {
			f = &failure{code: exitError, err: ran.error}
		}
	} else {
		var known *failure
		if errors.As(err, &known) {
			f = known
		} else {
			f.help = "canvos --help"
		}
	}
	if errors.Is(context.Cause(ctx), errInterrupted) && f.code != exitUsage {
		f.code = exitInterrupted
		if errors.Is(f.err, context.Canceled) {
			f.err = errInterrupted
		}
	}
	if f.err == nil {
		return f.code
	}
	if d.format == view.JSON {
		view.ErrorJSON(d.out, f.err, f.help, f.code)
	}
	view.Error(d.err, d.errStyle(), f.err, f.help)
	return f.code
}
