package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"canvos.dev/compile/plan"
)

// TestMain lets tests start themselves as another process.
func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_ROLE"); role != "" {
		if err := roles[role](os.Getenv("STORE_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

var roles = map[string]func(dir string) error{
	// make builds the record "key" unless it is there, and says which.
	"make": func(dir string) error {
		s, err := Open(dir)
		if err != nil {
			return err
		}
		made, err := makeOnce(context.Background(), s, "key")
		fmt.Println(made)
		return err
	},
	// hang writes without an end.
	"hang": func(dir string) error {
		s, err := Open(dir)
		if err != nil {
			return err
		}
		if _, err := s.Lock(context.Background(), "key"); err != nil {
			return err
		}
		w, err := s.Create()
		if err != nil {
			return err
		}
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return err
			}
			fmt.Println("written")
			time.Sleep(time.Millisecond)
		}
	},
	// full fills a small disk.
	"full": fillDisk,
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func makeOnce(ctx context.Context, s *Store, key string) (made bool, err error) {
	if _, ok := s.Layer(key); ok {
		return false, nil
	}
	unlock, err := s.Lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, ok := s.Layer(key); ok {
		return false, nil
	}
	b := []byte(strings.Repeat("abc", 1<<20))
	d, err := s.Put(b)
	if err != nil {
		return false, err
	}
	return true, s.PutLayer(key, LayerRecord{Digest: d, Size: int64(len(b))})
}

func TestGoroutinesMakeOnce(t *testing.T) {
	dir := t.TempDir()
	var n atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		s := open(t, dir)
		if i%2 == 0 {
			wg.Go(func() { s.Clean() })
		}
		wg.Go(func() {
			made, err := makeOnce(t.Context(), s, "key")
			if err != nil {
				t.Error(err)
			}
			if made {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("made %d times", n.Load())
	}
}

func TestProcessesMakeOnce(t *testing.T) {
	dir := t.TempDir()
	var outs []*strings.Builder
	var cmds []*exec.Cmd
	for range 4 {
		cmd, out := child(t, "make", dir), &strings.Builder{}
		cmd.Stdout = out
		check(t, cmd.Start())
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	n := 0
	for i, cmd := range cmds {
		check(t, cmd.Wait())
		if outs[i].String() == "true\n" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("made %d times", n)
	}
}

func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hang", dir)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range 3 {
		lines.Scan()
	}
	s := open(t, dir)
	if got := temps(t, s); len(got) != 1 {
		t.Errorf("the file of a living process was cleaned: %v", got)
	}
	soon, end := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer end()
	if _, err := s.Lock(soon, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked what another holds: %v", err)
	}
	if _, _, err := s.Prune(t.Context(), Limit{}); !errors.Is(err, ErrInUse) {
		t.Errorf("pruned: %v", err)
	}
	check(t, cmd.Process.Kill())
	cmd.Wait()
	unlock, err := s.Lock(t.Context(), "key")
	check(t, err)
	unlock()
	if n := s.Clean(); n != 1 {
		t.Errorf("cleaned %d files", n)
	}
	if got := temps(t, s); got != nil {
		t.Errorf("left %v", got)
	}
	if u, err := s.Usage(); err != nil || u.Blobs != 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

// A disk that is full: a clear error, nothing left behind, the store usable.
func TestDiskFull(t *testing.T) {
	cmd := child(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v (it mounts a tmpfs in a name space of its own)", err)
	}
}

func fillDisk(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		return err
	}
	s, err := Open(dir)
	if err != nil {
		return err
	}
	big := io.LimitReader(endless{}, 8<<20)
	d := plan.DigestOf(make([]byte, 8<<20))
	err = s.Import(context.Background(), big, d, 8<<20)
	var full *FullError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left for the store in "+dir) {
		return fmt.Errorf("import: %v", err)
	}
	if _, err := s.Put(make([]byte, 8<<20)); !errors.As(err, &full) {
		return fmt.Errorf("put: %v", err)
	}
	if err := s.PutRecord("k", strings.Repeat("x", 8<<20)); !errors.As(err, &full) {
		return fmt.Errorf("record: %v", err)
	}
	if err := s.PutContents(d, make([]byte, 8<<20)); !errors.As(err, &full) {
		return fmt.Errorf("contents: %v", err)
	}
	if _, _, err := s.Scratch(io.LimitReader(endless{}, 8<<20)); !errors.As(err, &full) {
		return fmt.Errorf("scratch: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		return fmt.Errorf("left %v", left)
	}
	if _, err := s.Put(make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("not usable afterwards: %v", err)
	}
	return nil
}
