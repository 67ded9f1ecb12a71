package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/catalog"
)

func newCatalog(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "CanvOS releases, their Kubernetes versions, and what differs",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return view.Releases(d.out, d.outStyle(), d.format, catalog.Entries())
		},
	}
	formats(d, cmd)
	cmd.AddCommand(newCatalogShow(d), newCatalogFind(d), newCatalogDiff(d))
	return cmd
}

func newCatalogShow(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show RELEASE [DISTRIBUTION...]",
		Short:   "The Kubernetes versions of a release",
		Example: "  canvos catalog show v4.4.12 k3s",
		Args:    cobra.MinimumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return completeReleases()
			}
			r, err := release(args[0])
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return r.Distributions(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := release(args[0])
			if err != nil {
				return err
			}
			distributions := r.Distributions()
			if wanted := args[1:]; len(wanted) > 0 {
				for _, w := range wanted {
					if !slices.Contains(distributions, w) {
						return fail(exitError, "", "CanvOS %s has no distribution %q (it has %s)", r.Tag, w, strings.Join(distributions, ", "))
					}
				}
				distributions = wanted
			}
			return view.Release(d.out, d.outStyle(), d.format, r, distributions)
		},
	}
	formats(d, cmd)
	return cmd
}

func newCatalogFind(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "find DISTRIBUTION VERSION",
		Short:   "The releases that have a Kubernetes version",
		Example: "  canvos catalog find k3s 1.32.3",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			releases := catalog.Having(args[0], strings.TrimPrefix(args[1], "v"))
			if len(releases) == 0 && d.format == view.Text {
				return fail(exitError, "canvos catalog show RELEASE lists what one has", "no release has %s %s", args[0], args[1])
			}
			return view.Having(d.out, d.outStyle(), d.format, args[0], args[1], releases)
		},
	}
	formats(d, cmd)
	return cmd
}

func newCatalogDiff(d *door) *cobra.Command {
	var distributions []string
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "What changes from one release to another",
		Example: `  canvos catalog diff v4.4.12 v4.6.21
  canvos catalog diff v4.4.12 v4.6.21 --distribution k3s`,
		Args: cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) < 2 {
				return completeReleases()
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := release(args[0])
			if err != nil {
				return err
			}
			after, err := release(args[1])
			if err != nil {
				return err
			}
			changes := catalog.Diff(before, after)
			if len(distributions) > 0 {
				changes = slices.DeleteFunc(changes, func(c catalog.Change) bool { return !concerns(c, distributions) })
			}
			return view.CatalogDiff(d.out, d.outStyle(), d.format, before.Tag, after.Tag, changes)
		},
	}
	cmd.Flags().StringSliceVar(&distributions, "distribution", nil, "show Kubernetes versions and providers of these `distributions` only")
	formats(d, cmd)
	return cmd
}

// concerns reports whether a change touches one of the distributions, or no
// distribution in particular.
func concerns(c catalog.Change, distributions []string) bool {
	own := ""
	if c.Kind == "version" {
		own, _, _ = strings.Cut(c.Name, " ")
	} else if rest, ok := strings.CutPrefix(c.Name, "providers."); ok {
		own, _, _ = strings.Cut(rest, ".")
	}
	return own == "" || slices.Contains(distributions, own)
}

// release looks one up, with or without its "v".
func release(tag string) (*catalog.Release, error) {
	r, err := catalog.Lookup("v" + strings.TrimPrefix(tag, "v"))
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) {
		return nil, fail(exitError, "canvos catalog lists all; nearest: "+strings.Join(unknown.Nearest, ", "), "CanvOS %q is not in the catalog", tag)
	}
	return r, err
}

func completeReleases() ([]string, cobra.ShellCompDirective) {
	var tags []string
	for _, e := range catalog.Entries() {
		day, _, _ := strings.Cut(e.Date, "T")
		tags = append(tags, e.Tag+"\t"+day)
	}
	return tags, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
