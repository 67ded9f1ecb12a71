package main

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/store"
)

// consentFlags are what a person allows beyond the manifest. They have no
// variables: an environment must not say yes.
type consentFlags struct{ replace, adopt []string }

func addConsentFlags(cmd *cobra.Command) *consentFlags {
	c := &consentFlags{}
	cmd.Flags().StringArrayVar(&c.replace, "replace", nil, "replace what is published under references that match `PATTERN` (may be repeated)")
	cmd.Flags().StringArrayVar(&c.adopt, "adopt", nil, "take over images that canvos did not publish, under references that match `PATTERN` (may be repeated)")
	return c
}

func (c *consentFlags) consent() oci.Consent {
	return oci.Consent{
		Replace: func(ref string) bool { return matchesAny(c.replace, ref) },
		Adopt:   func(ref string) bool { return matchesAny(c.adopt, ref) },
	}
}

func newPlan(d *door) *cobra.Command {
	var to, out, shape string
	var detailed bool
	var targets []string
	cmd := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "What would be done, why, and what it costs",
		Long: `Shows for each image of a manifest what apply would do: build it, leave it as it
is, replace it, or refuse; and how many bytes would be read, sent and stored. It
changes nothing. With --offline nothing is compared.

With -o json it is the same on every machine, but for what was observed: actions,
what is published, and bytes, which depend on what the store has. The digest
covers none of these.

PATTERN is a reference, or what follows its registry; * stands for anything.`,
		Example: `  canvos plan images.cue
  canvos plan --offline -o json
  canvos plan --target 'ubuntu:*palette-learn' --out change.plan.json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().StringVar(&to, "to", "", "compare with a layout, `oci:DIR`, instead of registries")
	cmd.Flags().StringVar(&out, "out", "", "save the plan to `FILE`, for canvos apply FILE")
	targetFlag(d, cmd, &targets)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there is something to do")
	choose(cmd, &shape, "view", "", "how much is shown:", "short", "full")
	setting(cmd.Flags(), "view")
	consent := addConsentFlags(cmd)
	l := addLockFlags(cmd)
	r := accessFlags(d, cmd)
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		st, done, err := d.someStore(r)
		if err != nil {
			return err
		}
		defer done()
		m, err := d.manifest(args, *tags)
		if err != nil {
			return err
		}
		c, err := d.compile(cmd.Context(), m, l, st, r)
		if err != nil {
			return err
		}
		p, err := selected(c.plan, targets)
		if err != nil {
			return err
		}
		t, shown, err := d.target(to, l.offline, st, r)
		if err != nil {
			return err
		}
		v, err := d.decided(cmd.Context(), c, p, t, shown, consent.consent(), len(targets) == 0, st, r)
		if err != nil {
			return err
		}
		if err := d.cost(cmd.Context(), c.sources, t, &v); err != nil {
			return err
		}
		v.Exit = planExit(v, detailed)
		var cannot []*problem.Problem
		if err := (&oci.Engine{}).Check(p); err != nil {
			cannot = problemsOfChecks(err)
		}
		v.Problems = problem.Sort(append(v.Problems, m.problemsInModule(cannot)...))
		if out != "" {
			if v.Saved, err = d.saved(c, out, to); err != nil {
				return err
			}
			if err := d.savePlan(out, v); err != nil {
				return err
			}
		}
		if d.format == view.JSON {
			err = view.PlanJSON(d.out, v)
		} else {
			view.ShowPlan(d.out, d.outStyle(), v, shape == "full")
			d.warn(cannot, m)
		}
		if err == nil && v.Exit != exitDone {
			err = told(v.Exit)
		}
		return err
	}
	return cmd
}

// targetFlag adds --target, which the shell completes with the references of the
// manifest that is named already, or of the one here.
func targetFlag(d *door, cmd *cobra.Command, targets *[]string) {
	cmd.Flags().StringArrayVar(targets, "target", nil, "only images that match `PATTERN` (may be repeated)")
	err := cmd.RegisterFlagCompletionFunc("target", func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return completeReferences(d, args), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag was just added
	}
}

// selected are the images of a plan that --target names.
func selected(p plan.Plan, patterns []string) (plan.Plan, error) {
	if len(patterns) == 0 {
		return p, nil
	}
	for _, pattern := range patterns {
		if len(only(p, func(i plan.Image) bool { return matches(pattern, i.Reference) }).Images) == 0 {
			return p, fail(exitError, "canvos list shows all references", "no image matches %q", pattern)
		}
	}
	p = only(p, func(i plan.Image) bool { return matchesAny(patterns, i.Reference) })
	return p, p.Seal()
}

// decided compares a plan with where its images are published; with nothing if t is
// nil.
func (d *door) decided(ctx context.Context, c *compiled, p plan.Plan, t image.Target, shown string, consent oci.Consent, withKept bool, st *store.Store, r *access) (view.Plan, error) {
	v := view.Plan{Plan: p, Manifest: c.manifest.name, InModule: c.manifest.placeInModule, Problems: c.manifest.problemsInModule(c.warnings)}
	if !r.forgetful {
		v.Free = st.Free()
	}
	var ds []oci.Decision
	var err error
	if t == nil {
		for _, i := range p.Images {
			ds = append(ds, oci.Decision{Image: i, Action: oci.Build, Reason: "not compared (--offline)"})
		}
	} else if ds, err = oci.Decide(ctx, p, oci.Comparison{
		Target: t, Store: st, Declared: oci.DeclaredBy(c.plan), Consent: consent, Jobs: max(r.jobs, 8), Root: c.sources.Root,
	}); err != nil {
		return v, advised(err)
	}
	if withKept && t != nil {
		declared := func(ref string) bool {
			return slices.ContainsFunc(c.plan.Images, func(i plan.Image) bool { return i.Reference == ref })
		}
		kept, err := oci.KeptOf(ctx, t, linesOf(c.lock), declared)
		if err != nil {
			for _, e := range flat(err) { // lines of the lock may lie in registries of old
				view.Note(d.err, d.errStyle(), e.Error())
			}
		}
		ds = append(ds, kept...)
	}
	v.Target = shown
	v.Decisions = decisionsOf(ds)
	return v, nil
}

// cost adds what a plan would cost. It is asked for when somebody will look at it:
// apply does not need to know.
func (d *door) cost(ctx context.Context, src *oci.Sources, t image.Target, v *view.Plan) error {
	var ds []oci.Decision
	for _, one := range v.Decisions {
		ds = append(ds, oci.Decision{Image: one.Image, Action: oci.Action(one.Action)})
	}
	e, err := src.Estimate(ctx, t, v.Plan, ds)
	if err != nil {
		return advised(err)
	}
	v.Costs = view.Costs{Download: e.Download, Upload: e.Upload, Store: e.Store, Exact: e.Exact}
	v.There = e.There
	return nil
}

// planExit is 4 if something is refused, and 2 if there is something to do and
// somebody asked for that.
func planExit(v view.Plan, detailed bool) int {
	code := exitDone
	for _, one := range v.Decisions {
		switch one.Action {
		case view.Refused:
			return exitRefused
		case view.Build, view.Replace:
			if detailed {
				code = exitChanges
			}
		}
	}
	return code
}

// problemsOfChecks are what an engine cannot do, as problems of the manifest.
func problemsOfChecks(err error) []*problem.Problem {
	var ps []*problem.Problem
	for _, e := range flat(err) {
		var c *exec.CheckError
		if !errors.As(e, &c) {
			continue
		}
		p := problemAt(c.Code, c.Reason, c.Step.At)
		p.Help = c.Help
		ps = append(ps, p)
	}
	return problem.Sort(ps)
}

// flat is the errors that an error joins.
func flat(err error) []error {
	var many *multierror.Error
	if errors.As(err, &many) {
		return many.Errors
	}
	return []error{err}
}
