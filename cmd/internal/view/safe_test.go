package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"canvos.dev/compile/policy"
	"canvos.dev/compile/problem"
	"canvos.dev/exec"
)

// hostile are texts that do something where they are shown.
var hostile = []string{
	"x\n::error file=a.js,line=1::pwned\n\x1b[2J\x07\x00",
	"::error::pwned",
	" \t::warning::pwned\r::notice::pwned",
	"a\u202eb\u2066c\u0085d\u009b2J\u2028::error::pwned\u200f",
	"##[error]pwned ##vso[task.setvariable variable=x]y ##teamcity[x]",
	"\x1b[8mconcealed\x7f\xff\xfe\x9b2J",
}

// views are all functions that write what they are given.
var views = []any{
	Releases, Release, Having, CatalogDiff, Checks, Error, ErrorJSON, Note, ExplainCodes, Codes,
	ReviewGitHub, ReviewJUnit, ReviewMarkdown, ReviewSARIF, ReviewJSON, ShowReview, ShowEffect,
	List, LockChanges, LockCompleted, ShowOrigin, ShowPlan, PlanJSON, PolicyList, PolicyTest,
	Problems, ProblemsJSON, Verdict, ShowSummary, ResultJSON, ShowVersion, NewProgress,
}

// words are the values of types that have but a few.
var words = map[reflect.Type][]string{
	reflect.TypeFor[policy.Kind]():      {"added", "removed", "renamed", "rebuilt", "retagged", "changed", "none"},
	reflect.TypeFor[policy.Severity]():  {"deny", "warn", "info"},
	reflect.TypeFor[policy.Verdict]():   {"pass", "warn", "deny"},
	reflect.TypeFor[problem.Severity](): {"error", "warning"},
	reflect.TypeFor[Action]():           {"build", "unchanged", "replace", "refused", "kept"},
	reflect.TypeFor[exec.State]():       {"built", "unchanged", "failed", "skipped"},
	reflect.TypeFor[exec.Kind](): {
		string(exec.StepStarted), string(exec.StepProgress), string(exec.StepLog), string(exec.StepDone), string(exec.StepCached),
		string(exec.StepFailed), string(exec.Retry), string(exec.ImageDone), string(exec.ImageFailed),
	},
}

// filled is data of a type in which every text is a hostile one; seed varies what
// else can vary.
func filled(t reflect.Type, text string, seed, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	if depth > 8 {
		return v
	}
	down := func(t reflect.Type) reflect.Value { return filled(t, text, seed, depth+1) }
	switch few := words[t]; {
	case few != nil:
		v.SetString(few[seed%len(few)])
		return v
	case t == reflect.TypeFor[error]():
		return reflect.ValueOf(errors.New(text))
	case t == reflect.TypeFor[Lines]():
		return reflect.ValueOf(Lines(func(string, int) (string, bool) { return text, true }))
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(seed%2 == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(seed%3) + 1)
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(down(t.Field(i).Type))
			}
		}
	case reflect.Slice:
		for range seed%2 + 1 {
			v = reflect.Append(v, down(t.Elem()))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(down(t.Key()), down(t.Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(down(t.Elem()))
	case reflect.Interface:
		if t.NumMethod() == 0 {
			v.Set(reflect.ValueOf(text))
		}
	}
	return v
}

// ours are the sequences that canvos itself writes to a terminal.
var ours = regexp.MustCompile(`\x1b\[(0|1|2|31|32|33|36|1;31|1;33|1;32)m|\x1b\[[0-9]+A|\x1b\[J|\x1b\[2K`)

// harm is what in an output acts instead of being read; "" if nothing does.
func harm(out string, terminal bool) string {
	if terminal {
		out = ours.ReplaceAllString(out, "")
	}
	if !utf8.ValidString(out) {
		return "not UTF-8"
	}
	for _, r := range out {
		if r != '\n' && r != '\t' && hidden(r) {
			return string(r)
		}
	}
	if m := logCommand.FindString(out); m != "" {
		return m
	}
	if m := regexp.MustCompile(`&#x([0-8B-F]|1.|7F|202.|206.);`).FindString(out); m != "" {
		return m
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// TestNothingActs feeds every function hostile texts in all that it is given, in
// every format and style.
func TestNothingActs(t *testing.T) {
	for _, f := range views {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		name = name[strings.LastIndexByte(name, '.')+1:]
		for _, text := range hostile {
			for seed := range 8 {
				for _, format := range []Format{Text, JSON} {
					for _, style := range []Style{{}, {Colour: true, Terminal: true, Width: 100}} {
						out := outputOf(f, text, seed, format, style)
						if name == "ReviewGitHub" { // its own commands
							out = regexp.MustCompile(`(?m)^::(error|warning|notice) [^:\n]*::`).ReplaceAllString(out, "")
						}
						if h := harm(out, style.Terminal || name == "NewProgress"); h != "" {
							t.Errorf("%s of %q (%s, %+v): %q in\n%q", name, text, format, style, h, out)
							return
						}
						if format == JSON && strings.HasPrefix(out, "{\n") && !json.Valid([]byte(out)) {
							t.Fatalf("%s: no JSON: %s", name, out)
						}
					}
				}
			}
		}
	}
}

func outputOf(f any, text string, seed int, format Format, style Style) string {
	var b bytes.Buffer
	v := reflect.ValueOf(f)
	var args []reflect.Value
	for i := range v.Type().NumIn() {
		switch t := v.Type().In(i); t {
		case reflect.TypeFor[io.Writer]():
			args = append(args, reflect.ValueOf(&b))
		case reflect.TypeFor[Style]():
			args = append(args, reflect.ValueOf(style))
		case reflect.TypeFor[Format]():
			args = append(args, reflect.ValueOf(format))
		default:
			args = append(args, filled(t, text, seed, 0))
		}
	}
	if v.Type().NumOut() == 1 && v.Type().Out(0) == reflect.TypeFor[Progress]() {
		args[0] = reflect.ValueOf(ProgressKinds[seed%len(ProgressKinds)])
	}
	results := v.Call(args)
	if len(results) == 1 {
		if p, ok := results[0].Interface().(Progress); ok {
			for kind := range words[reflect.TypeFor[exec.Kind]()] {
				e := filled(reflect.TypeFor[exec.Event](), text, kind, 0).Interface().(exec.Event)
				e.Time = at(float64(kind * 20))
				p.Event(e)
				p.Tick(e.Time)
			}
			p.Close()
		}
	}
	return b.String()
}

// TestAllViews checks that the list above is whole.
func TestAllViews(t *testing.T) {
	var listed []string
	for _, f := range views {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		listed = append(listed, name[strings.LastIndexByte(name, '.')+1:])
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() {
				continue
			}
			for _, p := range f.Type.Params.List {
				if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Writer" && !slices.Contains(listed, f.Name.Name) {
					t.Errorf("%s writes, and is not tried", f.Name.Name)
				}
			}
		}
	}
}

func TestSafe(t *testing.T) {
	for text, want := range map[string]string{
		"store → kiosk: 1.30.4":  "store → kiosk: 1.30.4",
		"a\tb\nc":                `a\tb\nc`,
		"::error::x":             `\x3a:error::x`,
		"a ::error::x":           "a ::error::x",
		"##[group]x ## [y] a##b": `#\x23[group]x ## [y] a##b`,
		"\u202eevil\x1b[2J\xff":  `\u202eevil\x1b[2J\xff`,
		"مرحبا \u200d 👩\u200d🔬":  "مرحبا \u200d 👩\u200d🔬",
	} {
		if got := safeLine(text); got != want {
			t.Errorf("%q is shown as %q, not %q", text, got, want)
		}
	}
	if got, want := safeText("usage:\n\tcanvos\n  ::x\x1b"), "usage:\n\tcanvos\n  "+`\x3a:x\x1b`; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	// What needs nothing is the same data; what does is another.
	r := policy.Review{Changes: []policy.Change{{Family: "a", After: map[string]any{"labels": map[string]any{"x": "y"}}}}}
	if same := safe(r); &same.Changes[0] != &r.Changes[0] {
		t.Error("a review was copied for nothing")
	}
	r.Changes[0].After["labels"].(map[string]any)["x"] = "y\n"
	if got := safe(r).Changes[0].After["labels"].(map[string]any)["x"]; got != `y\n` || r.Changes[0].After["labels"].(map[string]any)["x"] != "y\n" {
		t.Errorf("%q", got)
	}
	// JSON holds what it was given.
	var b bytes.Buffer
	if err := writeJSON(&b, hostile[3:5]); err != nil {
		t.Fatal(err)
	}
	var back []string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !slices.Equal(back, hostile[3:5]) {
		t.Errorf("%q, %v", back, err)
	}
}
