package compile

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"canvos.dev/compile/plan"
)

// localFiles finds and reads the files and directories that a manifest names,
// each once however many families name it.
type localFiles struct {
	fsys  fs.FS
	dir   string // the manifest's directory in it
	seen  map[string]located
	texts map[string]textFile  // by name in the module
	trees map[string]localTree // by name in the module
}

func newLocalFiles(m *Manifest) *localFiles {
	return &localFiles{fsys: m.FS, dir: m.Dir, seen: map[string]located{}, texts: map[string]textFile{}, trees: map[string]localTree{}}
}

type textFile struct {
	text []byte
	err  error
}

// localTree is what plan.WalkTree says of a tree.
type localTree struct {
	entries []plan.TreeEntry
	err     error
}

// located is what a path of a manifest leads to.
type located struct {
	name string // in the module; links on the way are followed
	info fs.FileInfo
	link string // the text of the link that the path itself is, if it is one
	err  error  // a *leavesError, or of the file system
}

// leavesError says that a path leads out of the module.
type leavesError struct{ why string }

func (e *leavesError) Error() string { return e.why }

// longestWay is how many links a path may lead through.
const longestWay = 40

// find follows a path from the manifest's directory. Links are followed as far
// as they stay in the module.
func (l *localFiles) find(p string) located {
	found, ok := l.seen[p]
	if !ok {
		found = l.follow(p)
		l.seen[p] = found
	}
	return found
}

func (l *localFiles) follow(p string) (found located) {
	if path.IsAbs(p) || strings.ContainsAny(p, `\`) || strings.HasPrefix(p, "~") {
		return located{err: &leavesError{"it is not relative to the manifest"}}
	}
	above := &leavesError{"it leads above the module's directory"}
	name := path.Join(l.dir, p)
	if !fs.ValidPath(name) {
		return located{err: above}
	}
	rest, links := strings.Split(name, "/"), 0
	for found.name = "."; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if found.name == "." {
				return located{err: above}
			}
			found.name = path.Dir(found.name)
			continue
		}
		step := path.Join(found.name, part)
		info, err := fs.Lstat(l.fsys, step)
		if err != nil {
			return located{err: err}
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			found.name = step
			continue
		}
		if links++; links > longestWay {
			return located{err: errCircle}
		}
		text, err := fs.ReadLink(l.fsys, step)
		if err != nil {
			return located{err: err}
		}
		if path.IsAbs(text) {
			return located{err: &leavesError{"its link " + step + " leads to " + quoted(text)}}
		}
		if len(rest) == 0 && found.link == "" {
			found.link = text
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	found.info, found.err = fs.Lstat(l.fsys, found.name)
	return found
}

// nearest is the name beside a missing one that may be meant, as a person would
// write it, or "".
func (l *localFiles) nearest(p string) string {
	dir, base := path.Split(p)
	parent := l.find(path.Clean("./" + dir))
	if parent.err != nil || !parent.info.IsDir() {
		return ""
	}
	entries, err := fs.ReadDir(l.fsys, parent.name)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if meant := did(base, names); meant != "" {
		return dir + meant
	}
	return ""
}

// largestText is how much is read of a file that should be a short text.
const largestText = 1 << 20

var (
	errTooLarge = errors.New("it is larger than 1 MiB")
	errCircle   = errors.New("its links lead in a circle")
)

// text reads a file that should be short.
func (l *localFiles) text(name string) ([]byte, error) {
	t, ok := l.texts[name]
	if !ok {
		t.text, t.err = l.read(name)
		l.texts[name] = t
	}
	return t.text, t.err
}

// tree lists the files below a directory, or the one file.
func (l *localFiles) tree(name string) ([]plan.TreeEntry, error) {
	t, ok := l.trees[name]
	if !ok {
		t.entries, t.err = plan.WalkTree(l.fsys, name)
		l.trees[name] = t
	}
	return t.entries, t.err
}

func (l *localFiles) read(name string) ([]byte, error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largestText+1))
	if err == nil && len(b) > largestText {
		err = errTooLarge
	}
	return b, err
}
