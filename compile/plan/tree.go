package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// TreeEntry is a file or link of a local tree, normalised as git stores it: an
// owner's execute bit is all that is left of a mode, nobody owns anything, no
// times, and directories are seen only by what they hold.
type TreeEntry struct {
	Path string // below the tree's root, slash separated; "" for a tree that is one file or link
	Mode string // "0644", "0755", or "link"
	Link string // the text of a link, as it is
	Size int64  // bytes of the content; of a link, of its text
	Sum  Digest // of the content, or of a link's text; set by SumTree
}

// WalkTree lists what is at name, sorted by the bytes of the path: all files and
// links below a directory, or the one file or link itself. Links are never
// followed. What git cannot hold is an error (sockets, devices, fifos), or is
// not seen (.git, empty directories). Names that begin with ".wh." mean
// deletions in image layers and are an error.
//
// Who copies a local tree copies exactly what is listed here, so that it copies
// what HashTree has hashed.
//
// A tree of Remembered is walked once.
func WalkTree(fsys fs.FS, name string) ([]TreeEntry, error) {
	name = path.Clean(name)
	if r, ok := fsys.(*remembered); ok {
		w := r.tree(name).walk()
		return slices.Clone(w.entries), w.err
	}
	info, err := fs.Lstat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		e, err := treeEntry(fsys, name, "", info)
		if err != nil {
			return nil, err
		}
		return []TreeEntry{e}, nil
	}
	var entries []TreeEntry
	err = fs.WalkDir(fsys, name, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == name {
			return nil
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasPrefix(d.Name(), ".wh.") {
			return fmt.Errorf("%s: names that begin with .wh. mean deletions in image layers", p)
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		below := p
		if name != "." {
			below = strings.TrimPrefix(p, name+"/")
		}
		e, err := treeEntry(fsys, p, below, info)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b TreeEntry) int { return cmp.Compare(a.Path, b.Path) })
	return entries, nil
}

func treeEntry(fsys fs.FS, name, below string, info fs.FileInfo) (TreeEntry, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		text, err := fs.ReadLink(fsys, name)
		if err != nil {
			return TreeEntry{}, err
		}
		return TreeEntry{Path: below, Mode: "link", Link: text, Size: int64(len(text))}, nil
	case info.Mode().IsRegular():
		mode := "0644"
		if info.Mode()&0o100 != 0 {
			mode = "0755"
		}
		return TreeEntry{Path: below, Mode: mode, Size: info.Size()}, nil
	}
	return TreeEntry{}, fmt.Errorf("%s: neither a file, a link nor a directory", name)
}

// HashTree is the digest of a local file, link or tree, and how many bytes its
// files and links hold. It is the SHA-256 of
//
//	canvos tree 1 NUL
//
// followed, for each entry that WalkTree lists, in its order, by
//
//	path NUL mode NUL size NUL digest NUL
//
// where path is empty for a single file or link (no path in a tree is), mode is
// "0644", "0755" or "link", size is decimal, and digest is the SHA-256, as
// lower-case hexadecimal, of the file's content or the link's text. No field
// can hold a NUL, so no two trees share a text.
//
// Memory is proportional to the number of entries; contents are streamed.
func HashTree(fsys fs.FS, name string) (Digest, int64, error) {
	_, d, size, err := SumTree(fsys, name)
	return d, size, err
}

// SumTree is HashTree for who will read the tree again: it returns what
// WalkTree lists as well, each entry with the digest that was hashed. A tree of
// Remembered is hashed once.
func SumTree(fsys fs.FS, name string) (entries []TreeEntry, d Digest, total int64, err error) {
	name = path.Clean(name)
	if r, ok := fsys.(*remembered); ok {
		s := r.tree(name).sum()
		return slices.Clone(s.entries), s.digest, s.total, s.err
	}
	entries, err = WalkTree(fsys, name)
	if err != nil {
		return nil, "", 0, err
	}
	return sumTree(fsys, name, entries)
}

// sumTree sums what WalkTree listed.
func sumTree(fsys fs.FS, name string, entries []TreeEntry) (_ []TreeEntry, d Digest, total int64, err error) {
	if err := sumEntries(fsys, name, entries); err != nil {
		return nil, "", 0, err
	}
	all := sha256.New()
	io.WriteString(all, "canvos tree 1\x00")
	line := make([]byte, 0, 512)
	for _, e := range entries {
		total += e.Size
		line = append(line[:0], e.Path...)
		line = append(line, 0)
		line = append(line, e.Mode...)
		line = append(line, 0)
		line = strconv.AppendInt(line, e.Size, 10)
		line = append(line, 0)
		line = append(line, strings.TrimPrefix(string(e.Sum), "sha256:")...)
		line = append(line, 0)
		all.Write(line)
	}
	return entries, Digest("sha256:" + hex.EncodeToString(all.Sum(nil))), total, nil
}

// sumEntries sets size and digest of each entry, several files at a time. The
// error is that of the first entry that has one.
func sumEntries(fsys fs.FS, name string, entries []TreeEntry) error {
	errs := make([]error, len(entries))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 4, len(entries)) {
		wg.Go(func() {
			one := sha256.New()
			buf := make([]byte, 256<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(entries) {
					return
				}
				e := &entries[i]
				one.Reset()
				if e.Mode == "link" {
					io.WriteString(one, e.Link)
				} else if e.Size, errs[i] = hashFile(one, fsys, path.Join(name, e.Path), buf); errs[i] != nil {
					return
				}
				e.Sum = Digest("sha256:" + hex.EncodeToString(one.Sum(nil)))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Remembered is a file system whose trees are walked and hashed once: what
// WalkTree and SumTree found stays, whatever happens to the files later. It is
// for one run, which looks at the same trees when it checks, when it locks, when
// it plans and when it builds; what is read into an image is compared with the
// sums once more.
func Remembered(fsys fs.FS) fs.FS {
	return &remembered{FS: fsys, trees: map[string]knownTree{}}
}

type remembered struct {
	fs.FS
	mu    sync.Mutex
	trees map[string]knownTree
}

// knownTree is what was found out of one, by whoever asked first.
type knownTree struct {
	walk func() walked
	sum  func() summed
}

type walked struct {
	entries []TreeEntry
	err     error
}

type summed struct {
	walked
	digest Digest
	total  int64
}

func (r *remembered) tree(name string) knownTree {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.trees[name]
	if !ok {
		t.walk = sync.OnceValue(func() (w walked) {
			w.entries, w.err = WalkTree(r.FS, name)
			return w
		})
		t.sum = sync.OnceValue(func() (s summed) {
			if s.walked = t.walk(); s.err == nil {
				s.entries, s.digest, s.total, s.err = sumTree(r.FS, name, slices.Clone(s.entries))
			}
			return s
		})
		r.trees[name] = t
	}
	return t
}

// What the file system inside can do by itself, it does.
func (r *remembered) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.FS, name) }
func (r *remembered) ReadFile(name string) ([]byte, error)       { return fs.ReadFile(r.FS, name) }
func (r *remembered) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(r.FS, name) }
func (r *remembered) Lstat(name string) (fs.FileInfo, error)     { return fs.Lstat(r.FS, name) }
func (r *remembered) ReadLink(name string) (string, error)       { return fs.ReadLink(r.FS, name) }

func hashFile(w io.Writer, fsys fs.FS, name string, buf []byte) (int64, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	// CopyBuffer ignores buf when either side brings its own way to copy.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, buf)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return n, nil
}
