package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec/oci"
)

func newLock(d *door) *cobra.Command {
	var check, offline bool
	var update, forget []string
	cmd := &cobra.Command{
		Use:   "lock [PATH]",
		Short: "Write down what every reference, file and range stands for",
		Long: `Writes canvos.lock beside the manifest: a digest for every external reference
and local file, what ranges of versions stood for, and the facts of every image
line. Commit it: plans are made from it alone. What is in the lock already stays
as it is, until --update asks for news. A lock is whole or not written: with
--offline, what only a registry could answer is an error.

--update takes a pattern of references ("docker.io/acme/*", "*" for all),
"catalog" for what the catalog says now and what ranges stand for by it,
"recipe" for the newest rules of building, or "os:FAMILY" to run a family's OS
stage again for newer packages.`,
		Example: `  canvos lock
  canvos lock --check
  canvos lock --update 'docker.io/acme/*'
  canvos lock --forget 'docker.io/acme/ubuntu:k3s-*-demo'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; fail if the lock lacks something or is out of date")
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no registry")
	setting(cmd.Flags(), "offline")
	cmd.Flags().StringArrayVar(&update, "update", nil, "ask again for what matches `PATTERN` (may be repeated)")
	if err := cmd.RegisterFlagCompletionFunc("update", func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return completeUpdates(d, args), cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // the flag was just added
	}
	cmd.Flags().StringArrayVar(&forget, "forget", nil, "forget the facts of an image `LINE` (may be repeated)")
	tags := tagFlag(cmd)
	r := accessFlags(d, cmd)
	formats(d, cmd)
	cmd.MarkFlagsMutuallyExclusive("check", "update")
	cmd.MarkFlagsMutuallyExclusive("check", "forget")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := d.manifest(args, *tags)
		if err != nil {
			return err
		}
		if m.src.Stdin != nil {
			return fail(exitUsage, "name its directory or file", "a manifest from standard input has no lock beside it")
		}
		old, unread, err := m.readLock()
		if err != nil {
			return err
		}
		if unread != nil {
			return d.invalid([]*problem.Problem{unread}, m)
		}
		lk := old.Clone()
		for _, line := range forget {
			if !lk.Forget(line) {
				return fail(exitError, "lines are: "+strings.Join(linesOf(lk), ", "), "the lock knows no line %q", line)
			}
		}
		j, err := m.judge(lk)
		if err != nil {
			return err
		}
		if !j.OK() {
			return d.invalid(onlyErrors(j.Problems), m)
		}
		st, done, err := d.someStore(r)
		if err != nil {
			return err
		}
		defer done()
		src, err := d.sources(m, j.Manifest, st, r)
		if err != nil {
			return err
		}
		if check {
			_, ps := compile.Lower(j.Manifest, lk)
			ps = append(onlyErrors(ps), moved(cmd.Context(), src, j.Manifest, lk, r.jobs)...)
			if len(ps) == 0 {
				ps = unwritten(cmd.Context(), src, m, j.Manifest, lk, r.jobs)
			}
			if len(ps) > 0 {
				return d.invalid(problem.Sort(ps), m)
			}
			return view.LockChanges(d.out, d.outStyle(), d.format, m.shown(m.lockFile), nil, false)
		}
		if err := renew(lk, j, update); err != nil {
			return err
		}
		if ps, code := fillLock(cmd.Context(), src, j.Manifest, lk, offline, r.jobs); len(ps) > 0 {
			return d.ended(code, ps, m)
		}
		p, ps := compile.Lower(j.Manifest, lk)
		if ps = onlyErrors(ps); len(ps) > 0 {
			for _, p := range ps {
				if offline && p.Code == "CV0501" {
					p.Help = "canvos lock without --offline asks for it"
				}
			}
			return d.invalid(ps, m)
		}
		if err := refreshable(p, update); err != nil {
			return err
		}
		lk.Prune(compile.Used(j.Manifest, lk))
		changed, err := m.writeLock(lk)
		if err != nil {
			return err
		}
		return view.LockChanges(d.out, d.outStyle(), d.format, m.shown(m.lockFile), lock.Compare(old, lk), changed)
	}
	return cmd
}

// completeUpdates are what --update takes: the sources of the lock, and the
// families of the manifest.
func completeUpdates(d *door, args []string) []string {
	words := []string{"catalog", "recipe"}
	m, err := d.manifest(args, nil)
	if err != nil {
		return words
	}
	lk, _, err := m.readLock()
	if err != nil || lk == nil {
		return words
	}
	for key := range lk.Sources {
		if reference, platform := lock.SplitKey(key); platform != "" {
			words = append(words, reference)
		}
	}
	if j, err := m.judge(lk); err == nil && j.Manifest != nil {
		for _, f := range j.Manifest.Families {
			words = append(words, "os:"+f.Name)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func linesOf(lk *lock.File) []string {
	var lines []string
	for line := range lk.Facts {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// renew forgets what --update asks for, so that it is found out again.
func renew(lk *lock.File, j compile.Judged, patterns []string) error {
	for _, p := range patterns {
		family, isOS := strings.CutPrefix(p, "os:")
		switch {
		case p == "catalog":
			clear(lk.Catalog)
			clear(lk.Versions)
		case p == "recipe":
			lk.Recipe, lk.Format = plan.Recipe, plan.Format
		case isOS:
			if !slices.ContainsFunc(j.Manifest.Families, func(f compile.Family) bool { return f.Name == family }) {
				return fail(exitError, "", "the manifest has no family %q", family)
			}
			lk.Refresh[family]++
		default:
			n := 0
			for key := range lk.Sources {
				if reference, platform := lock.SplitKey(key); platform != "" && matches(p, reference) {
					delete(lk.Sources, key)
					n++
				}
			}
			if n == 0 {
				return fail(exitError, "canvos.lock lists them under sources", "no reference of the lock matches %q", p)
			}
		}
	}
	return nil
}

// refreshable refuses --update os:FAMILY where no command is run for the family's
// images: nothing would become newer.
func refreshable(p plan.Plan, patterns []string) error {
	for _, pattern := range patterns {
		family, isOS := strings.CutPrefix(pattern, "os:")
		if !isOS {
			continue
		}
		own := only(p, func(i plan.Image) bool { return i.Family == family })
		if !slices.ContainsFunc(own.Steps, func(s plan.Step) bool { return s.Op.Run != nil }) {
			return fail(exitError, "--update and the reference of its base image asks for a newer one", "family %q has no OS stage to run again: its base image is prepared already", family)
		}
	}
	return nil
}

// fillLock writes into a lock what it lacks. Local files and places are looked at
// again; what came from a registry stays. offline asks no registry. code is what
// the problems end a run with: the manifest is invalid, unless nothing but the
// network or registries failed.
func fillLock(ctx context.Context, src *oci.Sources, m *compile.Manifest, lk *lock.File, offline bool, jobs int) (ps []*problem.Problem, code int) {
	requests, ps := compile.Complete(m, lk)
	code = exitError
	if len(ps) > 0 {
		code = exitInvalid
	}
	for _, f := range resolve(ctx, src, requests, lk, offline, jobs) {
		if f.Err != nil {
			ps = append(ps, unresolved(f))
			if !outage(f.Err) {
				code = exitInvalid
			}
			continue
		}
		lk.SetSource(f.Reference, f.Platform, lock.Source{Digest: f.Digest, Size: f.Size})
	}
	return problem.Sort(ps), code
}

// moved are the references in local places that are not what the lock says.
func moved(ctx context.Context, src *oci.Sources, m *compile.Manifest, lk *lock.File, jobs int) []*problem.Problem {
	var ps []*problem.Problem
	for _, f := range resolve(ctx, src, compile.Requests(m, lk), lk, true, jobs) {
		was, ok := lk.Source(f.Reference, f.Platform)
		switch {
		case f.Err != nil:
			ps = append(ps, unresolved(f))
		case ok && was.Digest != f.Digest:
			p := problemAt("CV0502", fmt.Sprintf("the %s is not what the lock says: %s", f.what, f.Reference), f.at)
			p.Notes = []string{"recorded " + string(was.Digest), "found    " + string(f.Digest)}
			p.Help, p.Family = "run canvos lock", f.family
			ps = append(ps, p)
		}
	}
	return problem.Sort(ps)
}

// unwritten is what canvos lock would change of a lock by which plans can be made:
// above all entries that nothing needs any more.
func unwritten(ctx context.Context, src *oci.Sources, m *manifest, man *compile.Manifest, lk *lock.File, jobs int) []*problem.Problem {
	next := lk.Clone()
	if ps, _ := fillLock(ctx, src, man, next, true, jobs); len(ps) > 0 {
		return ps
	}
	next.Prune(compile.Used(man, next))
	changes := lock.Compare(lk, next)
	if len(changes) == 0 {
		return nil
	}
	p := problemAt("CV0502", "canvos lock would change "+view.Things(len(changes), "entry"), plan.Pos{File: m.shown(m.lockFile)})
	for _, c := range changes {
		deed := "change"
		switch {
		case c.Added():
			deed = "add"
		case c.Removed():
			deed = "drop"
		}
		p.Notes = append(p.Notes, deed+" "+c.Section+" "+c.Key)
	}
	p.Help = "run canvos lock"
	return []*problem.Problem{p}
}

// problemAt is a problem of a place in the manifest that the door itself found.
func problemAt(code, message string, at plan.Pos) *problem.Problem {
	e, _ := problem.Lookup(code)
	return &problem.Problem{Code: code, Severity: e.Severity, Message: message, At: at}
}
