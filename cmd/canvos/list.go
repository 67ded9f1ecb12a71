package main

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

func newList(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [PATH...]",
		Short: "The images a manifest stands for",
		Long: `Lists the images that manifests stand for, with family, platforms and facts,
sorted by reference. No network is used; ranges of versions stand for what the
lock says, or without an entry for what the catalog has.`,
		Example: `  canvos list
  canvos list -o json | jq -r '.images[].reference'`,
		ValidArgsFunction: completeManifests,
	}
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ms, err := d.manifests(args, *tags)
		if err != nil {
			return err
		}
		judged, _, err := judgeAll(ms)
		if err != nil {
			return err
		}
		ps := problemsOf(judged)
		if errors, _ := view.Count(ps); errors > 0 {
			return d.invalid(onlyErrors(ps), ms...)
		}
		var images []plan.Image
		for _, j := range judged {
			for _, i := range j.Images {
				images = append(images, planned(i))
			}
		}
		slices.SortFunc(images, func(a, b plan.Image) int { return cmp.Compare(a.Reference, b.Reference) })
		return view.List(d.out, d.outStyle(), d.format, images)
	}
	return cmd
}

// planned is an image as plans have it, without how it is made.
func planned(i compile.Image) plan.Image {
	return plan.Image{
		Reference: i.Reference, Line: i.Line, Family: i.Family.Name, KubernetesVersion: i.Version,
		Platforms: i.Platforms, Facts: i.Facts, Publish: i.Publish, At: i.At,
	}
}

func onlyErrors(ps []*problem.Problem) []*problem.Problem {
	return slices.DeleteFunc(slices.Clone(ps), func(p *problem.Problem) bool { return p.Severity != problem.Error })
}
