package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/policy"
	"canvos.dev/compile/problem"
)

func newPolicy(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "The rules that changes are judged by",
		Long: `Policies are rules that canvos review judges a change by. Some come with canvos;
an organisation writes its own in CUE, beside a manifest or elsewhere.`,
		Example: `  canvos policy list
  canvos policy test policies/...`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyList(d), newPolicyTest(d))
	return cmd
}

func newPolicyList(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "list [PATH...]",
		Short:             "All rules, with severity and reason",
		Long:              `Lists the rules that come with canvos, as policies set them, and those that are written below PATH (default ".").`,
		ValidArgsFunction: completeManifests,
	}
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := d.ruleset(cmd.Context(), args)
		if err != nil {
			return err
		}
		return view.PolicyList(d.out, d.outStyle(), d.format, policy.Builtin(), set)
	}
	return cmd
}

func newPolicyTest(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [PATH...]",
		Short: "Try rules on the cases written beside them",
		Long: `Tries each rule below PATH (default ".") on its cases, and says which rules are
never shown to fire, or not to fire.`,
		Example: `  canvos policy test
  canvos policy test policies/prod.cue`,
		ValidArgsFunction: completeManifests,
	}
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := d.ruleset(cmd.Context(), args)
		if err != nil {
			return err
		}
		results, coverage := set.Test()
		for _, f := range set.Broken {
			results = append(results, policy.CaseResult{Rule: f.Rule, Broken: f.Message})
		}
		if err := view.PolicyTest(d.out, d.outStyle(), d.format, results, coverage); err != nil {
			return err
		}
		for _, r := range results {
			if !r.OK() {
				return told(exitError)
			}
		}
		return nil
	}
	return cmd
}

// ruleset is what is written at paths.
func (d *door) ruleset(ctx context.Context, args []string) (*policy.Ruleset, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	set := policy.NewRuleset()
	for _, arg := range args {
		found, err := d.rulesAt(ctx, arg, true)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			set.Add("", one.Policies, one.Waivers)
		}
	}
	return set, nil
}

// ruleFile is the policies and waivers of one package.
type ruleFile struct {
	Name              string // of its directory, as a person names it
	Policies, Waivers compile.Rules
}

// rulesAt reads all policies and waivers at and below a directory, or of the
// package that a file stands for: apart, unless they are trusted.
func (d *door) rulesAt(ctx context.Context, arg string, trusted bool) ([]ruleFile, error) {
	dir, file := d.absolute(arg), ""
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(exitError, "", "there is no %s", arg)
	case err != nil:
		return nil, fail(exitError, "", "read %s: %v", arg, unpathed(err))
	case !fi.IsDir():
		dir, file = filepath.Dir(dir), filepath.Base(dir)
	}
	dirs := []string{"."}
	if file == "" {
		if dirs, err = compile.FindRules(os.DirFS(dir), "."); err != nil {
			return nil, fail(exitError, "", "search %s: %v", arg, unpathed(err))
		}
	}
	var all []ruleFile
	var ps []*problem.Problem
	for _, below := range dirs {
		m, err := d.manifestAt(arg, filepath.Join(dir, filepath.FromSlash(below)), file)
		if err != nil {
			return nil, err
		}
		var one ruleFile
		var found []*problem.Problem
		if trusted {
			one.Policies, one.Waivers, found = compile.LoadRules(m.src)
		} else if one, found, err = d.rulesApart(ctx, &budget{all: untrustedTime}, m.src.FS, d.evaluationOf(m)); err != nil {
			return nil, err
		}
		ps = append(ps, found...)
		all = append(all, one)
	}
	if len(ps) > 0 {
		return nil, d.invalid(ps)
	}
	return all, nil
}
