package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"canvos.dev/cmd/internal/git"
	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/policy"
	"canvos.dev/compile/problem"
)

// A side is one of the two states that a review compares, before anything in it
// is evaluated.
type side struct {
	policy.Side
	places []place
	tree   *git.Tree  // nil if it is not a revision
	plan   *plan.Plan // set instead if it is a saved plan
	files  fs.FS      // in which manifests were looked for
	// at is the manifest in a directory of files.
	at   func(below string) (place, error)
	root string // of the work tree, absolute; empty if there is none
	// alone says that it is one package, as in revisionPath.
	alone bool
	time  *budget
}

func (s *side) close() {
	if s.tree != nil {
		s.tree.Close()
	}
}

// short is its commit, as people write it.
func (s *side) short() string { return s.Commit[:min(7, len(s.Commit))] }

// lacking says what of a side is not there to be read, in a partial clone.
func (s *side) lacking() error {
	if s.tree == nil || s.tree.Missing() == nil {
		return nil
	}
	return fail(exitError, "", "%s: %v", s.Name, s.tree.Missing())
}

// A place is where a manifest of a side lies.
type place struct {
	files fs.FS  // of its module
	below string // its directory, as in side.at
	ask   evaluation
}

// evaluation is what one manifest is to be evaluated with, besides its files. It
// is plain data, so that another process can be asked.
type evaluation struct {
	Name      string // of the manifest
	Dir, File string // as in compile.Source
	Tags      []string
	// Prefix and From say how a path in the module is shown: the first is put
	// before it; then, unless From is empty, it is written from that directory.
	Prefix, From string
	// Lock and Other are the texts of its lock and of the other side's; nil
	// where there is none.
	Lock, Other []byte
	Bounds      compile.Bounds // of what a stranger wrote
}

// source is what the manifest is read from.
func (q evaluation) source(files fs.FS) compile.Source {
	return compile.Source{FS: files, Dir: q.Dir, File: q.File, Tags: q.Tags, Bounds: q.Bounds, Show: q.show}
}

// show is how a path in the module is written.
func (q evaluation) show(p string) string {
	at := strings.TrimSuffix(q.Prefix+p, "/.")
	if q.From == "" {
		return at
	}
	return filepath.ToSlash(shownFrom(filepath.FromSlash(q.From), filepath.FromSlash(at)))
}

// evaluate evaluates one manifest. However often it names a file, that is read
// once.
func evaluate(files fs.FS, q evaluation) policy.Manifest {
	files = plan.Remembered(files)
	in := policy.Input{Name: q.Name, Source: q.source(files)}
	if q.Lock != nil {
		in.Lock, in.Unread = compile.ReadLock(q.show(path.Join(q.Dir, lock.Name)), q.Lock)
	}
	if q.Other != nil {
		var unread *problem.Problem
		if in.Other, unread = compile.ReadLock("", q.Other); unread != nil {
			in.Other = nil // said where it is a side's own
		}
	}
	return policy.Evaluate(in)
}

// evaluated is both sides, each manifest evaluated with what the other side's
// lock knows: apart, unless they are trusted, and then both sides at a time.
func (d *door) evaluated(ctx context.Context, base, head *side, trusted bool) (b, h policy.State, err error) {
	do := d.evaluateApart
	if trusted {
		do = func(_ context.Context, _ *budget, files fs.FS, q evaluation) (policy.Manifest, error) {
			return evaluate(files, q), nil
		}
	}
	texts := func(s *side) map[string][]byte {
		all := map[string][]byte{}
		for _, p := range s.places {
			all[p.ask.Name] = p.ask.Lock
		}
		return all
	}
	state := func(ctx context.Context, s *side, other map[string][]byte) (policy.State, error) {
		var all []policy.Manifest
		if s.plan != nil {
			all = append(all, policy.FromPlan(".", *s.plan))
		}
		for _, p := range s.places {
			p.ask.Other = other[p.ask.Name]
			m, err := do(ctx, s.time, p.files, p.ask)
			if err != nil {
				return policy.State{}, err
			}
			all = append(all, m)
		}
		return policy.StateOf(s.Side, all), nil
	}
	baseLocks, headLocks := texts(base), texts(head)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { b, err = state(ctx, base, headLocks); return err })
	g.Go(func() (err error) { h, err = state(ctx, head, baseLocks); return err })
	if err = g.Wait(); err == nil {
		err = cmp.Or(base.lacking(), head.lacking())
	}
	return b, h, err
}

// onDisk is a side of files that git knows nothing of: all manifests at and below
// a directory, or the one that a file stands for, named as they lie below it.
func (d *door) onDisk(arg string, tags []string) (*side, error) {
	dir, file := d.absolute(arg), ""
	if fi, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fail(exitError, "", "there is no %s", arg)
	} else if err != nil {
		return nil, fail(exitError, "", "read %s: %v", arg, unpathed(err))
	} else if !fi.IsDir() {
		dir, file = filepath.Dir(dir), filepath.Base(dir)
	}
	s := &side{Side: policy.Side{Name: arg}, time: &budget{all: untrustedTime}}
	dirs := []string{"."}
	if file == "" {
		var err error
		if dirs, err = compile.Find(os.DirFS(dir), "."); err != nil {
			return nil, fail(exitError, "", "search %s: %v", arg, unpathed(err))
		}
	}
	s.files = os.DirFS(dir)
	s.at = func(below string) (place, error) {
		at := filepath.Join(dir, filepath.FromSlash(below))
		m, err := d.manifestAt(arg, at, file)
		if err != nil {
			return place{}, err
		}
		p := place{files: m.src.FS, below: below, ask: d.evaluationOf(m)}
		p.ask.Name, p.ask.Tags = below, tags
		p.ask.Lock, err = lockText(m.src.FS, m.src.Dir)
		return p, err
	}
	return s, s.add(dirs)
}

// add looks up the manifests in directories.
func (s *side) add(dirs []string) error {
	for _, below := range dirs {
		p, err := s.at(below)
		if err != nil {
			return err
		}
		s.places = append(s.places, p)
	}
	slices.SortFunc(s.places, func(a, b place) int { return strings.Compare(a.below, b.below) })
	return nil
}

// both makes two sides have the same manifests, as far as their directories hold
// any CUE: what is a manifest at one side is one at the other, even if it cannot
// be told from its text any more.
func both(a, b *side) error {
	if err := cmp.Or(a.lacking(), b.lacking()); err != nil {
		return err
	}
	for _, x := range [][2]*side{{a, b}, {b, a}} {
		from, to := x[0], x[1]
		if to.files == nil || to.alone {
			continue
		}
		var missing []string
		for _, p := range from.places {
			there := slices.ContainsFunc(to.places, func(q place) bool { return q.below == p.below })
			if !there && compile.HasCUE(to.files, p.below) {
				missing = append(missing, p.below)
			}
		}
		if err := to.add(missing); err != nil {
			return err
		}
	}
	return nil
}

// evaluationOf is a manifest on disk, as something to evaluate.
func (d *door) evaluationOf(m *manifest) evaluation {
	return evaluation{
		Name: m.name, Dir: m.src.Dir, File: m.src.File, Tags: m.src.Tags,
		Prefix: filepath.ToSlash(m.root) + "/", From: filepath.ToSlash(d.dir),
	}
}

// nameOf is how a directory with a manifest is named.
func (d *door) nameOf(abs string) string {
	if abs == d.dir {
		return "."
	}
	return filepath.ToSlash(d.shown(abs))
}

func lockText(files fs.FS, dir string) ([]byte, error) {
	b, err := fs.ReadFile(files, path.Join(dir, lock.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(exitError, "", "read %s: %v", path.Join(dir, lock.Name), unpathed(err))
	}
	return b, nil
}

// revisionPath is a path in a revision's tree. shown is how it is written before
// what lies below it; prefix and from are of positions, as in evaluation.
type revisionPath struct {
	at, shown, prefix, from string
	// alone says that the package of a file in the directory is meant, not what
	// lies below; without a file there is none.
	alone bool
	file  string
}

// asPackage is the package that a file stands for, under whatever name a file of it
// lies in its directory; other is the tree of the other side.
func (in revisionPath) asPackage(tree, other fs.FS) revisionPath {
	in.alone, in.file = true, compile.SamePackage(tree, other, in.at)
	in.at, in.shown = path.Dir(in.at), path.Dir(in.shown)
	return in
}

// inTree is a side of a tree of files: all manifests at and below a path in it, or
// the one that a file stands for. It closes the tree, also when it fails.
func inTree(tree *git.Tree, of policy.Side, in revisionPath, tags []string, relative bool) (_ *side, err error) {
	s := &side{Side: of, tree: tree, alone: in.alone, time: &budget{all: untrustedTime}}
	defer func() {
		if err != nil {
			tree.Close()
		}
	}()
	file, at := in.file, path.Clean(in.at)
	dirs := []string{}
	fi, err := fs.Stat(tree, at)
	switch {
	case in.alone:
		if file != "" {
			dirs = append(dirs, at)
		}
	case errors.Is(err, fs.ErrNotExist): // everything below it is new, or gone
	case err != nil:
		return nil, err
	case !fi.IsDir():
		file, at = path.Base(at), path.Dir(at)
		dirs = append(dirs, at)
	default:
		if dirs, err = compile.Find(tree, at); err != nil {
			return nil, fail(exitError, "", "search %s: %v", of.Name, err)
		}
	}
	if s.files, err = fs.Sub(tree, at); err != nil {
		return nil, err
	}
	s.at = func(below string) (place, error) {
		dir := path.Join(at, below)
		root := moduleIn(tree, dir)
		files, err := fs.Sub(tree, root)
		if err != nil {
			return place{}, err
		}
		p := place{files: files, below: below, ask: evaluation{
			Name: path.Join(in.shown, below), Dir: relativeTo(root, dir), File: file, Tags: tags, Prefix: in.prefix, From: in.from,
		}}
		if root != "." {
			p.ask.Prefix += root + "/"
		}
		if relative {
			p.ask.Name = below
		}
		p.ask.Lock, err = lockText(files, p.ask.Dir)
		return p, err
	}
	for i := range dirs {
		dirs[i] = relativeTo(at, dirs[i])
	}
	return s, s.add(dirs)
}

// atRevision is a side of a commit.
func atRevision(ctx context.Context, repo *git.Repo, rev string, in revisionPath, tags []string, relative bool) (*side, error) {
	tree, err := repo.Tree(ctx, rev)
	if err != nil {
		return nil, historyFailure(err)
	}
	return inTree(tree, policy.Side{Name: rev, Commit: tree.Commit}, in, tags, relative)
}

// workTree is what git knows of the work tree: what it tracks and, for a person,
// what it would add. What a machine made on its way here is no part of a change.
func (d *door) workTree(ctx context.Context, repo *git.Repo) (*git.Tree, error) {
	tree, err := repo.WorkTree(ctx, !d.ci())
	if err != nil {
		return nil, fail(exitError, "", "%v", err)
	}
	return tree, nil
}

// moduleIn is the root of the module that a directory of a tree lies in.
func moduleIn(tree fs.FS, dir string) string {
	for at := dir; ; at = path.Dir(at) {
		if fi, err := fs.Stat(tree, path.Join(at, "cue.mod")); err == nil && fi.IsDir() {
			return at
		}
		if at == "." {
			return dir
		}
	}
}

// relativeTo is a slash-separated path as it lies below another.
func relativeTo(above, p string) string {
	if above == "." {
		return p
	}
	if rest, ok := strings.CutPrefix(p, above+"/"); ok {
		return rest
	}
	return "."
}

// historyFailure gives a clone without history a way on.
func historyFailure(err error) error {
	var h *git.HistoryError
	if errors.As(err, &h) {
		return fail(exitError, "", "%v", err)
	}
	return fail(exitError, "git log shows what there is", "%v", err)
}

// sideNamed is what diff is given: a directory, a manifest, a saved plan, or a
// revision, as REV or REV:PATH.
func (d *door) sideNamed(ctx context.Context, arg string, tags []string) (*side, error) {
	if _, err := os.Stat(d.absolute(arg)); err == nil {
		if strings.HasSuffix(arg, ".json") {
			return d.savedSide(arg)
		}
		return d.sideOnDisk(ctx, arg, tags)
	}
	rev, at, hasPath := strings.Cut(arg, ":")
	repo, err := git.Open(ctx, d.dir)
	if err != nil {
		return nil, fail(exitError, "it is neither a path, nor is this a git repository to have it as a revision", "there is no %s", arg)
	}
	switch {
	case !hasPath:
		at = repo.Prefix
	case strings.HasPrefix(at, "./"), strings.HasPrefix(at, "../"), at == ".":
		at = path.Join(repo.Prefix, at) // as git has it
	}
	at = path.Clean(at)
	if _, err := repo.Commit(ctx, rev); err != nil {
		var h *git.HistoryError
		if errors.As(err, &h) {
			return nil, historyFailure(err)
		}
		return nil, fail(exitError, "a directory, a CUE file, a saved plan, REV or REV:PATH", "there is no %s, and no revision %q", arg, rev)
	}
	s, err := atRevision(ctx, repo, rev, revisionPath{at: at, shown: ".", prefix: rev + ":"}, tags, true)
	if err == nil {
		s.Name = arg
	}
	return s, err
}

// sideOnDisk is a directory or a manifest: as far as git knows it, if it lies in a
// repository that knows it at all.
func (d *door) sideOnDisk(ctx context.Context, arg string, tags []string) (*side, error) {
	abs := d.absolute(arg)
	repo, at, err := d.repositoryOf(ctx, abs)
	if err != nil || repo.Root == "" {
		return d.onDisk(arg, tags)
	}
	prefix, from := d.fromHere(repo, abs, at)
	tree, err := d.workTree(ctx, repo)
	if err != nil {
		return nil, err
	}
	if !tree.Has(at) {
		tree.Close()
		return d.onDisk(arg, tags)
	}
	return inTree(tree, policy.Side{Name: arg}, revisionPath{at: at, shown: ".", prefix: prefix, from: from}, tags, true)
}

// repositoryOf is the repository that a path lies in, and the path in its tree.
func (d *door) repositoryOf(ctx context.Context, abs string) (*git.Repo, string, error) {
	in := existing(abs)
	repo, err := git.Open(ctx, in)
	if err != nil {
		return nil, "", err
	}
	rest, err := filepath.Rel(in, abs)
	if err != nil {
		return nil, "", err
	}
	return repo, filepath.ToSlash(filepath.Join(repo.Prefix, rest)), nil
}

// savedSide is a plan in a file.
func (d *door) savedSide(arg string) (*side, error) {
	b, err := os.ReadFile(d.absolute(arg))
	if err != nil {
		return nil, fail(exitError, "", "read %s: %v", arg, unpathed(err))
	}
	p, err := plan.Read(b)
	if err != nil {
		return nil, fail(exitError, "canvos plan --out makes one", "%s: %v", arg, err)
	}
	return &side{Side: policy.Side{Name: arg}, plan: &p}, nil
}

// invalidSide are the errors of a side, if nothing can be said of it.
func invalidSide(s policy.State) []*problem.Problem {
	var ps []*problem.Problem
	for _, m := range s.Manifests {
		ps = append(ps, m.Errors()...)
	}
	return problem.Sort(ps)
}
