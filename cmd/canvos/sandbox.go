package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/sandbox"
	"canvos.dev/compile"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
	"canvos.dev/compile/problem"
)

// evaluateVerb is how canvos calls itself to evaluate a manifest that it does not
// trust. It is no command: nobody types it.
const evaluateVerb = "__evaluate"

// untrusted are the limits of one manifest that is not trusted. An honest one of
// 1,000 families takes about a tenth of each.
func untrusted() sandbox.Limits {
	return sandbox.Limits{Wall: 10 * time.Second, Memory: 1 << 30, Stack: 128 << 20, Answer: 256 << 20, Rate: 32 << 20, Most: 30 * time.Second}
}

// untrustedTime is what all manifests and rules of one side may take together:
// enough for hundreds of honest ones.
const untrustedTime = time.Minute

// budget is time that pieces of work share.
type budget struct {
	mu    sync.Mutex
	all   time.Duration
	spent time.Duration
}

// take gives one piece of work what is left, at most what the limits say.
func (b *budget) take(l sandbox.Limits) sandbox.Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.all - b.spent
	l.Wall, l.Most = min(l.Wall, left), min(l.Most, left)
	return l
}

func (b *budget) spend(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent += d
}

// spentError says that there is no time left for one.
type spentError struct{ all time.Duration }

func (e *spentError) Error() string {
	return fmt.Sprintf("what is read with it takes longer than %v", e.all)
}

// within has a task done apart, in what is left of a budget.
func (d *door) within(ctx context.Context, b *budget, files fs.FS, q task) (answer, error) {
	l := b.take(d.limits)
	if l.Wall <= 0 {
		return answer{}, &spentError{b.all}
	}
	started := time.Now()
	a, err := d.apart(ctx, files, q, l)
	b.spend(time.Since(started))
	var stopped *sandbox.Error
	if errors.As(err, &stopped) && stopped.Cause == sandbox.Time && l.Wall < d.limits.Wall {
		err = &spentError{b.all}
	}
	return a, err
}

// stopped tells whether work was stopped before it had an answer.
func stopped(err error) bool {
	var beyond *sandbox.Error
	var spent *spentError
	return errors.As(err, &beyond) || errors.As(err, &spent)
}

// untrustedText are the bounds of its text.
func untrustedText() compile.Bounds {
	return compile.Bounds{Bytes: 1 << 20, Nodes: 200_000, Operators: 500}
}

// trustedFlag lets a person vouch for what is evaluated; an environment cannot.
func trustedFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("trusted", false, "evaluate manifests in this process, without limits of time and memory")
}

// task is what the child process is asked for: one of these.
type task struct {
	Evaluate *evaluation // a manifest
	Rules    *evaluation // the policies and waivers of a package
	Try      *trying     // policies, by themselves
	Judge    *judging    // a change
}

// answer is what it answers.
type answer struct {
	Manifest sentManifest
	Rules    ruleFile
	Problems []*problem.Problem
	Tried    tried
	Review   policy.Review
}

// apart has a task done in a process of its own, which sees files and nothing
// else. The error is a *sandbox.Error if the task takes more than it may.
func (d *door) apart(ctx context.Context, files fs.FS, q task, limits sandbox.Limits) (answer, error) {
	var a answer
	self, err := os.Executable()
	if err != nil {
		return a, fmt.Errorf("find canvos itself: %w", err)
	}
	c := sandbox.Command{Path: self, Args: []string{os.Args[0], evaluateVerb}, Files: files, Limits: limits}
	return a, c.Run(ctx, q, &a)
}

// serveApart is what the child process does.
func serveApart() int {
	debug.SetGCPercent(gcPercent)
	return sandbox.Serve(os.Stdin, os.Stdout, func(files fs.FS, q task) (a answer, err error) {
		switch {
		case q.Evaluate != nil:
			a.Manifest, err = send(evaluate(files, *q.Evaluate))
		case q.Rules != nil:
			a.Rules.Policies, a.Rules.Waivers, a.Problems = compile.LoadRules(q.Rules.source(files))
		case q.Try != nil:
			a.Tried = q.Try.try()
		case q.Judge != nil:
			a.Review, err = q.Judge.review()
		}
		return a, err
	})
}

// evaluateApart evaluates one manifest. One that takes more than it may is a
// manifest with a problem that says so.
func (d *door) evaluateApart(ctx context.Context, b *budget, files fs.FS, q evaluation) (policy.Manifest, error) {
	q.Bounds = untrustedText()
	a, err := d.within(ctx, b, files, task{Evaluate: &q})
	switch {
	case stopped(err):
		return policy.Manifest{Name: q.Name, Problems: []*problem.Problem{tooMuch(err, files, q)}}, nil
	case err != nil:
		return policy.Manifest{}, fmt.Errorf("evaluate %s: %w", q.Name, err)
	}
	return a.Manifest.receive()
}

// rulesApart reads the policies and waivers of a package.
func (d *door) rulesApart(ctx context.Context, b *budget, files fs.FS, q evaluation) (ruleFile, []*problem.Problem, error) {
	q.Bounds = untrustedText()
	a, err := d.within(ctx, b, files, task{Rules: &q})
	switch {
	case stopped(err):
		return ruleFile{}, []*problem.Problem{tooMuch(err, files, q)}, nil
	case err != nil:
		return ruleFile{}, nil, fmt.Errorf("evaluate %s: %w", q.Name, err)
	}
	return a.Rules, a.Problems, nil
}

// tooMuch is what could not be evaluated for, as a problem of it. It stands at a
// file, since nobody shows what stands at a directory.
func tooMuch(e error, files fs.FS, q evaluation) *problem.Problem {
	at := path.Join(q.Dir, q.File)
	if entries, err := fs.ReadDir(files, q.Dir); err == nil && q.File == "" {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".cue") {
				at = path.Join(q.Dir, e.Name())
				break
			}
		}
	}
	p := problemAt("CV0010", "it is not evaluated: "+e.Error(), plan.Pos{File: q.show(at)})
	p.Help = "look for loops, products of disjunctions and values that double; --trusted evaluates it without limits"
	return p
}

// sentManifest is a manifest on its way between two processes. Its plan travels
// as JSON, which tells no steps from no plan.
type sentManifest struct {
	Manifest policy.Manifest
	Plan     []byte
}

func send(m policy.Manifest) (sentManifest, error) {
	text, err := json.Marshal(m.Plan)
	m.Plan = plan.Plan{}
	return sentManifest{m, text}, err
}

func (s sentManifest) receive() (policy.Manifest, error) {
	m := s.Manifest
	if err := json.Unmarshal(s.Plan, &m.Plan); err != nil {
		return m, fmt.Errorf("read the plan of %s: %w", m.Name, err)
	}
	return m, nil
}
