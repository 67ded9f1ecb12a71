package view

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// Action is what a plan does with an image.
type Action string

const (
	Build     Action = "build"
	Unchanged Action = "unchanged"
	Replace   Action = "replace"
	Refused   Action = "refused"
	Kept      Action = "kept"
)

// Decision is a plan's word on one image.
type Decision struct {
	Image  plan.Image // of Kept only the reference is known
	Action Action
	Reason string
	Code   string      // of a refusal
	Help   string      // of a refusal
	Before plan.Digest // what is published under the reference; "" is nothing, or not known
}

// Costs are bytes that carrying out a plan moves. They are upper bounds until
// the layers exist.
type Costs struct {
	Download int64 `json:"download"`
	Upload   int64 `json:"upload"`
	Store    int64 `json:"store"`
	Exact    bool  `json:"exact"`
}

// A Plan is a plan with what was decided of each image.
type Plan struct {
	Plan      plan.Plan
	Manifest  string // as the person named it
	Target    string // what it was compared with; "" is nothing
	Decisions []Decision
	Costs     Costs
	// There, of what has to be downloaded, is in the store already.
	There int64
	// Free bytes where the store is; 0 is not known.
	Free     int64
	Exit     int
	InModule InModule // of the plan's places
	// Problems are warnings, and as errors what the engine cannot do of it. Their
	// places are such in the module.
	Problems []*problem.Problem
	// Saved, of a plan that is saved, is what carrying it out needs besides.
	Saved *Saved
}

// InModule is a path as it lies in the module of the manifest, of one that is
// shown to people. Plans for machines have the former: they are the same in
// whatever directory they are made. nil leaves a path as it is.
type InModule func(shown string) string

func (f InModule) at(at plan.Pos) plan.Pos {
	if f != nil && at.File != "" {
		at.File = f(at.File)
	}
	return at
}

// Saved is where the inputs of a saved plan lie, so that it can be carried out
// without its manifest.
type Saved struct {
	Module    string       `json:"module"`    // root of local files, relative to the plan's file
	Directory string       `json:"directory"` // of the manifest, in the module
	Places    []SavedPlace `json:"places"`
	// Lines are the platforms of image lines, over all images of the manifest:
	// --target may have left some out of the plan.
	Lines map[string][]string `json:"lines"`
	To    string              `json:"to,omitempty"` // what it was compared with: "oci:DIR", DIR relative to the module's root; "" are registries
	Build SavedBuild          `json:"build,omitzero"`
	// Digest covers all else in the file: also decisions and places, which the
	// plan's own digest leaves out.
	Digest plan.Digest `json:"digest"`
}

// SavedBuild is how registries are reached. It holds no secrets: a manifest may
// not write them down.
type SavedBuild struct {
	HTTPProxy    string   `json:"httpProxy,omitempty"`
	HTTPSProxy   string   `json:"httpsProxy,omitempty"`
	NoProxy      string   `json:"noProxy,omitempty"`
	Certificates []string `json:"certificates,omitempty"` // PEM files below Directory
}

// IsZero says that nothing is special about it.
func (b SavedBuild) IsZero() bool {
	return b.HTTPProxy == "" && b.HTTPSProxy == "" && b.NoProxy == "" && len(b.Certificates) == 0
}

// SavedPlace says where a reference, or all that begin with it, is read from.
type SavedPlace struct {
	Reference string `json:"reference"`
	Place     string `json:"place"`
}

// count is how many images have an action.
func (p *Plan) count(a Action) int {
	n := 0
	for _, d := range p.Decisions {
		if d.Action == a {
			n++
		}
	}
	return n
}

// signs begin lines, so that actions are told apart without colours.
var signs = map[Action]struct{ sign, colour string }{
	Build:     {"+", green},
	Unchanged: {"=", faint},
	Replace:   {"~", yellow},
	Refused:   {"×", red},
	Kept:      {".", faint},
}

// ShowPlan writes a plan for people: what each image comes to, family by family;
// numbers last. Large families are folded unless full; what replaces or is
// refused is always shown.
func ShowPlan(w io.Writer, s Style, p Plan, full bool) {
	p = safe(p)
	fmt.Fprintln(w, s.paint(p.title(), bold))
	fmt.Fprintln(w)
	graph := stepsByID(p.Plan)
	own := map[string][]Decision{}
	for _, d := range p.Decisions {
		if d.Action != Kept {
			own[d.Image.Family] = append(own[d.Image.Family], d)
		}
	}
	one := len(p.registries()) == 1
	for _, name := range families(p.Decisions) {
		p.family(w, s, own[name], graph, full, one)
	}
	if p.count(Kept) > 0 {
		fmt.Fprintf(w, "  %s\n", s.paint("no longer declared: "+count(p.count(Kept), "image")+" kept", faint))
		if full {
			var t table
			t.indent = "    "
			for _, d := range p.Decisions {
				if d.Action == Kept {
					t.add(".", "kept", d.Image.Reference, d.Reason).paint(0, faint)
				}
			}
			t.write(w, s)
		}
	}
	fmt.Fprintf(w, "\n  %s\n", p.totals(s))
	if line := p.costs(); line != "" {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if errors, _ := Count(p.Problems); errors > 0 {
		fmt.Fprintf(w, "  %s: canvos apply refuses this plan\n", s.paint(count(errors, "error"), red))
	}
	fmt.Fprintf(w, "  plan %s", p.Plan.Digest)
	if p.Exit != 0 {
		fmt.Fprintf(w, " (exit %d)", p.Exit)
	}
	fmt.Fprintln(w)
}

func (p *Plan) title() string {
	releases := map[string]bool{}
	for _, i := range p.Plan.Images {
		releases[i.Facts.Release] = true
	}
	parts := []string{p.Manifest}
	if r := sortedKeys(releases); len(r) > 0 {
		parts = append(parts, "CanvOS "+strings.Join(r, ", "))
	}
	parts = append(parts, p.registries()...)
	if p.Target != "" {
		parts = append(parts, "compared with "+p.Target)
	}
	return strings.Join(parts, " · ")
}

func (p *Plan) registries() []string {
	all := map[string]bool{}
	for _, i := range p.Plan.Images {
		registry, _ := splitReference(i.Reference)
		all[registry] = true
	}
	return sortedKeys(all)
}

// foldAbove is how many images of a family are shown one by one.
const foldAbove = 12

// family writes the decisions about one family's images; one says that all images of
// the plan are in one registry.
func (p *Plan) family(w io.Writer, s Style, own []Decision, graph map[plan.Digest]plan.Step, full, one bool) {
	if len(own) == 0 {
		return
	}
	fmt.Fprintf(w, "  %s  %s\n", s.paint(own[0].Image.Family, bold), s.paint(base(own, graph), faint))
	var t table
	t.indent = "    "
	fold := !full && len(own) > foldAbove
	folded := map[Action]int{}
	for _, d := range own {
		if fold && (d.Action == Build || d.Action == Unchanged) {
			folded[d.Action]++
			continue
		}
		short := d.Image.Reference
		if one {
			_, short = splitReference(short)
		}
		reason := d.Reason
		if d.Code != "" {
			reason += " [" + d.Code + "]"
		}
		r := t.add(signs[d.Action].sign, pad(string(d.Action), len(Unchanged)), short, strings.Join(platformNames(d.Image.Platforms), " "), reason)
		r.paint(0, signs[d.Action].colour)
		r.paint(1, signs[d.Action].colour)
		if d.Help != "" {
			t.add("", "", "", "", "help: "+d.Help)
		}
	}
	if fold {
		var parts []string
		for _, a := range []Action{Unchanged, Build} {
			if folded[a] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", folded[a], a))
			}
		}
		if len(parts) > 0 {
			fmt.Fprintf(w, "    %s: %s %s\n", count(folded[Build]+folded[Unchanged], "image"), strings.Join(parts, ", "), s.paint("(--view full shows them)", faint))
		}
	}
	t.write(w, s)
}

// base says what the images of a family stand on: the OS, and whether somebody
// has to prepare it.
func base(own []Decision, graph map[plan.Digest]plan.Step) string {
	f := own[0].Image.Facts
	parts := []string{strings.TrimSpace(f.OSDistribution + " " + f.OSVersion)}
	runs := map[plan.Digest]bool{}
	seen := map[plan.Digest]bool{}
	var walk func(plan.Digest)
	walk = func(id plan.Digest) {
		if seen[id] {
			return
		}
		seen[id] = true
		if graph[id].Op.Run != nil {
			runs[id] = true
		}
		for _, n := range graph[id].Needs {
			walk(n)
		}
	}
	for _, d := range own {
		walk(d.Image.Step)
	}
	if len(runs) > 0 {
		parts = append(parts, "commands have to be run in it ("+count(len(runs), "step")+")")
	} else {
		parts = append(parts, "prepared already")
	}
	return strings.Join(append(parts, "used by "+count(len(own), "image")), " · ")
}

func (p *Plan) totals(s Style) string {
	var parts []string
	for _, a := range []struct {
		action Action
		text   string
		colour string
	}{{Build, "to build", green}, {Replace, "to replace", yellow}, {Unchanged, "unchanged", ""}, {Refused, "refused", red}, {Kept, "kept", ""}} {
		if n := p.count(a.action); n > 0 {
			text := fmt.Sprintf("%d %s", n, a.text)
			if a.colour != "" {
				text = s.paint(text, a.colour)
			}
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, " · ")
}

func (p *Plan) costs() string {
	if p.count(Build)+p.count(Replace) == 0 {
		return ""
	}
	atMost := func(n int64) string {
		if p.Costs.Exact || n == 0 {
			return Bytes(n)
		}
		return "at most " + Bytes(n)
	}
	download := "download " + atMost(p.Costs.Download-p.There)
	if p.There > 0 {
		download += " (" + Bytes(p.There) + " there already)"
	}
	store := "store " + atMost(p.Costs.Store)
	if p.Free > 0 {
		store += " of " + Bytes(p.Free) + " free"
	}
	return strings.Join([]string{download, "upload " + atMost(p.Costs.Upload), store}, " · ")
}

// PlanJSON writes a plan for machines, and is what a saved plan holds.
func PlanJSON(w io.Writer, p Plan) error {
	type decided struct {
		listed
		Line      string            `json:"line"`
		Action    Action            `json:"action"`
		Reason    string            `json:"reason"`
		Code      string            `json:"code,omitempty"`
		Step      plan.Digest       `json:"step"`
		Publish   string            `json:"publish"`
		Arguments map[string]string `json:"arguments,omitempty"`
		Before    plan.Digest       `json:"before,omitempty"`
		At        plan.Pos          `json:"at"`
	}
	doc := struct {
		header
		Version  int           `json:"version"`
		Digest   plan.Digest   `json:"digest"`
		Recipe   int           `json:"recipe"`
		Format   int           `json:"format"`
		Sources  []plan.Source `json:"sources"`
		Steps    []plan.Step   `json:"steps"`
		Images   []decided     `json:"images"`
		Bytes    Costs         `json:"bytes"`
		Problems []jsonProblem `json:"problems"`
		Saved    *Saved        `json:"saved,omitempty"`
	}{
		header: head("Plan"), Version: p.Plan.Version, Digest: p.Plan.Digest, Recipe: p.Plan.Recipe, Format: p.Plan.Format,
		Sources: append([]plan.Source{}, p.Plan.Sources...), Steps: []plan.Step{}, Images: []decided{}, Bytes: p.Costs, Problems: problemsJSON(p.Problems), Saved: p.Saved,
	}
	for _, s := range p.Plan.Steps {
		s.At = p.InModule.at(s.At)
		doc.Steps = append(doc.Steps, s)
	}
	for _, d := range p.Decisions {
		i := d.Image
		doc.Images = append(doc.Images, decided{list(i), i.Line, d.Action, d.Reason, d.Code, i.Step, i.Publish, i.Arguments, d.Before, p.InModule.at(i.At)})
	}
	return writeJSON(w, doc)
}

func stepsByID(p plan.Plan) map[plan.Digest]plan.Step {
	m := make(map[plan.Digest]plan.Step, len(p.Steps))
	for _, s := range p.Steps {
		m[s.ID] = s
	}
	return m
}

// families are the names of the decisions' families, in the order in which the
// manifest has them.
func families(ds []Decision) []string {
	at := map[string]plan.Pos{}
	var names []string
	for _, d := range ds {
		f := d.Image.Family
		if old, ok := at[f]; !ok {
			names = append(names, f)
			at[f] = d.Image.At
		} else if before(d.Image.At, old) {
			at[f] = d.Image.At
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case before(at[a], at[b]):
			return -1
		case before(at[b], at[a]):
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

func before(a, b plan.Pos) bool {
	if a.File != b.File {
		return a.File < b.File
	}
	return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
}

// splitReference cuts "docker.io/acme/ubuntu:tag" into where it is and what
// people call it there: "docker.io/acme", "ubuntu:tag".
func splitReference(ref string) (registry, short string) {
	if i := strings.LastIndexByte(ref, '/'); i >= 0 {
		return ref[:i], ref[i+1:]
	}
	return "", ref
}

func platformNames(platforms []string) []string {
	var names []string
	for _, p := range platforms {
		names = append(names, strings.TrimPrefix(p, "linux/"))
	}
	return names
}

func sortedKeys(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
