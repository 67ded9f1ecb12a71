package main

import (
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/problem"
)

func newExplain(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain [CODE]",
		Short:   "What a problem code means",
		Example: "  canvos explain CV0107",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var codes []string
			for _, e := range problem.Codes() {
				codes = append(codes, e.Code+"\t"+e.Title)
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return view.Codes(d.out, d.outStyle(), d.format, problem.Codes())
			}
			e, ok := problem.Lookup(strings.ToUpper(args[0]))
			if !ok {
				return fail(exitUsage, "canvos explain lists all codes", "unknown problem code %q", args[0])
			}
			return view.Code(d.out, d.outStyle(), d.format, e)
		},
	}
	formats(d, cmd)
	return cmd
}
