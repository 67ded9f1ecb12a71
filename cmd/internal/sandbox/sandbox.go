// Package sandbox runs work on untrusted input in a process of its own: with an
// empty environment, limits of time, memory and stack, and no file or connection
// but a file tree that the caller serves. It knows nothing of the work.
//
// A program that uses it starts itself: Command.Run in the parent, Serve in the
// child.
package sandbox

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// Limits are the most that the work may take. All must be set.
type Limits struct {
	Wall   time.Duration // from start to answer
	Memory int64         // bytes of the heap
	Stack  int           // bytes of one goroutine's stack
	Answer int64         // bytes that the child may send in all
	// Rate is how many bytes of files prolong Wall by a second: to hash large
	// files takes its time, however simple the rest. Most is the end of that.
	Rate int64
	Most time.Duration
}

// wall is how long work may take that has read so many bytes.
func (l Limits) wall(read int64) time.Duration {
	more := time.Duration(float64(read) / float64(l.Rate) * float64(time.Second))
	return max(l.Wall, min(l.Wall+more, l.Most))
}

// Command is a program that calls Serve, and what it may use.
type Command struct {
	Path   string   // of the program
	Args   []string // beginning with its name
	Files  fs.FS    // all that it can read
	Limits Limits
}

// Cause says which limit the work met.
type Cause string

const (
	Time    Cause = "time"
	Memory  Cause = "memory"
	Stack   Cause = "stack"
	Answer  Cause = "answer"
	Crashed Cause = "crash" // of itself, at no limit
)

// Error says that the work was stopped before it had an answer.
type Error struct {
	Cause  Cause
	Limits Limits // Wall is how long it took
	Detail string // of a crash: its first line
}

func (e *Error) Error() string {
	switch e.Cause {
	case Time:
		return fmt.Sprintf("it takes longer than %v", e.Limits.Wall)
	case Memory:
		return fmt.Sprintf("it needs more than %d MiB of memory", e.Limits.Memory>>20)
	case Stack:
		return "it is nested too deeply"
	case Answer:
		return fmt.Sprintf("it is more than %d MiB when written out", e.Limits.Answer>>20)
	}
	return "it ended the evaluator: " + e.Detail
}

// Run starts the program, gives it in, and waits for out: a pointer, as for gob.
// It returns an *Error if the work was stopped, the work's own error as text if
// it failed, and ctx's if that ended first.
func (c Command) Run(ctx context.Context, in, out any) error {
	cmd := exec.CommandContext(ctx, c.Path)
	cmd.Args = c.Args
	cmd.Env = []string{} // nil would be ours
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start a sandbox: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start a sandbox: %w", err)
	}
	said := &beginning{room: 4 << 10}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a sandbox: %w", err)
	}
	var late atomic.Bool
	timer := time.AfterFunc(c.Limits.Wall, func() {
		late.Store(true)
		cmd.Process.Kill() // one that ended meanwhile needs none
	})
	defer timer.Stop()

	h := &host{files: c.Files, open: map[int]fs.File{}}
	defer h.close()
	started := time.Now()
	h.served = func(total int64) { timer.Reset(time.Until(started.Add(c.Limits.wall(total)))) }
	limited := &io.LimitedReader{R: stdout, N: c.Limits.Answer}
	failed, talk := converse(stdin, limited, h, c.Limits, in, out)
	if talk != nil {
		cmd.Process.Kill() // it may be waiting for an answer
	}
	stdin.Close()
	io.Copy(io.Discard, stdout)
	ended := cmd.Wait()

	switch {
	case talk == nil && failed != "":
		return errors.New(failed)
	case talk == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case late.Load():
		limits := c.Limits
		if limits.Wall = limits.wall(h.total); limits.Wall > time.Second {
			limits.Wall = limits.Wall.Truncate(time.Second)
		}
		return &Error{Cause: Time, Limits: limits}
	case limited.N <= 0:
		return &Error{Cause: Answer, Limits: c.Limits}
	}
	return c.diagnose(ended, said.kept.String(), talk)
}

// converse gives the child its work and answers what it asks, until it has done.
// failed is the work's own error.
func converse(to io.Writer, from io.Reader, h *host, limits Limits, in, out any) (failed string, err error) {
	enc, dec := gob.NewEncoder(to), gob.NewDecoder(from)
	if err := enc.Encode(limits); err != nil {
		return "", err
	}
	if err := enc.Encode(in); err != nil {
		return "", err
	}
	for {
		var q message
		if err := dec.Decode(&q); err != nil {
			return "", err
		}
		switch {
		case q.Op == opDone && q.Failed != "":
			return q.Failed, nil
		case q.Op == opDone:
			return "", dec.Decode(out)
		}
		if err := enc.Encode(h.answer(q)); err != nil {
			return "", err
		}
	}
}

// diagnose tells from how a child ended why it did.
func (c Command) diagnose(ended error, said string, talk error) error {
	e := &Error{Cause: Crashed, Limits: c.Limits, Detail: firstLine(said)}
	var exit *exec.ExitError
	switch {
	case errors.As(ended, &exit) && exit.ExitCode() == exitMemory,
		strings.Contains(said, "out of memory"), strings.Contains(said, "cannot allocate memory"):
		e.Cause = Memory
	case strings.Contains(said, "stack exceeds"), strings.Contains(said, "stack overflow"):
		e.Cause = Stack
	case strings.Contains(said, "SIGXCPU"):
		e.Cause = Time
	case e.Detail == "" && ended != nil:
		e.Detail = ended.Error()
	case e.Detail == "":
		e.Detail = talk.Error()
	}
	return e
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// beginning keeps the first bytes that are written to it.
type beginning struct {
	kept bytes.Buffer
	room int
}

func (b *beginning) Write(p []byte) (int, error) {
	n := min(b.room, len(p))
	b.room -= n
	b.kept.Write(p[:n])
	return len(p), nil
}
