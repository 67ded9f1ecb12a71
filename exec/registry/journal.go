package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"canvos.dev/compile/plan"
)

// Journal is a file in which a run writes down what it has published, so that the
// run after an interruption asks for what is there instead of sending it again.
// It is a memory and no authority: what it says is checked before it is relied
// on. A nil *Journal remembers nothing.
type Journal struct {
	file string

	mu    sync.Mutex
	f     *os.File
	old   bool                     // there was something in it when it was opened
	blobs map[plan.Digest][]string // repositories where they are, by earlier runs
	tell  func(entry)              // of each line, once it is written; for tests
}

// entry is a line of the journal.
type entry struct {
	// Did is "blob" or "manifest" once Digest is in Repository; "tag" before, and
	// "tagged" after References were made to stand for their images.
	Did        string      `json:"did"`
	Repository string      `json:"repository,omitempty"`
	Digest     plan.Digest `json:"digest,omitempty"`
	References []string    `json:"references,omitempty"`
}

// ErrJournalHeld says that another run writes the journal.
var ErrJournalHeld = errors.New("another run is publishing")

// OpenJournal opens or makes the journal in file. It is this process's until it
// is closed, or the process ends, however it ends.
func OpenJournal(file string) (*Journal, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{file: file, f: f, blobs: map[plan.Digest][]string{}}
	if err := j.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("open journal %s: %w", file, err)
	}
	return j, nil
}

func (j *Journal) read() error {
	if err := unix.Flock(int(j.f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return ErrJournalHeld
	} else if err != nil {
		return err
	}
	raw, err := io.ReadAll(j.f)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(raw, '\n') + 1 // a line may be cut by what ended the run
	for _, l := range bytes.Split(raw[:whole], []byte("\n")) {
		var e entry
		if len(l) == 0 || json.Unmarshal(l, &e) != nil {
			continue
		}
		j.old = true
		if e.Did == "blob" {
			j.blobs[e.Digest] = append(j.blobs[e.Digest], e.Repository)
		}
	}
	if err := j.f.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = j.f.Seek(int64(whole), io.SeekStart)
	return err
}

// Done removes the journal: all that the run wanted is published.
func (j *Journal) Done() error {
	if j == nil {
		return nil
	}
	err := os.Remove(j.file)
	return errors.Join(err, j.f.Close())
}

// Close leaves the journal for the next run.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.f.Sync(), j.f.Close())
}

// resumed says that an earlier run was interrupted.
func (j *Journal) resumed() bool { return j != nil && j.old }

// where says to which repositories an earlier run has sent a blob.
func (j *Journal) where(d plan.Digest) []string {
	if j == nil {
		return nil
	}
	return j.blobs[d]
}

func (j *Journal) blob(r repository, d plan.Digest) error {
	return j.write(entry{Did: "blob", Repository: r.String(), Digest: d}, false)
}

func (j *Journal) manifest(r repository, d plan.Digest) error {
	return j.write(entry{Did: "manifest", Repository: r.String(), Digest: d}, false)
}

func (j *Journal) tag(did string, references []string) error {
	return j.write(entry{Did: did, References: references}, true)
}

// write appends a line. It outlives the process at once, and the machine once a
// line that is durable follows: losing the others costs a question each, and
// waiting for the disk after every blob would cost more.
func (j *Journal) write(e entry, durable bool) error {
	if j == nil {
		return nil
	}
	l, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	_, err = j.f.Write(append(l, '\n'))
	j.mu.Unlock()
	if err == nil && durable {
		err = j.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if j.tell != nil {
		j.tell(e)
	}
	return nil
}
