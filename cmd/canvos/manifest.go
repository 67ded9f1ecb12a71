package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// A manifest is one that a command line names, and where it lies.
type manifest struct {
	name string // as the person named it
	root string // absolute; of the CUE module
	src  compile.Source
	// lockFile is where its lock is, or would be: absolute.
	lockFile string
	stdin    []byte
	shown    func(string) string // of an absolute path
	inModule map[string]string   // the path in the module of each that was shown
}

// placeInModule is a path, as it was shown of the manifest, as it lies in the
// module: what a plan says, so that it is the same wherever it is made.
func (m *manifest) placeInModule(shown string) string {
	if p, ok := m.inModule[shown]; ok {
		return p
	}
	return shown
}

// manifests are those that the arguments name: a directory, a CUE file, which
// stands for its package, DIR/... for every manifest below, or "-" for standard
// input; "." if there are none. Each is there once.
func (d *door) manifests(args []string, tags []string) ([]*manifest, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var all []*manifest
	seen := map[string]bool{}
	for _, arg := range args {
		some, err := d.named(arg)
		if err != nil {
			return nil, err
		}
		for _, m := range some {
			if key := m.identity(); !seen[key] {
				seen[key] = true
				m.src.Tags = tags
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// identity is what tells it from other manifests, however it was named: its
// directory without links, and its package.
func (m *manifest) identity() string {
	if m.src.Stdin != nil {
		return "-"
	}
	dir := filepath.Join(m.root, filepath.FromSlash(m.src.Dir))
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return dir + "\x00" + m.src.Package()
}

// manifest is the one that a command line names.
func (d *door) manifest(args []string, tags []string) (*manifest, error) {
	all, err := d.manifests(args, tags)
	switch {
	case err != nil:
		return nil, err
	case len(all) > 1:
		var names []string
		for _, m := range all {
			names = append(names, m.name)
		}
		return nil, fail(exitUsage, "name one of them", "%d manifests: %s", len(all), strings.Join(names, ", "))
	}
	return all[0], nil
}

func (d *door) named(arg string) ([]*manifest, error) {
	if arg == "-" {
		m, err := d.manifestAt("-", d.dir, "")
		if err == nil {
			m.src.Stdin = d.in
		}
		return []*manifest{m}, err
	}
	if dir, ok := strings.CutSuffix(arg, "..."); ok && (dir == "" || strings.HasSuffix(dir, "/")) {
		return d.below(filepath.Clean(d.absolute(dir)), arg)
	}
	file := d.absolute(arg)
	fi, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(exitError, "canvos init "+suggestDir(arg)+" makes a first manifest", "there is no %s", arg)
	case err != nil:
		return nil, fail(exitError, "", "read %s: %v", arg, unpathed(err))
	case fi.IsDir():
		m, err := d.manifestAt(arg, file, "")
		return []*manifest{m}, err
	case filepath.Ext(file) != ".cue":
		return nil, fail(exitUsage, "a manifest is a directory, a .cue file, DIR/... or -", "%s is not a CUE file", arg)
	}
	m, err := d.manifestAt(arg, filepath.Dir(file), filepath.Base(file))
	return []*manifest{m}, err
}

func suggestDir(arg string) string {
	if filepath.Ext(arg) == ".cue" {
		return filepath.Dir(arg)
	}
	return arg
}

func (d *door) absolute(p string) string {
	if p == "" {
		p = "."
	}
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(d.dir, p)
}

// below are the manifests at and below a directory.
func (d *door) below(dir, arg string) ([]*manifest, error) {
	found, err := compile.Find(os.DirFS(dir), ".")
	if err != nil {
		return nil, fail(exitError, "", "search %s: %v", arg, unpathed(err))
	}
	if len(found) == 0 {
		return nil, fail(exitError, "canvos init makes a first manifest", "no manifest below %s", d.shown(dir))
	}
	var all []*manifest
	for _, f := range found {
		abs := filepath.Join(dir, filepath.FromSlash(f))
		m, err := d.manifestAt(d.nameOf(abs), abs, "")
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// manifestAt is the manifest in a directory. Its module is the nearest directory
// above with a cue.mod, or else the directory itself.
func (d *door) manifestAt(name, dir, file string) (*manifest, error) {
	root := moduleRoot(dir)
	files, err := openWorkTree(root)
	if err != nil {
		return nil, fail(exitError, "", "read %s: %v", name, unpathed(err))
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	m := &manifest{name: name, root: root, lockFile: filepath.Join(dir, lock.Name), shown: d.shown, inModule: map[string]string{}}
	m.src = compile.Source{
		FS: plan.Remembered(files), Dir: filepath.ToSlash(rel), File: file,
		Show: func(p string) string {
			shown := d.shown(filepath.Join(root, filepath.FromSlash(p)))
			m.inModule[shown] = p
			return shown
		},
	}
	return m, nil
}

// moduleRoot is the directory of the module that a directory lies in.
func moduleRoot(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if fi, err := os.Stat(filepath.Join(at, "cue.mod")); err == nil && fi.IsDir() {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// problemsInModule are problems whose places, also those that their texts name, are
// such in the module.
func (m *manifest) problemsInModule(ps []*problem.Problem) []*problem.Problem {
	var pairs []string
	for _, shown := range slices.Sorted(maps.Keys(m.inModule)) {
		pairs = append(pairs, shown+":", m.inModule[shown]+":")
	}
	text := strings.NewReplacer(pairs...).Replace
	place := func(at plan.Pos) plan.Pos {
		at.File = m.placeInModule(at.File)
		return at
	}
	var out []*problem.Problem
	for _, p := range ps {
		q := *p
		q.Message, q.Help, q.At = text(q.Message), text(q.Help), place(q.At)
		q.Notes, q.Also = nil, nil
		for _, note := range p.Notes {
			q.Notes = append(q.Notes, text(note))
		}
		for _, at := range p.Also {
			q.Also = append(q.Also, place(at))
		}
		out = append(out, &q)
	}
	return out
}

// showPlaces writes the places of a plan that was read, which are such in the module
// at root, as the person at the door would.
func (d *door) showPlaces(p *plan.Plan, root string) {
	show := func(at *plan.Pos) {
		if at.File != "" && at.File != "-" {
			at.File = d.shown(filepath.Join(root, filepath.FromSlash(at.File)))
		}
	}
	for i := range p.Steps {
		show(&p.Steps[i].At)
	}
	for i := range p.Images {
		show(&p.Images[i].At)
	}
}

// judge says what a manifest stands for and what is wrong with it.
func (m *manifest) judge(lk *lock.File) (compile.Judged, error) {
	src, err := m.source()
	if err != nil {
		return compile.Judged{}, err
	}
	return compile.Judge(src, lk), nil
}

// source is what a manifest is read from. Standard input is read once, and may be
// read again from here.
func (m *manifest) source() (compile.Source, error) {
	src := m.src
	if src.Stdin == nil {
		return src, nil
	}
	if m.stdin == nil {
		b, err := readInput(src.Stdin)
		if err != nil {
			return src, err
		}
		m.stdin = b
	}
	src.Stdin = strings.NewReader(string(m.stdin))
	return src, nil
}

// lines shows what the person wrote, but for secrets.
func (d *door) lines(of ...*manifest) view.Lines {
	read := map[string][]string{}
	return func(file string, line int) (string, bool) {
		text, ok := read[file]
		if !ok {
			var b []byte
			if file == "-" {
				for _, m := range of {
					b = append(b, m.stdin...)
				}
			} else {
				b, _ = os.ReadFile(d.absolute(file)) // what cannot be read is not shown
			}
			text = strings.Split(string(compile.Redacted(b)), "\n")
			read[file] = text
		}
		if line < 1 || line > len(text) {
			return "", false
		}
		return text[line-1], true
	}
}

// invalid ends a run whose manifest or lock is wrong, and says why: on standard
// output for a machine, else on standard error.
func (d *door) invalid(ps []*problem.Problem, of ...*manifest) error {
	return d.ended(exitInvalid, ps, of...)
}

// ended is invalid with another code: what is wrong may be the world.
func (d *door) ended(code int, ps []*problem.Problem, of ...*manifest) error {
	if d.format == view.JSON {
		if err := view.ProblemsJSON(d.out, ps); err != nil {
			return err
		}
	} else {
		view.Problems(d.err, d.errStyle(), ps, d.lines(of...))
	}
	return told(code)
}

// warn shows what is no reason to stop.
func (d *door) warn(ps []*problem.Problem, of ...*manifest) {
	if len(ps) > 0 {
		view.Problems(d.err, d.errStyle(), ps, d.lines(of...))
		fmt.Fprintln(d.err)
	}
}

// tagFlag adds the values of @tag attributes.
func tagFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArrayP("tag", "t", nil, "value for a @tag attribute of the manifest: `NAME=VALUE` (may be repeated)")
}

// completeManifests are directories and CUE files.
func completeManifests(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"cue"}, cobra.ShellCompDirectiveFilterFileExt
}

// unpathed is the system's answer without a path that the message has already.
func unpathed(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
