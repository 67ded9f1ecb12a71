package policy

import (
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"canvos.dev/schema"
)

// names are those that a value may have, by name; nil takes any.
type names map[string]names

// unknown says which element of a path is none, with what it would be; "" if all are.
func (n names) unknown(path []string) string {
	for i, name := range path {
		if n == nil {
			return ""
		}
		next, ok := n[name]
		if !ok {
			return strings.Join(path[:i+1], ".") + " is nothing that is there" + meant(name, slices.Sorted(maps.Keys(n)))
		}
		n = next
	}
	return ""
}

// given are the names of what a rule is given.
func (c *Custom) given() names {
	switch c.Each {
	case "image":
		return names{"before": imageNames, "after": imageNames}
	case "change":
		return names{"changes": nil, "images": nil, "totals": {"added": nil, "removed": nil, "rebuilt": nil, "retagged": nil, "unchanged": nil}}
	}
	if c.in.family == nil {
		c.in.family = familyNames()
	}
	return names{"before": c.in.family, "after": c.in.family}
}

var imageNames = names{
	"reference": nil, "kubernetesVersion": nil, "platforms": nil, "publish": nil, "step": nil, "kind": nil,
	"facts": {
		"release": nil, "agentVersion": nil, "osDistribution": nil, "osVersion": nil, "kubernetesDistribution": nil,
		"channel": nil, "techPreview": nil, "twoNode": nil, "fips": nil, "uki": nil,
	},
}

// familyNames are the fields of schema.#Family, and what a family stands for.
func familyNames() names {
	definitions := map[string]*ast.StructLit{}
	f, err := parser.ParseFile("family.cue", must(schema.FS.ReadFile("family.cue")))
	if err != nil {
		panic(err) // embedded, and vetted by a test
	}
	for _, d := range f.Decls {
		if field, ok := d.(*ast.Field); ok {
			if s, ok := field.Value.(*ast.StructLit); ok {
				definitions[labelOf(field.Label)] = s
			}
		}
	}
	var of func(s *ast.StructLit) names
	of = func(s *ast.StructLit) names {
		all := names{}
		for _, d := range s.Elts {
			field, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			name := labelOf(field.Label)
			if name == "" {
				return nil // a pattern: any name
			}
			all[name] = nil
			if id, ok := field.Value.(*ast.Ident); ok && definitions[id.Name] != nil {
				all[name] = of(definitions[id.Name])
			}
		}
		return all
	}
	all := of(definitions["#Family"])
	for _, name := range []string{"name", "line", "systemdExtensions", "files", "images"} {
		all[name] = nil
	}
	return all
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err) // embedded: cannot be missing
	}
	return b
}

// strange says which pattern of a rule names what is never there: such a rule
// would judge nothing, or everything.
func (c *Custom) strange() string {
	given := c.given()
	for _, p := range []struct {
		name   string
		leaves []leaf
	}{{"when", c.when}, {"require", c.require}} {
		for _, l := range p.leaves {
			if why := given.unknown(l.path); why != "" {
				return p.name + ": " + why
			}
		}
	}
	return ""
}
