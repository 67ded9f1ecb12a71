package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/sandbox"
	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/plan"
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
	trusted := trustedFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := d.tryRules(cmd.Context(), args, *trusted, false)
		if err != nil {
			return err
		}
		return view.PolicyList(d.out, d.outStyle(), d.format, policy.Builtin(), &t.Set)
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
	trusted := trustedFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := d.tryRules(cmd.Context(), args, *trusted, true)
		if err != nil {
			return err
		}
		if len(t.Coverage) == 0 && len(t.Set.Broken) == 0 {
			return fail(exitError, "a package with a field policies has them; canvos policy list shows those that are built in", "no policies in %s", cmp.Or(strings.Join(args, ", "), "."))
		}
		results := t.Results
		for _, f := range t.Set.Broken {
			results = append(results, policy.CaseResult{Rule: f.Rule, Broken: f.Message})
		}
		if err := view.PolicyTest(d.out, d.outStyle(), d.format, results, t.Coverage); err != nil {
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

// trying asks what rules say of themselves. It is plain data, so that another
// process can be asked.
type trying struct {
	Rules []ruleFile
	Cases bool // each is tried on its cases
}

// tried is the answer.
type tried struct {
	Set      policy.Ruleset
	Results  []policy.CaseResult
	Coverage []policy.Coverage
}

func (q trying) try() (t tried) {
	set := policy.NewRuleset()
	for _, one := range q.Rules {
		set.Add("", one.Policies, one.Waivers)
	}
	if q.Cases {
		t.Results, t.Coverage = set.Test()
	}
	t.Set = *set
	return t
}

// tryRules reads what is written at paths, and tries it: both apart, unless it is
// trusted, since whoever looks at a stranger's rules has not read them yet.
func (d *door) tryRules(ctx context.Context, args []string, trusted, cases bool) (tried, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	q := trying{Cases: cases}
	seen := map[string]bool{}
	for _, arg := range args {
		found, err := d.rulesAt(ctx, arg, trusted, seen)
		if err != nil {
			return tried{}, err
		}
		q.Rules = append(q.Rules, found...)
	}
	if trusted || len(q.Rules) == 0 {
		return q.try(), nil
	}
	a, err := d.apart(ctx, fstest.MapFS{}, task{Try: &q}, d.limits)
	if stopped, ok := errors.AsType[*sandbox.Error](err); ok {
		p := problemAt("CV0010", "the policies are not evaluated: "+stopped.Error(), plan.Pos{})
		p.Help = "look for loops and values that double; --trusted evaluates them without limits"
		for _, one := range q.Rules {
			p.Also = append(p.Also, one.Policies.At)
		}
		p.At, p.Also = p.Also[0], p.Also[1:]
		return tried{}, d.invalid([]*problem.Problem{p})
	}
	if err != nil {
		return tried{}, fmt.Errorf("try the policies: %w", err)
	}
	return a.Tried, nil
}

// ruleFile is the policies and waivers of one package.
type ruleFile struct {
	Name              string // of its directory, as a person names it
	Policies, Waivers compile.Rules
}

// rulesAt reads all policies and waivers at and below a directory, or of the
// package that a file stands for: apart, unless they are trusted. What was seen is
// not read again.
func (d *door) rulesAt(ctx context.Context, arg string, trusted bool, seen map[string]bool) ([]ruleFile, error) {
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
		if key := m.identity(); seen[key] {
			continue
		} else {
			seen[key] = true
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
