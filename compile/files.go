package compile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// localFiles finds the files and directories that a manifest names, each once
// however many families name it.
type localFiles struct {
	fsys fs.FS
	dir  string // the manifest's directory in it
	seen map[string]located
}

// located is what a path of a manifest leads to.
type located struct {
	name string // in the module; links on the way are followed
	info fs.FileInfo
	err  error // a *leavesError, or of the file system
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
		found.name, found.info, found.err = l.follow(p)
		l.seen[p] = found
	}
	return found
}

func (l *localFiles) follow(p string) (string, fs.FileInfo, error) {
	if path.IsAbs(p) || strings.ContainsAny(p, `\`) || strings.HasPrefix(p, "~") {
		return "", nil, &leavesError{"it is not relative to the manifest"}
	}
	name, links := ".", 0
	rest := strings.Split(l.dir+"/"+p, "/")
	var info fs.FileInfo
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if name == "." {
				return "", nil, &leavesError{"it leads above the module's directory"}
			}
			name = path.Dir(name)
			continue
		}
		step := path.Join(name, part)
		var err error
		if info, err = fs.Lstat(l.fsys, step); err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			name = step
			continue
		}
		if links++; links > longestWay {
			return "", nil, fmt.Errorf("%s: the links lead in a circle", p)
		}
		text, err := fs.ReadLink(l.fsys, step)
		if err != nil {
			return "", nil, err
		}
		if path.IsAbs(text) {
			return "", nil, &leavesError{"its link " + step + " leads to " + quoted(text)}
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	info, err := fs.Stat(l.fsys, name)
	return name, info, err
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

var errTooLarge = errors.New("it is larger than 1 MiB")

// text reads a file that should be short.
func (l *localFiles) text(name string) ([]byte, error) {
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
