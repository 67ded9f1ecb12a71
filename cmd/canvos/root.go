package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// execute runs one command line.
func execute(ctx context.Context, d *door, args []string) error {
	root := newRoot(d)
	root.SetArgs(args)
	root.SetIn(d.in)
	root.SetOut(d.out)
	root.SetErr(d.err)
	return root.ExecuteContext(ctx)
}

func newRoot(d *door) *cobra.Command {
	root := &cobra.Command{
		Use:   "canvos",
		Short: "A declarative compiler for edge image families",
		Long: `canvos turns a CUE manifest of edge image families into published images.

Write down what should exist, see what would change, apply it.`,
		Args:          cobra.ArbitraryArgs,
		RunE:          func(cmd *cobra.Command, args []string) error { return unknown(cmd, args) },
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return settle(d, cmd)
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = fmt.Errorf("--%s=%q: %w", bad.GetFlag().Name, bad.GetValue(), wanted(bad.GetFlag(), bad.Unwrap()))
		}
		return fail(exitUsage, cmd.CommandPath()+" --help", "%v", err)
	})
	d.color = "auto"
	root.PersistentFlags().Var(choice{&d.color, []string{"auto", "always", "never"}}, "color", "colours:")
	setting(root.PersistentFlags(), "color")
	complete(root, "color", "auto", "always", "never")

	root.AddGroup(
		&cobra.Group{ID: "write", Title: "Write down"},
		&cobra.Group{ID: "see", Title: "See"},
		&cobra.Group{ID: "do", Title: "Carry out"},
		&cobra.Group{ID: "more", Title: "And"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("write", newInit(d), newVet(d), newLock(d))
	add("see", newList(d), newPlan(d), newDiff(d), newReview(d), newPolicy(d), newCatalog(d), newExplain(d))
	add("do", newApply(d))
	add("more", newDoctor(d), newVersion(d), newCompletion(d))
	root.SetHelpCommand(newHelp())
	root.SetUsageTemplate(usageTemplate())
	markRuns(root)
	return root
}

// unknown answers a word that is no command.
func unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	help := "canvos --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		help = "did you mean canvos " + strings.Join(near, " or canvos ") + "?"
	}
	return fail(exitUsage, help, "unknown command %q", args[0])
}

// markRuns tells errors of verbs from those of the command line, and gives the
// latter a way on.
func markRuns(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return fail(exitUsage, cmd.UseLine(), "%v", err)
			}
			return nil
		}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return ranError{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		markRuns(c)
	}
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "What a command does",
		GroupID: "more",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknown(cmd.Root(), args)
			}
			return c.Help()
		},
	}
}

// usageTemplate is cobra's idea of a help page in canvos's order; the exit
// codes are the same for every command, so they stand at the root.
func usageTemplate() string {
	var codes strings.Builder
	for _, e := range exitTable {
		fmt.Fprintf(&codes, "  %3d  %s\n", e.code, e.meaning)
	}
	return `Usage
  {{if .Runnable}}{{if .HasParent}}{{.UseLine}}{{else}}canvos COMMAND{{end}}{{else}}{{.CommandPath}} COMMAND{{end}}
{{- if .HasExample}}

Examples
{{.Example}}{{end}}
{{- $cmds := .Commands}}
{{- if .HasAvailableSubCommands}}{{if .Groups}}{{range $group := .Groups}}{{$any := false}}{{range $cmds}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}{{$any = true}}{{end}}{{end}}{{if $any}}

{{.Title}}{{range $cmds}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{else}}

Commands{{range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Everywhere
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if not .HasParent}}

Exit codes
` + codes.String() + `{{end}}
`
}
