package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
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
		Use:   "diff BEFORE AFTER [PATH]",
		Short: "What changes from one release to another",
		Long: `Shows what changes from one release to another; with the manifest in PATH, of that
what its families use: the Kubernetes versions they ask for, the agent in their
tags, the images they are made of. Families are taken as they are written,
whatever release they name.`,
		Example: `  canvos catalog diff v4.4.12 v4.6.21
  canvos catalog diff v4.4.12 v4.6.21 images.cue
  canvos catalog diff v4.4.12 v4.6.21 --distribution k3s`,
		Args: cobra.RangeArgs(2, 3),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) < 2 {
				return completeReleases()
			}
			return completeManifests(cmd, args, word)
		},
	}
	cmd.Flags().StringSliceVar(&distributions, "distribution", nil, "show Kubernetes versions and providers of these `distributions` only")
	tags := tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var changes []catalog.Change
		before, after := "v"+strings.TrimPrefix(args[0], "v"), "v"+strings.TrimPrefix(args[1], "v")
		subject := ""
		if len(args) == 3 {
			m, err := d.manifest(args[2:], *tags)
			if err != nil {
				return err
			}
			if changes, err = d.moves(m, before, after); err != nil {
				return err
			}
			subject = m.name
		} else {
			a, err := release(before)
			if err != nil {
				return err
			}
			b, err := release(after)
			if err != nil {
				return err
			}
			before, after = a.Tag, b.Tag
			changes = catalog.Diff(a, b)
		}
		if len(distributions) > 0 {
			changes = slices.DeleteFunc(changes, func(c catalog.Change) bool { return !concerns(c, distributions) })
		}
		return view.CatalogDiff(d.out, d.outStyle(), d.format, before, after, subject, changes)
	}
	return cmd
}

// moves is what changes of what a manifest uses. It need not be one that vet finds
// nothing in: a version that its release lacks is a reason to look at others.
func (d *door) moves(m *manifest, before, after string) ([]catalog.Change, error) {
	src, err := m.source()
	if err != nil {
		return nil, err
	}
	man, ps := compile.Load(src)
	if ps = onlyErrors(ps); len(ps) > 0 {
		return nil, d.invalid(ps, m)
	}
	changes, err := compile.Moves(man, before, after)
	return changes, knownRelease(err)
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
	return r, knownRelease(err)
}

// knownRelease gives the error of a release that is not known a way on.
func knownRelease(err error) error {
	if unknown, ok := errors.AsType[*catalog.UnknownError](err); ok {
		return fail(exitError, "canvos catalog lists all; nearest: "+strings.Join(unknown.Nearest, ", "), "CanvOS %q is not in the catalog", unknown.Tag)
	}
	return err
}

func completeReleases() ([]string, cobra.ShellCompDirective) {
	var tags []string
	for _, e := range catalog.Entries() {
		day, _, _ := strings.Cut(e.Date, "T")
		tags = append(tags, e.Tag+"\t"+day)
	}
	return tags, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
