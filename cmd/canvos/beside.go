package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"canvos.dev/cmd/internal/git"
	"canvos.dev/compile"
	"canvos.dev/compile/policy"
	"canvos.dev/compile/problem"
)

// beside are the rules that --policy names: what judges, and how it changes.
type beside struct {
	judging []ruleFile
	changes []policy.RulesChange
}

// besides reads what --policy names. What lies in the repository is part of what
// is reviewed, so its rules are those of base, as a manifest's own are.
func (r *reviewing) besides(ctx context.Context, base, head *side) (all beside, err error) {
	seen, onDisk := map[string]bool{}, map[string]bool{}
	for _, arg := range r.policies {
		versions, err := r.versionsOf(ctx, arg, base, head)
		if err != nil {
			return all, err
		}
		var rules [2][]ruleFile
		var found [2]int
		for i, v := range versions {
			if rules[i], found[i], err = r.rulesIn(ctx, []*side{base, head}[i].time, v, seen); err != nil {
				return all, err
			}
		}
		was, now := rules[0], rules[1]
		if found == [2]int{} {
			// It is not of the repository: a person put it there.
			if was, err = r.rulesAt(ctx, arg, *r.trusted, onDisk); err != nil {
				return all, err
			}
			if len(onDisk) == 0 {
				return all, fail(exitError, "a package with a field policies or waivers", "no policies in %s", arg)
			}
			now = was
		} else if r.head == "" && found[0] == 0 && len(now) == found[1] && r.mixed(arg, now) {
			return all, fail(exitError, "keep them in another directory than the change's own", "%s holds policies that the change brings along, and others", arg)
		}
		all.changes = append(all.changes, changesOf(was, now)...)
		if r.judgeBy == "head" {
			was = now
		}
		all.judging = append(all.judging, was...)
	}
	return all, nil
}

// version is a path in a tree; the tree is nil where there is none.
type version struct {
	tree           *git.Tree
	at, shown      string
	prefix, from   string
	closeAfterRead bool
}

// versionsOf are base's and head's of a path that --policy names: in the
// repository, or in a submodule, which a change may have follow other commits.
func (r *reviewing) versionsOf(ctx context.Context, arg string, base, head *side) (vs [2]version, err error) {
	abs := r.absolute(arg)
	repo, at, err := r.repositoryOf(ctx, abs)
	if err != nil {
		return vs, nil // in no repository
	}
	prefix, from := r.fromHere(repo, abs, at)
	vs[0] = version{at: at, shown: arg, prefix: base.short() + ":"}
	vs[1] = version{at: at, shown: arg, prefix: prefix, from: from}
	if repo.Root == r.repo.Root {
		vs[0].tree, vs[1].tree = base.tree, head.tree
		if r.head == "" { // of head, only what is tracked is the change's
			vs[1].closeAfterRead = true
			if vs[1].tree, err = repo.WorkTree(ctx, false); err != nil {
				return vs, fail(exitError, "", "%v", err)
			}
		}
		return vs, nil
	}
	below, err := filepath.Rel(r.repo.Root, repo.Root)
	if err != nil || !filepath.IsLocal(below) {
		return vs, nil
	}
	for i, s := range []*side{base, head} {
		commit := s.tree.Submodule(filepath.ToSlash(below))
		if commit == "" {
			continue
		}
		vs[i].closeAfterRead = true
		if vs[i].tree, err = repo.Tree(ctx, commit); err != nil {
			return vs, historyFailure(err)
		}
	}
	return vs, nil
}

// rulesIn reads the policies and waivers at and below a path of a tree: apart,
// unless they are trusted. found is how many packages there are; those that were
// seen are not read again.
func (r *reviewing) rulesIn(ctx context.Context, b *budget, v version, seen map[string]bool) (all []ruleFile, found int, err error) {
	if v.tree == nil {
		return nil, 0, nil
	}
	if v.closeAfterRead {
		defer v.tree.Close()
	}
	file, at := "", path.Clean(v.at)
	dirs := []string{at}
	fi, err := fs.Stat(v.tree, at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, nil
	case err != nil:
		return nil, 0, fail(exitError, "", "read %s: %v", v.shown, unpathed(err))
	case !fi.IsDir():
		at, file = path.Dir(at), path.Base(at)
		dirs[0] = at
	default:
		if dirs, err = compile.FindRules(v.tree, at); err != nil {
			return nil, 0, fail(exitError, "", "search %s: %v", v.shown, unpathed(err))
		}
	}
	var ps []*problem.Problem
	for _, dir := range dirs {
		root := moduleIn(v.tree, dir)
		files, err := fs.Sub(v.tree, root)
		if err != nil {
			return nil, 0, err
		}
		q := evaluation{Name: v.shown, Dir: relativeTo(root, dir), File: file, Prefix: v.prefix, From: v.from}
		if root != "." {
			q.Prefix += root + "/"
		}
		if key := v.prefix + dir + "\x00" + q.source(files).Package(); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		var one ruleFile
		var wrong []*problem.Problem
		if *r.trusted {
			one.Policies, one.Waivers, wrong = compile.LoadRules(q.source(files))
		} else if one, wrong, err = r.rulesApart(ctx, b, files, q); err != nil {
			return nil, 0, err
		}
		one.Name = path.Join(filepath.ToSlash(v.shown), relativeTo(at, dir))
		ps = append(ps, wrong...)
		all = append(all, one)
	}
	if err := v.tree.Missing(); err != nil {
		return nil, 0, fail(exitError, "", "%v", err)
	}
	if len(ps) > 0 {
		return nil, 0, r.invalid(ps)
	}
	return all, len(dirs), nil
}

// mixed tells whether there are policies on disk that are not the change's.
func (r *reviewing) mixed(arg string, tracked []ruleFile) bool {
	abs := r.absolute(arg)
	if fi, err := os.Stat(abs); err != nil || !fi.IsDir() {
		return false
	}
	dirs, err := compile.FindRules(os.DirFS(abs), ".")
	return err != nil || slices.ContainsFunc(dirs, func(dir string) bool {
		name := path.Join(filepath.ToSlash(arg), dir)
		return !slices.ContainsFunc(tracked, func(f ruleFile) bool { return f.Name == name })
	})
}

// changesOf are how packages of rules change, by name.
func changesOf(was, now []ruleFile) []policy.RulesChange {
	by := map[string]*policy.RulesChange{}
	for _, f := range was {
		by[f.Name] = &policy.RulesChange{Name: f.Name, Before: policy.Rules{Policies: f.Policies, Waivers: f.Waivers}}
	}
	for _, f := range now {
		if by[f.Name] == nil {
			by[f.Name] = &policy.RulesChange{Name: f.Name}
		}
		by[f.Name].After = policy.Rules{Policies: f.Policies, Waivers: f.Waivers}
	}
	var all []policy.RulesChange
	for _, c := range by {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b policy.RulesChange) int { return strings.Compare(a.Name, b.Name) })
	return all
}
