package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec/oci"
)

func newList(d *door) *cobra.Command {
	var published bool
	var to string
	cmd := &cobra.Command{
		Use:   "list [PATH...]",
		Short: "The images a manifest stands for",
		Long: `Lists the images that manifests stand for, with family, platforms and facts,
sorted by reference. Ranges of versions stand for what the lock says, or without
an entry for what the catalog has. No network is used, unless --published asks
what the registries have under each reference, and whether another tool has
changed it since.`,
		Example: `  canvos list
  canvos list -o json | jq -r '.images[].reference'`,
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().BoolVar(&published, "published", false, "ask what is published under each reference")
	cmd.Flags().StringVar(&to, "to", "", "with --published, look into a layout, `oci:DIR`, instead of registries")
	r := accessFlags(d, cmd)
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
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
		if !published {
			return view.List(d.out, d.outStyle(), d.format, images, nil)
		}
		for i, j := range judged {
			w, err := wayOf(ms[i], j.Manifest.Build)
			if err != nil {
				return err
			}
			r.way = r.way.and(w)
		}
		states, err := d.published(cmd.Context(), images, to, r)
		if err != nil {
			return err
		}
		return view.List(d.out, d.outStyle(), d.format, images, states)
	}
	return cmd
}

// published asks what is there under the references of images.
func (d *door) published(ctx context.Context, images []plan.Image, to string, r *access) ([]view.Published, error) {
	st, done, err := d.someStore(r)
	if err != nil {
		return nil, err
	}
	defer done()
	t, _, err := d.target(to, false, st, r)
	if err != nil {
		return nil, err
	}
	var references []string
	for _, i := range images {
		references = append(references, i.Reference)
	}
	found, err := oci.PublishedAs(ctx, t, references, max(r.jobs, 8))
	if err != nil {
		return nil, advised(err)
	}
	states := []view.Published{}
	for _, p := range found {
		states = append(states, view.Published(p))
	}
	return states, nil
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
