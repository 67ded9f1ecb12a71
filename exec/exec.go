// Package exec is the doing: what an engine is, what it reports, and Walk, the
// one scheduler. It reads plans and knows nothing of manifests.
package exec

import (
	"context"
	"fmt"
	"time"

	"canvos.dev/compile/plan"
)

// Engine carries out plans.
type Engine interface {
	// Check says what the engine cannot do of a plan, before anything is done:
	// a *CheckError per cause, joined by go-multierror.
	Check(plan.Plan) error
	// Run carries out a plan. emit is called from one goroutine at a time. The
	// Result is valid also when err is not nil.
	Run(ctx context.Context, p plan.Plan, emit func(Event)) (Result, error)
}

// Kind says what an event tells.
type Kind string

const (
	StepStarted  Kind = "step-started"
	StepProgress Kind = "step-progress" // Done of Total, in Unit
	StepCached   Kind = "step-cached"   // its result was in the store
	StepDone     Kind = "step-done"
	StepFailed   Kind = "step-failed" // Text is the error
	StepLog      Kind = "step-log"    // Text is a line a script printed
	ImageDone    Kind = "image-done"  // Name is the reference, Text the digest
	ImageFailed  Kind = "image-failed"
	Retry        Kind = "retry" // Text says of what, and why
)

// Event is something that happened, unrendered. Its JSON is one line of
// --progress json.
type Event struct {
	Time  time.Time   `json:"time"`
	Kind  Kind        `json:"kind"`
	Step  plan.Digest `json:"step,omitempty"`
	Name  string      `json:"name,omitempty"` // of the step, or the image's reference
	Text  string      `json:"text,omitempty"`
	Unit  string      `json:"unit,omitempty"` // "bytes" or "steps"
	Done  int64       `json:"done,omitempty"`
	Total int64       `json:"total,omitempty"`
}

// State of an image after a run.
type State string

const (
	Built     State = "built"
	Unchanged State = "unchanged"
	Failed    State = "failed"
	Skipped   State = "skipped" // something it needs failed, or the run was interrupted
)

// Result is what a run came to.
type Result struct {
	Images []ImageResult `json:"images"` // in the plan's order
	Bytes  Bytes         `json:"bytes"`
}

// ImageResult is one image's end.
type ImageResult struct {
	Reference string      `json:"reference"`
	Digest    plan.Digest `json:"digest,omitempty"` // of the manifest or index published
	State     State       `json:"state"`
	Error     string      `json:"error,omitempty"`
	Help      string      `json:"help,omitempty"` // what a person can do about it
	Err       error       `json:"-"`
}

// Bytes moved and saved.
type Bytes struct {
	Uploaded int64 `json:"uploaded"` // sent to the target
	Mounted  int64 `json:"mounted"`  // there already, or mounted from another repository
	Reused   int64 `json:"reused"`   // layers taken from the store instead of being made
}

// StepError is an error of one step: it points into the manifest.
type StepError struct {
	Step plan.Step
	Err  error
}

func (e *StepError) Error() string {
	if e.Step.At.File == "" {
		return fmt.Sprintf("%s: %v", e.Step.Name, e.Err)
	}
	return fmt.Sprintf("%s: %v (%s:%d:%d)", e.Step.Name, e.Err, e.Step.At.File, e.Step.At.Line, e.Step.At.Column)
}

func (e *StepError) Unwrap() error { return e.Err }

// CheckError is something an engine cannot do.
type CheckError struct {
	Code   string // of package problem: "CV0601"
	Step   plan.Step
	Reason string
	Help   string // the ways out
}

func (e *CheckError) Error() string { return fmt.Sprintf("%s: %s", e.Step.Name, e.Reason) }
