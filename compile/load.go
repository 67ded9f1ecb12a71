package compile

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"

	"canvos.dev/compile/problem"
)

// Source is where a manifest is read from: a directory, a git revision, an
// archive in memory are all the same.
type Source struct {
	// FS is the tree the manifest lies in; its root is the root of the CUE
	// module, which no path of the manifest may leave.
	FS fs.FS
	// Dir is the manifest's directory in FS, slash separated; "." is the root.
	Dir string
	// File, if set, is a CUE file of Dir that was named. It stands for its
	// package, or for itself if it belongs to none.
	File string
	// Stdin, if set, is read instead of Dir's files.
	Stdin io.Reader
	// Tags are values for @tag attributes: "name=value" or "name".
	Tags []string
	// Bounds are the most that the CUE files may be.
	Bounds Bounds
	// Show is how a path in FS is written in messages; as it is if nil.
	Show func(path string) string
}

// Load reads a manifest package and decodes it. The problems are those of room
// "load": of the text, of the schema, of values. With problems the manifest holds
// what could be read of it all the same, so that Check can go on; families whose
// system or distribution cannot be read are missing in it. It is nil if nothing
// could be read.
func Load(src Source) (*Manifest, []*problem.Problem) {
	if src.Show == nil {
		src.Show = func(p string) string { return p }
	}
	src.Dir = path.Clean(src.Dir)
	inst, ps := instance(src)
	if len(ps) > 0 {
		return nil, problem.Sort(ps)
	}
	if ps = outOfBounds(inst, src.Bounds); len(ps) > 0 {
		return nil, ps
	}
	for _, f := range inst.Files {
		ps = append(ps, refused(f)...)
		unbind(f)
	}
	if len(ps) > 0 {
		return nil, problem.Sort(ps)
	}
	ctx := cuecontext.New()
	raw := ctx.BuildInstance(inst)
	if err := raw.Err(); err != nil && !holdsFields(raw) {
		return nil, problem.Sort(withhold(evaluation(err), inst.Files))
	}
	if raw.IncompleteKind() != cue.StructKind && !holdsFields(raw) {
		return nil, []*problem.Problem{noManifest("the package is not a struct of fields", src)}
	}
	idx := indexOf(inst.Files)
	d := diagnosis{index: idx}
	if err := raw.Unify(definition(ctx, false)).Validate(cue.Concrete(true)); err != nil {
		d.all(raw, definition(ctx, true))
	}
	m := &Manifest{FS: src.FS, Dir: src.Dir}
	for _, f := range inst.BuildFiles {
		m.Files = append(m.Files, src.Show(strings.TrimPrefix(f.Filename, "/")))
	}
	if src.Stdin != nil {
		m.Files = []string{"-"}
	}
	slices.Sort(m.Files)
	d.decode(m, raw)
	for _, p := range d.problems {
		if p.At.File == "" {
			p.At.File = m.Files[0] // of something that stands nowhere
		}
		m.partial = true
	}
	return m, problem.Sort(withhold(d.problems, inst.Files))
}

// instance finds and parses the files of the package.
func instance(src Source) (*build.Instance, []*problem.Problem) {
	m, err := newMount(src.FS)
	if errors.Is(err, fs.ErrPermission) {
		return nil, []*problem.Problem{unreadable("cue.mod/module.cue", err, src)}
	} else if err != nil {
		return nil, []*problem.Problem{noManifest(err.Error(), src)}
	}
	m.intake = &intake{most: int64(src.Bounds.Bytes), counted: map[string]bool{}}
	cfg := &load.Config{
		FS:       m,
		Dir:      "/" + strings.TrimPrefix(src.Dir, "."),
		Tags:     src.Tags,
		Registry: registry{},
		FromFSPath: func(p string) string {
			if rest, ok := strings.CutPrefix(p, "/"+schemaDir+"/schema"); ok {
				return schemaShown + rest
			}
			if src.Stdin != nil && path.Base(p) == stdinFile {
				return "-"
			}
			return src.Show(strings.TrimPrefix(p, "/"))
		},
	}
	arg := "."
	switch {
	case src.Stdin != nil:
		if m.stdin, err = readAll(src.Stdin); err != nil {
			return nil, []*problem.Problem{failed("CV0009", "standard input cannot be read: "+err.Error(), "-")}
		}
		if m.intake.most > 0 && int64(len(m.stdin)) > m.intake.most {
			m.intake.refused = stdinFile
			return nil, []*problem.Problem{m.intake.problem(cfg.FromFSPath)}
		}
		cfg.FS, arg = m, "./"+stdinFile
	case src.File != "":
		file := path.Join(src.Dir, src.File)
		if info, err := fs.Stat(src.FS, file); err == nil && !m.intake.admit(file, info) {
			return nil, []*problem.Problem{m.intake.problem(src.Show)}
		}
		b, err := fs.ReadFile(src.FS, file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, []*problem.Problem{noManifest("there is no file "+quoted(src.Show(file)), src)}
		} else if err != nil {
			return nil, []*problem.Problem{unreadable(file, err, src)}
		}
		// A file that cannot be parsed is loaded by itself, to say why.
		if f, err := parser.ParseFile(file, b, parser.PackageClauseOnly); err != nil || f.PackageName() == "" {
			arg = "./" + src.File
		} else {
			cfg.Package = f.PackageName()
		}
	default:
		if _, err := fs.ReadDir(src.FS, src.Dir); errors.Is(err, fs.ErrPermission) {
			return nil, []*problem.Problem{unreadable(src.Dir, err, src)}
		}
		if !HasCUE(src.FS, src.Dir) {
			return nil, []*problem.Problem{noManifest("no CUE file in "+quoted(src.Show(src.Dir)), src)}
		}
	}
	inst := load.Instances([]string{arg}, cfg)[0]
	if m.intake.refused != "" {
		return nil, []*problem.Problem{m.intake.problem(src.Show)}
	}
	if inst.Err != nil && m.intake.unread != "" {
		return nil, []*problem.Problem{unreadable(m.intake.unread, m.intake.why, src)}
	}
	if inst.Err != nil {
		return nil, loading(inst.Err, src)
	}
	return inst, nil
}

// HasCUE tells whether a directory holds a CUE file.
func HasCUE(fsys fs.FS, dir string) bool {
	entries, err := fs.ReadDir(fsys, dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && strings.HasSuffix(e.Name(), ".cue") && !strings.HasPrefix(e.Name(), ".")
	})
}

// refused are attributes that reach outside of the manifest.
func refused(f *ast.File) []*problem.Problem {
	var ps []*problem.Problem
	ast.Walk(f, func(n ast.Node) bool {
		a, ok := n.(*ast.Attribute)
		if !ok {
			return true
		}
		if name, _ := a.Split(); name == "extern" || name == "embed" {
			p := newProblem(nil, problem.Problem{
				Code:    "CV0010",
				Message: "@" + name + " reads files into a manifest",
				Help:    "write the value out; files are named by the fields that take them",
			})
			p.At = posOf(a.Pos())
			ps = append(ps, p)
		}
		return true
	}, nil)
	return ps
}

// loading words what the loader found: of the text and of packages.
func loading(err error, src Source) []*problem.Problem {
	var ps []*problem.Problem
	for _, e := range cueerrors.Errors(err) {
		text := message(e)
		if cause := errors.Unwrap(e); cause != nil && !strings.Contains(text, cause.Error()) {
			text = strings.TrimPrefix(text+": "+cause.Error(), ": ")
		}
		p := problem.Problem{Code: "CV0001", Message: text}
		switch {
		case isImport(text):
			p = problem.Problem{Code: "CV0004", Message: importText(text), Help: "a manifest imports CUE's standard library, packages of its own module, and canvos.dev/schema"}
		case strings.Contains(text, "build constraints exclude all CUE files"):
			if hasTag(err) {
				continue
			}
			p = problem.Problem{Code: "CV0002", Message: "no CUE file in " + quoted(src.Show(src.Dir)) + " belongs to a package", Help: "begin the files with a package clause: package images"}
		case strings.HasPrefix(text, "no CUE files in"), strings.Contains(text, "no files named"):
			p = problem.Problem{Code: "CV0002", Message: "no CUE file in " + quoted(src.Show(src.Dir)), Help: "canvos init makes a first manifest"}
		case strings.HasPrefix(text, "found packages "):
			p = problem.Problem{Code: "CV0003", Message: "two packages in one directory: " + strings.TrimPrefix(text, "found packages "), Help: "name the file that is meant, or give all one package clause"}
		case hasTag(e):
			p = problem.Problem{Code: "CV0005", Message: text, Help: "@tag attributes of the manifest name the values that -t may give"}
		}
		q := newProblem(nil, p)
		if q.At, q.Also = places(e); q.At.File == "" {
			q.At.File = src.Show(src.Dir)
		}
		if q.Code == "CV0001" && q.Help == "" {
			q.Help = "cue fmt accepts the file when its grammar is right"
		}
		ps = append(ps, q)
	}
	return ps
}

func hasTag(err error) bool {
	return strings.Contains(err.Error(), "no tag for ") || strings.Contains(err.Error(), "not used in any file") || strings.Contains(err.Error(), "@tag")
}

func isImport(text string) bool {
	for _, s := range []string{"import failed", "cannot find module", "imports are unavailable", "is not read: a manifest imports", "package \"", "standard library import path", "import cycle", "cannot find package"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

var importedPackage = regexp.MustCompile(`package "?([^"\s:]+)`)

// importText names what cannot be had, without the loader's words for its ways.
func importText(text string) string {
	if m := importedPackage.FindStringSubmatch(text); m != nil && !strings.Contains(text, "import cycle") {
		return "package " + quoted(m[1]) + " cannot be imported"
	}
	return strings.TrimPrefix(text, "import failed: ")
}

func noManifest(why string, src Source) *problem.Problem {
	p := failed("CV0002", why, "")
	p.Help = "canvos init " + src.Show(src.Dir) + " makes a first manifest"
	return p
}

// unreadable is a file or directory that is there and cannot be read.
func unreadable(name string, err error, src Source) *problem.Problem {
	p := failed("CV0009", "it cannot be read: "+reason(err), src.Show(name))
	if errors.Is(err, fs.ErrPermission) {
		p.Help = "look at its permissions"
	}
	return p
}

// failed is a problem of a file as a whole.
func failed(code, message, file string) *problem.Problem {
	p := newProblem(nil, problem.Problem{Code: code, Message: message})
	p.At.File = file
	return p
}

// reason is what the system answered, without the path it was asked for.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
