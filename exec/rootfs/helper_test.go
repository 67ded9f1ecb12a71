package rootfs

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/store"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testStore(t testing.TB) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	check(t, err)
	t.Cleanup(func() { st.Close() })
	return st
}

// The words that layers of tests are written in.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, body}
}
func dir(name string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}
func sym(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}, ""}
}
func hard(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}, ""}
}
func special(name string, typ byte, major, minor int64) entry {
	return entry{tar.Header{Name: name, Typeflag: typ, Mode: 0o600, Devmajor: major, Devminor: minor}, ""}
}
func (e entry) mode(m int64) entry       { e.Mode = m; return e }
func (e entry) owner(uid, gid int) entry { e.Uid, e.Gid = uid, gid; return e }
func (e entry) at(unix int64) entry      { e.ModTime = time.Unix(unix, 0); return e }
func (e entry) xattr(key, val string) entry {
	e.PAXRecords = maps.Clone(e.PAXRecords)
	if e.PAXRecords == nil {
		e.PAXRecords = map[string]string{}
	}
	e.PAXRecords[xattrPrefix+key] = val
	return e
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.body))
		check(t, tw.WriteHeader(&h))
		_, err := io.WriteString(tw, e.body)
		check(t, err)
	}
	check(t, tw.Close())
	return b.Bytes()
}

func layerOf(b []byte) *Layer {
	return &Layer{plan.DigestOf(b), func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func layer(t testing.TB, entries ...entry) *Layer { t.Helper(); return layerOf(tarOf(t, entries...)) }

func image(t testing.TB, st *store.Store, name string, layers ...*Layer) *Tree {
	t.Helper()
	tree, err := FromLayers(t.Context(), st, name, layers)
	check(t, err)
	return tree
}

// sources finds trees by name instead of digest.
func sources(trees ...*Tree) func(plan.Digest) (Source, error) {
	return func(d plan.Digest) (Source, error) {
		for _, t := range trees {
			if t.name == string(d) {
				return Source{Tree: t}, nil
			}
		}
		return Source{}, fmt.Errorf("no source %s", d)
	}
}

const testEpoch = "2020-04-16T12:00:00Z"

func files(actions ...plan.Action) plan.Files {
	return plan.Files{Epoch: testEpoch, Compression: "gzip", Actions: actions}
}

func apply(t testing.TB, base *Tree, from func(plan.Digest) (Source, error), actions ...plan.Action) (*Change, *Tree) {
	t.Helper()
	c, next, err := base.Apply(t.Context(), files(actions...), from)
	check(t, err)
	return c, next
}

// made writes the layer of a change and lists it.
func made(t testing.TB, st *store.Store, c *Change) string {
	t.Helper()
	r, _, err := Write(t.Context(), st, c, Options{})
	check(t, err)
	return listLayer(t, st, r)
}

func ofRecord(st *store.Store, r store.LayerRecord) *Layer {
	return &Layer{r.Digest, func(context.Context) (io.ReadCloser, error) { return st.Open(r.Digest, r.Size) }}
}

// listLayer is what is in a layer, a line for each entry, short contents too.
func listLayer(t testing.TB, st *store.Store, r store.LayerRecord) string {
	t.Helper()
	a, err := openArchive(t.Context(), ofRecord(st, r))
	check(t, err)
	defer a.Close()
	var b strings.Builder
	for {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		body, err := io.ReadAll(a)
		check(t, err)
		fmt.Fprintf(&b, "%c %04o %d:%d %s %s", h.Typeflag, h.Mode, h.Uid, h.Gid, when(h.ModTime.Unix()), h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&b, " -> %s", h.Linkname)
		}
		if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			fmt.Fprintf(&b, " %d,%d", h.Devmajor, h.Devminor)
		}
		switch {
		case len(body) > 40:
			fmt.Fprintf(&b, " %d bytes", len(body))
		case len(body) > 0:
			fmt.Fprintf(&b, " %q", body)
		}
		for _, k := range slices.SortedFunc(maps.Keys(h.PAXRecords), cmp.Compare) {
			if x, ok := strings.CutPrefix(k, xattrPrefix); ok {
				fmt.Fprintf(&b, " %s=%q", x, h.PAXRecords[k])
			}
		}
		b.WriteByte('\n')
	}
	check(t, a.finish())
	return b.String()
}

func when(unix int64) string {
	if unix == 1587038400 {
		return "epoch"
	}
	return fmt.Sprint(unix)
}

// listTree is what a tree holds, like listLayer, without contents. Names of one
// file have the same number.
func listTree(tree *Tree) string {
	var b strings.Builder
	names, numbers := map[*Entry]int{}, map[*Entry]int{}
	for _, e := range tree.All() {
		if names[e]++; names[e] == 2 {
			numbers[e] = len(numbers) + 1
		}
	}
	for p, e := range tree.All() {
		fmt.Fprintf(&b, "%s %04o %d:%d %s /%s", words[e.Type], e.Mode, e.UID, e.GID, when(e.Time), p)
		if e.Target != "" {
			fmt.Fprintf(&b, " -> %s", e.Target)
		}
		if e.Type == tar.TypeReg {
			fmt.Fprintf(&b, " %d", e.Size)
		}
		if n := numbers[e]; n > 0 {
			fmt.Fprintf(&b, " inode %d", n)
		}
		for _, k := range slices.Sorted(maps.Keys(e.Xattrs)) {
			fmt.Fprintf(&b, " %s=%q", k, e.Xattrs[k])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func equal(t testing.TB, what, got, want string) {
	t.Helper()
	want = strings.TrimLeft(want, "\n")
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}
