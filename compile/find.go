package compile

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"

	"canvos.dev/compile/lock"
)

// Find is every directory at and below dir that holds a manifest: a CUE package
// with a field families, or any CUE beside a lock. Directories that begin with "."
// or "_", cue.mod, node_modules and testdata are passed over, and so are other
// repositories. A link to a directory is followed if that is not found under its
// own name.
func Find(fsys fs.FS, dir string) ([]string, error) { return find(fsys, dir, "families") }

// FindRules is every such directory that holds rules: a CUE package with a field
// policies or waivers.
func FindRules(fsys fs.FS, dir string) ([]string, error) {
	return find(fsys, dir, "policies", "waivers")
}

func find(fsys fs.FS, dir string, fields ...string) ([]string, error) {
	f := &finder{fsys: fsys, fields: fields, walked: map[string]bool{}}
	err := f.walk(dir)
	// Links are last: what they lead to has been found by its own name, unless it
	// lies elsewhere.
	for err == nil && len(f.links) > 0 {
		link := f.links[0]
		f.links = f.links[1:]
		if real := f.real(link); real != "" && !f.walked[real] {
			err = f.walk(link)
		}
	}
	slices.Sort(f.found)
	return f.found, err
}

// finder looks for packages with one of some fields.
type finder struct {
	fsys   fs.FS
	fields []string
	walked map[string]bool // directories, without links
	links  []string        // to directories
	found  []string
}

func (f *finder) walk(dir string) error {
	real := f.real(dir)
	return fs.WalkDir(f.fsys, dir, func(p string, e fs.DirEntry, err error) error {
		switch name := path.Base(p); {
		case err != nil:
			// A name that is not UTF-8 is no CUE, and nobody can write it in CUE.
			if p == dir || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
				return err
			}
			return fs.SkipDir
		case e.IsDir():
			at := path.Join(real, strings.TrimPrefix(p, dir))
			if p != dir && (passedOver(name) || exists(f.fsys, path.Join(p, ".git"))) || f.walked[at] {
				return fs.SkipDir
			}
			f.walked[at] = true
			if f.manifest(p) {
				f.found = append(f.found, p)
			}
		case e.Type()&fs.ModeSymlink != 0 && !passedOver(name):
			if fi, err := fs.Stat(f.fsys, p); err == nil && fi.IsDir() {
				f.links = append(f.links, p)
			}
		}
		return nil
	})
}

// passedOver are directories that hold nobody's manifests.
func passedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"cue.mod", "node_modules", "testdata"}, name)
}

// real is a directory without links on the way; "" if it leaves the tree.
func (f *finder) real(dir string) string {
	found := (&localFiles{fsys: f.fsys, dir: "."}).follow(dir)
	if found.err != nil {
		return ""
	}
	return found.name
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Lstat(fsys, name)
	return err == nil
}

// manifest tells whether a directory is what is looked for.
func (f *finder) manifest(dir string) bool {
	var files []string
	entries, err := fs.ReadDir(f.fsys, dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == lock.Name && e.Type().IsRegular() && f.fields[0] == "families":
			// What cannot be read any more is still a manifest.
			if HasCUE(f.fsys, dir) {
				return true
			}
		case isPart(name) && !e.IsDir():
			files = append(files, path.Join(dir, name))
		}
	}
	s := &search{fsys: f.fsys, fields: f.fields, parsed: map[string]*ast.File{}, busy: map[string]bool{}, steps: mostSteps}
	mentioned := false
	for _, file := range files {
		says, long := f.mentions(file)
		if says && long {
			return true
		}
		mentioned = mentioned || says
	}
	return mentioned && slices.ContainsFunc(files, s.declares)
}

// SamePackage is a file of the package that a file stands for, in the same
// directory of another tree: the file itself if it is there, else another of that
// package, else one of a package that is there alone, since then the package has
// another name. "" is none.
func SamePackage(fsys, other fs.FS, file string) string {
	dir, name := path.Dir(file), path.Base(file)
	if exists(fsys, file) {
		return name
	}
	here, there := packagesIn(fsys, dir), packagesIn(other, dir)
	for clause, files := range there {
		if slices.Contains(files, name) && len(here[clause]) > 0 {
			return here[clause][0]
		}
	}
	var alone []string
	for clause, files := range here {
		if len(there[clause]) == 0 {
			alone = append(alone, files...)
		}
	}
	slices.Sort(alone)
	return append(alone, "")[0]
}

// packagesIn are the files of each package in a directory, sorted. What cannot be
// read belongs to the package "".
func packagesIn(fsys fs.FS, dir string) map[string][]string {
	all := map[string][]string{}
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return all
	}
	s := &search{fsys: fsys, parsed: map[string]*ast.File{}}
	for _, e := range entries {
		if name := e.Name(); isPart(name) && !e.IsDir() {
			clause := ""
			if f := s.parse(path.Join(dir, name)); f != nil {
				clause = f.PackageName()
			}
			all[clause] = append(all[clause], name)
		}
	}
	return all
}

// isPart tells whether a file of such a name belongs to packages.
func isPart(name string) bool {
	return strings.HasSuffix(name, ".cue") && !strings.HasSuffix(name, "_tool.cue") && name[0] != '.' && name[0] != '_'
}

const (
	// longestParsed is how many bytes of a file are parsed to see what it is. A
	// longer one that has the word is taken for what is looked for: it is no small
	// matter to read, and who loads it has limits.
	longestParsed = 1 << 20
	// longestRead is how many bytes of it are looked through for the word; what
	// comes behind them counts as having it.
	longestRead = 64 << 20
)

// mentions tells whether a file can have something to say of a field: it has its
// name or, if it is not too long to parse, imports what may have it.
func (f *finder) mentions(file string) (says, long bool) {
	fi, err := fs.Stat(f.fsys, file)
	if err != nil || !fi.Mode().IsRegular() {
		return false, false
	}
	words := f.fields
	if long = fi.Size() > longestParsed; !long {
		words = append([]string{"import"}, words...)
	}
	r, err := f.fsys.Open(file)
	if errors.Is(err, fs.ErrPermission) {
		return true, true // for who loads it to say
	}
	if err != nil {
		return false, long
	}
	defer r.Close()
	const keep = 64 // of what was read before: longer than any word
	window := make([]byte, 0, keep+64<<10)
	for total := 0; ; {
		n, err := r.Read(window[len(window):cap(window)])
		window = window[:len(window)+n]
		for _, w := range words {
			if bytes.Contains(window, []byte(w)) {
				return true, long
			}
		}
		if total += n; total > longestRead {
			return true, long
		}
		if err != nil {
			return false, long
		}
		if len(window) > keep {
			window = append(window[:0], window[len(window)-keep:]...)
		}
	}
}
