package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/git"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
	"canvos.dev/exec/oci"
)

func newReview(d *door) *cobra.Command {
	r := &reviewing{door: d}
	cmd := &cobra.Command{
		Use:   "review [PATH]",
		Short: "A change's effect, and the policies' verdict on it",
		Long: `Compares all manifests below PATH (default ".") with those of a base revision,
and judges what the change does to images: by the rules that canvos brings along
and by the organisation's own, as they were before the change.

Base is the merge base with what continuous integration announces, or with the
upstream branch; head is the work tree. Neither work tree nor index is touched,
and nothing is fetched.`,
		Example: `  canvos review
  canvos review --base origin/main edge
  canvos review --base v1.2 --head HEAD -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().StringVar(&r.base, "base", "", "the `revision` to compare with")
	cmd.Flags().StringVar(&r.head, "head", "", "the `revision` that is judged (default: the work tree)")
	cmd.Flags().StringVar(&r.to, "to", "", "compare with what is published in a layout, `oci:DIR`, instead of registries")
	cmd.Flags().BoolVar(&r.offline, "offline", false, "ask no registry")
	cmd.Flags().BoolVar(&r.requireRegistry, "require-registry", false, "deny when the registry cannot be asked")
	choose(cmd, &r.failOn, "fail-on", "", "verdict that exits 4:", "deny", "warn")
	choose(cmd, &r.shape, "view", "", "how much is shown:", "short", "full")
	setting(cmd.Flags(), "offline", "require-registry", "fail-on", "view", "base", "to")
	cmd.Flags().StringArrayVar(&r.policies, "policy", nil, "a `PATH` of more policies and waivers, which judge all manifests (may be repeated)")
	choose(cmd, &r.judgeBy, "judge-by", "", "whose policies and waivers judge:", "base", "head")
	setting(cmd.Flags(), "policy")
	r.access = accessFlags(d, cmd)
	r.trusted = trustedFlag(cmd)
	r.tags = tagFlag(cmd)
	r.reportFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := r.checkReports(); err != nil {
			return err
		}
		r.path = "."
		if len(args) > 0 {
			r.path = args[0]
		}
		return r.run(cmd.Context())
	}
	return cmd
}

// reviewing is one run of review.
type reviewing struct {
	*door
	repo                     *git.Repo
	path, base, head, to     string
	offline, requireRegistry bool
	failOn, shape, judgeBy   string
	policies                 []string
	access                   *access
	tags                     *[]string
	trusted                  *bool
	reports                  []string // FORMAT=FILE
}

func (r *reviewing) run(ctx context.Context) error {
	base, head, err := r.sides(ctx)
	if err != nil {
		return err
	}
	defer base.close()
	defer head.close()
	if err := both(base, head); err != nil {
		return err
	}
	if len(base.places)+len(head.places) == 0 {
		return fail(exitError, "canvos init makes a first manifest", "no manifest below %s, neither at base nor at head", r.path)
	}
	b, h, err := r.evaluated(ctx, base, head, *r.trusted)
	if err != nil {
		return err
	}
	rules, err := r.besides(ctx, base, head)
	if err != nil {
		return err
	}
	review, err := r.judge(ctx, b, h, rules)
	if err != nil {
		return err
	}
	if err := r.write(review, head.root); err != nil {
		return err
	}
	return r.exit(review)
}

// exit is 3 if the manifest itself is wrong, 4 if the verdict is.
func (r *reviewing) exit(review policy.Review) error {
	for _, f := range review.Findings {
		if f.Rule == "manifest-invalid" && !f.Waived() && f.Severity == policy.SeverityDeny {
			return told(exitInvalid)
		}
	}
	if review.Verdict == policy.Deny || review.Verdict == policy.Warn && r.failOn == "warn" {
		return told(exitRefused)
	}
	return nil
}

// sides finds both states.
func (r *reviewing) sides(ctx context.Context) (base, head *side, err error) {
	abs := r.absolute(r.path)
	repo, at, err := r.repositoryOf(ctx, abs)
	if err != nil {
		return nil, nil, fail(exitError, "canvos diff A B compares directories", "%s: %v", r.path, err)
	}
	r.repo = repo
	headCommit := "HEAD"
	if r.head != "" {
		headCommit = r.head
	}
	if _, err := repo.Commit(ctx, headCommit); err != nil {
		return nil, nil, historyFailure(err)
	}
	name, commit, err := r.baseOf(ctx, repo, headCommit)
	if err != nil {
		return nil, nil, err
	}
	was, err := repo.Tree(ctx, commit)
	if err != nil {
		return nil, nil, historyFailure(err)
	}
	is, of, err := r.headTree(ctx, repo)
	if err != nil {
		was.Close()
		return nil, nil, err
	}
	in := revisionPath{at: at, shown: r.nameOf(abs), prefix: commit[:min(7, len(commit))] + ":"}
	there := in
	there.prefix, there.from = r.fromHere(repo, abs, at)
	if strings.HasSuffix(at, ".cue") {
		in, there = in.asPackage(was, is), there.asPackage(is, was)
	}
	if base, err = inTree(was, policy.Side{Name: name, Commit: was.Commit}, in, *r.tags, false); err != nil {
		is.Close()
		return nil, nil, err
	}
	if head, err = inTree(is, of, there, *r.tags, false); err != nil {
		base.close()
		return nil, nil, err
	}
	head.root = repo.Root
	return base, head, nil
}

// headTree is what is judged: a revision, or the work tree.
func (r *reviewing) headTree(ctx context.Context, repo *git.Repo) (*git.Tree, policy.Side, error) {
	of := policy.Side{Name: "the work tree"}
	switch {
	case r.head != "":
		tree, err := repo.Tree(ctx, r.head)
		if err != nil {
			return nil, of, historyFailure(err)
		}
		return tree, policy.Side{Name: r.head, Commit: tree.Commit}, nil
	case repo.Root == "":
		return nil, of, fail(exitUsage, "--head REV names what is judged", "a bare repository has no work tree")
	}
	tree, err := r.workTree(ctx, repo)
	return tree, of, err
}

// fromHere is what makes a path in the repository one from the working directory:
// prefix and from, as in evaluation.
func (d *door) fromHere(repo *git.Repo, abs, at string) (prefix, from string) {
	if repo.Root == "" {
		return "", ""
	}
	root := filepath.ToSlash(abs) // as the person came to it; repo.Root has no links
	if at != "." {
		var ok bool
		if root, ok = strings.CutSuffix(root, "/"+at); !ok { // by a link
			root = filepath.ToSlash(repo.Root)
		}
	}
	return root + "/", filepath.ToSlash(d.dir)
}

// existing is a directory, or the nearest above that exists.
func existing(abs string) string {
	for {
		if fi, err := os.Stat(abs); err == nil && fi.IsDir() || filepath.Dir(abs) == abs {
			return abs
		}
		abs = filepath.Dir(abs)
	}
}

// announced are the branches that systems of continuous integration say that a
// change is to be merged into.
var announced = []string{
	"GITHUB_BASE_REF",
	"CI_MERGE_REQUEST_TARGET_BRANCH_NAME", // GitLab
	"BITBUCKET_PR_DESTINATION_BRANCH",
	"SYSTEM_PULLREQUEST_TARGETBRANCH", // Azure Pipelines: refs/heads/main
	"BUILDKITE_PULL_REQUEST_BASE_BRANCH",
	"CHANGE_TARGET",       // Jenkins
	"DRONE_TARGET_BRANCH", // Drone, Woodpecker
}

// baseOf is what a change is compared with: its name, and the commit.
func (r *reviewing) baseOf(ctx context.Context, repo *git.Repo, head string) (name, commit string, err error) {
	if r.base != "" {
		commit, err := repo.Commit(ctx, r.base)
		if err != nil {
			return "", "", historyFailure(err)
		}
		return r.base, commit, nil
	}
	if name, commit, err := r.gitlabBase(ctx, repo, head); commit != "" || err != nil {
		return name, commit, err
	}
	for _, variable := range announced {
		v := strings.TrimPrefix(r.env(variable), "refs/heads/")
		if v == "" {
			continue
		}
		branch := "origin/" + v
		if _, err := repo.Commit(ctx, branch); err != nil {
			if _, local := repo.Commit(ctx, v); local != nil {
				return "", "", historyFailure(err)
			}
			branch = v
		}
		return mergeBase(ctx, repo, branch, head)
	}
	if up := repo.Upstream(ctx); up != "" {
		return mergeBase(ctx, repo, up, head)
	}
	for _, branch := range []string{"main", "master"} {
		if _, err := repo.Commit(ctx, "refs/heads/"+branch); err == nil {
			return mergeBase(ctx, repo, branch, head)
		}
	}
	return "", "", fail(exitUsage, "--base REV names it", "there is no branch to compare with: neither one that is followed, nor origin/HEAD, main or master")
}

// gitlabBase is what GitLab announces in merge requests; "" if it does not. It
// gives commits, and fetches no branch. That where the request left its target is
// not enough where head is a merge of both: the target's later changes would be
// the request's. Where more is known, it is the newest that counts.
func (r *reviewing) gitlabBase(ctx context.Context, repo *git.Repo, head string) (name, commit string, err error) {
	if tip := r.env("CI_MERGE_REQUEST_TARGET_BRANCH_SHA"); tip != "" { // of merged results alone
		name, commit, err = mergeBase(ctx, repo, tip, head)
		return cmp.Or(r.env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"), name[:min(7, len(name))]), commit, err
	}
	left := r.env("CI_MERGE_REQUEST_DIFF_BASE_SHA")
	if left == "" {
		return "", "", nil
	}
	name = left[:min(7, len(left))]
	if target := "origin/" + r.env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"); target != "origin/" {
		newer, err := repo.MergeBase(ctx, target, head)
		if err == nil {
			if both, err := repo.MergeBase(ctx, left, newer); err != nil || both != newer {
				return target, newer, nil
			}
		}
	}
	if commit, err = repo.Commit(ctx, left); err != nil {
		return "", "", historyFailure(err)
	}
	return name, commit, nil
}

func mergeBase(ctx context.Context, repo *git.Repo, branch, head string) (string, string, error) {
	commit, err := repo.MergeBase(ctx, branch, head)
	if err != nil {
		return "", "", historyFailure(err)
	}
	return branch, commit, nil
}

// observe asks what is published of the images of families that change.
func (r *reviewing) observe(ctx context.Context, c *policy.Comparison) policy.Observed {
	o := policy.Observed{Free: map[string]bool{}}
	touched := map[string]bool{}
	for _, p := range c.Pairs {
		if p.Effect && p.After != nil {
			for _, i := range p.After.Images {
				touched[i.Reference] = true
			}
		}
	}
	if len(touched) == 0 {
		return o
	}
	if r.offline && r.to == "" {
		o.Unchecked = "--offline"
		return o
	}
	st, done, err := r.someStore(r.access)
	if err != nil {
		o.Unchecked = err.Error()
		return o
	}
	defer done()
	t, _, err := r.target(r.to, false, st, r.access)
	if err != nil {
		o.Unchecked = err.Error()
		return o
	}
	for _, m := range c.Head.Manifests {
		if len(m.Plan.Images) == 0 && len(m.Families) > 0 {
			o.Unchecked = "the manifest " + m.Name + " has no plan"
			continue
		}
		p := only(m.Plan, func(i plan.Image) bool { return touched[i.Reference] })
		ds, err := oci.Decide(ctx, p, oci.Comparison{Target: t, Store: st, Declared: oci.DeclaredBy(m.Plan), Jobs: max(r.access.jobs, 8)})
		if err != nil {
			o.Unchecked = err.Error()
			continue
		}
		for _, one := range ds {
			switch {
			case one.Action == oci.Build:
				o.Free[one.Image.Reference] = true
			case one.Action == oci.Refused && (m.Exact || one.Code == "CV0403"):
				o.Refusals = append(o.Refusals, policy.Refusal{Reference: one.Image.Reference, Code: one.Code, Reason: one.Reason, Help: one.Help})
			}
		}
	}
	return o
}
