package compile

import (
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue/parser"
)

// Package is the name of the package that a source stands for: that of File, or
// the one that the CUE files of Dir share. Sources of one directory and one
// package are one manifest. A file that belongs to none stands for itself: "./"
// and its name. It is "" if Dir has no package, or several.
func (src Source) Package() string {
	if src.File != "" {
		if name := packageOf(src.FS, path.Join(src.Dir, src.File)); name != "" {
			return name
		}
		return "./" + src.File
	}
	entries, err := fs.ReadDir(src.FS, path.Clean(src.Dir))
	if err != nil {
		return ""
	}
	shared := ""
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".cue") || strings.HasSuffix(name, "_tool.cue") || name[0] == '.' || name[0] == '_' {
			continue // not read as part of a package
		}
		switch own := packageOf(src.FS, path.Join(src.Dir, name)); {
		case shared == "":
			shared = own
		case own != "" && own != shared:
			return ""
		}
	}
	return shared
}

// packageOf is the package clause of a file, "" if there is none to be read.
func packageOf(fsys fs.FS, file string) string {
	b, err := fs.ReadFile(fsys, file)
	if err != nil {
		return ""
	}
	f, err := parser.ParseFile(file, b, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return f.PackageName()
}
