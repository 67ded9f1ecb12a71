package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec/oci"
)

func newExplain(d *door) *cobra.Command {
	e := &explaining{door: d}
	cmd := &cobra.Command{
		Use:   "explain [CODE... or REFERENCE [PATH]]",
		Short: "What a problem code means; where an image comes from",
		Long: `With a code, what the problem is, why it matters and what to do. With a
reference, where the image and each of its inputs come from: every step and
layer, what it reads, and the line of the manifest that asks for it.`,
		Example: `  canvos explain CV0107
  canvos explain CV0301 CV0302
  canvos explain ubuntu:k3s-1.30.4-v4.4.12-palette-learn
  canvos explain docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-palette-learn edge/ --published`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && isCode.MatchString(args[0]) {
				return nil
			}
			return cobra.MaximumNArgs(2)(cmd, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) > 0 && isCode.MatchString(args[0]):
				return completeCodes(), cobra.ShellCompDirectiveNoFileComp
			case len(args) > 0:
				return completeManifests(nil, nil, "")
			}
			return append(completeReferences(d, nil), completeCodes()...), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&e.published, "published", false, "of a reference, ask what is published under it")
	cmd.Flags().StringVar(&e.to, "to", "", "with --published, look into a layout, `oci:DIR`, instead of registries")
	e.lock = addLockFlags(cmd)
	e.access = accessFlags(d, cmd)
	e.tags = tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return view.Codes(d.out, d.outStyle(), d.format, problem.Codes())
		case isCode.MatchString(args[0]):
			var entries []problem.Entry
			for _, arg := range args {
				entry, ok := problem.Lookup(strings.ToUpper(arg))
				if !ok {
					return fail(exitUsage, "canvos explain lists all codes", "unknown problem code %q", arg)
				}
				entries = append(entries, entry)
			}
			return view.ExplainCodes(d.out, d.outStyle(), d.format, entries)
		}
		return e.reference(cmd.Context(), args[0], args[1:])
	}
	return cmd
}

var isCode = regexp.MustCompile(`^(?i)cv[0-9]*$`)

func completeCodes() []string {
	var codes []string
	for _, e := range problem.Codes() {
		codes = append(codes, e.Code+"\t"+e.Title)
	}
	return codes
}

// completeReferences are those of the manifest that args name, or of the one in the
// working directory, if there is one.
func completeReferences(d *door, args []string) []string {
	ms, err := d.manifests(args, nil)
	if err != nil {
		return nil
	}
	judged, _, err := judgeAll(ms)
	if err != nil {
		return nil
	}
	var references []string
	for _, j := range judged {
		for _, i := range j.Images {
			references = append(references, shortName(i.Reference)+"\t"+i.Family.Name)
		}
	}
	return references
}

type explaining struct {
	*door
	published bool
	to        string
	lock      *lockFlags
	access    *access
	tags      *[]string
}

// reference explains the one image of a manifest that a pattern means.
func (e *explaining) reference(ctx context.Context, pattern string, path []string) error {
	st, done, err := e.someStore(e.access)
	if err != nil {
		return err
	}
	defer done()
	m, err := e.manifest(path, *e.tags)
	if err != nil {
		return err
	}
	c, err := e.compile(ctx, m, e.lock, st, e.access)
	if err != nil {
		return err
	}
	p := only(c.plan, func(i plan.Image) bool { return matches(pattern, i.Reference) })
	if len(p.Images) != 1 {
		var names []string
		for _, i := range p.Images {
			names = append(names, shortName(i.Reference))
		}
		if len(names) == 0 {
			return fail(exitError, "canvos list shows all references; canvos explain without one lists all codes", "no image of %s, and no code, is %q", m.name, pattern)
		}
		return fail(exitError, "name one of them: "+strings.Join(names, ", "), "%d images are meant by %q", len(names), pattern)
	}
	o := view.Origin{Plan: p, Image: p.Images[0], Layers: map[plan.Digest]view.Layer{}, Asked: c.asked(), InModule: m.placeInModule}
	o.Plan.Sources = slices.DeleteFunc(slices.Clone(p.Sources), func(s plan.Source) bool { return !uses(p, s.Digest) })
	for _, s := range p.Steps {
		if rec, ok := oci.LayerOf(st, s.ID); ok {
			o.Layers[s.ID] = view.Layer{Digest: rec.Digest, Size: rec.Size}
		}
	}
	if e.published {
		states, err := e.door.published(ctx, p.Images, e.to, e.access)
		if err != nil {
			return err
		}
		o.Published = &states[0]
	}
	return view.ShowOrigin(e.out, e.outStyle(), e.format, o)
}

// uses says whether a step of a plan reads a source.
func uses(p plan.Plan, d plan.Digest) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		switch {
		case s.Op.Base != nil:
			return s.Op.Base.Source == d
		case s.Op.Files != nil:
			return slices.ContainsFunc(s.Op.Files.Actions, func(a plan.Action) bool { return a.Copy != nil && a.Copy.Source == d })
		case s.Op.Run != nil:
			return slices.ContainsFunc(s.Op.Run.Mounts, func(m plan.Mount) bool { return m.Source == d })
		}
		return false
	})
}
