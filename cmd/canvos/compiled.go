package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/store"
)

// lockFlags are how a run treats its lock.
type lockFlags struct {
	locked, offline bool
	file            string
}

func addLockFlags(cmd *cobra.Command) *lockFlags {
	l := &lockFlags{}
	cmd.Flags().BoolVar(&l.locked, "locked", false, "a lock that lacks something or is out of date is an error (also when CI is set)")
	cmd.Flags().BoolVar(&l.offline, "offline", false, "ask no registry")
	cmd.Flags().StringVar(&l.file, "lock", "", "the lock `FILE` of a manifest from standard input")
	setting(cmd.Flags(), "locked", "offline")
	return l
}

// compiled is a manifest on its way to be carried out.
type compiled struct {
	manifest *manifest
	judged   compile.Judged
	plan     plan.Plan
	sources  *oci.Sources
	lock     *lock.File // complete
	warnings []*problem.Problem
}

// compile makes the plan of a manifest. Warnings go to standard error, unless a
// machine will read them in the result; what is wrong ends the run. A lock that lacks something is completed for this run
// alone, unless that is not wanted.
func (d *door) compile(ctx context.Context, m *manifest, l *lockFlags, st *store.Store, r *access) (*compiled, error) {
	if err := d.nameLock(m, l.file); err != nil {
		return nil, err
	}
	old, unread, err := m.readLock()
	if err != nil {
		return nil, err
	}
	if unread != nil {
		return nil, d.invalid([]*problem.Problem{unread}, m)
	}
	lk := old.Clone()
	j, err := m.judge(lk)
	if err != nil {
		return nil, err
	}
	if !j.OK() {
		return nil, d.invalid(onlyErrors(j.Problems), m)
	}
	src, err := d.sources(m, j.Manifest, st, r)
	if err != nil {
		return nil, err
	}
	var ps []*problem.Problem
	if l.locked || d.ci() {
		ps = moved(ctx, src, j.Manifest, lk, r.jobs)
	} else {
		if ps, code := fillLock(ctx, src, j.Manifest, lk, l.offline, r.jobs); len(ps) > 0 {
			return nil, d.ended(code, ps, m)
		}
		if n := len(needed(lock.Compare(old, lk))); n > 0 {
			view.LockCompleted(d.err, d.errStyle(), m.shown(m.lockFile), old == nil, n)
		}
	}
	p, lowered := compile.Lower(j.Manifest, lk)
	ps = problem.Sort(append(ps, lowered...))
	if errors, _ := view.Count(ps); errors > 0 {
		return nil, d.invalid(onlyErrors(ps), m)
	}
	warnings := problem.Sort(append(slices.Clone(j.Problems), ps...))
	if d.format != view.JSON {
		d.warn(warnings, m)
	}
	return &compiled{m, j, p, src, lk, warnings}, nil
}

// asked is where the manifest asks for an input, by its reference.
func (c *compiled) asked() map[string]plan.Pos {
	asked := map[string]plan.Pos{}
	for _, q := range compile.Requests(c.judged.Manifest, c.lock) {
		asked[q.Reference] = q.At
	}
	return asked
}

// nameLock gives a manifest the lock that --lock names, which has to be there:
// plans by another lock than the one that was meant are other plans.
func (d *door) nameLock(m *manifest, file string) error {
	if file == "" {
		return nil
	}
	m.lockFile = d.absolute(file)
	if _, err := os.Stat(m.lockFile); errors.Is(err, fs.ErrNotExist) {
		return fail(exitError, "canvos lock writes one beside a manifest; leave --lock out to go without", "there is no lock %s", file)
	}
	return nil
}

// needed are changes that a plan depends on: what a lock merely keeps is none.
func needed(changes []lock.Change) []lock.Change {
	return slices.DeleteFunc(changes, func(c lock.Change) bool { return c.Removed() })
}

// only is a plan without the images that keep refuses.
func only(p plan.Plan, keep func(plan.Image) bool) plan.Plan {
	steps := map[plan.Digest]plan.Step{}
	for _, s := range p.Steps {
		steps[s.ID] = s
	}
	needed := map[plan.Digest]bool{}
	var need func(plan.Digest)
	need = func(id plan.Digest) {
		if needed[id] {
			return
		}
		needed[id] = true
		for _, n := range steps[id].Needs {
			need(n)
		}
	}
	out := p
	out.Images, out.Steps = []plan.Image{}, []plan.Step{}
	for _, i := range p.Images {
		if keep(i) {
			out.Images = append(out.Images, i)
			need(i.Step)
		}
	}
	for _, s := range p.Steps {
		if needed[s.ID] {
			out.Steps = append(out.Steps, s)
		}
	}
	return out
}
