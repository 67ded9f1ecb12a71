package sandbox

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// host answers a child's questions from a file tree, in the parent.
type host struct {
	files  fs.FS
	open   map[int]fs.File
	last   int
	total  int64             // bytes of files that were read
	served func(total int64) // is told of them
}

const (
	readAhead = 256 << 10 // bytes of one reply
	mostOpen  = 64        // files at a time
)

func (h *host) close() {
	for _, f := range h.open {
		f.Close()
	}
}

func (h *host) answer(q message) reply {
	a, err := h.try(q)
	if err != nil {
		a = reply{Err: words(err), Kind: kindOf(err)}
	}
	return a
}

// words are an error's without the path, which the child knows.
func words(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

func kindOf(err error) errKind {
	for _, k := range []errKind{notExist, permission, invalid} {
		if errors.Is(err, k.err()) {
			return k
		}
	}
	return otherErr
}

func (h *host) try(q message) (a reply, err error) {
	var fi fs.FileInfo
	switch q.Op {
	case opStat:
		fi, err = fs.Stat(h.files, q.Name)
	case opLstat:
		fi, err = fs.Lstat(h.files, q.Name)
	case opReadLink:
		var text string
		text, err = fs.ReadLink(h.files, q.Name)
		a.Data = []byte(text)
	case opReadDir:
		return h.readDir(q.Name)
	case opOpen:
		return h.begin(q.Name)
	case opRead:
		f := h.open[q.Handle]
		if f == nil {
			return a, fs.ErrClosed
		}
		a.Data, a.Further, err = h.read(f, readAhead)
	case opClose:
		if f := h.open[q.Handle]; f != nil {
			f.Close()
			delete(h.open, q.Handle)
		}
	default:
		err = fs.ErrInvalid
	}
	if err == nil && fi != nil {
		a.Info = infoOf(fi)
	}
	return a, err
}

func (h *host) readDir(name string) (a reply, err error) {
	entries, err := fs.ReadDir(h.files, name)
	if err != nil {
		return a, err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return a, err
		}
		i := infoOf(fi)
		i.FileName = e.Name()
		a.List = append(a.List, i)
	}
	return a, nil
}

func (h *host) begin(name string) (a reply, err error) {
	f, err := h.files.Open(name)
	if err != nil {
		return a, err
	}
	keep := false
	defer func() {
		if !keep {
			f.Close()
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return a, err
	}
	a.Info = infoOf(fi)
	a.Info.FileName = path.Base(name)
	if fi.IsDir() {
		return a, nil
	}
	// A byte more than there should be finds the end at once.
	if a.Data, a.Further, err = h.read(f, min(fi.Size()+1, readAhead)); err != nil || !a.Further {
		return a, err
	}
	if len(h.open) >= mostOpen {
		return a, errors.New("too many open files")
	}
	h.last++
	h.open[h.last], a.Handle, keep = f, h.last, true
	return a, nil
}

// read reads at most so many bytes on in a file, and says whether there may be more.
func (h *host) read(f fs.File, most int64) (data []byte, further bool, err error) {
	data = make([]byte, most)
	n, err := io.ReadFull(f, data)
	h.total += int64(n)
	h.served(h.total)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return data[:n], false, nil
	}
	return data[:n], true, err
}

func infoOf(fi fs.FileInfo) info { return info{fi.Name(), fi.Size(), fi.Mode()} }
