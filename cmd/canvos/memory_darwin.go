package main

import "golang.org/x/sys/unix"

// memory is what the machine has, in bytes; 0 if nobody knows.
func memory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
