package policy

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"canvos.dev/compile"
)

// violation is what a rule finds: schema.#Violation.
type violation struct{ Message, Family, Field, Reference, Help string }

// field is a text of a violation, by name; nil if it has none of that name.
func (v *violation) field(name string) *string {
	switch name {
	case "message":
		return &v.Message
	case "family":
		return &v.Family
	case "field":
		return &v.Field
	case "reference":
		return &v.Reference
	case "help":
		return &v.Help
	}
	return nil
}

var violationFields = []string{"message", "family", "field", "reference", "help"}

func decodeViolations(list cue.Value) ([]violation, error) {
	it, err := list.List()
	if err != nil {
		return nil, err
	}
	var found []violation
	for it.Next() {
		one, err := decodeViolation(it.Value())
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// decodeViolation reads one: a struct, or its message alone.
func decodeViolation(v cue.Value) (one violation, err error) {
	if v.IncompleteKind() != cue.StructKind {
		one.Message, err = v.String()
		return one, err
	}
	for name, f := range fields(v) {
		to := one.field(name)
		if to == nil {
			return one, fmt.Errorf("%s", unknownField(name))
		}
		if *to, err = f.String(); err != nil {
			return one, err
		}
	}
	return one, nil
}

func unknownField(name string) string {
	return "a violation has no field " + quoted(name) + meant(name, violationFields)
}

// meant names the word that was probably meant.
func meant(word string, words []string) string {
	if near := compile.Meant(word, words); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// misspelt are rules whose violations are written with fields that none has, by id.
// One that is found on no change so far would be wrong on the first that matters.
func misspelt(text []byte) map[string]string {
	wrong := map[string]string{}
	f, err := parser.ParseFile("", text)
	if err != nil {
		return wrong
	}
	for _, d := range unembedded(f.Decls) {
		rule, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		s, ok := rule.Value.(*ast.StructLit)
		if !ok {
			continue
		}
		for _, d := range s.Elts {
			f, ok := d.(*ast.Field)
			if !ok || strings.TrimPrefix(labelOf(f.Label), "#") != "violations" {
				continue
			}
			if list, ok := f.Value.(*ast.ListLit); ok {
				for _, e := range list.Elts {
					if name := strangeField(e); name != "" {
						wrong[labelOf(rule.Label)] = unknownField(name)
					}
				}
			}
		}
	}
	return wrong
}

// unembedded are the fields of a file that may be one struct, {…}.
func unembedded(decls []ast.Decl) []ast.Decl {
	if len(decls) > 0 {
		if e, ok := decls[len(decls)-1].(*ast.EmbedDecl); ok {
			if s, ok := e.Expr.(*ast.StructLit); ok {
				return append(slices.Clone(decls[:len(decls)-1]), s.Elts...)
			}
		}
	}
	return decls
}

// strangeField is a field of a violation that is written out, and that none has.
func strangeField(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Comprehension:
		return strangeField(n.Value)
	case *ast.EmbedDecl:
		return strangeField(n.Expr)
	case *ast.StructLit:
		for _, d := range n.Elts {
			f, ok := d.(*ast.Field)
			if !ok {
				if name := strangeField(d); name != "" {
					return name
				}
				continue
			}
			name := labelOf(f.Label)
			if name != "" && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "#") && !slices.Contains(violationFields, name) {
				return name
			}
		}
	}
	return ""
}
