package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"canvos.dev/compile/plan"
)

// TestMain is the child, too: a test's job is one of jobs, by name.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		os.Exit(Serve(os.Stdin, os.Stdout, func(files fs.FS, in work) ([]string, error) { return jobs[in.Job](files, in.Name) }))
	}
	os.Exit(m.Run())
}

type work struct{ Job, Name string }

var sink []byte // keeps what a job allocates

var jobs = map[string]func(fs.FS, string) ([]string, error){
	"list": func(files fs.FS, name string) ([]string, error) {
		var all []string
		err := fs.WalkDir(files, name, func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			i, err := e.Info()
			all = append(all, fmt.Sprintf("%s %v %d", p, i.Mode(), i.Size()))
			return err
		})
		return all, err
	},
	"read": func(files fs.FS, name string) ([]string, error) {
		b, err := fs.ReadFile(files, name)
		return []string{string(b)}, err
	},
	"hash": func(files fs.FS, name string) ([]string, error) {
		d, n, err := plan.HashTree(files, name)
		return []string{string(d), fmt.Sprint(n)}, err
	},
	"stat": func(files fs.FS, name string) ([]string, error) {
		_, err := fs.Stat(files, name)
		_, lerr := fs.ReadLink(files, name)
		return []string{fmt.Sprint(err), fmt.Sprint(errors.Is(err, fs.ErrNotExist)), fmt.Sprint(lerr)}, nil
	},
	"around": func(fs.FS, string) ([]string, error) {
		said := []string{fmt.Sprint(len(os.Environ()))}
		_, err := os.ReadFile("/etc/passwd")
		said = append(said, fmt.Sprint(err != nil))
		_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
		said = append(said, fmt.Sprint(strings.Contains(fmt.Sprint(err), "too many open files")))
		err = os.WriteFile(os.DevNull, []byte("x"), 0o644)
		return append(said, fmt.Sprint(err != nil)), nil
	},
	"fail":  func(fs.FS, string) ([]string, error) { return nil, errors.New("no such family") },
	"panic": func(fs.FS, string) ([]string, error) { panic("index out of range") },
	"spin": func(fs.FS, string) ([]string, error) {
		for i := 0; ; i++ {
			sink = sink[:i*0]
		}
	},
	"grow": func(fs.FS, string) ([]string, error) {
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
			sink = all[len(all)-1]
			for i := range sink {
				sink[i] = 1
			}
		}
	},
	"huge": func(fs.FS, string) ([]string, error) {
		sink = make([]byte, 64<<30)
		for i := range sink {
			sink[i] = 1
		}
		return nil, nil
	},
	"recurse": func(fs.FS, string) ([]string, error) {
		var down func(n int) int
		down = func(n int) int { return down(n+1) + 1 }
		return []string{fmt.Sprint(down(0))}, nil
	},
	"talk": func(fs.FS, string) ([]string, error) { return []string{strings.Repeat("x", 40<<20)}, nil },
}

func command(files fs.FS) Command {
	return Command{
		Path: os.Args[0], Args: []string{os.Args[0], "serve"}, Files: files,
		Limits: Limits{Wall: 3 * time.Second, Memory: 256 << 20, Stack: 16 << 20, Answer: 32 << 20, Rate: 32 << 20, Most: 10 * time.Second},
	}
}

func run(t testing.TB, files fs.FS, job, name string) ([]string, error) {
	t.Helper()
	var out []string
	err := command(files).Run(context.Background(), work{job, name}, &out)
	return out, err
}

// tree has files of all sizes around what one reply holds.
func tree() fstest.MapFS {
	t := fstest.MapFS{
		"a/empty":  {},
		"a/script": {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		"a/link":   {Data: []byte("script"), Mode: fs.ModeSymlink | 0o777},
		"images":   {Data: []byte("families: {}\n"), Mode: 0o644},
	}
	for _, n := range []int{readAhead - 1, readAhead, readAhead + 1, 3*readAhead + 7} {
		t[fmt.Sprintf("big/%d", n)] = &fstest.MapFile{Data: []byte(strings.Repeat("0123456789abcdef", n/16+1)[:n]), Mode: 0o644}
	}
	return t
}

// TestFiles checks that a tree is the same from within.
func TestFiles(t *testing.T) {
	files := tree()
	for _, job := range []string{"list", "hash"} {
		want, err := jobs[job](files, ".")
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(t, files, job, ".")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is\n%s\nnot\n%s\n%v", job, strings.Join(got, "\n"), strings.Join(want, "\n"), err)
		}
	}
	for name, f := range files {
		if got, err := run(t, files, "read", name); f.Mode.IsRegular() && (err != nil || strings.Join(got, "") != string(f.Data)) {
			t.Errorf("read %s: %d bytes, %v", name, len(strings.Join(got, "")), err)
		}
	}
	// What is not there is not there in the same words.
	for _, name := range []string{"nosuch", "a/nosuch", "../out", "images"} {
		want, _ := jobs["stat"](files, name)
		if got, err := run(t, files, "stat", name); err != nil || got[1] != want[1] {
			t.Errorf("stat %s: %q, not %q; %v", name, got, want, err)
		}
	}
	if _, err := run(t, files, "read", "nosuch"); err == nil || !strings.Contains(err.Error(), "file does not exist") {
		t.Errorf("read nosuch: %v", err)
	}
}

// TestNothingElse checks that a child sees no environment and can open neither
// file nor connection.
func TestNothingElse(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	got, err := run(t, fstest.MapFS{}, "around", "")
	if want := []string{"0", "true", "true", "true"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, not %q; %v", got, want, err)
	}
}

// TestLimits checks that each way to an end other than an answer is told as what
// it is, soon.
func TestLimits(t *testing.T) {
	for job, want := range map[string]Cause{
		"spin": Time, "grow": Memory, "huge": Memory, "recurse": Stack, "talk": Answer, "panic": Crashed,
	} {
		c := command(fstest.MapFS{})
		if want != Time { // on a busy machine the other ends take their time
			c.Limits.Wall, c.Limits.Most = time.Minute, time.Minute
		}
		started := time.Now()
		var out []string
		err := c.Run(context.Background(), work{job, ""}, &out)
		var e *Error
		if !errors.As(err, &e) || e.Cause != want {
			t.Errorf("%s: %v, not %s", job, err, want)
			continue
		}
		if text := e.Error(); strings.ContainsAny(text, "\n") || len(text) > 120 {
			t.Errorf("%s: %q is not one line", job, text)
		}
		if took := time.Since(started); want == Time && took > 30*time.Second {
			t.Errorf("%s took %v", job, took)
		}
	}
	if _, err := run(t, fstest.MapFS{}, "fail", ""); err == nil || err.Error() != "no such family" {
		t.Errorf("fail: %v", err)
	}
}

// TestCancelled checks that a child ends with the context.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	var out []string
	err := command(fstest.MapFS{}).Run(ctx, work{"spin", ""}, &out)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestLargeFiles checks that reading prolongs the time that there is: 64 MB at
// 16 MB a second give 4 seconds more than the 100 ms that a child alone has.
func TestLargeFiles(t *testing.T) {
	files := fstest.MapFS{"large": {Data: make([]byte, 64<<20)}}
	c := command(slow{files})
	c.Limits.Wall, c.Limits.Rate = 300*time.Millisecond, 16<<20
	var out []string
	if err := c.Run(context.Background(), work{"hash", "large"}, &out); err != nil {
		t.Error(err)
	}
}

// TestEnd checks that there is an end to that, however much is read.
func TestEnd(t *testing.T) {
	c := command(slow{fstest.MapFS{"large": {Data: make([]byte, 64<<20)}}})
	c.Limits.Wall, c.Limits.Rate, c.Limits.Most = 100*time.Millisecond, 1<<20, 500*time.Millisecond
	var out []string
	var e *Error
	if err := c.Run(context.Background(), work{"hash", "large"}, &out); !errors.As(err, &e) || e.Cause != Time || e.Limits.Wall != c.Limits.Most {
		t.Errorf("%v", err)
	}
}

// slow reads no faster than about 64 MB a second.
type slow struct{ fs.FS }

func (s slow) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return slowFile{f}, err
}

type slowFile struct{ fs.File }

func (f slowFile) Read(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / (64 << 20))
	return f.File.Read(p)
}

func TestBeginning(t *testing.T) {
	b := &beginning{room: 5}
	io.WriteString(b, "abc")
	io.WriteString(b, "defg")
	if b.kept.String() != "abcde" {
		t.Errorf("%q", b.kept.String())
	}
}

// BenchmarkStart is what a child costs that does nothing.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		if _, err := run(b, fstest.MapFS{"f": {Data: []byte("x")}}, "read", "f"); err != nil {
			b.Fatal(err)
		}
	}
}
