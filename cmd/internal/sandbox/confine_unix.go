//go:build linux || darwin

package sandbox

import (
	"syscall"
	"time"
)

// confine sets limits that the kernel keeps, whatever the process does: without
// a new file descriptor there is neither file nor connection.
func confine(l Limits) error {
	// The runtime opens its poller with the first timer, wherever that is: it has
	// to be open before no descriptor can be.
	time.Sleep(time.Nanosecond)
	cpu := uint64(6*max(l.Wall, l.Most)/time.Second) + 60 // of all cores; ends a child that lost its parent
	for _, limit := range []struct {
		resource int
		most     uint64
	}{
		{syscall.RLIMIT_NOFILE, 0},
		{syscall.RLIMIT_FSIZE, 0},
		{syscall.RLIMIT_CORE, 0},
		{syscall.RLIMIT_CPU, cpu},
		{syscall.RLIMIT_AS, uint64(2<<30 + 2*l.Memory)}, // the runtime reserves far more than it uses
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(limit.resource, &now); err != nil {
			return err
		}
		now.Cur, now.Max = min(now.Cur, limit.most), min(now.Max, limit.most)
		// Where the kernel knows no limit of address space, the watch over the
		// heap is left.
		if err := syscall.Setrlimit(limit.resource, &now); err != nil && limit.resource != syscall.RLIMIT_AS {
			return err
		}
	}
	return nil
}
