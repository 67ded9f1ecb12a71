package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Lock waits until nobody else, in this process or another, holds key. The lock
// ends with unlock or with the process, so a crash never leaves it held. It is
// taken around "look up, make, record", so that nothing is made twice.
func (s *Store) Lock(ctx context.Context, key string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(key))
	file := filepath.Join(s.dir, "locks", hex.EncodeToString(sum[:]))
	// Asking again and again, instead of waiting in the kernel, is what lets ctx
	// end the wait.
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, s.explain(fmt.Errorf("lock %s: %w", key, err))
		}
		switch err := flock(f, unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil && stillAt(f, file):
			return func() { f.Close() }, nil
		case err == nil: // pruned between opening and locking
			f.Close()
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", key, err)
		}
		f.Close()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Clean removes the temporary files that no living process writes, and what was
// put aside as corrupt. It returns how many there were.
func (s *Store) Clean() int {
	tmp := filepath.Join(s.dir, "tmp")
	entries, _ := os.ReadDir(tmp)
	n := 0
	for _, e := range entries {
		file := filepath.Join(tmp, e.Name())
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil && stillAt(f, file) && os.Remove(file) == nil {
			n++
		}
		f.Close()
	}
	return n
}

// temp makes a file in tmp that Clean leaves alone as long as it is open.
func (s *Store) temp() (*os.File, error) {
	for {
		f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "new-*")
		if err != nil {
			return nil, s.explain(err)
		}
		// A cleaner may take it in the moment before it is locked.
		if err := flock(f, unix.LOCK_EX); err == nil && stillAt(f, f.Name()) {
			return f, nil
		} else if err != nil {
			f.Close()
			os.Remove(f.Name())
			return nil, err
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// stillAt reports whether name is still the file that f is.
func stillAt(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}
