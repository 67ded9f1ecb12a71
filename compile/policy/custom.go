package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"

	"canvos.dev/compile"
	"canvos.dev/compile/plan"
)

// Custom is a rule of the organisation: patterns that a change must have, or a
// computed list of what is wrong.
type Custom struct {
	ID            string
	Severity      Severity
	Message, Help string
	Owner, Link   string
	Each          string // "family", "image" or "change"
	// Manifest is the one whose rule it is; "" judges all.
	Manifest string
	At       plan.Pos
	Cases    []Case
	// Broken says why the rule cannot judge anything; "" if it can.
	Broken string

	when, require []leaf
	value         cue.Value // of the whole rule
	computed      bool
	reads         []string // the inputs that it declares
	lifted        *lifted  // nil if the rule must be filled instead
	in            *evaluator
}

// Case is an example beside a rule.
type Case struct {
	Name  string
	Fires bool
	input subject
}

// Ruleset is what a change is judged by.
type Ruleset struct {
	// Settings are those for all manifests; Of are those of each manifest whose
	// policies the set has, by its name.
	Settings Settings
	Of       map[string]Settings
	Own      []Custom
	Waivers  []Waiver
	// Broken are findings of policies and waivers that cannot be read.
	Broken []Finding

	proposed map[string]compile.Rules // by manifest
}

// NewRuleset is one without any rule.
func NewRuleset() *Ruleset { return &Ruleset{Settings: Settings{}, Of: map[string]Settings{}} }

// Add reads policies and waivers into the set. manifest is whose they are, "" if
// they judge all. Settings of a manifest are of that manifest alone; of two that
// hold for one, the graver does.
func (s *Ruleset) Add(manifest string, policies, waivers compile.Rules) {
	if manifest != "" {
		s.Of[manifest] = Settings{}
	}
	s.policies(manifest, policies)
	s.waivers(manifest, waivers)
}

func (s *Ruleset) policies(manifest string, r compile.Rules) {
	if r.CUE == nil {
		return
	}
	e := &evaluator{ctx: cuecontext.New(), known: map[uintptr]cue.Value{}, lists: map[listKey]cue.Value{}}
	all := e.ctx.CompileBytes(r.CUE)
	builtin := map[string]bool{}
	for _, b := range Builtin() {
		builtin[b.ID] = true
	}
	functions, wrong := lift(r.CUE), misspelt(r.CUE)
	for id, v := range fields(all) {
		if builtin[id] {
			if err := s.set(manifest, id, v); err != nil {
				s.Broken = append(s.Broken, brokenRule(manifest, id, words(err), r.Of[id]))
			}
			continue
		}
		c := e.custom(id, v)
		c.lifted = functions[id]
		if c.Broken == "" {
			c.Broken = wrong[id]
		}
		c.Manifest, c.At = manifest, r.Of[id]
		s.Own = append(s.Own, c)
	}
	if err := all.Err(); err != nil && len(s.Own) == 0 {
		s.Broken = append(s.Broken, brokenRule(manifest, "", words(err), r.At))
	}
}

func (s *Ruleset) waivers(manifest string, r compile.Rules) {
	if r.CUE == nil {
		return
	}
	all := cuecontext.New().CompileBytes(r.CUE)
	for name, v := range fields(all) {
		s.Waivers = append(s.Waivers, readWaiver(manifest, name, v, r.Of[name]))
	}
	slices.SortFunc(s.Waivers, func(a, b Waiver) int { return strings.Compare(a.Name, b.Name) })
}

// inputs are what a rule may declare to compute from.
var inputs = []string{"before", "after", "changes", "images", "totals"}

// patterns are the fields of a rule that may also be definitions.
var patterns = append([]string{"when", "require", "violations"}, inputs...)

// custom reads a rule. What is wrong with it makes it broken.
func (e *evaluator) custom(id string, v cue.Value) Custom {
	c := Custom{ID: id, Each: "family", value: v, in: e}
	for name, text := range map[string]*string{"message": &c.Message, "help": &c.Help, "owner": &c.Owner, "link": &c.Link, "each": &c.Each, "severity": (*string)(&c.Severity)} {
		if f := v.LookupPath(cue.MakePath(cue.Str(name))); f.Exists() {
			s, err := f.String()
			if err != nil {
				c.Broken = words(err)
			}
			*text = s
		}
	}
	c.Link = webLink(c.Link)
	for _, d := range definitions(v) {
		if !slices.Contains(patterns, strings.TrimPrefix(d, "#")) {
			c.Broken = d + " is no part of a rule"
		}
	}
	for name, leaves := range map[string]*[]leaf{"when": &c.when, "require": &c.require} {
		pattern := either(v, name)
		if _, few := flatten(pattern); !few {
			c.Broken = "its patterns want more than " + strconv.Itoa(mostLeaves) + " values"
			continue
		}
		*leaves, _ = flatten(e.open(pattern))
	}
	c.computed = either(v, "violations").Exists()
	for _, name := range inputs {
		if either(v, name).Exists() {
			c.reads = append(c.reads, name)
		}
	}
	switch whole := slices.ContainsFunc(c.reads, func(r string) bool { return r != "before" && r != "after" }); {
	case c.Broken != "":
	case len(c.require) == 0 && !c.computed:
		c.Broken = "it has neither require nor violations"
	case c.Each == "change" && !whole && c.computed && len(c.reads) > 0, c.Each != "change" && whole:
		c.Broken = "each: " + quoted(c.Each) + " does not go with what it reads: " + strings.Join(c.reads, ", ")
	case gravity(c.Severity) < 1:
		c.Broken = "its severity is " + quoted(string(c.Severity))
	default:
		c.Broken = c.strange()
	}
	for name, k := range fields(v.LookupPath(cue.MakePath(cue.Str("cases")))) {
		one := Case{Name: name}
		if err := k.LookupPath(cue.MakePath(cue.Str("fires"))).Decode(&one.Fires); err != nil {
			c.Broken = "case " + quoted(name) + ": " + words(err)
		}
		one.input.values = map[string]cue.Value{"before": e.null(), "after": e.null()}
		for _, in := range inputs {
			if x := k.LookupPath(cue.MakePath(cue.Str(in))); x.Exists() {
				one.input.values[in] = x
			}
		}
		c.Cases = append(c.Cases, one)
	}
	return c
}

// either is a field of a rule, or the definition of that name.
func either(v cue.Value, name string) cue.Value {
	if f := v.LookupPath(cue.MakePath(cue.Str(name))); f.Exists() {
		return f
	}
	return v.LookupPath(cue.MakePath(cue.Def(name)))
}

// open is a pattern that other fields may stand beside. A definition is closed, so
// that no family would ever be what #when: before: {} says.
func (e *evaluator) open(v cue.Value) cue.Value {
	if !v.Exists() {
		return v
	}
	var opened cue.Value
	switch n := v.Syntax(cue.All(), cue.InlineImports(true)).(type) {
	case *ast.File:
		opened = e.ctx.BuildFile(n)
	case ast.Expr:
		opened = e.ctx.BuildExpr(n)
	}
	if opened.Err() != nil {
		return v
	}
	return opened
}

// fields goes through the regular fields of a struct, also of one that holds an
// error somewhere.
func fields(v cue.Value) func(func(string, cue.Value) bool) {
	return func(yield func(string, cue.Value) bool) {
		it, err := v.Fields(cue.Definitions(true))
		for err == nil && it.Next() {
			if sel := it.Selector(); sel.LabelType() == cue.StringLabel && !yield(sel.Unquoted(), it.Value()) {
				return
			}
		}
	}
}

func definitions(v cue.Value) []string {
	var names []string
	it, err := v.Fields(cue.Definitions(true))
	for err == nil && it.Next() {
		if sel := it.Selector(); sel.LabelType() == cue.DefinitionLabel {
			names = append(names, sel.String())
		}
	}
	return names
}

// inRule is what is wrong with the computed part of a rule.
func inRule(err error) string {
	text := err.Error()
	var of cueerrors.Error
	if errors.As(err, &of) {
		format, args := cueerrors.Errors(err)[0].Msg()
		text = fmt.Sprintf(format, args...)
	}
	return "violations: " + strings.ReplaceAll(text, inputPrefix, "")
}

// words are what CUE says is wrong, in one line.
func words(err error) string {
	list := cueerrors.Errors(err)
	if len(list) == 0 {
		return err.Error()
	}
	format, args := list[0].Msg()
	text := fmt.Sprintf(format, args...)
	if p := list[0].Path(); len(p) > 0 {
		text = strings.Join(p, ".") + ": " + text
	}
	return text
}

// subject is what a rule judges, as CUE has it.
type subject struct {
	values map[string]cue.Value // by input
	plain  map[string]any       // the same, for patterns; nil of a case
	pair   *Pair
	ref    string
}

// judge applies a rule to a change. broken says why it cannot judge it; "" if it
// can.
func (c *Custom) judge(of *Comparison) (findings []Finding, broken string) {
	if c.Broken != "" {
		return nil, c.Broken
	}
	var many []subject // for the computed part, all at once
	var selected []int // of them
	for s := range c.subjects(of) {
		if c.lifted != nil && c.Each != "change" {
			many = append(many, s)
			if c.applies(s) {
				selected = append(selected, len(many)-1)
				for _, v := range c.required(s) {
					findings = append(findings, c.finding(of, s, v))
				}
			}
			continue
		}
		found, err := c.violations(s)
		if err != nil { // one is enough: the rule is wrong, not the change
			return findings, inRule(err)
		}
		for _, v := range found {
			findings = append(findings, c.finding(of, s, v))
		}
	}
	if len(selected) > 0 {
		found, err := c.lifted.judge(c.in, c.in.listed(listKey{of, c.Manifest, c.Each}, many), selected)
		if err != nil {
			return findings, inRule(err)
		}
		for i, n := range selected {
			for _, v := range found[i] {
				findings = append(findings, c.finding(of, many[n], c.worded(v)))
			}
		}
	}
	return findings, ""
}

// violations judges one subject.
func (c *Custom) violations(s subject) ([]violation, error) {
	if !c.applies(s) {
		return nil, nil
	}
	found := c.required(s)
	if !c.computed {
		return found, nil
	}
	v := c.value
	for _, name := range c.reads {
		path := cue.MakePath(cue.Str(name))
		if !v.LookupPath(path).Exists() {
			path = cue.MakePath(cue.Def(name))
		}
		v = v.FillPath(path, s.values[name])
	}
	list := either(v, "violations")
	if err := list.Validate(cue.Concrete(true)); err != nil {
		return nil, err
	}
	computed, err := decodeViolations(list)
	for _, v := range computed {
		found = append(found, c.worded(v))
	}
	return found, err
}

// applies says that a rule is about a subject.
func (c *Custom) applies(s subject) bool {
	return !slices.ContainsFunc(c.when, func(l leaf) bool { return l.wrong(c.in.ctx, s) != "" })
}

// required are the patterns that a subject does not have.
func (c *Custom) required(s subject) []violation {
	var found []violation
	for _, l := range c.require {
		if wrong := l.wrong(c.in.ctx, s); wrong != "" {
			found = append(found, violation{Message: c.Message + ": " + wrong, Field: l.field()})
		}
	}
	return found
}

// worded gives a violation without words those of the rule.
func (c *Custom) worded(v violation) violation {
	if v.Message == "" {
		v.Message = c.Message
	}
	return v
}

// finding places a violation.
func (c *Custom) finding(of *Comparison, s subject, v violation) Finding {
	f := Finding{Rule: c.ID, Severity: c.Severity, Message: v.Message, Help: v.Help, Owner: c.Owner, Link: c.Link, Family: v.Family, Reference: v.Reference}
	if f.Help == "" {
		f.Help = c.Help
	}
	if f.Reference == "" {
		f.Reference = s.ref
	}
	p := s.pair
	if p == nil && v.Family != "" {
		for name, one := range c.named(of) {
			if name == v.Family {
				p = one
			}
		}
	}
	if p == nil {
		f.Manifest, f.At = c.Manifest, c.At
		return f
	}
	f.about(p)
	family := p.Family()
	f.At = family.at(v.Field)
	if f.At == family.At {
		for _, p := range slices.Sorted(maps.Keys(family.Values)) {
			if v.Field != "" && isBelow(p, v.Field) {
				f.At = family.at(p)
				break
			}
		}
	}
	return f
}
