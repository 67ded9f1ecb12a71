package compile

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// search looks for fields in the syntax of packages, without evaluating any: in
// their own text, and in what that embeds, from the package or from an import of
// the same module. A file that is not CUE may belong to another tool: it has one if
// a line of it begins like the field, so that who loads it says what is wrong.
type search struct {
	fsys   fs.FS
	fields []string
	parsed map[string]*ast.File // by path; nil is none
	busy   map[string]bool      // names that are being looked into
	steps  int                  // that are left
}

// mostSteps is how many values are looked into of a directory. One that needs
// more is taken for what is looked for.
const mostSteps = 10_000

// scope is a file, in which names have their meaning.
type scope struct {
	path string
	file *ast.File
}

// block is a struct, and where it was written.
type block struct {
	decls []ast.Decl
	in    scope
}

func (s *search) declares(file string) bool {
	f := s.parse(file)
	if f == nil {
		return s.writes(file)
	}
	return s.has(block{f.Decls, scope{file, f}})
}

// writes tells whether a line of a file begins like one of the fields.
func (s *search) writes(file string) bool {
	b, err := fs.ReadFile(s.fsys, file)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(b) {
		label, _, ok := bytes.Cut(line, []byte(":"))
		if ok && slices.Contains(s.fields, string(bytes.Trim(label, " \t\"?!"))) {
			return true
		}
	}
	return false
}

func (s *search) parse(file string) *ast.File {
	f, ok := s.parsed[file]
	if ok {
		return f
	}
	if fi, err := fs.Stat(s.fsys, file); err == nil && fi.Size() <= longestParsed {
		if b, err := fs.ReadFile(s.fsys, file); err == nil {
			if f, err = parser.ParseFile(file, b); err != nil {
				f = nil
			}
		}
	}
	s.parsed[file] = f
	return f
}

// has tells whether a struct has one of the fields.
func (s *search) has(b block) bool {
	if s.steps--; s.steps < 0 {
		return true
	}
	return slices.ContainsFunc(b.decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.Field:
			return slices.Contains(s.fields, labelName(d.Label))
		case *ast.EmbedDecl:
			return slices.ContainsFunc(s.structs(d.Expr, b.in), s.has)
		case *ast.Comprehension:
			return slices.ContainsFunc(s.structs(d.Value, b.in), s.has)
		}
		return false
	})
}

// structs are those that an expression may stand for.
func (s *search) structs(e ast.Expr, in scope) []block {
	if s.steps--; s.steps < 0 {
		return nil
	}
	switch e := e.(type) {
	case *ast.StructLit:
		return []block{{e.Elts, in}}
	case *ast.ParenExpr:
		return s.structs(e.X, in)
	case *ast.UnaryExpr:
		return s.structs(e.X, in)
	case *ast.BinaryExpr:
		return append(s.structs(e.X, in), s.structs(e.Y, in)...)
	case *ast.CallExpr: // close({…})
		var all []block
		for _, a := range e.Args {
			all = append(all, s.structs(a, in)...)
		}
		return all
	case *ast.Ident:
		return s.named(e.Name, s.packageOf(in))
	case *ast.SelectorExpr:
		name := labelName(e.Sel)
		if x, ok := e.X.(*ast.Ident); ok {
			if files := s.imported(x.Name, in); files != nil {
				return s.named(name, files)
			}
		}
		var all []block
		for _, b := range s.structs(e.X, in) {
			all = append(all, s.values(name, b)...)
		}
		return all
	}
	return nil
}

// named are the structs that a name stands for at the top of files.
func (s *search) named(name string, files []scope) []block {
	var all []block
	for _, f := range files {
		key := f.path + " " + name
		if s.busy[key] {
			continue // it refers to itself
		}
		s.busy[key] = true
		all = append(all, s.values(name, block{f.file.Decls, f})...)
		delete(s.busy, key)
	}
	return all
}

// values are the structs that a field of a struct may be.
func (s *search) values(name string, b block) []block {
	var all []block
	for _, d := range b.decls {
		switch d := d.(type) {
		case *ast.Field:
			if labelName(d.Label) == name {
				all = append(all, s.structs(d.Value, b.in)...)
			}
		case *ast.LetClause:
			if d.Ident.Name == name {
				all = append(all, s.structs(d.Expr, b.in)...)
			}
		}
	}
	return all
}

// packageOf are the files of a file's package.
func (s *search) packageOf(in scope) []scope {
	if in.file.PackageName() == "" {
		return []scope{in}
	}
	return s.packageIn(path.Dir(in.path), in.file.PackageName())
}

// packageIn are the files of a package in a directory.
func (s *search) packageIn(dir, name string) []scope {
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil {
		return nil
	}
	var all []scope
	for _, e := range entries {
		if !isPart(e.Name()) || e.IsDir() {
			continue
		}
		file := path.Join(dir, e.Name())
		if f := s.parse(file); f != nil && f.PackageName() == name {
			all = append(all, scope{file, f})
		}
	}
	return all
}

// imported are the files of a package that a file imports under a name, if it is
// one of the file's own module.
func (s *search) imported(name string, in scope) []scope {
	for _, d := range in.file.Decls {
		i, ok := d.(*ast.ImportDecl)
		if !ok {
			continue
		}
		for _, spec := range i.Specs {
			where, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			where, pkg, _ := strings.Cut(where, ":")
			where, _, _ = strings.Cut(where, "@")
			if pkg == "" {
				pkg = path.Base(where)
			}
			if spec.Name == nil && pkg != name || spec.Name != nil && spec.Name.Name != name {
				continue
			}
			root, module := s.module(path.Dir(in.path))
			if below, ok := strings.CutPrefix(where+"/", module+"/"); ok && module != "" {
				return s.packageIn(path.Join(root, below), pkg)
			}
		}
	}
	return nil
}

// module is the module that a directory lies in: where its root is, and its name.
func (s *search) module(dir string) (root, name string) {
	for at := dir; ; at = path.Dir(at) {
		file := path.Join(at, "cue.mod", "module.cue")
		if exists(s.fsys, file) {
			if f := s.parse(file); f != nil {
				for _, d := range f.Decls {
					if m, ok := d.(*ast.Field); ok && labelName(m.Label) == "module" {
						if lit, ok := m.Value.(*ast.BasicLit); ok {
							name, _ = strconv.Unquote(lit.Value)
						}
					}
				}
			}
			name, _, _ = strings.Cut(name, "@")
			return at, name
		}
		if at == "." {
			return "", ""
		}
	}
}
