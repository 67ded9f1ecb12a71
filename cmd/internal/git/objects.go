package git

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// objects reads blobs of a repository: sizes and small ones by a process each,
// that are started when they are needed; a large one by a process of its own, so
// that it is never in memory.
type objects struct {
	ctx    context.Context
	repo   *Repo
	mu     sync.Mutex
	sizes  *batch
	blobs  *batch
	closed bool
}

// MissingError says that a partial clone lacks what is needed.
type MissingError struct {
	Path string
	ID   string
}

func (e *MissingError) Error() string {
	what := e.Path
	if what == "" {
		what = "object " + e.ID
	}
	return fmt.Sprintf("%s is not in this partial clone: fetch it first (git fetch --refetch --no-filter, or check out without a filter)", what)
}

// small is how large a blob may be to be read at once.
const small = 1 << 20

func (o *objects) size(id string) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := o.start(&o.sizes, "--batch-check")
	if err != nil {
		return 0, err
	}
	return b.ask(id)
}

func (o *objects) open(id string) (io.ReadCloser, error) {
	n, err := o.size(id)
	if err != nil {
		return nil, err
	}
	if n > small {
		return o.stream(id)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := o.start(&o.blobs, "--batch")
	if err != nil {
		return nil, err
	}
	if n, err = b.ask(id); err != nil {
		return nil, err
	}
	content := make([]byte, n+1) // and a newline
	if _, err := io.ReadFull(b.out, content); err != nil {
		return nil, b.ended(id, err)
	}
	return io.NopCloser(bytes.NewReader(content[:n])), nil
}

func (o *objects) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	var err error
	for _, b := range []*batch{o.sizes, o.blobs} {
		if b != nil {
			b.in.Close()
			err = b.cmd.Wait()
		}
	}
	return err
}

// start gives a process of the kind, a new one if there is none.
func (o *objects) start(b **batch, kind string) (*batch, error) {
	if *b != nil {
		return *b, nil
	}
	if o.closed {
		return nil, fmt.Errorf("git cat-file: the tree is closed")
	}
	one := &batch{cmd: o.repo.command(o.ctx, "cat-file", kind)}
	var err error
	if one.in, err = one.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := one.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	one.out = bufio.NewReaderSize(out, 1<<16)
	one.cmd.Stderr = &one.said
	if err := one.cmd.Start(); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	*b = one
	return one, nil
}

// batch is git cat-file with a question a line.
type batch struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer // to be read when it has ended
}

// ask asks for an object; the answer is its size.
func (b *batch) ask(id string) (int64, error) {
	if _, err := io.WriteString(b.in, id+"\n"); err != nil {
		return 0, b.ended(id, err)
	}
	head, err := b.out.ReadString('\n')
	if err != nil {
		return 0, b.ended(id, err)
	}
	f := strings.Fields(head) // object, type, size; or object, "missing"
	if len(f) != 3 {
		return 0, &MissingError{ID: id}
	}
	n, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("git cat-file: %w", err)
	}
	return n, nil
}

// ended says why there is no answer. Before it was told not to, git asked the
// place that a partial clone comes from, and ended when it could not.
func (b *batch) ended(id string, err error) error {
	b.in.Close()
	_ = b.cmd.Wait() // what it said is why
	if said := b.said.String(); strings.Contains(said, "promisor") {
		return &MissingError{ID: id}
	} else if said = strings.TrimPrefix(strings.TrimSpace(said), "fatal: "); said != "" {
		return fmt.Errorf("git cat-file: %s", said)
	}
	return fmt.Errorf("git cat-file: %w", err)
}

// stream reads a large blob.
func (o *objects) stream(id string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(o.ctx)
	cmd := o.repo.command(ctx, "cat-file", "blob", id)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	return &streamed{out, cmd, cancel, false}, nil
}

type streamed struct {
	io.Reader
	cmd    *exec.Cmd
	cancel func()
	ended  bool
}

// Read ends with the process: one that fails has not given all.
func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF && !s.ended {
		s.ended = true
		if e := s.cmd.Wait(); e != nil {
			err = fmt.Errorf("git cat-file: %w", e)
		}
	}
	return n, err
}

// Close ends the process; nobody asks how.
func (s *streamed) Close() error {
	s.cancel()
	if !s.ended {
		s.ended = true
		_ = s.cmd.Wait()
	}
	return nil
}
