package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The import law of docs/architecture.md. A rule names a room, what no package
// of it may import, and why.
var law = []struct {
	room    string // a package, or with /... also all below it
	except  string
	forbids []string
	only    []string // if set, what it may import and nothing else
	because string
}{
	{room: "schema", only: []string{"embed"},
		because: "it is the words a user may write; Go only embeds them"},
	{room: "compile/...", forbids: []string{"canvos.dev/exec/...", "canvos.dev/cmd/...", "github.com/google/go-containerregistry/..."},
		because: "meaning does not depend on who carries it out"},
	{room: "compile/...", forbids: []string{"os", "os/exec", "net", "net/http", "time"},
		because: "files in, plan out: no network, clock, environment or process"},
	{room: "compile/plan", only: []string{"std"},
		because: "it is the contract, and plain data"},
	{room: "compile/lock", only: []string{"std", "canvos.dev/compile/plan"},
		because: "it is plain data"},
	{room: "compile/problem", only: []string{"std", "canvos.dev/compile/plan"},
		because: "it is plain data"},
	{room: "compile/catalog/...", forbids: []string{"cuelang.org/..."},
		because: "known releases are data; what a manifest adds arrives decoded"},
	{room: "exec/...", forbids: []string{"cuelang.org/...", "canvos.dev/schema/...", "canvos.dev/cmd/..."},
		because: "engines read plans and know nothing of manifests"},
	{room: "exec/...", forbids: []string{"canvos.dev/compile/..."}, except: "canvos.dev/compile/plan",
		because: "the plan is all that compile and exec share"},
	{room: "exec", forbids: []string{"os/exec", "net", "net/http"},
		because: "it decides when; engines do"},
	{room: "exec/oci/...", forbids: []string{"os/exec"},
		because: "the embedded engine starts no process"},
	{room: "exec/image", only: []string{"std", "canvos.dev/compile/plan"},
		because: "it is what engines and targets hand each other, as plain data"},
	{room: "exec/store/...", forbids: []string{"os/exec", "net", "net/http"},
		because: "it keeps bytes on a disk"},
	{room: "exec/registry", forbids: []string{"os/exec", "canvos.dev/exec/oci/...", "canvos.dev/exec/store/...", "canvos.dev/exec/rootfs/..."},
		because: "it moves what it is handed, wherever that comes from"},
	{room: "cmd/internal/view", forbids: []string{"os", "os/exec", "net", "net/http", "cuelang.org/...", "github.com/google/go-containerregistry/..."},
		because: "the voice is given writers, and data"},
	{room: "cmd/internal/view", forbids: []string{"canvos.dev/compile", "canvos.dev/exec/oci/...", "canvos.dev/exec/registry/..."},
		because: "the voice knows results, not how they came about"},
	{room: "cmd/internal/sandbox", only: []string{"std"},
		because: "it confines work and knows nothing of it"},
	{room: "cmd/canvos", forbids: []string{"cuelang.org/...", "github.com/google/go-containerregistry/..."},
		because: "the door opens rooms and does none of their work"},
}

// reach is what some rooms may not even reach through others.
var reach = []struct {
	room    string
	forbids []string
	because string
}{
	{"schema", []string{"os", "net/http", "canvos.dev/..."}, "it is words"},
	{"compile/plan", []string{"os", "net", "time"}, "a plan is the same at every time and place"},
	{"compile/lock", []string{"os", "net"}, "what is locked is data"},
	{"exec/...", []string{"cuelang.org/...", "canvos.dev/schema", "canvos.dev/compile"}, "an engine works without any manifest"},
}

// standardReach are packages that encoding/json and fmt bring along; the law is
// about what a room's own code can call.
var standardReach = []string{"os", "time"}

type listed struct {
	ImportPath string
	Name       string
	Dir        string
	Standard   bool
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func TestRooms(t *testing.T) {
	pkgs := goList(t, "canvos.dev/...")
	standard := map[string]bool{"embed": true}
	for _, p := range goList(t, "std") {
		standard[p.ImportPath] = true
	}
	for _, rule := range law {
		for _, p := range pkgs {
			if !within(p.ImportPath, "canvos.dev/"+rule.room) || p.Name == "main" && !strings.HasPrefix(rule.room, "cmd") {
				continue
			}
			for _, imp := range p.Imports {
				if rule.except != "" && within(imp, rule.except) || within(imp, p.ImportPath+"/...") {
					continue
				}
				allowed := rule.only == nil || slices.ContainsFunc(rule.only, func(o string) bool {
					return o == "std" && standard[imp] || within(imp, o)
				})
				if !allowed || slices.ContainsFunc(rule.forbids, func(f string) bool { return within(imp, f) }) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, rule.because)
				}
			}
		}
	}
	for _, rule := range reach {
		for _, p := range pkgs {
			if !within(p.ImportPath, "canvos.dev/"+rule.room) || p.Name == "main" {
				continue
			}
			for _, dep := range p.Deps {
				if slices.Contains(standardReach, dep) && !slices.Contains(p.Imports, dep) {
					continue
				}
				if slices.ContainsFunc(rule.forbids, func(f string) bool { return within(dep, f) }) && !within(dep, p.ImportPath+"/...") {
					t.Errorf("%s reaches %s: %s", p.ImportPath, dep, rule.because)
				}
			}
		}
	}
}

// TestOnlyCommandsSpeak checks that nothing outside cmd prints, logs or reads
// the environment.
func TestOnlyCommandsSpeak(t *testing.T) {
	silent := map[string][]string{
		"fmt": {"Print", "Println", "Printf"},
		"os":  {"Stdout", "Stderr", "Stdin", "Exit", "Getenv", "LookupEnv", "Environ", "ExpandEnv"},
		"log": {"*"},
	}
	for _, p := range goList(t, "canvos.dev/...") {
		if within(p.ImportPath, "canvos.dev/cmd/...") || p.Name == "main" {
			continue // programs for the people of this repository may speak
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && id.Obj == nil && (id.Name == "println" || id.Name == "print") {
						t.Errorf("%s: %s outside cmd", fset.Position(n.Pos()), id.Name)
					}
				case *ast.SelectorExpr:
					id, ok := n.X.(*ast.Ident)
					if !ok || id.Obj != nil {
						return true
					}
					if words := silent[id.Name]; slices.Contains(words, n.Sel.Name) || slices.Contains(words, "*") {
						t.Errorf("%s: %s.%s outside cmd", fset.Position(n.Pos()), id.Name, n.Sel.Name)
					}
				case *ast.FuncDecl:
					if n.Recv == nil && n.Name.Name == "init" {
						t.Errorf("%s: init: package state hides from its reader", fset.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// TestTopLevel checks that the repository's top level holds what its owner
// fixed, and nothing else.
func TestTopLevel(t *testing.T) {
	out, err := osexec.Command("git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{
		"schema", "cmd", "compile", "exec", "examples", "testdata", "cue.mod", "go.mod", "go.sum", "README.md",
		"LICENSE", "CONTRIBUTING.md", "docs", ".ci", ".github", ".gitignore", ".gitattributes",
		"action.yml", ".pre-commit-hooks.yaml", // where those who use them look
	}
	for _, name := range strings.Fields(string(out)) {
		if top, _, _ := strings.Cut(name, "/"); !slices.Contains(known, top) {
			t.Errorf("%s: the top level is fixed (docs/architecture.md)", top)
		}
	}
}

// within reports whether path is pattern, or below it if pattern ends in /...
func within(path, pattern string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == dir || strings.HasPrefix(path, dir+"/")
	}
	return path == pattern
}

func goList(t *testing.T, pattern string) []listed {
	t.Helper()
	cmd := osexec.Command("go", "list", "-json=ImportPath,Name,Dir,Standard,Imports,Deps,GoFiles", pattern)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
