// Package store keeps what is expensive to make or to fetch: blobs under their
// SHA-256, records under the keys of the steps that made them, and the tables of
// contents of layers. Everything is checked when it is read; what does not match
// is put aside and is as good as absent. Several processes may share a store.
//
// It knows nothing of images, tar archives or networks.
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"canvos.dev/compile/plan"
)

// Store is a directory:
//
//	blobs/sha256/HEX   content, named by its own digest
//	records/HEX        small JSON values, named by the SHA-256 of their key
//	contents/HEX       tables of contents of layers, named by the layer
//	locks/HEX          empty files that are locked, one a key
//	tmp/               files being written; what is put aside as corrupt
//	in-use             locked by every process that has the store open
type Store struct {
	dir   string
	inUse *os.File
}

// Open makes the store in dir if there is none, and removes what runs that died
// left behind. It waits while another process prunes the store.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s := &Store{dir: dir}
	for _, d := range []string{"blobs/sha256", "records", "contents", "locks", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, s.explain(fmt.Errorf("open store: %w", err))
		}
	}
	s.inUse, err = os.OpenFile(filepath.Join(dir, "in-use"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, s.explain(fmt.Errorf("open store: %w", err))
	}
	if err := flock(s.inUse, unix.LOCK_SH); err != nil {
		s.inUse.Close()
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s.Clean()
	return s, nil
}

// Close lets other processes prune the store. Readers and writers that are open
// stay usable.
func (s *Store) Close() error { return s.inUse.Close() }

// Dir is where the store is.
func (s *Store) Dir() string { return s.dir }

// FullError says that the disk is full. Nothing of what could not be written is
// left in the store.
type FullError struct {
	Dir  string
	Free int64 // bytes
	Err  error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("no space left for the store in %s (%d MB free)", e.Dir, e.Free/1e6)
}

func (e *FullError) Unwrap() error { return e.Err }

// explain turns the kernel's word for a full disk into one that says which.
func (s *Store) explain(err error) error {
	if full := (*FullError)(nil); errors.As(err, &full) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &FullError{Dir: s.dir, Free: s.Free(), Err: err}
	}
	return err
}

// Free is how many bytes may still be written, or 0 if nobody knows.
func (s *Store) Free() int64 {
	var st unix.Statfs_t
	if unix.Statfs(s.dir, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// hexOf is the digest without its algorithm, or an error if it is no SHA-256.
func hexOf(d plan.Digest) (string, error) {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(h) != 64 || strings.Trim(h, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no SHA-256 digest", d)
	}
	return h, nil
}

// used notes that a file was used now: what was not used for long is pruned
// first.
func used(file string) { unix.Utimes(file, nil) }
