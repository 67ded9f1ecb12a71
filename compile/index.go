package compile

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"canvos.dev/compile/plan"
)

// index is where the fields of a manifest are named, by their path. CUE knows the
// places of values; of a struct that several places make up it knows none that a
// person would look at.
type index map[string]plan.Pos

func indexOf(files []*ast.File) index {
	x := index{}
	for _, f := range files {
		x.decls("", f.Decls)
	}
	return x
}

func (x index) decls(at string, decls []ast.Decl) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if name, _, err := ast.LabelName(d.Label); err == nil { // also ""
				p := joined(at, name)
				if _, ok := x[p]; !ok {
					x[p] = posOf(d.Label.Pos())
				}
				x.expr(p, d.Value)
			}
		case *ast.EmbedDecl:
			x.expr(at, d.Expr)
		}
	}
}

func (x index) expr(at string, e ast.Expr) {
	switch e := e.(type) {
	case *ast.StructLit:
		x.decls(at, e.Elts)
	case *ast.ParenExpr:
		x.expr(at, e.X)
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			x.expr(at, e.X)
			x.expr(at, e.Y)
		}
	}
}

// joined is the path of a field in a struct, written as CUE writes it.
func joined(at, name string) string {
	if at == "" {
		return label(name)
	}
	return at + "." + label(name)
}

func posOf(p token.Pos) plan.Pos {
	if !p.IsValid() || strings.HasPrefix(p.Filename(), schemaShown) {
		return plan.Pos{}
	}
	return plan.Pos{File: p.Filename(), Line: p.Line(), Column: p.Column()}
}

// valuePos is where a value is written.
func valuePos(v cue.Value) plan.Pos {
	if f, ok := v.Source().(*ast.Field); ok {
		return posOf(f.Value.Pos())
	}
	return posOf(v.Pos())
}

// places are those of an error that a person wrote, in order; the schema's are
// none.
func places(e cueerrors.Error) (at plan.Pos, also []plan.Pos) {
	for _, p := range cueerrors.Positions(e) {
		pos := posOf(p)
		switch {
		case pos == (plan.Pos{}) || pos == at:
		case at == (plan.Pos{}):
			at = pos
		default:
			also = append(also, pos)
		}
	}
	return at, also
}
