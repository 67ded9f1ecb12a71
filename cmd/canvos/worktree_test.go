package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
)

func TestWorkTree(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i := range 48 {
		names = append(names, fmt.Sprintf("tree/d%02d/e/f/g.txt", i))
		write(names[i], names[i])
	}
	w, err := openWorkTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		f, err := w.Open(name)
		if err != nil {
			return err.Error()
		}
		defer f.Close()
		b := make([]byte, 100)
		n, _ := f.Read(b)
		return string(b[:n])
	}

	t.Run("as any file system", func(t *testing.T) {
		if err := fstest.TestFS(w, names...); err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if got := read(name); got != name {
				t.Errorf("%s: %q", name, got)
			}
		}
	})
	t.Run("links", func(t *testing.T) {
		for name, text := range map[string]string{"beside": "../../d01/e/f/g.txt", "root": "../../..", "out": "../../../.."} {
			if err := os.Symlink(text, filepath.Join(dir, "tree/d00/e", name)); err != nil {
				t.Fatal(err)
			}
		}
		for name, want := range map[string]string{"tree/d00/e/beside": names[1], "tree/d00/e/root/tree/d02/e/f/g.txt": names[2]} {
			if got := read(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"tree/d00/e/out", "tree/d00/e/out/" + filepath.Base(dir) + "/" + names[0]} {
			if _, err := w.Open(name); err == nil {
				t.Errorf("%s is read, outside the tree", name)
			}
			if _, err := fs.ReadDir(w, name); err == nil {
				t.Errorf("%s is listed, outside the tree", name)
			}
		}
	})
	t.Run("what changes", func(t *testing.T) {
		write(names[3], "changed")
		if got := read(names[3]); got != "changed" {
			t.Errorf("got %q", got)
		}
		if err := os.RemoveAll(filepath.Join(dir, "tree/d04")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Open(names[4]); !os.IsNotExist(err) {
			t.Errorf("removed: %v", err)
		}
		write(names[4], "again")
		if got := read(names[4]); got != "again" {
			t.Errorf("made again: %q", got)
		}
	})
	t.Run("at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 20 * len(names) {
					f, err := w.Open(names[i%len(names)])
					if err != nil {
						t.Error(err)
						continue
					}
					f.Close()
				}
			})
		}
		wg.Wait()
	})
}
