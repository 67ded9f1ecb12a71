package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/store"
)

// saved is where the inputs of a plan lie, for a plan that is saved to a file.
func (d *door) saved(c *compiled, file, to string) (*view.Saved, error) {
	module, err := filepath.Rel(filepath.Dir(d.absolute(file)), c.manifest.root)
	if err != nil {
		return nil, fail(exitError, "", "save %s: %v", file, err)
	}
	s := &view.Saved{Module: filepath.ToSlash(module), Directory: c.manifest.src.Dir, Places: []view.SavedPlace{}, To: to}
	b := c.judged.Manifest.Build
	s.Build = view.SavedBuild{HTTPProxy: b.HTTPProxy.V, HTTPSProxy: b.HTTPSProxy.V, NoProxy: b.NoProxy.V}
	for _, f := range b.Certificates {
		s.Build.Certificates = append(s.Build.Certificates, f.V)
	}
	for _, r := range c.judged.Manifest.Sources {
		s.Places = append(s.Places, view.SavedPlace{Reference: normalPrefix(r.Reference), Place: r.Place.V})
	}
	return s, nil
}

// savedPlan is a plan file, read back.
type savedPlan struct {
	plan.Plan
	view.Saved
	decided map[string]savedDecision // by reference
}

type savedDecision struct {
	Reference string
	Action    view.Action
	Before    plan.Digest
}

func readPlan(file string) (*savedPlan, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(exitError, "canvos plan --out makes one", "read %s: %v", file, unpathed(err))
	}
	p, err := plan.Read(b)
	if err != nil {
		return nil, fail(exitError, "canvos plan --out makes a new one", "%s: %v", file, err)
	}
	var doc struct {
		Saved  *view.Saved
		Images []savedDecision
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fail(exitError, "", "%s: %v", file, err)
	}
	if doc.Saved == nil {
		return nil, fail(exitError, "save it with canvos plan --out FILE", "%s does not say where its inputs lie", file)
	}
	s := &savedPlan{Plan: p, Saved: *doc.Saved, decided: map[string]savedDecision{}}
	for _, i := range doc.Images {
		s.decided[i.Reference] = i
	}
	return s, nil
}

// saved carries out a plan file: exactly what it says, or nothing.
func (a *applying) saved(ctx context.Context, name string, st *store.Store) error {
	file := a.absolute(name)
	p, err := readPlan(file)
	if err != nil {
		return err
	}
	if len(a.targets) > 0 || len(a.consent.replace) > 0 || len(a.consent.adopt) > 0 {
		return fail(exitUsage, "give them to canvos plan --out", "a saved plan is carried out as it was reviewed: no --target, --replace or --adopt")
	}
	if a.to != "" && a.to != p.To {
		return fail(exitUsage, "", "the plan was compared with %s, not with %s", orRegistries(p.To), a.to)
	}
	a.to = p.To
	a.showPlaces(&p.Plan, filepath.Join(filepath.Dir(file), filepath.FromSlash(p.Module)))
	src, err := a.savedSources(p, file, st, a.access)
	if err != nil {
		return err
	}
	if cannot := (&oci.Engine{}).Check(p.Plan); cannot != nil {
		_ = a.invalid(problemsOfChecks(cannot))
		return told(exitRefused)
	}
	t, shown, err := a.target(a.to, false, st, a.access)
	if err != nil {
		return err
	}
	consents := func(ref string) bool { return p.decided[ref].Action == view.Replace }
	ds, err := oci.Decide(ctx, t, st, p.Plan, oci.Consent{Replace: consents, Adopt: consents}, max(a.access.jobs, 8))
	if err != nil {
		return advised(err)
	}
	if stale := append(a.changedInputs(ctx, p, src), changedTarget(p, ds)...); len(stale) > 0 {
		return fail(exitStale, "canvos plan --out "+name+" makes a new one", "the plan is stale: %s", strings.Join(stale, "\n"))
	}
	v := view.Plan{Plan: p.Plan, Manifest: name, Target: shown, Decisions: decisionsOf(ds)}
	if planExit(v, false) == exitRefused {
		v.Exit = exitRefused
		view.ShowPlan(a.err, a.errStyle(), v, false)
		return told(exitRefused)
	}
	return a.carryOut(ctx, src, nil, v, p.Plan, t, st)
}

func orRegistries(to string) string {
	if to == "" {
		return "the registries"
	}
	return to
}

func (d *door) savedSources(p *savedPlan, file string, st *store.Store, access *access) (*oci.Sources, error) {
	root := filepath.Join(filepath.Dir(file), filepath.FromSlash(p.Module))
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fail(exitError, "the plan's file must stay where it was saved, beside the module", "read the module of the plan: %v", unpathed(err))
	}
	var rules []oci.Rule
	for _, s := range p.Places {
		rules = append(rules, oci.Rule(s))
	}
	places, err := oci.NewPlaces(p.Directory, rules)
	if err != nil {
		return nil, fail(exitError, "", "%s: %v", file, err)
	}
	if access.way, err = readWay(r.FS(), p.Directory, p.Build); err != nil {
		return nil, err
	}
	return &oci.Sources{Store: st, Root: plan.Remembered(r.FS()), Places: places, Registries: d.registries(access)}, nil
}

// changedInputs are local inputs that are not what the plan was made with.
func (a *applying) changedInputs(ctx context.Context, p *savedPlan, src *oci.Sources) []string {
	var stale []string
	var requests []oci.Request
	var want []plan.Digest
	for _, s := range p.Sources {
		switch {
		case s.Platform != "" && src.Places.Local(s.Reference):
			requests = append(requests, oci.Request{Reference: s.Reference, Platform: s.Platform})
			want = append(want, s.Digest)
		case s.Platform == "":
			name := strings.TrimPrefix(s.Reference, "file:")
			if d, _, err := plan.HashTree(src.Root, name); err != nil {
				stale = append(stale, fmt.Sprintf("%s: %v", name, unpathed(err)))
			} else if d != s.Digest {
				stale = append(stale, name+" has changed")
			}
		}
	}
	for i, r := range src.Resolve(ctx, requests, a.access.jobs) {
		if r.Err != nil {
			stale = append(stale, r.Err.Error())
		} else if r.Digest != want[i] {
			stale = append(stale, r.Reference+" has changed")
		}
	}
	slices.Sort(stale)
	return stale
}

// changedTarget are references that do not stand for what the plan saw. What the
// plan itself has published meanwhile, in a run that was interrupted, is no
// change.
func changedTarget(p *savedPlan, ds []oci.Decision) []string {
	var stale []string
	for _, d := range ds {
		was := p.decided[d.Image.Reference].Before
		if d.Before == was || d.Action == oci.Unchanged {
			continue
		}
		stale = append(stale, fmt.Sprintf("%s was %s, and is %s", shortName(d.Image.Reference), orAbsent(was), orAbsent(d.Before)))
	}
	return stale
}

func orAbsent(d plan.Digest) string {
	if d == "" {
		return "not published"
	}
	return string(d)
}

func decisionsOf(ds []oci.Decision) []view.Decision {
	var out []view.Decision
	for _, d := range ds {
		out = append(out, view.Decision{Image: d.Image, Action: view.Action(d.Action), Reason: d.Reason, Code: d.Code, Help: d.Help, Before: d.Before})
	}
	return out
}
