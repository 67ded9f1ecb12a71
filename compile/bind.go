package compile

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

	"canvos.dev/schema"
)

// definition is #Manifest of the embedded schema. Without texts it gives the same
// verdicts without the words of error(…), and a third faster.
//
// The schema's _rules are left out: Check says them, with more to say, and plain
// cue vet has them from the files.
func definition(ctx *cue.Context, texts bool) cue.Value {
	inst := build.NewContext().NewInstance(schemaShown, nil)
	for _, name := range manifestFiles {
		b, err := schema.FS.ReadFile(name)
		if err != nil {
			panic(err) // embedded: cannot be missing
		}
		f, err := parser.ParseFile(schemaShown+"/"+name, b)
		if err != nil {
			panic(err) // embedded, and vetted by a test
		}
		ast.Walk(f, func(n ast.Node) bool { return prune(n, texts) }, nil)
		if err := inst.AddSyntax(f); err != nil {
			panic(err)
		}
	}
	return ctx.BuildInstance(inst).LookupPath(cue.ParsePath("#Manifest"))
}

// manifestFiles are what of the schema speaks of manifests; the rest is what
// canvos writes.
var manifestFiles = []string{"family.cue", "manifest.cue", "policy.cue"}

// prune takes out of the schema what definition does not want.
func prune(n ast.Node, texts bool) bool {
	switch n := n.(type) {
	case *ast.StructLit:
		n.Elts = slices.DeleteFunc(n.Elts, func(d ast.Decl) bool {
			f, ok := d.(*ast.Field)
			return ok && labelName(f.Label) == "_rules"
		})
	case *ast.Field:
		if !texts {
			n.Value = withoutText(n.Value)
		}
	case *ast.ListLit:
		for i, e := range n.Elts {
			if !texts {
				n.Elts[i] = withoutText(e)
			}
		}
	case *ast.Ellipsis:
		if !texts {
			n.Type = withoutText(n.Type)
		}
	}
	return true
}

// withoutText drops "| error(…)".
func withoutText(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return &ast.ParenExpr{X: withoutText(e.X)}
	case *ast.BinaryExpr:
		if call, ok := e.Y.(*ast.CallExpr); ok && e.Op.String() == "|" {
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "error" {
				return e.X
			}
		}
	}
	return e
}

// unbind takes the schema out of a file that binds it, families: schema.#Families
// & {…}: Load binds every manifest by itself, and twice is not needed. Then both
// kinds of manifest are one, and what is wrong is found in the person's values
// alone. Definitions and hidden fields keep what they say, since a definition
// without the schema would be closed to its fields.
func unbind(f *ast.File) {
	var imports []*ast.ImportSpec
	for s := range f.ImportSpecs() {
		p, err := strconv.Unquote(s.Path.Value)
		if p, _, _ = strings.Cut(p, "@"); err == nil && (p == schema.ImportPath || p == schema.ImportPath+":schema") {
			imports = append(imports, s)
		}
	}
	if len(imports) == 0 {
		return
	}
	b := binding{imports}
	f.Decls = b.decls(f.Decls)
	used := map[*ast.ImportSpec]bool{}
	ast.Walk(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if s, ok := id.Node.(*ast.ImportSpec); ok {
				used[s] = true
			}
		}
		return true
	}, nil)
	unused := func(s *ast.ImportSpec) bool { return slices.Contains(imports, s) && !used[s] }
	for _, d := range f.Decls {
		if i, ok := d.(*ast.ImportDecl); ok {
			i.Specs = slices.DeleteFunc(i.Specs, unused)
		}
	}
}

type binding struct{ imports []*ast.ImportSpec }

func (b binding) decls(decls []ast.Decl) []ast.Decl {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			name := labelName(d.Label)
			if _, pattern := d.Label.(*ast.ListLit); pattern || !strings.HasPrefix(name, "#") && !strings.HasPrefix(name, "_") {
				d.Value = b.expr(d.Value)
			}
		case *ast.EmbedDecl:
			d.Expr = b.expr(d.Expr)
		}
	}
	return decls
}

func (b binding) expr(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.SelectorExpr:
		if id, ok := x.X.(*ast.Ident); ok {
			if s, ok := id.Node.(*ast.ImportSpec); ok && slices.Contains(b.imports, s) {
				top := ast.NewIdent("_")
				ast.SetPos(top, x.Pos())
				return top
			}
		}
	case *ast.ParenExpr:
		x.X = b.expr(x.X)
	case *ast.StructLit:
		x.Elts = b.decls(x.Elts)
	case *ast.BinaryExpr:
		if x.Op.String() != "&" {
			return e
		}
		x.X, x.Y = b.expr(x.X), b.expr(x.Y)
		switch {
		case isTop(x.X):
			return x.Y
		case isTop(x.Y):
			return x.X
		}
	}
	return e
}

func isTop(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// labelName is the name of a field, or "" if its label is an expression.
func labelName(l ast.Label) string {
	name, _, err := ast.LabelName(l)
	if err != nil {
		return ""
	}
	return name
}
