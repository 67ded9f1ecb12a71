package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing/fstest"
	"unicode/utf8"

	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/module"

	"canvos.dev/schema"
)

// schemaDir is where the embedded schema appears beside a person's files.
const schemaDir = ".canvos-schema"

// schemaShown begins the names of the schema's files in positions: what does not
// begin so was written by the person.
const schemaShown = "canvos:schema"

// schemaVersion is the version of the schema's module that is served, whichever
// one a module file asks for.
const schemaVersion = "v0.1.0"

// mount is all that the loader sees: a person's tree, the embedded schema, and a
// module file that makes the import of the schema resolve. What the tree has of
// its own in the schema's place is hidden, so that a change under review cannot
// weaken the rules it is judged by.
type mount struct {
	user    fs.FS
	own     bool   // the tree is the module that the schema lies in
	modfile []byte // instead of the tree's; nil for the tree's own
	stdin   []byte // what stdinFile holds
	intake  *intake
}

// stdinFile is how a manifest from standard input is named in its directory.
const stdinFile = "-.cue"

func newMount(user fs.FS) (mount, error) {
	m := mount{user: user}
	b, err := fs.ReadFile(user, "cue.mod/module.cue")
	if errors.Is(err, fs.ErrPermission) {
		return m, err
	} else if err != nil {
		m.modfile, err = moduleFile("canvos.local/manifest@v0")
		return m, err
	}
	f, err := modfile.ParseNonStrict(b, "cue.mod/module.cue")
	if err != nil {
		return m, nil // the loader says what is wrong with it, and where
	}
	if f.QualifiedModule() == schema.ModulePath {
		m.own = true
		return m, nil
	}
	if f.Deps == nil {
		f.Deps = map[string]*modfile.Dep{}
	}
	f.Deps[schema.ModulePath] = &modfile.Dep{Version: schemaVersion}
	m.modfile, err = modfile.Format(f)
	return m, err
}

// moduleFile is cue.mod/module.cue of a module for manifests.
func moduleFile(name string) ([]byte, error) {
	f := &modfile.File{
		Module:   name,
		Language: &modfile.Language{Version: "v0.17.0"},
		Deps:     map[string]*modfile.Dep{schema.ModulePath: {Version: schemaVersion}},
	}
	b, err := modfile.Format(f)
	if err != nil {
		return nil, fmt.Errorf("module file of %s: %w", name, err)
	}
	return b, nil
}

func (m mount) Open(name string) (fs.File, error) {
	if rest, ok := below(name, schemaDir); ok {
		return moduleFS{}.Open(rest)
	}
	if rest, ok := below(name, "schema"); ok && m.own {
		return schema.FS.Open(rest)
	}
	if _, ok := below(name, "cue.mod/pkg/canvos.dev"); ok || name == "cue.mod/local-module.cue" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	switch {
	case m.modfile != nil && name == "cue.mod":
		return fstest.MapFS{"cue.mod/module.cue": {Data: m.modfile}}.Open(name)
	case m.modfile != nil && name == "cue.mod/module.cue":
		return openBytes(name, m.modfile)
	case m.stdin != nil && path.Base(name) == stdinFile:
		return openBytes(name, m.stdin)
	}
	f, err := m.user.Open(name)
	if err != nil {
		if m.intake != nil {
			m.intake.failed(name, err)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return f, nil
	}
	if d, ok := f.(fs.ReadDirFile); ok && info.IsDir() {
		return nameable{d}, nil
	}
	if !m.intake.admit(name, info) {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errLarge}
	}
	return f, nil
}

// nameable is a directory without names that are not UTF-8: nothing can open
// them, and the loader opens all that it is shown.
type nameable struct{ fs.ReadDirFile }

func (d nameable) ReadDir(n int) ([]fs.DirEntry, error) {
	for {
		list, err := d.ReadDirFile.ReadDir(n)
		list = slices.DeleteFunc(list, func(e fs.DirEntry) bool { return !utf8.ValidString(e.Name()) })
		if len(list) > 0 || n <= 0 || err != nil {
			return list, err
		}
	}
}

// below is name as seen from dir, "." for dir itself.
func below(name, dir string) (string, bool) {
	rest, ok := strings.CutPrefix(name, dir)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return path.Join(".", rest), true
}

func openBytes(name string, b []byte) (fs.File, error) {
	return fstest.MapFS{name: {Data: b}}.Open(name)
}

// rooted tells the loader where in the mount a module lies.
type rooted struct {
	fs.FS
	root string
}

func (r rooted) OSRoot() string { return r.root }

// registry serves the embedded schema as a module and has no other, so that
// loading opens no connection and reads no module cache.
type registry struct{}

func (registry) ModFile(_ context.Context, m module.Version) (*modfile.File, error) {
	if m.Path() != schema.ModulePath {
		return nil, otherModule(m)
	}
	return modfile.ParseNonStrict([]byte(schemaModule), "module.cue")
}

func (registry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	if m.Path() != schema.ModulePath {
		return module.SourceLoc{}, otherModule(m)
	}
	return module.SourceLoc{FS: rooted{moduleFS{}, "/" + schemaDir}, Dir: "."}, nil
}

func (registry) ModuleVersions(_ context.Context, p string) ([]string, error) {
	if p == schema.ModulePath {
		return []string{schemaVersion}, nil
	}
	return nil, nil
}

func otherModule(m module.Version) error {
	return fmt.Errorf("module %s is not read: a manifest imports CUE's standard library, its own module and %s", m, schema.ImportPath)
}

// moduleFS is the schema as a module: its package lies in schema/.
type moduleFS struct{}

const schemaModule = "module: \"" + schema.ModulePath + "\"\nlanguage: version: \"v0.17.0\"\n"

func (moduleFS) Open(name string) (fs.File, error) {
	if rest, ok := below(name, "schema"); ok {
		return schema.FS.Open(rest)
	}
	return fstest.MapFS{"cue.mod/module.cue": {Data: []byte(schemaModule)}}.Open(name)
}

// readAll reads a manifest from standard input; maxStdin is far above any.
func readAll(r io.Reader) ([]byte, error) {
	const maxStdin = 64 << 20
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, maxStdin+1))
	if err == nil && n > maxStdin {
		err = fmt.Errorf("it is longer than %d bytes", maxStdin)
	}
	return b.Bytes(), err
}
