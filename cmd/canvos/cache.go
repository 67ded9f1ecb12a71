package main

import (
	"os"
	"path/filepath"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/exec/store"
)

// openStore opens the store, making it if there is none.
func (d *door) openStore(r *access) (*store.Store, error) {
	const help = "set XDG_CACHE_HOME, or --cache, to a directory that may be written"
	dir := r.cache
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fail(exitError, help, "there is no cache directory: %v", err)
		}
		dir = filepath.Join(cache, "canvos")
	}
	st, err := store.Open(d.absolute(dir))
	if err != nil {
		return nil, fail(exitError, help, "%v", err)
	}
	return st, nil
}

// someStore is the store for a run that makes nothing. If there is none to be had
// it goes on with an empty one, which is gone when it ends: what it would remember
// makes the next run faster, and no other.
func (d *door) someStore(r *access) (st *store.Store, done func(), err error) {
	st, err = d.openStore(r)
	if err == nil {
		return st, func() { st.Close() }, nil
	}
	dir, temporary := os.MkdirTemp("", "canvos-*")
	if temporary != nil {
		return nil, nil, err
	}
	if st, temporary = store.Open(dir); temporary != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	r.forgetful = true
	view.Note(d.err, d.errStyle(), err.Error()+"; nothing is remembered of this run")
	return st, func() {
		st.Close()
		os.RemoveAll(dir)
	}, nil
}
