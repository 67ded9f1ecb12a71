package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// carry begins to carry n bytes from off on to the disk. A file system that cannot
// has all of it left for the end.
func carry(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
