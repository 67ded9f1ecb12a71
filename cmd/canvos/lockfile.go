package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"canvos.dev/compile"
	"canvos.dev/compile/lock"
	"canvos.dev/compile/problem"
)

// readLock is a manifest's lock; nil if there is none. One that cannot be read is
// a problem.
func (m *manifest) readLock() (*lock.File, *problem.Problem, error) {
	b, err := os.ReadFile(m.lockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fail(exitError, "", "read %s: %v", m.shown(m.lockFile), unpathed(err))
	}
	lk, p := compile.ReadLock(m.shown(m.lockFile), b)
	return lk, p, nil
}

// writeLock puts a lock in its place in one step, and says whether anything
// changed.
func (m *manifest) writeLock(lk *lock.File) (changed bool, err error) {
	text, err := lk.Write()
	if err != nil {
		return false, err
	}
	if old, err := os.ReadFile(m.lockFile); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	file, err := m.lockTarget()
	if err != nil {
		return false, err
	}
	return true, writeFile(file, text, 0o644)
}

// lockTarget is the file that a lock is written to: what it leads to if it is a
// link, so that it stays one. Other manifests are not written to: the link may
// not leave the module.
func (m *manifest) lockTarget() (string, error) {
	if fi, err := os.Lstat(m.lockFile); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return m.lockFile, nil
	}
	file, err := filepath.EvalSymlinks(m.lockFile)
	if err != nil {
		return "", fail(exitError, "remove it, or make what it leads to", "%s is a link that leads nowhere", m.shown(m.lockFile))
	}
	root, err := filepath.EvalSymlinks(m.root)
	if err != nil {
		return "", fail(exitError, "", "read %s: %v", m.shown(m.root), unpathed(err))
	}
	if rel, err := filepath.Rel(root, file); err != nil || !filepath.IsLocal(rel) {
		return "", fail(exitError, "copy what it leads to into its place", "%s is a link out of the module, to %s", m.shown(m.lockFile), m.shown(file))
	}
	return file, nil
}

// writeFile gives a file new content in one step: whoever reads it sees the old
// or the new.
func writeFile(name string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".canvos-*")
	if err != nil {
		return fail(exitError, "", "write %s: %v", name, unpathed(err))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fail(exitError, "", "write %s: %v", name, unpathed(err))
	}
	return nil
}

// readInput reads a manifest from standard input; maxInput is far above any.
func readInput(r io.Reader) ([]byte, error) {
	const maxInput = 64 << 20
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("it is longer than %d bytes", maxInput)
	}
	if err != nil {
		return nil, fail(exitError, "", "read standard input: %v", err)
	}
	return b, nil
}
