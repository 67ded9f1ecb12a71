package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"canvos.dev/cmd/internal/sandbox"
	"canvos.dev/cmd/internal/view"
)

// A door is what the world outside gives one run of canvos. Verbs take all they
// know of it from here.
type door struct {
	in       io.Reader
	out, err io.Writer

	inTerminal, outTerminal, errTerminal bool
	width                                int // of the terminal; 0 when there is none

	env    func(string) string
	dir    string      // working directory
	format view.Format // what -o said
	color  string      // what --color said

	limits sandbox.Limits // of evaluating what is not trusted
}

// ci reports whether a machine is at the other end: nobody to ask, and nothing
// is completed silently.
func (d *door) ci() bool {
	switch strings.ToLower(d.env("CI")) {
	case "", "0", "false":
		return d.env("GITHUB_ACTIONS") == "true"
	}
	return true
}

// asks reports whether a person can be asked a question.
func (d *door) asks() bool { return d.inTerminal && d.errTerminal && !d.ci() }

// outStyle and errStyle say how to write to standard output and standard error.
func (d *door) outStyle() view.Style { return d.style(d.outTerminal) }
func (d *door) errStyle() view.Style { return d.style(d.errTerminal) }

func (d *door) style(terminal bool) view.Style {
	s := view.Style{Terminal: terminal && d.env("TERM") != "dumb", Width: d.width}
	switch d.color {
	case "always":
		s.Colour = true
	case "never":
	default:
		s.Colour = s.Terminal && d.env("NO_COLOR") == ""
	}
	return s
}

// envPrefix begins the name of a setting's variable: --jobs is CANVOS_JOBS.
const envPrefix = "CANVOS_"

// setting marks flags that also have a variable. Flags that consent to
// something, or name what one run is about, have none: an environment must not
// say yes for a person who forgot that it is set.
func setting(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := flags.Lookup(name)
		f.Usage += fmt.Sprintf(" [$%s]", variable(name))
		if err := flags.SetAnnotation(name, "canvos_setting", nil); err != nil {
			panic(err) // the flag was just looked up
		}
	}
}

func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settle gives the settings that no flag set the value of their variables.
func settle(d *door, cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		_, ok := f.Annotations["canvos_setting"]
		v := d.env(variable(f.Name))
		if !ok || f.Changed || v == "" || err != nil {
			return
		}
		if e := f.Value.Set(v); e != nil {
			err = fmt.Errorf("%s=%q: %w", variable(f.Name), v, wanted(f, e))
			return
		}
		f.Changed = true
	})
	return err
}

// wanted is why a flag does not take a value, in words: what it takes.
func wanted(f *pflag.Flag, err error) error {
	if f.Value.Type() == "bool" {
		return errors.New("true or false")
	}
	return err
}

// atLeastOne is a flag whose value is a number of things at a time.
type atLeastOne int

func (n *atLeastOne) String() string { return strconv.Itoa(int(*n)) }
func (n *atLeastOne) Type() string   { return "int" }

func (n *atLeastOne) Set(v string) error {
	i, err := strconv.Atoi(v)
	if err != nil || i < 1 {
		return errors.New("a whole number, 1 or more")
	}
	*n = atLeastOne(i)
	return nil
}

// choice is a flag whose value is one of a few words.
type choice struct {
	p       *string
	allowed []string
}

func (c choice) String() string {
	if c.p == nil {
		return ""
	}
	return *c.p
}

func (c choice) Type() string { return strings.Join(c.allowed, "|") }

func (c choice) Set(v string) error {
	for _, a := range c.allowed {
		if v == a {
			*c.p = v
			return nil
		}
	}
	return fmt.Errorf("one of %s", strings.Join(c.allowed, ", "))
}

// choose adds a flag with a few allowed words, the first of which is the
// default.
func choose(cmd *cobra.Command, p *string, name, short, usage string, allowed ...string) {
	*p = allowed[0]
	cmd.Flags().VarP(choice{p, allowed}, name, short, usage)
	complete(cmd, name, allowed...)
}

// complete makes a flag's words known to the shell.
func complete(cmd *cobra.Command, name string, words ...string) {
	err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag was just added
	}
}

// formats adds -o to a command whose result machines read too.
func formats(d *door, cmd *cobra.Command) {
	choose(cmd, (*string)(&d.format), "output", "o", "format of the result:", string(view.Text), string(view.JSON))
	setting(cmd.Flags(), "output")
}

// shown is a path as the person at the door would write it.
func (d *door) shown(path string) string { return shownFrom(d.dir, path) }

// shownFrom is a path as one writes it in a directory: relative to that where it
// is shorter. The directory itself stays as it is.
func shownFrom(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && rel != "." && len(rel) < len(path) {
		return rel
	}
	return filepath.Clean(path)
}
