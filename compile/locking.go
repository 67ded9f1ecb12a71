package compile

import (
	"maps"
	"slices"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// ReadLock reads the lock of a manifest. name is the file's, for the problem.
func ReadLock(name string, text []byte) (*lock.File, *problem.Problem) {
	f, err := lock.Read(text)
	if err == nil {
		respelled(f.Sources)
		respelled(f.Facts)
		return f, nil
	}
	p := problem.Problem{Code: "CV0503", Message: err.Error(), Help: "take one side of the conflict, if that is the cause, and run canvos lock"}
	if e, ok := err.(*lock.Error); ok {
		p.Message, p.At = e.Text, plan.Pos{File: name, Line: e.Line, Column: 1}
		if e.Other {
			p.Code, p.Help = "CV0504", "take a newer canvos"
		}
	}
	return nil, newProblem(nil, p)
}

// respelled gives entries of an older canvos the names that references have now.
func respelled[T any](entries map[string]T) {
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		is := NormalName(key)
		if lock.IsLocal(key) || is == key {
			continue
		}
		if _, taken := entries[is]; !taken {
			entries[is] = entries[key]
		}
		delete(entries, key)
	}
}

// Complete writes into a lock what can be known without asking anybody: what
// new ranges stand for, the catalog entries that are newly used, the facts of
// new lines and platforms, and the digests of local files as they are now. Of
// the rest, what the lock says stays: a newer catalog moves nothing.
//
// What remains is to resolve the requests, which are Requests, that are not Local
// and not in the lock. The problems are of local files that cannot be read.
func Complete(m *Manifest, lk *lock.File) (requests []Request, problems []*problem.Problem) {
	for key, versions := range Expansions(m) {
		if _, ok := lk.Versions[key]; !ok {
			lk.Versions[key] = versions
		}
	}
	images, _ := Images(m, lk)
	releases := releasesOf(m)
	for tag, r := range used(releases, images) {
		if _, ok := lk.Catalog[tag]; !ok {
			lk.Catalog[tag] = r.Digest()
		}
	}
	lk.Declare(LineFacts(images))
	requests = Requests(m, lk)
	for _, q := range requests {
		if !q.Local {
			continue
		}
		s, err := HashLocal(m, q.Reference)
		if err != nil {
			problems = append(problems, newProblem(nil, problem.Problem{Code: "CV0119", Message: "cannot read the " + q.What + ": " + err.Error(), At: q.At, Family: q.Family}))
			continue
		}
		lk.SetSource(q.Reference, "", s)
	}
	return requests, problem.Sort(problems)
}

// Used are the entries of a lock that a manifest needs; the rest can be pruned.
func Used(m *Manifest, lk *lock.File) lock.Used {
	u := lock.Used{Sources: map[string]bool{}, Versions: map[string]bool{}, Releases: map[string]bool{}, Families: map[string]bool{}}
	for _, q := range Requests(m, lk) {
		u.Sources[lock.Key(q.Reference, q.Platform)] = true
	}
	for key := range Expansions(m) {
		u.Versions[key] = true
	}
	images, _ := Images(m, lk)
	for tag := range used(releasesOf(m), images) {
		u.Releases[tag] = true
	}
	for _, f := range m.Families {
		u.Families[f.Name] = true
	}
	return u
}

// used are the releases that images are made of.
func used(releases *releases, images []Image) map[string]*catalog.Release {
	out := map[string]*catalog.Release{}
	for _, img := range images {
		tag := img.Family.Release.V
		if r, err := releases.find(tag); err == nil {
			out[tag] = r
		}
	}
	return out
}

// stale finds what a lock lacks or has otherwise, besides sources.
func stale(m *Manifest, lk *lock.File, images []Image) []*problem.Problem {
	var problems []*problem.Problem
	releases := releasesOf(m)
	told := map[string]bool{}
	tell := func(key string, f *Family, p problem.Problem) {
		if !told[key] {
			told[key] = true
			if p.Help == "" {
				p.Help = "run canvos lock"
			}
			problems = append(problems, newProblem(f, p))
		}
	}
	for i := range m.Families {
		f := &m.Families[i]
		r, err := releases.find(f.Release.V)
		if err != nil {
			continue
		}
		for _, q := range requestsOf(f) {
			if q.err != nil || q.exact || len(within(q.versionRange, r.Versions(f.Kubernetes.Distribution.V))) == 0 {
				continue
			}
			key := RangeKey(f.Release.V, f.Kubernetes.Distribution.V, q.text)
			if _, ok := lk.Versions[key]; !ok {
				tell("versions "+key, f, problem.Problem{Code: "CV0501", Message: "the lock does not say what " + quoted(q.text) + " stands for", Path: q.path, At: q.at})
			}
		}
	}
	digests := map[string]plan.Digest{} // of releases, which hundreds of images share
	for _, img := range images {
		f := img.Family
		tag := f.Release.V
		if _, ok := lk.Facts[img.Line]; !ok {
			tell("facts "+img.Line, f, problem.Problem{Code: "CV0501", Message: "the lock does not know the line " + shortLine(img.Line), Path: "tag", At: orFamily(f.Tag.At, f)})
		}
		r, err := releases.find(tag)
		if err != nil {
			continue
		}
		if digests[tag] == "" {
			digests[tag] = r.Digest()
		}
		switch was, ok := lk.Catalog[tag]; {
		case !ok:
			tell("catalog "+tag, f, problem.Problem{Code: "CV0501", Message: "the lock has no catalog entry of CanvOS " + tag, Path: "canvos", At: f.Release.At})
		case was != digests[tag]:
			tell("catalog "+tag, f, problem.Problem{
				Code: "CV0502", Message: "what the catalog says of CanvOS " + tag + " is not what the lock recorded", Path: "canvos", At: f.Release.At,
				Notes: []string{"recorded " + string(was), "found    " + string(digests[tag])},
				Help:  "run canvos lock --update catalog",
			})
		}
	}
	return problems
}
