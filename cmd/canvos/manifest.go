package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
			key := filepath.Join(m.root, m.src.Dir) + "\x00" + m.src.File
			if !seen[key] {
				seen[key] = true
				m.src.Tags = tags
				all = append(all, m)
			}
		}
	}
	return all, nil
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
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fail(exitError, "", "read %s: %v", name, unpathed(err))
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	m := &manifest{name: name, root: root, lockFile: filepath.Join(dir, lock.Name), shown: d.shown}
	m.src = compile.Source{
		FS: plan.Remembered(r.FS()), Dir: filepath.ToSlash(rel), File: file,
		Show: func(p string) string { return d.shown(filepath.Join(root, filepath.FromSlash(p))) },
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

// judge says what a manifest stands for and what is wrong with it.
func (m *manifest) judge(lk *lock.File) (compile.Judged, error) {
	src := m.src
	if src.Stdin != nil {
		if m.stdin == nil {
			b, err := readInput(src.Stdin)
			if err != nil {
				return compile.Judged{}, err
			}
			m.stdin = b
		}
		src.Stdin = strings.NewReader(string(m.stdin))
	}
	return compile.Judge(src, lk), nil
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
	if d.format == view.JSON {
		if err := view.ProblemsJSON(d.out, ps); err != nil {
			return err
		}
	} else {
		view.Problems(d.err, d.errStyle(), ps, d.lines(of...))
	}
	return told(exitInvalid)
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
