package main

import (
	"bytes"
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
	s := &view.Saved{Module: filepath.ToSlash(module), Directory: c.manifest.src.Dir, Places: []view.SavedPlace{}, Lines: oci.DeclaredBy(c.plan), To: d.toIn(c.manifest.root, to)}
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

// toIn is a place to publish to as one writes it in a module: a plan that is
// carried out from another directory goes where it was reviewed for.
func (d *door) toIn(module, to string) string {
	dir, ok := strings.CutPrefix(to, "oci:")
	if !ok || filepath.IsAbs(dir) {
		return to
	}
	if rel, err := filepath.Rel(module, d.absolute(dir)); err == nil {
		dir = rel
	}
	return "oci:" + filepath.ToSlash(dir)
}

// toFrom is such a place as one writes it here.
func (d *door) toFrom(module, to string) string {
	dir, ok := strings.CutPrefix(to, "oci:")
	if !ok || filepath.IsAbs(dir) {
		return to
	}
	return "oci:" + d.shown(filepath.Join(module, filepath.FromSlash(dir)))
}

// savePlan writes a plan with what was observed of each reference.
func (d *door) savePlan(file string, v view.Plan) error {
	var b bytes.Buffer
	if err := view.PlanJSON(&b, v); err != nil {
		return err
	}
	var err error
	if v.Saved.Digest, err = sealOf(b.Bytes()); err != nil {
		return err
	}
	b.Reset()
	if err := view.PlanJSON(&b, v); err != nil {
		return err
	}
	if err := writeFile(d.absolute(file), b.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(d.err, "saved %s; canvos apply %s carries it out\n", file, file)
	return nil
}

// sealOf is the digest of all that a plan file says, but for the digest itself.
// How the JSON is laid out makes no difference.
func sealOf(file []byte) (plan.Digest, error) {
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(file))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return "", err
	}
	if saved, ok := doc["saved"].(map[string]any); ok {
		delete(saved, "digest")
	}
	b, err := plan.Canonical(doc)
	return plan.DigestOf(b), err
}

// savedPlan is a plan file, read back.
type savedPlan struct {
	plan.Plan
	saved   view.Saved
	decided map[string]savedDecision // by reference
}

type savedDecision struct {
	Reference string
	Action    view.Action
	Before    plan.Digest
}

func (d *door) readPlan(file string) (*savedPlan, error) {
	b, err := os.ReadFile(d.absolute(file))
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
	if seal, err := sealOf(b); err != nil || seal != doc.Saved.Digest {
		return nil, fail(exitError, "canvos plan --out makes a new one; --replace and --adopt consent there", "%s is not as canvos plan --out wrote it: somebody has edited it since", file)
	}
	s := &savedPlan{Plan: p, saved: *doc.Saved, decided: map[string]savedDecision{}}
	for _, i := range doc.Images {
		s.decided[i.Reference] = i
	}
	return s, nil
}

// saved carries out a plan file: exactly what it says, or nothing.
func (a *applying) saved(ctx context.Context, name string, st *store.Store) error {
	p, err := a.readPlan(name)
	if err != nil {
		return err
	}
	if len(a.targets) > 0 || len(a.consent.replace) > 0 || len(a.consent.adopt) > 0 {
		return fail(exitUsage, "give them to canvos plan --out", "a saved plan is carried out as it was reviewed: no --target, --replace or --adopt")
	}
	src, module, err := a.savedSources(p, name, st, a.access)
	if err != nil {
		return err
	}
	to := a.toFrom(module, p.saved.To)
	if a.to != "" && (to == "" || a.absolute(strings.TrimPrefix(a.to, "oci:")) != a.absolute(strings.TrimPrefix(to, "oci:"))) {
		return fail(exitUsage, "", "the plan was compared with %s, not with %s", orRegistries(to), a.to)
	}
	a.to = to
	if cannot := (&oci.Engine{}).Check(p.Plan); cannot != nil {
		_ = a.invalid(problemsOfChecks(cannot))
		return told(exitRefused)
	}
	t, shown, err := a.target(a.to, false, st, a.access)
	if err != nil {
		return err
	}
	consents := func(ref string) bool { return p.decided[ref].Action == view.Replace }
	ds, err := oci.Decide(ctx, p.Plan, oci.Comparison{
		Target: t, Store: st, Declared: p.saved.Lines, Consent: oci.Consent{Replace: consents, Adopt: consents}, Jobs: max(a.access.jobs, 8), Root: src.Root,
	})
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
	return a.carryOut(ctx, src, standIns(src, name), v, p.Plan, t, st)
}

func orRegistries(to string) string {
	if to == "" {
		return "the registries"
	}
	return to
}

// savedSources is where the inputs of a saved plan come from, and the root of the
// local ones.
func (d *door) savedSources(p *savedPlan, name string, st *store.Store, access *access) (src *oci.Sources, module string, err error) {
	places, err := p.places(name)
	if err != nil {
		return nil, "", err
	}
	dir, err := d.moduleOf(p, name, places)
	if err != nil {
		return nil, "", err
	}
	root, err := openWorkTree(dir)
	if err != nil {
		return nil, "", fail(exitError, "", "read the module of the plan: %v", unpathed(err))
	}
	d.showPlaces(&p.Plan, dir)
	if access.way, err = readWay(root, p.saved.Directory, p.saved.Build); err != nil {
		return nil, "", err
	}
	return &oci.Sources{Store: st, Root: plan.Remembered(root), Places: places, Registries: d.registries(access)}, dir, nil
}

// places say where the plan's references are read from.
func (p *savedPlan) places(name string) (oci.Places, error) {
	var rules []oci.Rule
	for _, s := range p.saved.Places {
		rules = append(rules, oci.Rule(s))
	}
	places, err := oci.NewPlaces(p.saved.Directory, rules)
	if err != nil {
		return places, fail(exitError, "", "%s: %v", name, err)
	}
	return places, nil
}

// moduleOf is the root of the local inputs of a plan: where it lay when the plan was
// saved, seen from the plan's file, or, if that was moved, the module of the working
// directory. It is the one that has most of them; that they are what was planned with
// is found out by their digests.
func (d *door) moduleOf(p *savedPlan, name string, places oci.Places) (string, error) {
	inputs := p.inputs(places)
	beside := filepath.Join(filepath.Dir(d.absolute(name)), filepath.FromSlash(p.saved.Module))
	best, most := "", 0
	for _, dir := range []string{beside, moduleRoot(d.dir)} {
		root, err := os.OpenRoot(dir)
		if err != nil {
			continue
		}
		has := 0
		for _, input := range inputs {
			if _, err := root.Lstat(input); err == nil {
				has++
			}
		}
		root.Close()
		if has > most || best == "" && len(inputs) == 0 {
			best, most = dir, has
		}
	}
	if best == "" {
		return "", fail(exitError, "run canvos apply in the directory of the manifest, or put the file back where it was saved",
			"%s is not beside what it was made of: there is no %s in %s", name, some(inputs), d.shown(beside))
	}
	return best, nil
}

// inputs are the files and directories of the module that a plan is made of.
func (p *savedPlan) inputs(places oci.Places) []string {
	var names []string
	for _, s := range p.Sources {
		if name, ok := strings.CutPrefix(s.Reference, "file:"); ok && s.Platform == "" {
			names = append(names, name)
		} else if name, ok := places.File(s.Reference); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// some is the first of many names, and how many more there are.
func some(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s (and none of %d more inputs)", names[0], len(names)-1)
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
