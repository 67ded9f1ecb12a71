package view

import (
	"fmt"
	"io"
	"sync"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
)

// plain writes a line when something has ended, and now and then one for what
// takes long: what a log wants.
type plain struct {
	mu   sync.Mutex
	w    io.Writer
	s    Style
	run  run
	said map[plan.Digest]time.Time
}

// every is how often a long step says how far it is.
const every = 10 * time.Second

func (p *plain) Event(e exec.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := indentRest(safeText(e.Text))
	e = safe(e)
	s := p.run.take(e)
	switch e.Kind {
	case exec.StepDone:
		detail := ""
		if s != nil {
			if s.unit == "bytes" && s.done > 0 {
				detail = " · " + Bytes(s.done)
			}
			detail += " · " + Duration(e.Time.Sub(s.since))
		}
		p.line("done", p.run.name(e)+detail)
	case exec.StepCached:
		p.line("cached", p.run.name(e))
	case exec.StepFailed:
		p.line("failed", p.run.name(e)+": "+text)
	case exec.StepLog:
		p.line("log", p.run.name(e)+": "+e.Text)
	case exec.Retry:
		p.line("retry", p.run.name(e)+": "+e.Text)
	case exec.ImageDone:
		p.line("image", fmt.Sprintf("%s %s (%d of %d)", e.Name, e.Text, p.run.done, p.run.images))
	case exec.ImageFailed:
		p.line("image", fmt.Sprintf("%s failed: %s", e.Name, text))
	case exec.StepProgress:
		p.long(e.Time)
	}
}

func (p *plain) Tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.long(now)
}

func (p *plain) Close() {}

// long says how far steps are that have not been heard of for a while.
func (p *plain) long(now time.Time) {
	for _, s := range p.run.active {
		last := s.since
		if t, ok := p.said[s.id]; ok {
			last = t
		}
		if now.Sub(last) >= every {
			p.said[s.id] = now
			p.line("...", s.name+" · "+s.amount(now))
		}
	}
}

func (p *plain) line(word, text string) {
	fmt.Fprintf(p.w, "%s  %s\n", pad(word, len("cached")), text)
}
