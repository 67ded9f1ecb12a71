package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the stories to what is seen")

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == evaluateVerb {
		os.Exit(serveApart())
	}
	testscript.Main(m, map[string]func(){"canvos": main})
}

// TestStories runs every story: a whole behaviour on one screen, as a person
// meets it.
func TestStories(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cue := tool(t, "cuelang.org/go/cmd/cue")
	crane := tool(t, "github.com/google/go-containerregistry/cmd/crane")
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("CUE", cue)
			env.Setenv("CRANE", crane)
			env.Setenv("CUE_REGISTRY", "none") // plain cue vet needs no network either
			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"denied":   denied,
			"cp-r":     copyTree,
			"registry": startRegistry,
			"proxy":    startProxy,
			"silent":   silent,
			"shell-of": shellOf,
		},
	})
}

// tool builds a tool of go.mod.
func tool(t *testing.T, pkg string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := osexec.Command("go", "build", "-o", file, pkg).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return file
}

// copyTree copies a directory with its links and modes:
//
//	cp-r FROM TO
func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cp-r FROM TO")
	}
	ts.Check(ts.Exec("cp", "-a", ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

// startRegistry starts Debian's docker-registry on a free port of the loopback
// until the story ends, and names it in a variable. With "locked" it wants the
// credentials tester and "correct horse"; with "read-only" it takes nothing:
//
//	registry REG [locked | read-only]
//	exec skopeo inspect --tls-verify=false docker://$REG/acme/ubuntu:tag
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: registry VARIABLE [locked | read-only]")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	addr := l.Addr().String()
	ts.Check(l.Close())
	dir := ts.MkAbs(".registry-" + args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	config := filepath.Join(dir, "config.yml")
	auth := ""
	storage := ""
	switch {
	case len(args) == 1:
	case args[1] == "read-only":
		storage = ", maintenance: {readonly: {enabled: true}}"
	case args[1] == "locked":
		passwords := filepath.Join(dir, "htpasswd")
		ts.Check(os.WriteFile(passwords, []byte("tester:$2b$04$WCsuSlSmJ6.O6dDdcRl3EOQBEfuakAVWFozJKh6DAFouvqkZVhLRm\n"), 0o600))
		auth = fmt.Sprintf("auth: {htpasswd: {realm: canvos, path: %q}}\n", passwords)
	}
	ts.Check(os.WriteFile(config, []byte(fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}%s}\nhttp: {addr: %q}\nlog: {level: error, accesslog: {disabled: true}}\n%s", dir, storage, addr, auth)), 0o644))
	cmd := osexec.Command("docker-registry", "serve", config)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			ts.Setenv(args[0], addr)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("docker-registry does not answer at %s", addr)
}

// silent listens where nobody ever answers, and names the place in a variable; with
// a command it waits until somebody has asked:
//
//	silent HOST
//	silent HOST asked
func silent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: silent VARIABLE [asked]")
	}
	mark := ts.MkAbs(".asked-" + args[0])
	if len(args) > 1 {
		for range 200 {
			if _, err := os.Stat(mark); err == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		ts.Fatalf("nobody asked %s", args[0])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() // held open until the story ends
			os.WriteFile(mark, nil, 0o644)
		}
	}()
}

// denied is exits for a command that file modes bind, whoever runs the tests: root
// without the right to pass over them.
//
//	denied 1 canvos apply --to oci:locked
func denied(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 1 && os.Geteuid() == 0 {
		args = append([]string{args[0], "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"}, args[1:]...)
	}
	exits(ts, neg, args)
}

// exits runs a command that must end with one exit code:
//
//	exits 3 canvos vet
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *osexec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}
