package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

	once   sync.Once
	client *registry.Client
}

func accessFlags(d *door, cmd *cobra.Command) *access {
	r := &access{}
	cmd.Flags().StringVar(&r.cache, "cache", "", "`directory` of the store (default: canvos in the user's cache directory)")
	cmd.Flags().StringSliceVar(&r.plainHTTP, "plain-http", nil, "`hosts` that are asked without TLS; loopback always is")
	cmd.Flags().IntVar(&r.jobs, "jobs", defaultJobs(), "how much is done at a time")
	setting(cmd.Flags(), "cache", "plain-http", "jobs")
	return r
}

// openStore opens the store, making it if there is none.
func (d *door) openStore(r *access) (*store.Store, error) {
	dir := r.cache
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fail(exitError, "set XDG_CACHE_HOME, or --cache", "there is no cache directory: %v", err)
		}
		dir = filepath.Join(cache, "canvos")
	}
	st, err := store.Open(d.absolute(dir))
	if err != nil {
		return nil, fail(exitError, "--cache names another directory", "%v", err)
	}
	return st, nil
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
	return &oci.Sources{Store: st, Root: m.src.FS, Places: places, Registries: d.registries(r)}, nil
}

// registries is who speaks to them in this run: with Docker's credentials, the
// proxies of the environment, and without TLS only where that was allowed.
func (d *door) registries(r *access) *registry.Client {
	r.once.Do(func() {
		r.client = &registry.Client{
			Keychain:  registry.DockerKeychain(),
			Transport: registry.NewTransport(http.ProxyFromEnvironment),
			PlainHTTP: func(host string) bool { return slices.Contains(r.plainHTTP, host) },
			UserAgent: "canvos",
		}
	})
	return r.client
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
func resolve(ctx context.Context, src *oci.Sources, m *compile.Manifest, lk *lock.File, offline bool, jobs int) []found {
	var all []found
	var requests []oci.Request
	for _, q := range compile.Requests(m, lk) {
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
