package main

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/store"
)

// access is how a run gets at bytes: flags that several verbs share.
type access struct {
	cache     string
	plainHTTP []string
	jobs      int
	way       way  // set before registries are first spoken to
	forgetful bool // the store is gone when the run ends

	once   sync.Once
	client *registry.Client
}

func accessFlags(d *door, cmd *cobra.Command) *access {
	r := &access{}
	cmd.Flags().StringVar(&r.cache, "cache", "", "`directory` of the store (default: canvos in the user's cache directory)")
	cmd.Flags().StringSliceVar(&r.plainHTTP, "plain-http", nil, "`hosts` that may be asked without TLS, where they do not speak it; loopback always may")
	r.jobs = defaultJobs()
	cmd.Flags().Var((*atLeastOne)(&r.jobs), "jobs", "how much is done at a time")
	setting(cmd.Flags(), "cache", "plain-http", "jobs")
	return r
}

// sources is where a manifest's inputs come from.
func (d *door) sources(m *manifest, man *compile.Manifest, st *store.Store, r *access) (*oci.Sources, error) {
	var rules []oci.Rule
	for _, s := range man.Sources {
		rules = append(rules, oci.Rule{Reference: normalPrefix(s.Reference), Place: s.Place.V})
	}
	places, err := oci.NewPlaces(m.src.Dir, rules)
	if err != nil {
		return nil, err // Check has looked at them: not reached
	}
	if r.way, err = wayOf(m, man.Build); err != nil {
		return nil, err
	}
	return &oci.Sources{Store: st, Root: m.src.FS, Places: places, Registries: d.registries(r)}, nil
}

// normalPrefix is a reference, or the beginning of one, as plans spell it.
func normalPrefix(reference string) string {
	if normal, err := compile.NormalReference(reference); err == nil && strings.ContainsAny(reference[strings.LastIndexByte(reference, '/')+1:], ":@") {
		return normal
	}
	return compile.NormalName(reference)
}

// found is what a reference of a manifest was resolved to.
type found struct {
	oci.Resolved
	what, family string
	at           plan.Pos
}

// resolve asks for the references of a manifest that its lock lacks, and for all
// that lie in local places, since these may change. offline asks no registry.
func resolve(ctx context.Context, src *oci.Sources, needed []compile.Request, lk *lock.File, offline bool, jobs int) []found {
	var all []found
	var requests []oci.Request
	for _, q := range needed {
		_, has := lk.Source(q.Reference, q.Platform)
		if q.Local || !src.Places.Local(q.Reference) && (offline || has) {
			continue
		}
		requests = append(requests, oci.Request{Reference: q.Reference, Platform: q.Platform})
		all = append(all, found{what: q.What, family: q.Family, at: q.At})
	}
	for i, a := range src.Resolve(ctx, requests, max(jobs, 8)) { // waiting, not computing
		all[i].Resolved = a
	}
	return all
}

// unresolved is a reference that could not be resolved, as a problem of the
// manifest that asks for it.
func unresolved(f found) *problem.Problem {
	var se *oci.SourceError
	if !errors.As(f.Err, &se) {
		p := problemAt("CV0610", "the "+f.what+" cannot be had: "+f.Err.Error(), f.at)
		p.Family = f.family
		return p
	}
	p := problemAt(se.Code, "the "+f.what+" "+se.Error(), f.at)
	p.Notes, p.Help, p.Family = se.Notes, se.Help, f.family
	return p
}

// outage says that a registry was not reached, or did not answer as it should: the
// manifest may be right. What a registry says is not there, is asked for wrongly.
func outage(err error) bool {
	e, ok := errors.AsType[*registry.Error](err)
	return ok && e.Kind != registry.NotFound
}

// defaultJobs is one for each processor: a step keeps one busy.
func defaultJobs() int { return runtime.GOMAXPROCS(0) }

// advised is an error with what a person can do about it, where a registry's
// answer says so.
func advised(err error) error {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return &failure{code: exitError, err: err, help: e.Help()}
	}
	return err
}
