package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/catalog"
	"canvos.dev/schema"
)

func newInit(d *door) *cobra.Command {
	var release, registry string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "A first manifest, ready for vet and for the editor",
		Long: `Writes a first manifest into DIR (default "."): images.cue, a module file if DIR
is in no CUE module, a copy of the schema for the editor and plain cue vet, and
.gitignore. Files that are there stay as they are, but for the copy of the schema.`,
		Example: `  canvos init
  canvos init edge --release v4.9.38 --registry registry.example.com/edge`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	cmd.Flags().StringVar(&release, "release", newestRelease(), "CanvOS `release` of the manifest")
	cmd.Flags().StringVar(&registry, "registry", "docker.io/example", "`registry` that the images are published in")
	if err := cmd.RegisterFlagCompletionFunc("release", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeReleases()
	}); err != nil {
		panic(err) // the flag was just added
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir := d.dir
		if len(args) > 0 {
			dir = d.absolute(args[0])
		}
		return d.initialise(dir, release, registry)
	}
	return cmd
}

// newestRelease is the newest one that builds the agent of its own number.
func newestRelease() string {
	newest := ""
	for _, e := range catalog.Entries() {
		if e.AgentVersion == e.Tag && (newest == "" || catalog.CompareVersions(e.Tag, newest) > 0) {
			newest = e.Tag
		}
	}
	return newest
}

func (d *door) initialise(dir, tag, registry string) error {
	r, err := release(tag)
	if err != nil {
		return err
	}
	root := moduleRoot(dir)
	text, err := firstManifest(packageName(dir, root), r, registry)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(exitError, "", "make %s: %v", d.shown(dir), unpathed(err))
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.cue")); len(found) > 0 {
		fmt.Fprintf(d.out, "  kept   %s\n", d.shown(found[0]))
	} else if err := d.make(filepath.Join(dir, "images.cue"), text); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "cue.mod", "module.cue")); errors.Is(err, fs.ErrNotExist) {
		if err := d.make(filepath.Join(root, "cue.mod", "module.cue"), moduleFile); err != nil {
			return err
		}
	}
	if err := d.vendorSchema(root); err != nil {
		return err
	}
	if err := d.make(filepath.Join(dir, ".gitignore"), "# What canvos apply --to leaves behind, and saved plans.\n/out/\n*.plan.json\n"); err != nil {
		return err
	}
	if warning := r.Warning(); warning != "" {
		view.Note(d.err, d.errStyle(), warning)
	}
	fmt.Fprintf(d.err, "  next: edit %s, then canvos vet %s\n", d.shown(filepath.Join(dir, "images.cue")), orDot(d.shown(dir), d.dir))
	return nil
}

func orDot(shown, dir string) string {
	if shown == dir {
		return "."
	}
	return shown
}

const moduleFile = `module: "manifests.example@v0"
language: version: "v0.17.0"
`

// vendorSchema copies the schema to where plain cue vet and editors find it
// without a registry. canvos itself always uses the one it carries.
func (d *door) vendorSchema(root string) error {
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "cue.mod", "pkg", filepath.FromSlash(schema.ImportPath))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(exitError, "", "make %s: %v", d.shown(dir), unpathed(err))
	}
	for _, name := range names {
		b, err := schema.FS.ReadFile(name)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "  wrote  %s\n", d.shown(dir))
	return nil
}

// make writes a file that is not there yet.
func (d *door) make(name, text string) error {
	if _, err := os.Lstat(name); err == nil {
		fmt.Fprintf(d.out, "  kept   %s\n", d.shown(name))
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fail(exitError, "", "make %s: %v", d.shown(filepath.Dir(name)), unpathed(err))
	}
	if err := writeFile(name, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "  wrote  %s\n", d.shown(name))
	return nil
}
