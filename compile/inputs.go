package compile

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// inputs is whom a recipe asks for what lies outside the manifest. Requests
// writes the questions down and Lower answers them from the lock, so the two
// cannot disagree on what a manifest needs.
type inputs interface {
	// image is the digest of an image for a platform.
	image(reference, platform string, by asker) plan.Digest
	// local is a file or tree that the manifest names.
	local(name string, by asker) localInput
}

// asker is who needs an input.
type asker struct {
	family *Family
	at     plan.Pos
	path   string // of the field: "os.image"
	what   string // "base image", "overlay /etc"
}

// localInput is a local file or tree.
type localInput struct {
	digest plan.Digest
	name   string // below the module's root
	dir    bool
}

// from is the name under which a copy finds a single file in its source.
func (l localInput) from() string {
	if l.dir {
		return "/"
	}
	return "/" + path.Base(l.name)
}

// Request is one external input that a manifest needs.
type Request struct {
	// Reference is complete, or "file:" and a path from the module's root.
	Reference string
	Platform  string // "linux/amd64"; empty for local files
	Local     bool
	// At, Family and What are of the first that needs it: where, whose, and as
	// what ("base image").
	At     plan.Pos
	Family string
	What   string
}

// Requests are all external inputs that the images of a manifest need, with the
// versions that the lock records: sorted by reference and platform, each once.
// What cannot be asked for because the manifest is wrong is left out; Check
// says why.
func Requests(m *Manifest, lk *lock.File) []Request {
	images, _ := Images(m, lk)
	asked := &questions{m: m, seen: map[string]bool{}, dirs: map[string]localInput{}}
	walkRecipes(m, lk, images, asked)
	slices.SortFunc(asked.requests, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Platform, b.Platform))
	})
	return asked.requests
}

// questions are inputs that only writes down what it is asked for.
type questions struct {
	m        *Manifest
	seen     map[string]bool
	dirs     map[string]localInput
	requests []Request
}

func (q *questions) image(reference, platform string, by asker) plan.Digest {
	if key := lock.Key(reference, platform); !q.seen[key] {
		q.seen[key] = true
		q.requests = append(q.requests, Request{Reference: reference, Platform: platform, At: by.at, Family: by.family.Name, What: by.what})
	}
	return ""
}

func (q *questions) local(name string, by asker) localInput {
	if in, ok := q.dirs[name]; ok {
		return in
	}
	in := localInput{name: localName(q.m, name)}
	if in.name == "" {
		return in
	}
	info, err := fs.Lstat(q.m.FS, in.name)
	in.dir = err == nil && info.IsDir()
	q.dirs[name] = in
	if reference := "file:" + in.name; !q.seen[reference] {
		q.seen[reference] = true
		q.requests = append(q.requests, Request{Reference: reference, Local: true, At: by.at, Family: by.family.Name, What: by.what})
	}
	return in
}

// localName is a manifest's path from the module's root, or "" if it is none
// there.
func localName(m *Manifest, name string) string {
	if name == "" || strings.HasPrefix(name, "/") {
		return ""
	}
	p := path.Join(m.Dir, name)
	if !fs.ValidPath(p) {
		return ""
	}
	return p
}

// HashLocal is what a lock records of a local input: of the file or tree that
// "file:PATH" names.
func HashLocal(m *Manifest, reference string) (lock.Source, error) {
	d, size, err := plan.HashTree(m.FS, strings.TrimPrefix(reference, "file:"))
	return lock.Source{Digest: d, Size: size}, err
}

// answers are inputs from a lock.
type answers struct {
	m        *Manifest
	lk       *lock.File
	sources  map[string]plan.Source // by lock.Key
	locals   map[string]localInput
	missing  map[string]bool
	problems []*problem.Problem
}

func (a *answers) image(reference, platform string, by asker) plan.Digest {
	key := lock.Key(reference, platform)
	if s, ok := a.sources[key]; ok {
		return s.Digest
	}
	locked, ok := a.lk.Source(reference, platform)
	if !ok {
		a.lacks(key, by, reference+" for "+platform)
		return ""
	}
	a.sources[key] = plan.Source{Reference: reference, Platform: platform, Digest: locked.Digest, Size: locked.Size}
	return locked.Digest
}

func (a *answers) local(name string, by asker) localInput {
	if in, ok := a.locals[name]; ok {
		return in
	}
	in := localInput{name: localName(a.m, name)}
	defer func() { a.locals[name] = in }()
	if in.name == "" {
		a.report(problem.Problem{Code: "CV0121", Message: quoted(name) + " is not in the module", Help: "move it there; paths are relative to the manifest"}, by)
		return in
	}
	reference := "file:" + in.name
	info, err := fs.Lstat(a.m.FS, in.name)
	if err != nil {
		a.report(problem.Problem{Code: "CV0119", Message: quoted(name) + " does not exist", Help: "correct the path; it is relative to the manifest"}, by)
		return in
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		a.report(problem.Problem{Code: "CV0120", Message: quoted(name) + " is a link", Help: "name what it leads to"}, by)
		return in
	}
	in.dir = info.IsDir()
	now, err := HashLocal(a.m, reference)
	if err != nil {
		a.report(problem.Problem{Code: "CV0120", Message: quoted(name) + " cannot be read: " + err.Error()}, by)
		return in
	}
	in.digest = now.Digest
	switch was, ok := a.lk.Source(reference, ""); {
	case !ok:
		a.lacks(reference, by, reference)
	case was != now:
		a.report(problem.Problem{
			Code:    "CV0502",
			Message: quoted(name) + " is not what the lock recorded",
			Notes:   []string{"recorded " + string(was.Digest), "found    " + string(now.Digest)},
			Help:    "run canvos lock",
		}, by)
	default:
		a.sources[reference] = plan.Source{Reference: reference, Digest: now.Digest, Size: now.Size}
	}
	return in
}

// lacks reports an input that the lock has no entry of, once.
func (a *answers) lacks(key string, by asker, name string) {
	if a.missing[key] {
		return
	}
	a.missing[key] = true
	a.report(problem.Problem{
		Code:    "CV0501",
		Message: "the lock has no entry for " + name,
		Notes:   []string{"it is the " + by.what + " of family " + quoted(by.family.Name)},
		Help:    "run canvos lock",
	}, by)
}

func (a *answers) report(p problem.Problem, by asker) {
	p.Path, p.At = by.path, by.at
	a.problems = append(a.problems, newProblem(by.family, p))
}

// sorted are the sources that were asked for, as a plan has them.
func (a *answers) sorted() []plan.Source {
	sources := []plan.Source{}
	for _, s := range a.sources {
		sources = append(sources, s)
	}
	slices.SortFunc(sources, func(x, y plan.Source) int {
		return cmp.Or(cmp.Compare(x.Reference, y.Reference), cmp.Compare(x.Platform, y.Platform))
	})
	return sources
}
