package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/store"
)

// target is where images are published: "oci:DIR" is a layout, "" are the
// registries that the references name. It is nil if nothing shall be asked.
func (d *door) target(to string, offline bool, st *store.Store, r *access) (t image.Target, shown string, err error) {
	dir, ok := strings.CutPrefix(to, "oci:")
	switch {
	case ok && dir != "":
		return &oci.Layout{Dir: d.absolute(dir), Store: st}, to, nil
	case to != "":
		return nil, "", fail(exitUsage, "--to oci:out", "%q is no place to publish to", to)
	case offline:
		return nil, "", nil
	}
	return registry.NewPublisher(d.registries(r), nil, 0), "", nil
}

// writable finds out before anything is built whether it could be published. Of a
// registry only publishing tells.
func writable(t image.Target) error {
	if l, ok := t.(*oci.Layout); ok {
		if err := l.Writable(); err != nil {
			return fail(exitError, "--to names a layout, or a directory that is new or empty, where one may write", "%v", err)
		}
	}
	return nil
}

// journal remembers what runs of a plan have published, in the store's directory.
// There is one for the plan's image lines, also when a run is about some of them:
// the next run, which may be about others, must find it. It is nil for a layout.
func journal(st *store.Store, t image.Target, p plan.Plan) (*registry.Journal, error) {
	publisher, ok := t.(*registry.Publisher)
	if !ok {
		return nil, nil
	}
	lines := map[string]bool{}
	for _, i := range p.Images {
		lines[i.Line] = true
	}
	key, err := plan.Canonical(slices.Sorted(maps.Keys(lines)))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(st.Dir(), "journals")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fail(exitError, "", "make %s: %v", dir, unpathed(err))
	}
	j, err := registry.OpenJournal(filepath.Join(dir, strings.TrimPrefix(string(plan.DigestOf(key)), "sha256:")[:32]))
	if errors.Is(err, registry.ErrJournalHeld) {
		return nil, fail(exitError, "wait until it is done", "another run publishes the same image lines")
	} else if err != nil {
		return nil, fail(exitError, "", "%v", err)
	}
	publisher.Journal = j
	return j, nil
}
