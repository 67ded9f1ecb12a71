package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

// shellOf writes the shell of a step of an action, of a GitLab job in a page of
// the documentation, or of a pre-commit hook, as the system that runs it would:
//
//	shell-of $ROOT/action.yml review review.sh [INPUT=VALUE...]
//	shell-of $ROOT/docs/review.md canvos-review job.sh
//	shell-of $ROOT/.pre-commit-hooks.yaml canvos-vet hook.sh
func shellOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: shell-of FILE NAME OUT [INPUT=VALUE...]")
	}
	text := ts.ReadFile(args[0])
	var shell string
	switch {
	case strings.HasSuffix(args[0], "action.yml"):
		shell = actionStep(ts, text, args[1], args[3:])
	case strings.HasSuffix(args[0], ".md"):
		shell = gitlabJob(ts, text, args[1])
	default:
		shell = preCommitHook(ts, text, args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(shell), 0o755))
}

// actionStep is a step with the variables it is given. What an input's default or
// the workflow stands for is told as INPUT=VALUE, too: github.token=x.
func actionStep(ts *testscript.TestScript, text, id string, values []string) string {
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct {
			Steps []struct {
				ID, Run, Shell string
				Env            map[string]string
			}
		}
	}
	ts.Check(yaml.Unmarshal([]byte(text), &action))
	known := map[string]string{}
	for name, in := range action.Inputs {
		known["inputs."+name] = in.Default
	}
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		known[name] = value
	}
	for _, s := range action.Runs.Steps {
		if s.ID != id {
			continue
		}
		if s.Shell != "bash" || strings.Contains(s.Run, "${{") {
			ts.Fatalf("step %s: shell %q, or an expression in the script", id, s.Shell)
		}
		shell := "set -eo pipefail\n"
		for name, value := range s.Env {
			shell += "export " + name + "=" + quoteShell(expression.ReplaceAllStringFunc(value, func(e string) string {
				key := strings.TrimSpace(strings.Trim(e, "${} "))
				v, ok := known[key]
				if !ok {
					ts.Fatalf("step %s: nobody says what %s is", id, key)
				}
				return v
			})) + "\n"
		}
		return shell + s.Run
	}
	ts.Fatalf("no step %s", id)
	return ""
}

var expression = regexp.MustCompile(`\$\{\{.*?\}\}`)

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// gitlabJob is a job of a fenced block of YAML: its variables, then its lines,
// until one fails.
func gitlabJob(ts *testscript.TestScript, page, name string) string {
	for _, block := range fenced.FindAllStringSubmatch(page, -1) {
		var jobs map[string]struct {
			Variables map[string]string
			Before    []string `yaml:"before_script"`
			Script    []string
		}
		if yaml.Unmarshal([]byte(block[1]), &jobs) != nil || jobs[name].Script == nil {
			continue
		}
		shell := "set -eo pipefail\n"
		for name, value := range jobs[name].Variables {
			shell += "export " + name + "=" + quoteShell(value) + "\n"
		}
		return shell + strings.Join(slices.Concat(jobs[name].Before, jobs[name].Script), "\n") + "\n"
	}
	ts.Fatalf("no job %s", name)
	return ""
}

var fenced = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// preCommitHook is what pre-commit runs for files that are passed or not.
func preCommitHook(ts *testscript.TestScript, text, id string) string {
	var hooks []struct {
		ID, Entry string
		Args      []string
		Files     bool `yaml:"pass_filenames"`
	}
	ts.Check(yaml.Unmarshal([]byte(text), &hooks))
	for _, h := range hooks {
		if h.ID == id && !h.Files {
			shell := "exec " + h.Entry
			for _, a := range h.Args {
				shell += " " + quoteShell(a)
			}
			return shell + "\n"
		}
	}
	ts.Fatalf("no hook %s that is given no files", id)
	return ""
}
