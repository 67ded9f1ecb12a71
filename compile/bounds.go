package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"

	"canvos.dev/compile/problem"
)

// Bounds are the most that the text of a manifest may be, for one that a
// stranger wrote; 0 is no bound. They keep the evaluator from texts on which it
// takes quadratic time or a stack without end. Time and memory, which a short
// text can take too, are the caller's to limit.
type Bounds struct {
	Bytes     int // of all CUE files that are read, together
	Nodes     int // of their syntax trees
	Operators int // within one another in one expression: a+b+c has two
}

// intake is how much of CUE files the loader has read, the first that was too
// much, and the first that cannot be read: the loader's errors do not tell.
type intake struct {
	most, sum int64
	counted   map[string]bool // a file may be opened more than once
	refused   string
	unread    string
	why       error
}

// failed writes down what cannot be read, though it is there.
func (r *intake) failed(name string, err error) {
	if r.unread == "" && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errLarge) {
		r.unread, r.why = name, err
	}
}

// errLarge is the answer to who opens a file that is too much; the loader's
// words for it are not shown.
var errLarge = fmt.Errorf("more than may be read")

// admit counts a file; false if it is too much.
func (r *intake) admit(name string, info fs.FileInfo) bool {
	if r == nil || r.most == 0 || info.IsDir() || path.Ext(name) != ".cue" {
		return true
	}
	if r.refused == "" && !r.counted[name] {
		r.counted[name] = true
		if r.sum += info.Size(); r.sum > r.most {
			r.refused = name
		}
	}
	return r.refused == ""
}

func (r *intake) problem(show func(string) string) *problem.Problem {
	p := failed("CV0010", fmt.Sprintf("the CUE files are more than %d KiB, which is too much to evaluate here", r.most>>10), show(r.refused))
	p.Help = boundsHelp
	return p
}

const boundsHelp = "write it in fewer words, or let somebody who trusts it evaluate it without bounds: --trusted"

// outOfBounds looks at the syntax before anything is evaluated.
func outOfBounds(inst *build.Instance, b Bounds) []*problem.Problem {
	nodes := 0
	var ps []*problem.Problem
	report := func(n ast.Node, text string) {
		p := newProblem(nil, problem.Problem{Code: "CV0010", Message: text, Help: boundsHelp})
		p.At = posOf(n.Pos())
		ps = append(ps, p)
	}
	seen := map[*build.Instance]bool{}
	var visit func(*build.Instance)
	visit = func(i *build.Instance) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, f := range i.Files {
			ast.Walk(f, func(n ast.Node) bool {
				if nodes++; b.Nodes > 0 && nodes == b.Nodes+1 {
					report(n, fmt.Sprintf("the manifest has more than %d parts, which is too many to evaluate here", b.Nodes))
				}
				if deep := operators(n); b.Operators > 0 && deep > b.Operators {
					report(n, fmt.Sprintf("the expression has %d operators within one another, more than the %d that are evaluated here", deep, b.Operators))
					return false
				}
				return b.Nodes == 0 || nodes <= b.Nodes
			}, nil)
		}
		for _, j := range i.Imports {
			visit(j)
		}
	}
	visit(inst)
	return ps
}

// operators counts an expression's down its left, where a chain of equals grows;
// it does not recurse.
func operators(n ast.Node) int {
	count := 0
	for {
		switch x := n.(type) {
		case *ast.BinaryExpr:
			count, n = count+1, x.X
		case *ast.UnaryExpr:
			count, n = count+1, x.X
		case *ast.ParenExpr:
			n = x.X
		default:
			return count
		}
	}
}
