package sandbox

import (
	"encoding/gob"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// exitMemory is how a child ends that took more memory than it may.
const exitMemory = 71

// Serve does one piece of work that the parent process sends to in, gives up all
// that it does not need for it first, and writes the answer to out. It returns
// the exit code. job's files are those the parent serves.
func Serve[In, Out any](in io.Reader, out io.Writer, job func(files fs.FS, in In) (Out, error)) int {
	r := &remote{enc: gob.NewEncoder(out), dec: gob.NewDecoder(in)}
	var limits Limits
	if err := r.dec.Decode(&limits); err != nil {
		return complain("read the limits: %v", err)
	}
	if err := restrict(limits); err != nil {
		return complain("limit the process: %v", err)
	}
	var work In
	if err := r.dec.Decode(&work); err != nil {
		return complain("read the work: %v", err)
	}
	answer, err := attempt(job, r, work)
	done := message{Op: opDone}
	if err != nil {
		done.Failed = err.Error()
	}
	if err := r.enc.Encode(done); err != nil {
		return complain("write the answer: %v", err)
	}
	if done.Failed == "" {
		if err := r.enc.Encode(answer); err != nil {
			return complain("write the answer: %v", err)
		}
	}
	return 0
}

// complain goes to standard error, whose first line the parent shows.
func complain(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// attempt makes a panic of the job one line.
func attempt[In, Out any](job func(fs.FS, In) (Out, error), files fs.FS, in In) (out Out, err error) {
	defer func() {
		if r := recover(); r != nil {
			os.Exit(complain("panic: %s", firstLine(fmt.Sprint(r))))
		}
	}()
	return job(files, in)
}

// restrict takes from the process what it does not need for its work. The
// runtime keeps a goroutine's stack and the collector's target; the heap itself
// it would let grow, so that is watched.
func restrict(l Limits) error {
	debug.SetMaxStack(l.Stack)
	debug.SetMemoryLimit(l.Memory)
	watching := make(chan struct{})
	go func() {
		// The first timer opens what timers need; after confine nothing can be.
		tick := time.NewTicker(10 * time.Millisecond)
		close(watching)
		heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for range tick.C {
			if metrics.Read(heap); heap[0].Value.Uint64() > uint64(l.Memory) {
				os.Exit(exitMemory)
			}
		}
	}()
	<-watching
	return confine(l)
}
