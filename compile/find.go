package compile

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"canvos.dev/compile/lock"
)

// Find is every directory at and below dir that holds a manifest: a CUE file with
// a field families, or any CUE beside a lock. Directories that begin with "." or "_", cue.mod, node_modules
// and testdata are passed over, as are links.
func Find(fsys fs.FS, dir string) ([]string, error) { return find(fsys, dir, "families") }

// FindRules is every such directory that holds policies: a CUE file with a field
// of that name.
func FindRules(fsys fs.FS, dir string) ([]string, error) { return find(fsys, dir, "policies") }

func find(fsys fs.FS, dir, field string) ([]string, error) {
	var found []string
	err := fs.WalkDir(fsys, dir, func(p string, e fs.DirEntry, err error) error {
		switch name := path.Base(p); {
		case err != nil:
			if p == dir || !errors.Is(err, fs.ErrPermission) {
				return err
			}
			return fs.SkipDir
		case e.IsDir():
			if p != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"cue.mod", "node_modules", "testdata"}, name)) {
				return fs.SkipDir
			}
		case name == lock.Name && e.Type().IsRegular() && field == "families":
			// What cannot be read any more is still a manifest.
			if d := path.Dir(p); !slices.Contains(found, d) && HasCUE(fsys, d) {
				found = append(found, d)
			}
		case e.Type().IsRegular() && strings.HasSuffix(name, ".cue") && !strings.HasSuffix(name, "_tool.cue"):
			if d := path.Dir(p); !slices.Contains(found, d) && names(fsys, p, field) {
				found = append(found, d)
			}
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// longestParsed is how many bytes of a file are parsed to see what it is. A longer
// one is taken for what is looked for: it is no small matter to read, and who
// loads it has limits.
const longestParsed = 1 << 20

// names tells whether a file has a field. One that is not CUE has none: it may
// belong to another tool.
func names(fsys fs.FS, file, field string) bool {
	b, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrPermission) {
		return true // for who loads it to say
	}
	if err != nil || !strings.Contains(string(b), field) {
		return false
	}
	if len(b) > longestParsed {
		return true
	}
	f, err := parser.ParseFile(file, b)
	if err != nil {
		return false
	}
	return declares(f.Decls, field)
}

func declares(decls []ast.Decl, field string) bool {
	return slices.ContainsFunc(decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.Field:
			return labelName(d.Label) == field
		case *ast.EmbedDecl:
			s, ok := d.Expr.(*ast.StructLit)
			return ok && declares(s.Elts, field)
		}
		return false
	})
}
