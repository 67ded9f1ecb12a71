package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openBeneath opens what lies below a directory, as os.Root does, in one call; nil if
// that does not work.
func openBeneath(top *os.File, name string) *os.File {
	fd, err := unix.Openat2(int(top.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), filepath.Join(top.Name(), filepath.FromSlash(name)))
}
