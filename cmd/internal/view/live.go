package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
)

// live keeps a region at the bottom of a terminal: a line for each step that
// goes on, one for the whole. What has ended scrolls away above it.
type live struct {
	mu    sync.Mutex
	w     io.Writer
	s     Style
	run   run
	jobs  int
	drawn int // lines of the region on the screen
	last  time.Time
}

// frame is how long a picture stays: faster cannot be read.
const frame = 100 * time.Millisecond

// most is how many steps the region shows.
const most = 8

func (l *live) Event(e exec.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := indentRest(safeText(e.Text))
	e = safe(e)
	l.run.take(e)
	switch e.Kind {
	case exec.ImageDone:
		l.say(fmt.Sprintf(" %s %s  %s", l.s.paint("✔", green), e.Name, l.s.paint(short(plan.Digest(e.Text)), faint)))
	case exec.ImageFailed:
		l.say(fmt.Sprintf(" %s %s  %s", l.s.paint("✘", red), e.Name, text))
	case exec.StepFailed:
		l.say(fmt.Sprintf(" %s %s  %s", l.s.paint("✘", red), l.run.name(e), text))
	case exec.Retry:
		l.say(fmt.Sprintf(" %s %s  %s", l.s.paint("↻", yellow), l.run.name(e), e.Text))
	default:
		if e.Time.Sub(l.last) < frame {
			return
		}
	}
	l.draw()
}

func (l *live) Tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run.begun.IsZero() || now.Sub(l.last) < frame {
		return
	}
	l.run.now = now
	l.draw()
}

func (l *live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
}

// say writes a line that stays, above the region.
func (l *live) say(text string) {
	l.erase()
	fmt.Fprintln(l.w, text)
}

func (l *live) erase() {
	if l.drawn > 0 {
		fmt.Fprintf(l.w, "\x1b[%dA\x1b[J", l.drawn)
		l.drawn = 0
	}
}

// draw replaces the region in one write, so that it does not flicker.
func (l *live) draw() {
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	width := l.s.Width
	if width < 40 {
		width = 80
	}
	lines := l.lines(width)
	for _, line := range lines {
		b.WriteString("\x1b[2K" + line + "\n")
	}
	b.WriteString("\x1b[J")
	l.drawn = len(lines)
	l.last = l.run.now
	_, _ = io.WriteString(l.w, b.String())
}

func (l *live) lines(width int) []string {
	names := 0
	for _, s := range l.run.active {
		names = max(names, utf8.RuneCountInString(s.name))
	}
	names = min(names, width/2-4)
	var lines []string
	for i, s := range l.run.active {
		if i == most {
			lines = append(lines, fmt.Sprintf(" … and %d more", len(l.run.active)-most))
			break
		}
		name := pad(cut(s.name, names), names)
		room := width - names - 4
		text := ""
		if s.total > 0 && room > 50 {
			const cells = 23
			text = bar(s.done, s.total, cells) + "  "
			room -= cells + 2
		}
		lines = append(lines, " "+name+"  "+l.s.paint(text, cyan)+cut(s.amount(l.run.now), room))
	}
	parts := []string{
		fmt.Sprintf("%d/%s", l.run.done, count(l.run.images, "image")),
		fmt.Sprintf("%d running", len(l.run.active)),
		clock(l.run.now.Sub(l.run.begun)),
	}
	if left := l.run.left(); left > 0 {
		parts = append(parts, "about "+clock(left)+" left")
	}
	if l.jobs > 0 {
		parts = append(parts, fmt.Sprintf("jobs %d", l.jobs))
	}
	parts = append(parts, "Ctrl-C stops cleanly")
	return append(lines, l.s.paint(cut(" "+strings.Join(parts, " · "), width-1), faint))
}

// clock is a time that is redrawn: whole seconds do not flicker.
func clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0f s", d.Truncate(time.Second).Seconds())
	}
	return Duration(d)
}

func bar(done, total int64, cells int) string {
	full := int(min(done, total) * int64(cells) / max(total, 1))
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// cut shortens text in the middle, since both ends of a reference matter.
func cut(text string, width int) string {
	r := []rune(text)
	if len(r) <= width || width < 5 {
		return text
	}
	head := (width - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(width-1-head):])
}

// short is a digest as people compare it.
func short(d plan.Digest) string {
	alg, hex, ok := strings.Cut(string(d), ":")
	if !ok || len(hex) < 16 {
		return string(d)
	}
	return alg + ":" + hex[:12]
}
