package exec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-multierror"

	"canvos.dev/compile/plan"
)

// graph is a plan of steps written as "c: a b", each needing those behind the
// colon.
func graph(lines ...string) plan.Plan {
	var p plan.Plan
	for i, line := range lines {
		name, needs, _ := strings.Cut(line, ":")
		s := plan.Step{ID: plan.Digest(name), Name: "step " + name, At: plan.Pos{File: "images.cue", Line: i + 1, Column: 2}}
		for _, n := range strings.Fields(needs) {
			s.Needs = append(s.Needs, plan.Digest(n))
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

func nothing(context.Context, plan.Step, func(Event)) error { return nil }

func silent(Event) {}

func TestWalkOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		plan plan.Plan
		want string
	}{
		{"plan order among equals", graph("a", "b", "c"), "a b c"},
		{"longest chain first", graph("short", "long", "x: long", "y: x"), "long x short y"},
		{"needs before", graph("a", "b", "c: a b", "d: c"), "a b c d"},
		{"nothing", graph(), ""},
	} {
		var order []string
		_, err := Walk(t.Context(), c.plan, WalkOptions{Jobs: 1}, silent, func(_ context.Context, s plan.Step, _ func(Event)) error {
			order = append(order, string(s.ID))
			return nil
		})
		if got := strings.Join(order, " "); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// Every step runs once, after all it needs, and no more at once than there are
// jobs, whose number is reached.
func TestWalkManySteps(t *testing.T) {
	var lines []string
	for i := range 300 {
		line := fmt.Sprintf("s%03d:", i)
		for j := 1; j <= 3 && i-j*j > 10; j++ { // the first ones need nothing
			line += fmt.Sprintf(" s%03d", (i-j*j)/2)
		}
		lines = append(lines, line)
	}
	p := graph(lines...)
	for _, jobs := range []int{0, 1, 2, 7} {
		var mu sync.Mutex
		done := map[plan.Digest]int{}
		var running, most int
		full := make(chan struct{})
		outcomes, err := Walk(t.Context(), p, WalkOptions{Jobs: jobs}, silent, func(_ context.Context, s plan.Step, _ func(Event)) error {
			mu.Lock()
			running++
			if running > most {
				most = running
				if most == max(jobs, 1) {
					close(full)
				}
			}
			for _, n := range s.Needs {
				if done[n] != 1 {
					t.Errorf("%s began before %s was done", s.ID, n)
				}
			}
			mu.Unlock()
			<-full // the first ones wait for each other
			mu.Lock()
			done[s.ID]++
			running--
			mu.Unlock()
			return nil
		})
		if err != nil || most != max(jobs, 1) || len(done) != 300 || len(outcomes) != 300 {
			t.Errorf("%d jobs: %d at once, %d done, %v", jobs, most, len(done), err)
		}
		for id, o := range outcomes {
			if o.State != Built || o.Err != nil || done[id] != 1 {
				t.Errorf("%s: %v, done %d times", id, o, done[id])
			}
		}
	}
}

func states(outcomes map[plan.Digest]Outcome) string {
	var words []string
	for _, id := range slices.Sorted(maps.Keys(outcomes)) {
		words = append(words, string(id)+" "+string(outcomes[id].State))
	}
	return strings.Join(words, ", ")
}

func TestWalkFailures(t *testing.T) {
	p := graph("a", "b", "c: a", "d: c b", "e: b", "f")
	boom := errors.New("boom")
	fail := func(ids ...plan.Digest) func(context.Context, plan.Step, func(Event)) error {
		return func(_ context.Context, s plan.Step, _ func(Event)) error {
			if slices.Contains(ids, s.ID) {
				return fmt.Errorf("%w of %s", boom, s.ID)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name      string
		keepGoing bool
		ids       []plan.Digest
		states    string
		failures  string
	}{
		{"stops", false, []plan.Digest{"a"}, "a failed, b skipped, c skipped, d skipped, e skipped, f skipped", "step a: boom of a (images.cue:1:2)"},
		{"keeps going", true, []plan.Digest{"a"}, "a failed, b built, c skipped, d skipped, e built, f built", "step a: boom of a (images.cue:1:2)"},
		{"all errors, in the plan's order", true, []plan.Digest{"f", "c", "e"}, "a built, b built, c failed, d skipped, e failed, f failed",
			"step c: boom of c (images.cue:3:2); step e: boom of e (images.cue:5:2); step f: boom of f (images.cue:6:2)"},
	} {
		outcomes, err := Walk(t.Context(), p, WalkOptions{Jobs: 1, KeepGoing: c.keepGoing}, silent, fail(c.ids...))
		if got := states(outcomes); got != c.states {
			t.Errorf("%s: %s", c.name, got)
		}
		var errs *multierror.Error
		if !errors.As(err, &errs) || !errors.Is(err, boom) {
			t.Fatalf("%s: %v", c.name, err)
		}
		var texts []string
		for _, e := range errs.Errors {
			if step := (*StepError)(nil); !errors.As(e, &step) {
				t.Errorf("%s: %v is no StepError", c.name, e)
			}
			texts = append(texts, e.Error())
		}
		if got := strings.Join(texts, "; "); got != c.failures {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	outcomes, _ := Walk(t.Context(), p, WalkOptions{KeepGoing: true}, silent, fail("a"))
	if err := outcomes["d"].Err; err == nil || !strings.Contains(err.Error(), "boom of a") {
		t.Errorf("why d was skipped: %v", err)
	}
}

// What is in flight when a step fails or the context ends is finished.
func TestWalkFinishesWhatHasBegun(t *testing.T) {
	p := graph("a", "b", "c: b", "d")
	for _, stop := range []string{"error", "cancel"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		begun, stopped := make(chan struct{}), make(chan struct{})
		outcomes, err := Walk(ctx, p, WalkOptions{Jobs: 2}, silent, func(ctx context.Context, s plan.Step, _ func(Event)) error {
			if s.ID == "a" {
				<-begun
				defer close(stopped)
				if stop == "error" {
					return errors.New("boom")
				}
				cancel(errors.New("interrupted"))
				return nil
			}
			close(begun) // twice is a panic: nothing but b may begin
			<-stopped
			return ctx.Err()
		})
		cancel(nil)
		want := map[string]string{"error": "a failed, b built, c skipped, d skipped", "cancel": "a built, b built, c skipped, d skipped"}[stop]
		if got := states(outcomes); got != want {
			t.Errorf("%s: %s", stop, got)
		}
		if reason := map[string]string{"error": "boom", "cancel": "interrupted"}[stop]; err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", stop, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Walk(ctx, graph("a"), WalkOptions{}, silent, func(context.Context, plan.Step, func(Event)) error { cancel(); return nil })
	if err != nil {
		t.Errorf("cancelled when all was done: %v", err)
	}
	outcomes, err := Walk(ctx, graph("a", "b: a"), WalkOptions{}, silent, nothing)
	if !errors.Is(err, context.Canceled) || states(outcomes) != "a skipped, b skipped" || !errors.Is(outcomes["b"].Err, context.Canceled) {
		t.Errorf("cancelled before: %v, %v", outcomes, err)
	}
}

func TestWalkEvents(t *testing.T) {
	p := graph("a", "b", "c")
	var inside atomic.Int32
	kinds := map[plan.Digest][]Kind{}
	_, err := Walk(t.Context(), p, WalkOptions{Jobs: 3, KeepGoing: true}, func(e Event) {
		if inside.Add(1) != 1 {
			t.Error("two events at once")
		}
		if e.Time.IsZero() || e.Name != "step "+string(e.Step) && e.Name != "image" {
			t.Errorf("event %+v", e)
		}
		kinds[e.Step] = append(kinds[e.Step], e.Kind)
		inside.Add(-1)
	}, func(_ context.Context, s plan.Step, emit func(Event)) error {
		switch s.ID {
		case "a":
			emit(Event{Kind: StepCached})
		case "b":
			emit(Event{Kind: StepProgress, Done: 1, Total: 2})
			emit(Event{Kind: ImageDone, Name: "image"})
		case "c":
			return errors.New("boom")
		}
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
	for id, want := range map[plan.Digest][]Kind{
		"a": {StepStarted, StepCached}, "b": {StepStarted, StepProgress, ImageDone, StepDone}, "c": {StepStarted, StepFailed},
	} {
		if !slices.Equal(kinds[id], want) {
			t.Errorf("%s: %v", id, kinds[id])
		}
	}
}

func TestWalkRefusesWhatIsNoPlan(t *testing.T) {
	for want, p := range map[string]plan.Plan{
		"the plan has step a twice":                          graph("a", "a"),
		"step a needs b, which is not before it in the plan": graph("a: b", "b"),
		"step a needs a, which is not before it in the plan": graph("a: a"),
	} {
		if _, err := Walk(t.Context(), p, WalkOptions{}, silent, nothing); err == nil || err.Error() != want {
			t.Errorf("%v instead of %s", err, want)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	lines := []string{"base:"}
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("k%d: base", i), fmt.Sprintf("i%d: k%d", i, i))
	}
	p := graph(lines...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Walk(b.Context(), p, WalkOptions{Jobs: 2}, silent, nothing); err != nil {
			b.Fatal(err)
		}
	}
}
