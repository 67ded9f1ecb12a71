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
	return sandbox.Limits{Wall: 10 * time.Second, Memory: 1 << 30, Stack: 128 << 20, Answer: 256 << 20, Rate: 32 << 20}
}

// untrustedText are the bounds of its text.
func untrustedText() compile.Bounds {
	return compile.Bounds{Bytes: 1 << 20, Nodes: 200_000, Operators: 500}
}

// trustedFlag lets a person vouch for what is evaluated; an environment cannot.
func trustedFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("trusted", false, "evaluate manifests in this process, without limits of time and memory")
}

// evaluateApart evaluates one manifest in a process of its own, which sees the
// files of the manifest's module and nothing else. A manifest that takes more
// than it may is one with a problem that says so.
func (d *door) evaluateApart(ctx context.Context, files fs.FS, q evaluation) (policy.Manifest, error) {
	self, err := os.Executable()
	if err != nil {
		return policy.Manifest{}, fmt.Errorf("find canvos itself: %w", err)
	}
	q.Bounds = untrustedText()
	c := sandbox.Command{Path: self, Args: []string{os.Args[0], evaluateVerb}, Files: files, Limits: d.limits}
	var a evaluatedApart
	err = c.Run(ctx, q, &a)
	var stopped *sandbox.Error
	switch {
	case errors.As(err, &stopped):
		return policy.Manifest{Name: q.Name, Problems: []*problem.Problem{tooMuch(stopped, q)}}, nil
	case err != nil:
		return policy.Manifest{}, fmt.Errorf("evaluate %s: %w", q.Name, err)
	}
	return a.manifest()
}

// tooMuch is what a manifest could not be evaluated for, as its problem.
func tooMuch(e *sandbox.Error, q evaluation) *problem.Problem {
	p := problemAt("CV0010", "the manifest is not evaluated: "+e.Error(), plan.Pos{File: q.show(path.Join(q.Dir, q.File))})
	p.Help = "look for loops, products of disjunctions and values that double; --trusted evaluates it without limits"
	return p
}

// apart is what the child process does.
func apart() int {
	debug.SetGCPercent(400)
	return sandbox.Serve(os.Stdin, os.Stdout, func(files fs.FS, q evaluation) (evaluatedApart, error) {
		m := evaluate(files, q)
		var a evaluatedApart
		// A plan travels as JSON, which tells no steps from no plan.
		text, err := json.Marshal(m.Plan)
		m.Plan = plan.Plan{}
		a.Manifest, a.Plan = m, text
		return a, err
	})
}

// evaluatedApart is a manifest on its way out of the sandbox.
type evaluatedApart struct {
	Manifest policy.Manifest
	Plan     []byte
}

func (a evaluatedApart) manifest() (policy.Manifest, error) {
	m := a.Manifest
	if err := json.Unmarshal(a.Plan, &m.Plan); err != nil {
		return m, fmt.Errorf("read the plan of %s: %w", m.Name, err)
	}
	return m, nil
}
