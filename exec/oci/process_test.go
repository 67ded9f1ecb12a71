package oci

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/store"
)

// TestMain lets tests start themselves as another process, which runs a plan
// into OCI_TEST_OUT and prints its events and then its images.
func TestMain(m *testing.M) {
	switch role := os.Getenv("OCI_TEST_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "assemble":
		assemble()
	default:
		apply(role)
	}
}

// process stands in for a test in another process.
type process struct{ testing.TB }

func (process) Helper()                  {}
func (process) Cleanup(func())           {}
func (process) Context() context.Context { return context.Background() }
func (process) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
func (process) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
func (p process) TempDir() string {
	dir, err := os.MkdirTemp(os.Getenv("OCI_TEST_TMP"), "")
	check(p, err)
	return dir
}

func apply(role string) {
	t := process{}
	if mask := os.Getenv("OCI_TEST_UMASK"); mask != "" {
		n, err := strconv.ParseUint(mask, 8, 16)
		check(t, err)
		syscall.Umask(int(n))
	}
	l, d := plans[role](t)
	if module := os.Getenv("OCI_TEST_MODULE"); module != "" {
		l.toDisk(module)
	}
	if dir := os.Getenv("OCI_TEST_STORE"); dir != "" {
		st, err := store.Open(dir)
		check(t, err)
		l.sources.Store = st
	}
	jobs, _ := strconv.Atoi(os.Getenv("OCI_TEST_JOBS"))
	e := &Engine{Sources: l.sources, Target: &Layout{Dir: os.Getenv("OCI_TEST_OUT"), Store: l.sources.Store}, Jobs: jobs}
	r, err := e.Run(context.Background(), d.Plan, func(ev exec.Event) { fmt.Println("event", ev.Kind, ev.Name) })
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for line := range strings.Lines(digests(r)) {
		fmt.Print("image ", line)
	}
}

var plans = map[string]func(testing.TB) (*lab, *drawn){"whole": whole, "large": large}

// toDisk puts the module into a directory, in an order of its own, and reads it
// from there.
func (l *lab) toDisk(dir string) {
	names := sortedKeys(l.fs)
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		f, to := l.fs[name], filepath.Join(dir, name)
		check(l.t, os.MkdirAll(filepath.Dir(to), 0o777))
		if f.Mode&fs.ModeSymlink != 0 {
			check(l.t, os.Symlink(string(f.Data), to))
			continue
		}
		check(l.t, os.WriteFile(to, f.Data, f.Mode.Perm()))
	}
	l.sources.Root = os.DirFS(dir)
}

// noise is the same bytes every time, which do not compress.
func noise(seed uint64, size int) string {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return string(b)
}

// large is two families over one base, of some megabytes.
func large(t testing.TB) (*lab, *drawn) {
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, file("base", noise(1, 3<<20)))}))
	d := draw(t)
	base := d.base(d.source(l, baseImage, amd64), amd64)
	for i, family := range []string{"a", "b"} {
		l.write(family, []byte(noise(uint64(2+i), 3<<20)))
		shared := d.files(base, plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:"+family, ""), From: "/" + family, To: "/" + family}})
		for _, version := range []string{"1", "2"} {
			d.image("docker.io/acme/"+family+":"+version, family, plan.ImageOp{}, d.files(shared, write("/version", version)))
		}
	}
	return l, d
}

// child is another process that runs a plan into out.
func child(t testing.TB, role, out string, env ...string) *osexec.Cmd {
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OCI_TEST_ROLE="+role, "OCI_TEST_OUT="+out, "OCI_TEST_TMP="+t.TempDir(), "OCI_TEST_JOBS=2")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// images are the lines about images that a child has printed.
func images(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if rest, ok := strings.CutPrefix(line, "image "); ok {
			b.WriteString(rest)
		}
	}
	return b.String()
}

// Neither time zone, umask, locale, processors, jobs, directory, order of files
// nor what the store has changes a digest.
func TestDeterminism(t *testing.T) {
	l, d := whole(t)
	_, r := l.apply(d)
	want := digests(r)
	if strings.Count(want, "sha256:") != 1 {
		t.Fatalf("no image: %s", want)
	}
	warm := t.TempDir()
	for _, env := range [][]string{
		{"TZ=Asia/Kathmandu", "OCI_TEST_UMASK=077", "OCI_TEST_STORE=" + warm},
		{"TZ=America/St_Johns", "OCI_TEST_UMASK=0", "GOMAXPROCS=1", "OCI_TEST_STORE=" + warm},
		{"GOMAXPROCS=7", "OCI_TEST_JOBS=5", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8"},
		{"OCI_TEST_JOBS=1", "HOME=/nonexistent", "GOGC=10"},
	} {
		env = append(env, "OCI_TEST_MODULE="+filepath.Join(t.TempDir(), "another", "place"))
		out := &Layout{Dir: filepath.Join(t.TempDir(), "out")}
		printed, err := child(t, "whole", out.Dir, env...).Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", env, err, printed)
		}
		if got := images(string(printed)); got != want {
			t.Errorf("%v: %s instead of %s", env, got, want)
		}
		sound(t, out)
	}
}

// A run that is killed leaves a store and a layout that are sound: no tag names
// what is not there, and the next run ends as one that was left alone.
func TestKilled(t *testing.T) {
	fresh := &Layout{Dir: filepath.Join(t.TempDir(), "out")}
	printed, err := child(t, "large", fresh.Dir).Output()
	check(t, err)
	want, events := images(string(printed)), strings.Count(string(printed), "event ")
	if strings.Count(want, "sha256:") != 4 {
		t.Fatalf("images: %s", want)
	}
	out, st := &Layout{Dir: filepath.Join(t.TempDir(), "out")}, t.TempDir()
	killed := 0
	for after := 1; after < events; after += 1 + events/9 {
		cmd := child(t, "large", out.Dir, "OCI_TEST_STORE="+st)
		stdout, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		lines := bufio.NewScanner(stdout)
		for n := 0; n < after && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "event ") {
				n++
			}
		}
		check(t, cmd.Process.Kill())
		if err := cmd.Wait(); err != nil {
			killed++
		}
		for _, name := range tagsIn(t, out) {
			runProgram(t, "skopeo", "copy", "oci:"+out.Dir+":"+name, "oci:"+filepath.Join(t.TempDir(), "copy")+":x")
		}
	}
	if killed < 3 {
		t.Errorf("only %d runs were killed before their end", killed)
	}
	printed, err = child(t, "large", out.Dir, "OCI_TEST_STORE="+st).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if got := images(string(printed)); got != want {
		t.Errorf("%s instead of %s", got, want)
	}
	sound(t, out)
}

// The first interrupt lets what has begun end, and begins nothing more; the next
// run goes on from there.
func TestInterrupted(t *testing.T) {
	l, d := large(t)
	_, whole := l.apply(d)
	l, d = large(t)
	out := &Layout{Dir: filepath.Join(t.TempDir(), "out"), Store: l.sources.Store}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("interrupted")
	begun := map[plan.Digest]bool{}
	interrupted := false
	e := &Engine{Sources: l.sources, Target: out, Jobs: 2}
	r, err := e.Run(ctx, d.Plan, func(ev exec.Event) {
		switch ev.Kind {
		case exec.StepStarted:
			if interrupted {
				t.Errorf("%s began after the interrupt", ev.Name)
			}
			begun[ev.Step] = true
		case exec.StepProgress:
			if strings.HasPrefix(ev.Name, "image") && !interrupted {
				interrupted = true
				cancel(stopped)
			}
		case exec.StepDone, exec.StepCached:
			delete(begun, ev.Step)
		}
	})
	if !errors.Is(err, stopped) || len(begun) > 0 {
		t.Errorf("%v; not ended: %v", err, begun)
	}
	skipped := 0
	for _, i := range r.Images {
		if i.State == exec.Skipped {
			skipped++
		}
	}
	if skipped < 2 || skipped+len(tagsIn(t, out)) != 4 {
		t.Errorf("%d skipped, tags %v", skipped, tagsIn(t, out))
	}
	for _, name := range tagsIn(t, out) {
		runProgram(t, "skopeo", "inspect", "oci:"+out.Dir+":"+name)
	}
	next, err := e.Run(t.Context(), d.Plan, func(exec.Event) {})
	if err != nil || digests(next) != digests(whole) || next.Bytes.Reused == 0 {
		t.Errorf("%v, %+v, %s", err, next.Bytes, digests(next))
	}
	sound(t, out)
}

// Processes may share a store and a layout.
func TestProcessesAtOnce(t *testing.T) {
	out, st := &Layout{Dir: filepath.Join(t.TempDir(), "out")}, t.TempDir()
	var cmds []*osexec.Cmd
	var outputs []*strings.Builder
	for _, role := range []string{"large", "large", "whole"} {
		cmd, output := child(t, role, out.Dir, "OCI_TEST_STORE="+st), &strings.Builder{}
		cmd.Stdout = output
		check(t, cmd.Start())
		cmds, outputs = append(cmds, cmd), append(outputs, output)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, outputs[i])
		}
	}
	if a, b := images(outputs[0].String()), images(outputs[1].String()); a != b || a == "" {
		t.Errorf("%s and %s", a, b)
	}
	if got := strings.Join(tagsIn(t, out), " "); got != "docker.io/acme/a:1 docker.io/acme/a:2 docker.io/acme/b:1 docker.io/acme/b:2 "+published {
		t.Errorf("tags %s", got)
	}
	sound(t, out)
}
