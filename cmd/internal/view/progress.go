package view

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
)

// Progress shows a run while it lasts.
type Progress interface {
	// Event takes what an engine tells.
	Event(exec.Event)
	// Tick lets time pass on the screen when nothing happens.
	Tick(now time.Time)
	// Close leaves the screen ready for the next line.
	Close()
}

// ProgressKinds are the words of --progress, the default first.
var ProgressKinds = []string{"auto", "tty", "plain", "json", "quiet"}

// NewProgress shows a run of p in one of ProgressKinds; auto is tty on a
// terminal and plain elsewhere.
func NewProgress(kind string, w io.Writer, s Style, p plan.Plan, jobs int) Progress {
	if kind == "auto" {
		kind = "plain"
		if s.Terminal {
			kind = "tty"
		}
	}
	switch kind {
	case "tty":
		return &live{w: w, s: s, run: newRun(p), jobs: jobs}
	case "json":
		return &jsonLines{e: json.NewEncoder(safeJSON{w})}
	case "quiet":
		return silent{}
	}
	return &plain{w: w, s: s, run: newRun(p), said: map[plan.Digest]time.Time{}}
}

type silent struct{}

func (silent) Event(exec.Event) {}
func (silent) Tick(time.Time)   {}
func (silent) Close()           {}

// jsonLines writes each event as a line.
type jsonLines struct {
	mu sync.Mutex
	e  *json.Encoder
}

func (j *jsonLines) Event(e exec.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.e.SetEscapeHTML(false)
	_ = j.e.Encode(e) // a reader that went away does not stop a build
}

func (j *jsonLines) Tick(time.Time) {}
func (j *jsonLines) Close()         {}

// run is what is known of a run: which steps go on, since when and how far, and
// how many images are ready.
type run struct {
	names   map[plan.Digest]string
	images  int
	steps   int
	done    int // images
	stepped int // steps
	active  []*step
	begun   time.Time
	now     time.Time
}

// step is one that goes on.
type step struct {
	id          plan.Digest
	name        string
	text        string
	unit        string
	done, total int64
	since       time.Time
}

func newRun(p plan.Plan) run {
	r := run{names: map[plan.Digest]string{}, images: len(p.Images), steps: len(p.Steps)}
	for _, s := range p.Steps {
		r.names[s.ID] = safeLine(s.Name)
	}
	return r
}

// take brings the run up to date with an event, and gives the step it speaks
// of, if that was going on.
func (r *run) take(e exec.Event) *step {
	if r.begun.IsZero() {
		r.begun = e.Time
	}
	r.now = e.Time
	at := -1
	for i, s := range r.active {
		if s.id == e.Step && e.Step != "" {
			at = i
		}
	}
	var s *step
	if at >= 0 {
		s = r.active[at]
	}
	switch e.Kind {
	case exec.StepStarted:
		if s == nil {
			s = &step{id: e.Step, name: r.name(e), since: e.Time}
			r.active = append(r.active, s)
		}
	case exec.StepProgress:
		if s != nil {
			s.done, s.total, s.unit = e.Done, e.Total, e.Unit
			if e.Text != "" {
				s.text = e.Text
			}
		}
	case exec.StepLog:
		if s != nil {
			s.text = e.Text
		}
	case exec.StepDone, exec.StepCached, exec.StepFailed:
		if at >= 0 {
			r.active = append(r.active[:at], r.active[at+1:]...)
		}
		if e.Kind != exec.StepFailed {
			r.stepped++
		}
	case exec.ImageDone, exec.ImageFailed:
		r.done++
	}
	return s
}

func (r *run) name(e exec.Event) string {
	if e.Name != "" {
		return e.Name
	}
	return r.names[e.Step]
}

// left is a guess at the time a run still takes, from the share of its steps
// that are done; 0 is not known.
func (r *run) left() time.Duration {
	part := float64(r.stepped)
	for _, s := range r.active {
		if s.total > 0 {
			part += min(float64(s.done)/float64(s.total), 1)
		}
	}
	spent := r.now.Sub(r.begun)
	if part < 1 || part >= float64(r.steps) || spent < 3*time.Second {
		return 0
	}
	return time.Duration(float64(spent) * (float64(r.steps) - part) / part)
}

// amount is how far a step is, with its unit, and how fast it goes.
func (s *step) amount(now time.Time) string {
	if s.unit != "bytes" || s.done == 0 {
		if s.total > 0 && s.unit != "bytes" && s.unit != "" {
			return fmt.Sprintf("%d/%d %s", s.done, s.total, s.unit)
		}
		return s.text
	}
	text := Bytes(s.done)
	if s.total > 0 {
		text += " of " + Bytes(s.total)
	}
	if d := now.Sub(s.since); d > time.Second {
		text += " · " + Bytes(int64(float64(s.done)/d.Seconds())) + "/s"
	}
	if s.text != "" {
		text += " · " + s.text
	}
	return text
}
