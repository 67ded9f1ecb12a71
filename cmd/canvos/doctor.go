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
	"golang.org/x/sys/unix"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/store"
)

func newDoctor(d *door) *cobra.Command {
	doc := &doctor{door: d}
	cmd := &cobra.Command{
		Use:   "doctor [PATH]",
		Short: "What works here, and what to do about what does not",
		Long: `Looks at the machine, the store and, for the manifest in PATH, at its registries:
whether they answer, whether the credentials may read components and push images,
whether the disk is large enough for its plan, and whether the engine can carry
it out. Without a manifest, at the machine alone. It changes nothing: an upload is
begun in each repository, and cancelled.`,
		Example: `  canvos doctor
  canvos doctor edge/ -o json`,
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
		if len(args) > 0 || len(here) > 0 {
			if err := doc.manifestChecks(ctx, args, st); err != nil {
				return err
			}
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
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		doc.ok("machine", "%s", text)
		return
	}
	total := int64(info.Totalram) * int64(info.Unit)
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
	doc.registriesOf(ctx, src, j)

	c, err := doc.compile(ctx, m, doc.lock, st, doc.access)
	if err != nil {
		doc.bad("plan", "mend what is said above", "the manifest cannot be planned")
		return nil
	}
	var ds []oci.Decision
	for _, i := range c.plan.Images {
		ds = append(ds, oci.Decision{Image: i, Action: oci.Build})
	}
	e, err := c.sources.Estimate(ctx, nil, c.plan, ds)
	if err != nil {
		return err
	}
	if e.Store > st.Free() {
		doc.bad("store", "free some, or name a larger disk with --cache", "the plan may need %s, and %s are free", view.Bytes(e.Store), view.Bytes(st.Free()))
	} else {
		doc.ok("store", "the plan needs at most %s", view.Bytes(e.Store))
	}
	if cannot := (&oci.Engine{}).Check(c.plan); cannot != nil {
		for _, p := range problemsOfChecks(cannot) {
			doc.bad("engine", p.Help, "%s [%s]", p.Message, p.Code)
		}
	} else {
		doc.ok("engine", "the embedded engine can carry the plan out")
	}
	return nil
}

// registriesOf asks each repository that images are pushed to, and one repository
// of each registry that components are read from.
func (doc *doctor) registriesOf(ctx context.Context, src *oci.Sources, j compile.Judged) {
	client := doc.registries(doc.access)
	push := map[string]bool{}
	for _, i := range j.Images {
		push[i.Reference[:strings.LastIndexByte(i.Reference, ':')]] = true
	}
	for _, repo := range slices.Sorted(maps.Keys(push)) {
		doc.reached(client.Reach(ctx, repo, true), repo, "may push to it")
	}
	read := map[string]string{} // a reference of each host
	for _, q := range compile.Requests(j.Manifest, nil) {
		if at, ok := src.Places.Registry(q.Reference); ok && !q.Local {
			host, _, _ := strings.Cut(at, "/")
			if _, ok := read[host]; !ok {
				read[host] = at
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(read)) {
		doc.reached(client.Reach(ctx, read[host], false), host, "answers")
	}
}

func (doc *doctor) reached(err error, name, well string) {
	if err == nil {
		doc.ok("registry", "%s: %s", name, well)
		return
	}
	help := ""
	if e, ok := errors.AsType[*registry.Error](err); ok {
		help = e.Help()
	}
	doc.bad("registry", help, "%v", err)
}
