package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"canvos.dev/compile/plan"
)

// leaf is a value that a pattern wants at a path.
type leaf struct {
	path []string
	want cue.Value
	text string            // of want
	memo map[string]string // by value: what is wrong with it, "" is nothing
}

// mostLeaves is how many values a pattern may want: far above any that a person
// writes, and far below what a pattern of patterns can come to.
const mostLeaves = 10000

// flatten takes a pattern apart. An empty struct is a leaf: something must be
// there. It is false if there are too many.
func flatten(v cue.Value) ([]leaf, bool) {
	var leaves []leaf
	var walk func(v cue.Value, path []string) bool
	walk = func(v cue.Value, path []string) bool {
		if v.IncompleteKind() == cue.StructKind {
			empty := true
			for name, sub := range fields(v) {
				empty = false
				if !walk(sub, append(slices.Clip(path), name)) {
					return false
				}
			}
			if !empty || len(path) == 0 {
				return true
			}
		}
		leaves = append(leaves, leaf{path: path, want: v, text: oneLine(v), memo: map[string]string{}})
		return len(leaves) <= mostLeaves
	}
	ok := !v.Exists() || walk(v, nil)
	return leaves, ok
}

// evaluator holds the values of one set of rules.
type evaluator struct {
	ctx   *cue.Context
	known map[uintptr]cue.Value // of families, by where their input lies
	lists map[listKey]cue.Value // of subjects
	// family is what a family has, once it was asked for.
	family names
}

// listKey names the subjects of a change that a rule judges: whose, and what.
type listKey struct {
	of             *Comparison
	manifest, each string
}

// encode is a value as CUE has it: nil is null, what is not there.
func encode(ctx *cue.Context, v any) cue.Value { return ctx.Encode(v, cue.NilIsAny(false)) }

// encoded are inputs as CUE has them.
func (e *evaluator) encoded(plain map[string]any) map[string]cue.Value {
	out := map[string]cue.Value{}
	for name, v := range plain {
		m, ok := v.(map[string]any)
		if !ok || name != "before" && name != "after" {
			out[name] = encode(e.ctx, v)
			continue
		}
		key := reflect.ValueOf(m).Pointer()
		if _, ok := e.known[key]; !ok {
			e.known[key] = encode(e.ctx, m)
		}
		out[name] = e.known[key]
	}
	return out
}

func (e *evaluator) null() cue.Value { return e.ctx.CompileString("null") }

// field is the path of a leaf in the family, "" if it is of none.
func (l leaf) field() string {
	if len(l.path) > 1 && (l.path[0] == "after" || l.path[0] == "before") {
		var labels []string
		for _, name := range l.path[1:] {
			labels = append(labels, label(name))
		}
		return strings.Join(labels, ".")
	}
	return ""
}

// wrong says what is wrong with the value at a leaf, "" if nothing is. A value
// that is not there is wrong, unless null is wanted in its place.
func (l leaf) wrong(ctx *cue.Context, s subject) string {
	at := strings.Join(l.path, ".")
	var v cue.Value
	var key string
	if s.plain != nil {
		got, ok := lookup(s.plain, l.path)
		if !ok {
			return at + " is absent, want " + l.text
		}
		key = keyOf(got)
		if wrong, known := l.memo[key]; known {
			return wrong
		}
		v = encode(ctx, got)
	} else {
		labels := make([]cue.Selector, len(l.path)-1)
		for i, name := range l.path[1:] {
			labels[i] = cue.Str(name)
		}
		if v = s.values[l.path[0]].LookupPath(cue.MakePath(labels...)); !v.Exists() {
			return at + " is absent, want " + l.text
		}
	}
	wrong := ""
	if err := v.Unify(l.want).Validate(cue.Concrete(true)); err != nil {
		wrong = at + " is " + oneLine(v) + ", want " + l.text
	}
	if s.plain != nil {
		l.memo[key] = wrong
	}
	return wrong
}

// oneLine is a value in a sentence: of one that is longer, what it is.
func oneLine(v cue.Value) string {
	text := fmt.Sprint(v)
	switch kind := v.IncompleteKind(); {
	case !strings.Contains(text, "\n") && len(text) <= longestShown:
		return text
	case kind == cue.StructKind:
		return "{…}"
	case kind == cue.ListKind:
		return "[…]"
	default:
		text, _, _ = strings.Cut(text, "\n")
		if len(text) > longestShown {
			text = strings.ToValidUTF8(text[:longestShown], "")
		}
		return text + "…"
	}
}

const longestShown = 200

func keyOf(v any) string {
	b, err := plan.Canonical(v)
	if err != nil {
		panic(err) // it was made of texts, numbers, lists and maps
	}
	return string(b)
}

func lookup(in map[string]any, path []string) (any, bool) {
	var at any = in
	for _, name := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = m[name]; !ok {
			return nil, false
		}
	}
	return at, true
}
