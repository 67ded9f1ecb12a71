package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/plan"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/store"
)

func newDoctor(d *door) *cobra.Command {
	doc := &doctor{door: d}
	cmd := &cobra.Command{
		Use:   "doctor [PATH or PLAN]",
		Short: "What works here, and what to do about what does not",
		Long: `Looks at the machine, the store and, for the manifest in PATH or a saved plan, at
its registries: whether they answer, who is logged in, whether that account may
read components and push images, whether the disk is large enough for the plan,
and whether the engine can carry it out. Without either, at the machine alone. It
changes nothing: an upload is begun in each repository, and cancelled.`,
		Example: `  canvos doctor
  canvos doctor edge/ -o json
  canvos doctor change.plan.json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeManifests,
	}
	doc.lock = addLockFlags(cmd)
	doc.access = accessFlags(d, cmd)
	doc.tags = tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return doc.run(cmd.Context(), args) }
	return cmd
}

type doctor struct {
	*door
	lock   *lockFlags
	access *access
	tags   *[]string
	checks []view.Check
}

func (doc *doctor) ok(area, format string, args ...any) {
	doc.checks = append(doc.checks, view.Check{Area: area, OK: true, Text: fmt.Sprintf(format, args...)})
}

func (doc *doctor) bad(area, help, format string, args ...any) {
	doc.checks = append(doc.checks, view.Check{Area: area, Text: fmt.Sprintf(format, args...), Help: help})
}

func (doc *doctor) run(ctx context.Context, args []string) error {
	doc.machine()
	st := doc.store()
	if st != nil {
		defer st.Close()
		// Without a name the manifest here is meant, if there is one.
		here, _ := filepath.Glob(filepath.Join(doc.dir, "*.cue"))
		var err error
		switch {
		case len(args) > 0 && doc.isPlan(args[0]):
			err = doc.planChecks(ctx, args[0], st)
		case len(args) > 0 || len(here) > 0:
			err = doc.manifestChecks(ctx, args, st)
		}
		if err != nil {
			return err
		}
	}
	if err := view.Checks(doc.out, doc.outStyle(), doc.format, doc.checks); err != nil {
		return err
	}
	if slices.ContainsFunc(doc.checks, func(c view.Check) bool { return !c.OK }) {
		return told(exitError)
	}
	return nil
}

// machine is what it has. Layers are written a block at a time, so memory is
// seldom what lacks.
func (doc *doctor) machine() {
	const little = 512 << 20
	text := fmt.Sprintf("%s/%s · %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	total := memory()
	if total == 0 {
		doc.ok("machine", "%s", text)
		return
	}
	text += " · " + view.Bytes(total) + " memory"
	if total < little {
		doc.bad("machine", "large manifests and eight layers at once take some 300 MB: --jobs 1 takes less", "%s", text)
		return
	}
	doc.ok("machine", "%s", text)
}

func (doc *doctor) store() *store.Store {
	st, err := doc.openStore(doc.access)
	if err != nil {
		var f *failure
		help := ""
		if errors.As(err, &f) {
			help = f.help
		}
		doc.bad("store", help, "%v", err)
		return nil
	}
	doc.ok("store", "%s · %s free", doc.shown(st.Dir()), view.Bytes(st.Free()))
	return st
}

// manifestChecks are about what one manifest needs.
func (doc *doctor) manifestChecks(ctx context.Context, args []string, st *store.Store) error {
	m, err := doc.manifest(args, *doc.tags)
	if err != nil {
		return err
	}
	j, err := m.judge(nil)
	if err != nil {
		return err
	}
	if !j.OK() {
		errors, _ := view.Count(j.Problems)
		doc.bad("manifest", "canvos vet "+m.name+" shows them", "%s has %s", m.name, view.Things(errors, "error"))
		return nil
	}
	doc.ok("manifest", "%s · %s of %s", m.name, view.Things(len(j.Images), "image"), view.Things(len(j.Manifest.Families), "family"))
	src, err := doc.sources(m, j.Manifest, st, doc.access)
	if err != nil {
		return err
	}
	var push, read []string
	for _, i := range j.Images {
		push = append(push, i.Reference)
	}
	for _, q := range compile.Requests(j.Manifest, nil) {
		if at, ok := src.Places.Registry(q.Reference); ok && !q.Local {
			read = append(read, at)
		}
	}
	doc.registriesOf(ctx, push, read)

	c, err := doc.compile(ctx, m, doc.lock, st, doc.access)
	if err != nil {
		doc.bad("plan", "mend what is said above", "the manifest cannot be planned")
		return nil
	}
	return doc.carriedOut(ctx, c.plan, c.sources, st)
}

// planChecks are about what a saved plan needs.
func (doc *doctor) planChecks(ctx context.Context, name string, st *store.Store) error {
	p, err := doc.readPlan(name)
	if err != nil {
		return err
	}
	src, _, err := doc.savedSources(p, name, st, doc.access)
	if err != nil {
		return err
	}
	doc.ok("plan", "%s · %s", name, view.Things(len(p.Images), "image"))
	var push, read []string
	if p.saved.To == "" {
		for _, i := range p.Images {
			push = append(push, i.Reference)
		}
	}
	for _, s := range p.Sources {
		if at, ok := src.Places.Registry(s.Reference); ok && s.Platform != "" {
			read = append(read, repositoryOf(at)+"@"+string(s.Digest))
		}
	}
	doc.registriesOf(ctx, push, read)
	return doc.carriedOut(ctx, p.Plan, src, st)
}

// carriedOut says whether a plan can be, on this disk and by this engine.
func (doc *doctor) carriedOut(ctx context.Context, p plan.Plan, src *oci.Sources, st *store.Store) error {
	var ds []oci.Decision
	for _, i := range p.Images {
		ds = append(ds, oci.Decision{Image: i, Action: oci.Build})
	}
	e, err := src.Estimate(ctx, nil, p, ds)
	if err != nil {
		return err
	}
	if e.Store > st.Free() {
		doc.bad("store", "free some, or name a larger disk with --cache", "the plan may need %s, and %s are free", view.Bytes(e.Store), view.Bytes(st.Free()))
	} else {
		doc.ok("store", "the plan needs at most %s", view.Bytes(e.Store))
	}
	if cannot := (&oci.Engine{}).Check(p); cannot != nil {
		for _, p := range problemsOfChecks(cannot) {
			doc.bad("engine", p.Help, "%s [%s]", p.Message, p.Code)
		}
	} else {
		doc.ok("engine", "the embedded engine can carry the plan out")
	}
	return nil
}

// registriesOf asks each repository that images are pushed to whether it would take
// one, and each that components are read from for one of them.
func (doc *doctor) registriesOf(ctx context.Context, push, read []string) {
	client := doc.registries(doc.access)
	repositories := map[string]bool{}
	for _, ref := range push {
		repositories[repositoryOf(ref)] = true
	}
	for _, repo := range slices.Sorted(maps.Keys(repositories)) {
		doc.reached(client.Reach(ctx, repo, true), "%s: may push to it%s", repo, doc.account(ctx, repo))
	}
	one := map[string]string{} // a reference of each repository
	for _, ref := range slices.Sorted(slices.Values(read)) {
		if repo := repositoryOf(ref); one[repo] == "" {
			one[repo] = ref
		}
	}
	repos := slices.Sorted(maps.Keys(one))
	errs := make([]error, len(repos))
	var g errgroup.Group
	g.SetLimit(max(doc.access.jobs, 8))
	for i, repo := range repos {
		g.Go(func() error {
			_, errs[i] = client.Head(ctx, one[repo])
			return nil
		})
	}
	_ = g.Wait()
	well := map[string]int{} // repositories, by host
	for i, repo := range repos {
		if host, _, _ := strings.Cut(repo, "/"); errs[i] == nil {
			well[host]++
		}
	}
	for _, host := range slices.Sorted(maps.Keys(well)) {
		doc.ok("registry", "%s: %s may be read%s", host, view.Things(well[host], "repository"), doc.account(ctx, host+"/x"))
	}
	for i := range repos {
		if errs[i] != nil {
			doc.reached(errs[i], "")
		}
	}
}

// account says who a registry is asked as.
func (doc *doctor) account(ctx context.Context, repo string) string {
	who, err := doc.registries(doc.access).Account(ctx, repo)
	switch {
	case err != nil:
		return " · " + err.Error()
	case who == "":
		return " · without credentials"
	}
	host, _, _ := strings.Cut(repo, "/")
	if helper := registry.DockerHelper(doc.env("DOCKER_CONFIG"), host); helper != "" {
		return " · as " + who + " (" + helper + ")"
	}
	return " · as " + who
}

// repositoryOf is a reference without tag and digest.
func repositoryOf(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		return reference[:i]
	}
	return reference
}

func (doc *doctor) reached(err error, well string, args ...any) {
	if err == nil {
		doc.ok("registry", well, args...)
		return
	}
	help := ""
	if e, ok := errors.AsType[*registry.Error](err); ok {
		help = e.Help()
	}
	doc.bad("registry", help, "%v", err)
}
