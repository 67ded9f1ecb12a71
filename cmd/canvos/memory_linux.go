package main

import "golang.org/x/sys/unix"

// memory is what the machine has, in bytes; 0 if nobody knows.
func memory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
