package rootfs

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// Change is the difference of two trees: the entries of one layer, in the order
// they are written.
//
// First come directories, links, devices, whiteouts, empty files and what is not
// in layers, sorted by path, so that parents are there before their children.
// Then, for each layer that contents are copied out of, its files in the order
// of its archive, so that it is read once. Then hard links, sorted. Directories
// on the way to a change are among the entries, as they are: unpackers that see
// a layer by itself would make them up.
type Change struct {
	compression string
	epoch       int64
	items       []item
	layers      []*Layer // items that are content of layers point into it
	size        int64
}

type item struct {
	dir      string // that it is in, "" is the root: siblings share it, and a tree has many
	name     string
	ent      *Entry // nil is a whiteout
	link     string // the path, written before, that this is another name of
	layer    int32  // into layers, of files whose content is there
	inLayers bool
}

// path has no leading slash.
func (it *item) path() string { return path.Join(it.dir, it.name) }

// Empty reports whether there is nothing to put into a layer.
func (c *Change) Empty() bool { return len(c.items) == 0 }

// Size is how many bytes of contents the layer holds, uncompressed.
func (c *Change) Size() int64 { return c.size }

// Entries is how many entries the layer has.
func (c *Change) Entries() int { return len(c.items) }

func changeOf(old, new *Tree, compression string, epoch int64) (*Change, error) {
	if compression != "gzip" && compression != "zstd" {
		return nil, fmt.Errorf("unknown compression %q (known: gzip, zstd)", compression)
	}
	c := &Change{compression: compression, epoch: epoch}
	c.kids("", old.root, new.root)
	c.arrange(new.layers)
	return c, nil
}

// kids adds what is different below two directories. old is nil if there was
// none.
func (c *Change) kids(at string, old, new *node) {
	if old == new {
		return // shared: nothing can have changed
	}
	var before []*node
	if old != nil && old.ent.dir() {
		before = old.kids
	}
	for _, k := range new.kids {
		for len(before) > 0 && before[0].name < k.name {
			c.items = append(c.items, item{dir: at, name: before[0].name})
			before = before[1:]
		}
		var was *node
		if len(before) > 0 && before[0].name == k.name {
			was, before = before[0], before[1:]
		}
		c.node(at, was, k)
	}
	for _, b := range before {
		c.items = append(c.items, item{dir: at, name: b.name})
	}
}

// node adds what is different about one name in the directory at.
func (c *Change) node(at string, old, new *node) {
	if old == new {
		return
	}
	changed := old == nil || !same(old.ent, new.ent)
	if !new.ent.dir() {
		if changed {
			c.items = append(c.items, item{dir: at, name: new.name, ent: new.ent})
		}
		return
	}
	n := len(c.items)
	c.items = append(c.items, item{dir: at, name: new.name, ent: new.ent})
	c.kids(path.Join(at, new.name), old, new)
	if !changed && len(c.items) == n+1 {
		c.items = c.items[:n]
	}
}

// same reports whether a layer may leave new out, since old is the same. A file
// that was written again is not: which names it has may have changed.
func same(old, new *Entry) bool {
	if old == new {
		return true
	}
	return old.Type == new.Type && old.Type != tar.TypeReg &&
		old.Mode == new.Mode && old.UID == new.UID && old.GID == new.GID && old.Time == new.Time &&
		old.Target == new.Target && old.Major == new.Major && old.Minor == new.Minor && maps.Equal(old.Xattrs, new.Xattrs)
}

// arrange puts the items, which are sorted by path, into the order they are
// written in.
func (c *Change) arrange(layers []*Layer) {
	rank := map[plan.Digest]int32{}
	for _, l := range layers {
		if _, ok := rank[l.Digest]; !ok {
			rank[l.Digest] = int32(len(c.layers))
			c.layers = append(c.layers, l)
		}
	}
	first := map[*Entry]string{}
	var files, links []item
	plain := c.items[:0] // in place: a tree has many
	for _, it := range c.items {
		if it.ent != nil && it.ent.Type == tar.TypeReg && it.ent.linked {
			if at, ok := first[it.ent]; ok {
				it.link = at
				links = append(links, it)
				continue
			}
			first[it.ent] = it.path()
		}
		if it.ent != nil {
			c.size += it.ent.Size
		}
		if it.ent != nil && it.ent.layer != nil {
			it.layer, it.inLayers = rank[it.ent.layer.Digest], true
			files = append(files, it)
			continue
		}
		plain = append(plain, it)
	}
	// Stable: copies of one file stay sorted by path.
	slices.SortStableFunc(files, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.ent.pos, b.ent.pos))
	})
	c.items = append(append(plain, files...), links...)
}

// Key names the layer the change makes, before it is made: two changes with one
// key are the same bytes, whatever trees they are between.
func (c *Change) Key() plan.Digest {
	h := sha256.New()
	c.Describe(h)
	return digest(h)
}

// Describe writes what Key covers, a line for each entry, in the order they are
// written: type, path, mode, owner, time, size, and what else there is. Contents
// are named by where they come from: a layer and the number of the entry in it,
// or their own digest.
func (c *Change) Describe(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "canvos layer %d %s epoch %d\n", Format, c.compression, c.epoch); err != nil {
		return err
	}
	for i := range c.items {
		if _, err := io.WriteString(w, c.items[i].String()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (it *item) String() string {
	e := it.ent
	switch {
	case e == nil:
		return fmt.Sprintf("gone %q", it.path())
	case it.link != "":
		return fmt.Sprintf("also %q %q", it.path(), it.link)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %04o %d:%d %d %d", words[e.Type], it.path(), e.Mode, e.UID, e.GID, e.Time, e.Size)
	switch {
	case e.Type == tar.TypeSymlink:
		fmt.Fprintf(&b, " %q", e.Target)
	case e.Type == tar.TypeChar || e.Type == tar.TypeBlock:
		fmt.Fprintf(&b, " %d,%d", e.Major, e.Minor)
	case it.inLayers:
		fmt.Fprintf(&b, " %s#%d", e.layer.Digest, e.pos)
	case e.blob != nil:
		fmt.Fprintf(&b, " %s", e.sum)
	}
	for _, k := range slices.Sorted(maps.Keys(e.Xattrs)) {
		fmt.Fprintf(&b, " %q=%q", k, e.Xattrs[k])
	}
	return b.String()
}

var words = map[byte]string{
	tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "link",
	tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo",
}
