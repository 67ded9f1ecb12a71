package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse says that another process has the store open, so nothing may be
// taken away.
var ErrInUse = errors.New("the store is in use by another run")

// Usage is what a store holds.
type Usage struct {
	Blobs int   // how many
	Bytes int64 // of blobs, records and tables of contents together
	Temp  int64 // bytes being written, or left behind
	Free  int64 // bytes left on the disk
}

// Usage counts what is there.
func (s *Store) Usage() (Usage, error) {
	u := Usage{Free: s.Free()}
	files, err := s.files("blobs/sha256", "contents", "records")
	for _, f := range files {
		u.Bytes += f.size
		if filepath.Base(filepath.Dir(f.name)) == "sha256" {
			u.Blobs++
		}
	}
	if err == nil {
		files, err = s.files("tmp")
		for _, f := range files {
			u.Temp += f.size
		}
	}
	if err != nil {
		return u, fmt.Errorf("count what is in the store %s: %w", s.dir, err)
	}
	return u, nil
}

// Limit says what Prune leaves.
type Limit struct {
	Before time.Time // what was last used before is removed; zero removes nothing
	Bytes  int64     // then the least recently used, until no more is left; negative is no limit
}

// Prune removes what was not used for long, and returns how many files and bytes
// that was. It needs the store for itself: ErrInUse if another process has it
// open, and nothing else may go on in this one.
func (s *Store) Prune(ctx context.Context, l Limit) (files int, bytes int64, err error) {
	if err := flock(s.inUse, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		flock(s.inUse, unix.LOCK_SH) // a failed change of a lock loses it
		return 0, 0, ErrInUse
	}
	defer flock(s.inUse, unix.LOCK_SH)
	s.Clean()
	all, err := s.files("blobs/sha256", "contents", "records")
	if err != nil {
		return 0, 0, fmt.Errorf("prune store %s: %w", s.dir, err)
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name)) })
	left := int64(0)
	for _, f := range all {
		left += f.size
	}
	for _, f := range all {
		if !f.used.Before(l.Before) && (l.Bytes < 0 || left <= l.Bytes) {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return files, bytes, err
		}
		if err := os.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return files, bytes, fmt.Errorf("prune store: %w", err)
		}
		files++
		bytes += f.size
		left -= f.size
	}
	locks, err := s.files("locks")
	for _, f := range locks {
		os.Remove(f.name) // nobody else is here; whoever comes makes new ones
	}
	return files, bytes, err
}

type file struct {
	name string
	size int64
	used time.Time
}

func (s *Store) files(dirs ...string) ([]file, error) {
	var all []file
	for _, d := range dirs {
		entries, err := os.ReadDir(filepath.Join(s.dir, d))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // it was temporary
			} else if err != nil {
				return nil, err
			}
			all = append(all, file{filepath.Join(s.dir, d, e.Name()), fi.Size(), fi.ModTime()})
		}
	}
	return all, nil
}
