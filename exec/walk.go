package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"canvos.dev/compile/plan"
)

// WalkOptions say how the steps of a plan are gone through.
type WalkOptions struct {
	Jobs int // steps at once; less than 1 is 1
	// KeepGoing: a step that fails keeps only those from running that need it.
	KeepGoing bool
}

// Outcome is what became of a step.
type Outcome struct {
	State State // Built, Failed, or Skipped: it did not begin
	Err   error // why it failed, or what it was waiting for failed
}

// Walk carries out the steps of p, each after all it needs, by do. Of the steps
// that could begin, the one with the longest chain of steps behind it goes
// first, and of equals the plan's order decides.
//
// emit is called by one goroutine at a time, and not after Walk has returned. Walk
// tells when a step starts, is done or fails; the events of do are given step,
// name and time. A step that emits StepCached is not told to be done as well.
//
// When ctx ends, or a step fails and KeepGoing is not set, nothing more begins.
// What has begun is waited for: do's context does not end with ctx, since half a
// step is worth nothing.
//
// The outcome of every step is returned. The error holds a *StepError for each
// step that failed, in the plan's order, joined by go-multierror, and the cause
// of ctx if that kept a step from running.
func Walk(ctx context.Context, p plan.Plan, o WalkOptions, emit func(Event), do func(context.Context, plan.Step, func(Event)) error) (map[plan.Digest]Outcome, error) {
	w, err := newWalk(p, o, emit)
	if err != nil {
		return nil, err
	}
	w.run(ctx, do)
	return w.finish(ctx)
}

type walk struct {
	o     WalkOptions
	steps []*walkStep
	ready []*walkStep // in the order in which they shall begin
	ended chan *walkStep

	mu   sync.Mutex
	emit func(Event)
}

type walkStep struct {
	plan.Step
	at      int // in the plan
	height  int // of the chain of steps that wait for it
	waiting int // for so many steps
	after   []*walkStep
	begun   bool
	cached  bool
	outcome Outcome
}

func newWalk(p plan.Plan, o WalkOptions, emit func(Event)) (*walk, error) {
	o.Jobs = max(o.Jobs, 1)
	w := &walk{o: o, emit: emit, ended: make(chan *walkStep, o.Jobs)}
	byID := map[plan.Digest]*walkStep{}
	for i, s := range p.Steps {
		n := &walkStep{Step: s, at: i, outcome: Outcome{State: Skipped}}
		if byID[s.ID] != nil {
			return nil, fmt.Errorf("the plan has step %s twice", s.ID)
		}
		for _, need := range s.Needs {
			before := byID[need]
			if before == nil {
				return nil, fmt.Errorf("%s needs %s, which is not before it in the plan", s.Name, need)
			}
			before.after = append(before.after, n)
			n.waiting++
		}
		byID[s.ID] = n
		w.steps = append(w.steps, n)
	}
	for _, n := range slices.Backward(w.steps) {
		for _, a := range n.after {
			n.height = max(n.height, a.height+1)
		}
	}
	for _, n := range w.steps {
		if n.waiting == 0 {
			w.add(n)
		}
	}
	return w, nil
}

// add puts a step among those that can begin.
func (w *walk) add(n *walkStep) {
	i, _ := slices.BinarySearchFunc(w.ready, n, func(a, b *walkStep) int {
		if a.height != b.height {
			return b.height - a.height
		}
		return a.at - b.at
	})
	w.ready = slices.Insert(w.ready, i, n)
}

func (w *walk) run(ctx context.Context, do func(context.Context, plan.Step, func(Event)) error) {
	running, stop := 0, false
	for {
		for !stop && ctx.Err() == nil && running < w.o.Jobs && len(w.ready) > 0 {
			n := w.ready[0]
			w.ready = w.ready[1:]
			running++
			w.begin(ctx, n, do)
		}
		if running == 0 {
			return
		}
		n := <-w.ended
		running--
		if n.outcome.State == Failed {
			w.skip(n, n)
			stop = stop || !w.o.KeepGoing
			continue
		}
		for _, a := range n.after {
			if a.waiting--; a.waiting == 0 {
				w.add(a)
			}
		}
	}
}

func (w *walk) begin(ctx context.Context, n *walkStep, do func(context.Context, plan.Step, func(Event)) error) {
	n.begun = true
	w.tell(n, Event{Kind: StepStarted})
	go func() {
		err := do(context.WithoutCancel(ctx), n.Step, func(e Event) { w.tell(n, e) })
		if err != nil {
			n.outcome = Outcome{Failed, &StepError{n.Step, err}}
			w.tell(n, Event{Kind: StepFailed, Text: err.Error()})
		} else {
			n.outcome = Outcome{State: Built}
			if !n.cached {
				w.tell(n, Event{Kind: StepDone})
			}
		}
		w.ended <- n
	}()
}

func (w *walk) tell(n *walkStep, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n.cached = n.cached || e.Kind == StepCached
	e.Step = n.ID
	if e.Name == "" {
		e.Name = n.Name
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	w.emit(e)
}

// skip notes why the steps that need n, or need a step that does, did not begin.
func (w *walk) skip(n, failed *walkStep) {
	for _, a := range n.after {
		if a.outcome.Err == nil {
			a.outcome.Err = failed.outcome.Err
			w.skip(a, failed)
		}
	}
}

func (w *walk) finish(ctx context.Context) (map[plan.Digest]Outcome, error) {
	outcomes := map[plan.Digest]Outcome{}
	var errs *multierror.Error
	left := false
	for _, n := range w.steps {
		outcomes[n.ID] = n.outcome
		if n.outcome.State == Failed {
			errs = multierror.Append(errs, n.outcome.Err)
		}
		left = left || !n.begun && n.outcome.Err == nil
	}
	if cause := context.Cause(ctx); left && cause != nil {
		for id, o := range outcomes {
			if o.State == Skipped && o.Err == nil {
				o.Err = cause
				outcomes[id] = o
			}
		}
		if errs == nil || !errors.Is(errs, cause) {
			errs = multierror.Append(errs, cause)
		}
	}
	return outcomes, errs.ErrorOrNil()
}
