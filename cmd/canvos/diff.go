package main

import (
	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/policy"
)

func newDiff(d *door) *cobra.Command {
	var shape string
	var detailed bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "What a change does to images",
		Long: `Compares what two manifests stand for: families that come, go or are renamed;
images that are added, removed, rebuilt and why, or only tagged otherwise. What
makes no image another has no effect: comments, order, where a value is written.

A and B are directories (all manifests in them), manifests, saved plans, or
revisions: REV, REV:PATH. Nothing is judged; canvos review does.`,
		Example: `  canvos diff HEAD~1 .
  canvos diff main:edge/images.cue edge/images.cue
  canvos diff old.plan.json new.plan.json -o json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeManifests,
	}
	choose(cmd, &shape, "view", "", "how much is shown:", "short", "full")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there is an effect")
	setting(cmd.Flags(), "view")
	trusted := trustedFlag(cmd)
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		base, err := d.sideNamed(cmd.Context(), args[0], *tags)
		if err != nil {
			return err
		}
		defer base.close()
		head, err := d.sideNamed(cmd.Context(), args[1], *tags)
		if err != nil {
			return err
		}
		defer head.close()
		if err := both(base, head); err != nil {
			return err
		}
		for _, s := range []*side{base, head} {
			if s.plan == nil && len(s.places) == 0 {
				return fail(exitError, "", "no manifest in %s", s.Name)
			}
		}
		alike(base, head)
		b, h, err := d.evaluated(cmd.Context(), base, head, *trusted)
		if err != nil {
			return err
		}
		if ps := invalidSide(h); len(ps) > 0 {
			return d.invalid(ps)
		}
		r := policy.Effect(policy.Compare(b, h))
		if d.format == view.JSON {
			err = view.ReviewJSON(d.out, r)
		} else {
			view.ShowEffect(d.out, d.outStyle(), r, shape == "full")
		}
		if err == nil && detailed && len(r.Changes) > 0 {
			err = told(exitChanges)
		}
		return err
	}
	return cmd
}

// alike gives two manifests that are compared with each other one name.
func alike(base, head *side) {
	if len(base.places) == 1 && len(head.places) == 1 {
		base.places[0].ask.Name = head.places[0].ask.Name
	}
}
