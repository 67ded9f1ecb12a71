package policy

import (
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// lifted is a computed rule as a function of what it reads. To fill what it reads
// into the rule unifies a whole family each time; to refer to it costs a tenth.
type lifted struct {
	// cue is a file with one field, out: a list of the violations of the subjects
	// that _selected names by number.
	cue []byte
}

// The names in a lifted rule: of the list of all subjects, of the numbers of those
// that are judged, of one of them, and what is put before the names of inputs.
const (
	subjectsName = "_subjects"
	selectedName = "_selected"
	numberName   = "_number"
	inputPrefix  = "_input_"
)

// lift takes the rules of a text apart, by id. A rule that is not written out as
// one struct is not among them.
func lift(text []byte) map[string]*lifted {
	f, err := parser.ParseFile("", text)
	if err != nil {
		return nil // the text was made from values
	}
	astutil.Resolve(f, func(token.Pos, string, ...interface{}) {})
	var imports []ast.Decl
	decls := f.Decls
	for i, d := range f.Decls {
		if _, ok := d.(*ast.ImportDecl); ok {
			imports, decls = append(imports, d), f.Decls[i+1:]
		}
	}
	if len(decls) == 1 { // {…}
		if e, ok := decls[0].(*ast.EmbedDecl); ok {
			if s, ok := e.Expr.(*ast.StructLit); ok {
				decls = s.Elts
			}
		}
	}
	rules := map[string]*lifted{}
	for _, d := range decls {
		field, ok := d.(*ast.Field)
		if !ok {
			return nil // something that the rules refer to
		}
		if s, ok := field.Value.(*ast.StructLit); ok {
			if rule, violations := liftRule(s); rule != nil {
				if b, err := format.Node(function(imports, rule, violations)); err == nil {
					rules[labelOf(field.Label)] = &lifted{b}
				}
			}
		}
	}
	return rules
}

func labelOf(l ast.Label) string {
	name, _, err := ast.LabelName(l)
	if err != nil {
		return ""
	}
	return name
}

// liftRule renames the inputs of a rule where it refers to them, and drops what
// is not needed to compute its violations, whose name it gives, too. It is nil if
// that cannot be done.
func liftRule(s *ast.StructLit) (rule *ast.StructLit, violations string) {
	rule = &ast.StructLit{}
	for _, d := range s.Elts {
		f, ok := d.(*ast.Field)
		if !ok {
			rule.Elts = append(rule.Elts, d)
			continue
		}
		switch name := labelOf(f.Label); strings.TrimPrefix(name, "#") {
		case "violations":
			violations = name
			rule.Elts = append(rule.Elts, d)
		case "before", "after":
			if id, ok := f.Value.(*ast.Ident); !ok || id.Name != "_" {
				return nil, "" // it says something of its input
			}
		case "when", "require", "cases", "changes", "images", "totals":
		default:
			rule.Elts = append(rule.Elts, d)
		}
	}
	if violations == "" {
		return nil, ""
	}
	ast.Walk(rule, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || id.Scope != s || id.Node == nil {
			return true // a label, a selector, or another's name
		}
		if name := strings.TrimPrefix(id.Name, "#"); name == "before" || name == "after" {
			id.Name = inputPrefix + name
			id.Node, id.Scope = nil, nil
		}
		return true
	}, nil)
	return rule, violations
}

// function is the file of a rule:
//
//	out: [for _number in _selected let _input_before = _subjects[_number].before
//	      let _input_after = _subjects[_number].after {{…}.violations}]
func function(imports []ast.Decl, rule *ast.StructLit, violations string) *ast.File {
	subject := &ast.IndexExpr{X: ast.NewIdent(subjectsName), Index: ast.NewIdent(numberName)}
	input := func(name string) ast.Clause {
		return &ast.LetClause{Ident: ast.NewIdent(inputPrefix + name), Expr: ast.NewSel(subject, name)}
	}
	list := &ast.ListLit{Elts: []ast.Expr{&ast.Comprehension{
		Clauses: []ast.Clause{
			&ast.ForClause{Value: ast.NewIdent(numberName), Source: ast.NewIdent(selectedName)},
			input("before"), input("after"),
		},
		Value: &ast.StructLit{Elts: []ast.Decl{&ast.EmbedDecl{Expr: ast.NewSel(&ast.ParenExpr{X: rule}, violations)}}},
	}}}
	return &ast.File{Decls: append(slices.Clone(imports), &ast.Field{Label: ast.NewIdent("out"), Value: list})}
}

// judge computes the violations of some subjects at once: of those of a list that
// are selected by number.
func (l *lifted) judge(e *evaluator, subjects cue.Value, selected []int) ([][]violation, error) {
	text := append([]byte(nil), l.cue...)
	text = append(text, "\n"+selectedName+": ["...)
	for _, n := range selected {
		text = append(strconv.AppendInt(text, int64(n), 10), ',')
	}
	text = append(text, ']')
	out := e.ctx.CompileBytes(text, cue.Scope(subjects)).LookupPath(cue.ParsePath("out"))
	if err := out.Validate(cue.Concrete(true)); err != nil {
		return nil, err
	}
	it, err := out.List()
	if err != nil {
		return nil, err
	}
	var all [][]violation
	for it.Next() {
		one, err := decodeViolations(it.Value())
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// listed are subjects as a lifted rule refers to them. They are encoded once for
// all rules.
func (e *evaluator) listed(key listKey, subjects []subject) cue.Value {
	if v, ok := e.lists[key]; ok {
		return v
	}
	list := make([]any, len(subjects))
	for i, s := range subjects {
		list[i] = map[string]any{"before": s.plain["before"], "after": s.plain["after"]}
	}
	v := e.ctx.CompileString(subjectsName+": _").FillPath(cue.MakePath(cue.Hid(subjectsName, "_")), encode(e.ctx, list))
	e.lists[key] = v
	return v
}
