package main

import (
	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/problem"
)

func newVet(d *door) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "vet [PATH...]",
		Short: "Every problem of a manifest, with places and fixes",
		Long: `Checks manifests: the schema, the catalog of the CanvOS release, what options
go together, and that no two images have one reference. Nothing is built and no
network is used.

PATH is a directory (default "."), a CUE file, which stands for its package,
DIR/... for every manifest below, or - for standard input.`,
		Example: `  canvos vet
  canvos vet ./... --strict
  canvos vet -o json images.cue`,
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings count as errors")
	setting(cmd.Flags(), "strict")
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ms, err := d.manifests(args, *tags)
		if err != nil {
			return err
		}
		judged, tally, err := judgeAll(ms)
		if err != nil {
			return err
		}
		ps := problemsOf(judged)
		if d.format == view.JSON {
			err = view.ProblemsJSON(d.out, ps)
		} else {
			view.Problems(d.out, d.outStyle(), ps, d.lines(ms...))
			view.Verdict(d.out, d.outStyle(), tally, ps)
		}
		if err != nil {
			return err
		}
		if errors, warnings := view.Count(ps); errors > 0 || strict && warnings > 0 {
			return told(exitInvalid)
		}
		return nil
	}
	return cmd
}

// judgeAll judges manifests, each with its lock if it has one.
func judgeAll(ms []*manifest) ([]compile.Judged, view.Tally, error) {
	var all []compile.Judged
	var tally view.Tally
	for _, m := range ms {
		lk, unread, err := m.readLock()
		if err != nil {
			return nil, tally, err
		}
		j, err := m.judge(lk)
		if err != nil {
			return nil, tally, err
		}
		if unread != nil {
			j.Problems = append(j.Problems, unread)
		}
		all = append(all, j)
		tally.Manifests = append(tally.Manifests, m.name)
		if j.Manifest != nil {
			tally.Families += len(j.Manifest.Families)
		}
		tally.Images += len(j.Images)
	}
	return all, tally, nil
}

// problemsOf are those of manifests, and those between them.
func problemsOf(judged []compile.Judged) []*problem.Problem {
	var ps []*problem.Problem
	var sets [][]compile.Image
	for _, j := range judged {
		ps = append(ps, j.Problems...)
		sets = append(sets, j.Images)
	}
	if len(sets) > 1 {
		ps = append(ps, compile.Collisions(sets)...)
	}
	return problem.Sort(ps)
}
