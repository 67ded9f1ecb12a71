package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// dockerfile carries out a file of instructions on top of what is there, as
// upstream's own Dockerfile does on the base image. What changes the image's
// config has no place in it: the config is the base image's (difference
// dockerfile).
func (r *recipe) dockerfile(c chain) chain {
	f := r.f.Dockerfile
	if f.V == "" {
		return c
	}
	in := r.in.local(f.V, asker{family: r.f, at: f.At, path: "dockerfile", what: "Dockerfile"})
	text, err := fs.ReadFile(r.m.FS, in.name)
	if err != nil {
		return c // the input has been reported
	}
	d := dockerfile{recipe: r, dir: path.Dir(f.V), run: plan.Run{Env: noninteractive()}}
	d.run.Env["OS_DISTRIBUTION"], d.run.Env["OS_VERSION"] = r.f.OS.Distribution.V, r.f.OS.Version.V
	if v := r.f.Components.DRBD.V; v != "" {
		d.run.Env["DRBD_VERSION"] = v
	}
	for _, i := range instructions(string(text)) {
		if err := d.instruction(i); err != nil {
			r.report(problem.Problem{
				Code: "CV0120", Message: fmt.Sprintf("%s:%d: %v", f.V, i.line, err),
				Help: instructionsHelp,
				Path: "dockerfile", At: f.At,
			})
		}
	}
	return r.ran(c, "dockerfile", f.At, &d.script, d.run)
}

const instructionsHelp = "RUN, COPY, ADD of local files, ARG, ENV and WORKDIR can be carried out"

// unsupported are instructions that Dockerfiles have and recipes do not.
var unsupported = []string{"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME"}

// instructionFlags are flags that instructions have.
var instructionFlags = []string{"--chmod", "--chown", "--exclude", "--from", "--link", "--mount", "--network", "--parents", "--security"}

type dockerfile struct {
	*recipe
	dir    string // of the file, from the manifest's
	script script
	run    plan.Run
	copies int
}

// instruction carries out one. The file may be another than it is said to be, one
// that holds a secret: an error names what Dockerfiles have, and paths that are
// copied, and repeats nothing else.
func (d *dockerfile) instruction(i instruction) error {
	switch i.name {
	case "RUN", "COPY", "ADD", "FROM":
		if strings.HasPrefix(i.rest, "--") {
			flag, _, _ := strings.Cut(strings.Fields(i.rest)[0], "=")
			if !slices.Contains(instructionFlags, flag) {
				flag = "with flags"
			}
			return fmt.Errorf("%s %s cannot be carried out", i.name, flag)
		}
	}
	switch i.name {
	case "RUN":
		if strings.Contains(i.rest, "<<") {
			return fmt.Errorf("RUN with a here-document cannot be carried out")
		}
		command := i.rest
		if strings.HasPrefix(command, "[") {
			words, err := jsonWords(i)
			if err != nil {
				return err
			}
			command = shellWords(words)
		}
		d.script.add("sh -ec " + shell(command))
	case "WORKDIR":
		d.script.add("mkdir -p "+i.rest, "cd "+i.rest)
	case "ENV", "ARG":
		return d.variable(i)
	case "COPY", "ADD":
		return d.copy(i)
	case "FROM":
		// Upstream's own begins with ARG BASE, FROM $BASE.
		if i.rest != "$BASE" && i.rest != "${BASE}" {
			return errors.New("FROM names another image: the base image is the family's")
		}
	default:
		if slices.Contains(unsupported, i.name) {
			return fmt.Errorf("%s cannot be carried out", i.name)
		}
		return errors.New("no instruction begins here")
	}
	return nil
}

func (d *dockerfile) variable(i instruction) error {
	name, value, ok := strings.Cut(i.rest, "=")
	if !ok && i.name == "ENV" {
		name, value, ok = strings.Cut(i.rest, " ")
	}
	if !identifier.MatchString(name) {
		return fmt.Errorf("%s does not set one variable", i.name)
	}
	if i.name == "ENV" {
		if !ok {
			return errors.New("ENV without a value")
		}
		d.script.add("export "+name, name+"="+value)
		return nil
	}
	if ok {
		d.script.add("export "+name, ": ${"+name+":="+value+"}")
	}
	return nil
}

// copy shows the files to the script and has them copied where they belong.
func (d *dockerfile) copy(i instruction) error {
	words := strings.Fields(i.rest)
	if strings.HasPrefix(i.rest, "[") {
		var err error
		if words, err = jsonWords(i); err != nil {
			return err
		}
	}
	if len(words) < 2 {
		return fmt.Errorf("%s needs a source and a destination", i.name)
	}
	to := words[len(words)-1]
	for _, from := range words[:len(words)-1] {
		if strings.Contains(from, "://") || strings.ContainsAny(from, "*?[$") || i.name == "ADD" && isArchive(from) {
			return fmt.Errorf("%s takes only local files and directories, by name", i.name)
		}
		d.copies++
		at := fmt.Sprintf("/run/canvos/copy/%d", d.copies)
		in := d.in.local(path.Join(d.dir, from), asker{family: d.f, at: d.f.Dockerfile.At, path: "dockerfile", what: "file that the Dockerfile copies"})
		if in.dir {
			d.run.Mounts = append(d.run.Mounts, plan.Mount{Source: in.digest, From: "/", To: at})
			d.script.add("mkdir -p "+shell(to), "cp -a "+at+"/. "+shell(to)+"/")
			continue
		}
		at += "/" + path.Base(in.name)
		d.run.Mounts = append(d.run.Mounts, plan.Mount{Source: in.digest, From: in.from(), To: at})
		dir := path.Dir(to)
		if strings.HasSuffix(to, "/") || len(words) > 2 {
			dir = to
		}
		d.script.add("mkdir -p "+shell(dir), "cp -a "+shell(at)+" "+shell(to))
	}
	return nil
}

func jsonWords(i instruction) ([]string, error) {
	var words []string
	if err := json.Unmarshal([]byte(i.rest), &words); err != nil || len(words) == 0 {
		return nil, fmt.Errorf("%s begins with a list that is no JSON list of words", i.name)
	}
	return words, nil
}

func shellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shell(w)
	}
	return strings.Join(quoted, " ")
}
