package store

import "os"

// Eager writes a file that the system begins to carry to the disk while more
// comes, so that there is little left to wait for when it is synced.
type Eager struct {
	File  *os.File
	size  int64
	begun int64 // up to here
}

// eagerStep is how much is worth a call.
const eagerStep = 8 << 20

// Write appends to the file.
func (e *Eager) Write(p []byte) (int, error) {
	n, err := e.File.Write(p)
	if e.size += int64(n); e.size-e.begun >= eagerStep {
		carry(e.File, e.begun, e.size-e.begun)
		e.begun = e.size
	}
	return n, err
}
