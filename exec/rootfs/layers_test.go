package rootfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/store"
)

// capability is a version 2 vfs_cap_data: cap_net_bind_service, effective.
const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestCopyOutOfMergedLayers(t *testing.T) {
	st := testStore(t)
	img := image(t, st, "img",
		layer(t, dir("app/"), file("app/a", "1"), file("app/b", "1"), dir("app/sub/"), file("app/sub/x", "1"), file("app/sub/y", "1"),
			hard("app/a2", "app/a"), dir("old/"), file("old/q", "1"), file("outside", "o"), hard("app/in", "outside"),
			file("app/cap", "c").xattr("security.capability", capability), dir("app/op/"), file("app/op/1", "1")),
		layer(t, file("app/.wh.b", ""), file("app/sub/x", "2"), file("app/sub/.wh.y", ""), sym("cur", "app/sub"), dir("app/op/"), file("app/op/2", "2"), file("app/op/.wh..wh..opq", "")),
		layer(t, file("app/a", "3"), file(".wh.old", ""), hard("app/low", "app/sub/x")),
	)
	c, _ := apply(t, Empty("scratch"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/app", To: "/new"}})
	equal(t, "/app", made(t, st, c), `
5 0755 0:0 epoch new/
5 0755 0:0 epoch new/op/
5 0755 0:0 epoch new/sub/
0 0644 0:0 epoch new/a2 "1"
0 0644 0:0 epoch new/in "o"
0 0644 0:0 epoch new/cap "c" security.capability="\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
0 0644 0:0 epoch new/low "2"
0 0644 0:0 epoch new/op/2 "2"
0 0644 0:0 epoch new/a "3"
1 0644 0:0 epoch new/sub/x -> new/low
`)
	c, _ = apply(t, Empty("scratch"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/cur", To: "/z", Follow: true}})
	equal(t, "/cur", made(t, st, c), `
5 0755 0:0 epoch z/
0 0644 0:0 epoch z/x "2"
`)
	if _, _, err := Empty("scratch").Apply(t.Context(), files(plan.Action{Copy: &plan.Copy{Source: "img", From: "/old", To: "/z"}}), sources(img)); err == nil {
		t.Error("copied what a whiteout removed")
	}
}

func TestMerging(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]entry
		want   string
	}{
		{"whiteouts act on lower layers wherever they stand", [][]entry{
			{file("a", "1"), file("b", "1")},
			{file("a", "22"), file(".wh.a", ""), file(".wh.b", "")},
		}, "file 0644 0:0 0 /a 2\n"},
		{"an opaque directory hides what is below, and no more", [][]entry{
			{dir("d/"), file("d/low", ""), dir("d/sub/"), file("d/sub/x", ""), file("dx", "")},
			{dir("d/").mode(0o700), file("d/high", ""), file("d/.wh..wh..opq", "")},
		}, "dir 0700 0:0 0 /d\nfile 0644 0:0 0 /d/high 0\nfile 0644 0:0 0 /dx 0\n"},
		{"whiteouts of what is not there", [][]entry{
			{dir("d/")},
			{file("d/.wh.x", ""), file("e/.wh.x", ""), file("f/.wh..wh..opq", "")},
		}, "dir 0755 0:0 0 /d\n"},
		{"bookkeeping of aufs is ignored", [][]entry{
			{file(".wh..wh.aufs", ""), dir(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2", ""), file("f", "")},
		}, "file 0644 0:0 0 /f 0\n"},
		{"a directory keeps what lower layers have in it", [][]entry{
			{dir("d/"), file("d/x", "")},
			{dir("d/").mode(0o711).owner(1, 2)},
		}, "dir 0711 1:2 0 /d\nfile 0644 0:0 0 /d/x 0\n"},
		{"a file in place of a directory", [][]entry{
			{dir("d/"), file("d/x", "")},
			{file("d", "1")},
		}, "file 0644 0:0 0 /d 1\n"},
		{"a directory in place of a file, and of a link", [][]entry{
			{file("f", ""), dir("usr/"), file("usr/x", ""), sym("l", "usr")},
			{dir("f/"), dir("l/"), file("l/y", "")},
		}, "dir 0755 0:0 0 /f\ndir 0755 0:0 0 /l\nfile 0644 0:0 0 /l/y 0\ndir 0755 0:0 0 /usr\nfile 0644 0:0 0 /usr/x 0\n"},
		{"a name below a link of a lower layer goes where the link leads", [][]entry{
			{dir("usr/"), dir("usr/lib/"), sym("lib", "usr/lib"), sym("out", "/../../usr")},
			{file("lib/x", ""), file("out/y", ""), file("lib/.wh.z", "")},
		}, "link 0777 0:0 0 /lib -> usr/lib\nlink 0777 0:0 0 /out -> /../../usr\ndir 0755 0:0 0 /usr\ndir 0755 0:0 0 /usr/lib\nfile 0644 0:0 0 /usr/lib/x 0\nfile 0644 0:0 0 /usr/y 0\n"},
		{"missing parents", [][]entry{{file("a/b/c", "")}}, "dir 0755 0:0 0 /a\ndir 0755 0:0 0 /a/b\nfile 0644 0:0 0 /a/b/c 0\n"},
		{"parents that come late", [][]entry{{file("a/b", ""), dir("a/").mode(0o700)}}, "dir 0700 0:0 0 /a\nfile 0644 0:0 0 /a/b 0\n"},
		{"names with dots and slashes", [][]entry{{dir("./"), dir("./a/"), file("/a//b", ""), file("a/./c", "")}}, "dir 0755 0:0 0 /a\nfile 0644 0:0 0 /a/b 0\nfile 0644 0:0 0 /a/c 0\n"},
		{"one name twice", [][]entry{{file("a", "1"), file("a", "22")}}, "file 0644 0:0 0 /a 2\n"},
		{"hard links over layers, and through a link", [][]entry{
			{dir("d/"), file("d/a", "1"), sym("l", "d")},
			{hard("b", "d/a"), hard("c", "/l/a"), file("d/a", "22")},
		}, "file 0644 0:0 0 /b 1 inode 1\nfile 0644 0:0 0 /c 1 inode 1\ndir 0755 0:0 0 /d\nfile 0644 0:0 0 /d/a 2\nlink 0777 0:0 0 /l -> d\n"},
		{"a hard link to a link is a link", [][]entry{{sym("l", "/x"), hard("m", "l")}}, "link 0777 0:0 0 /l -> /x inode 1\nlink 0777 0:0 0 /m -> /x inode 1\n"},
		{"comments", [][]entry{{entry{tar.Header{Name: "pax_global_header", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, ""}, file("a", "1")}}, "file 0644 0:0 0 /a 1\n"},
		{"attributes of the machine", [][]entry{{file("a", "").xattr("security.selinux", "s").xattr("trusted.overlay.opaque", "y").xattr("system.posix_acl_access", "z").xattr("user.x", "\x00=\xff\n").xattr("security.capability", "c")}},
			"file 0644 0:0 0 /a 0 security.capability=\"c\" user.x=\"\\x00=\\xff\\n\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := testStore(t)
			for _, how := range []string{"read", "kept"} { // then from the tables of contents
				var layers []*Layer
				for _, es := range c.layers {
					l := layer(t, es...)
					if how == "kept" {
						l.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("opened again") }
					}
					layers = append(layers, l)
				}
				equal(t, how, listTree(image(t, st, "img", layers...)), c.want)
			}
		})
	}
}

// What no honest tool writes is refused, and what only looks dangerous stays
// inside.
func TestHostile(t *testing.T) {
	for want, es := range map[string][]entry{
		`"a/../../etc/passwd" leaves the archive`:                      {dir("a/"), file("a/../../etc/passwd", "x")},
		`"../x" leaves the archive`:                                    {file("../x", "x")},
		`"a/.." leaves the archive`:                                    {dir("a/..")},
		`"../../etc/passwd" leaves the archive`:                        {dir("a/"), hard("a/h", "../../etc/passwd")},
		`"a/.wh.../x" is below a whiteout`:                             {dir("a/"), file("a/.wh.../x", "")},
		`"a/.wh..." removes nothing that could be there`:               {dir("a/"), file("a/.wh...", "")},
		`"a/.wh.." removes nothing that could be there`:                {dir("a/"), file("a/.wh..", "")},
		`".wh." removes nothing that could be there`:                   {file(".wh.", "")},
		`"h": hard link to "nowhere", which is not there`:              {hard("h", "nowhere")},
		`"h": hard link to "h", which is not there`:                    {hard("h", "h")},
		`"h": hard link to "d", which is a directory`:                  {dir("d/"), hard("h", "d")},
		`"f/x": it lies below /f, which is a file`:                     {file("f", ""), file("f/x", "")},
		`"l/x": find l: too many links`:                                {sym("l", "l"), file("l/x", "")},
		`"l/x": find l: /l is a link to nowhere, which does not exist`: {sym("l", "nowhere"), file("l/x", "")},
		`"l/x": find l: /f is a file, not a directory`:                 {file("f", ""), sym("l", "f/y"), file("l/x", "")},
		`"l/x": it lies below /f, which is a file`:                     {file("f", ""), sym("l", "f"), file("l/x", "")},
		`"x" is of type 'V', which no image can hold`:                  {entry{tar.Header{Name: "x", Typeflag: 'V'}, ""}},
		`"./" is the root and no directory`:                            {sym("./", "/etc")},
	} {
		st := testStore(t)
		_, err := FromLayers(t.Context(), st, "img", []*Layer{layer(t, es...)})
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
	st := testStore(t)
	img := image(t, st, "img", layer(t, dir("/a/"), file("/a/x", "1"), sym("a/l", "/etc/passwd"), sym("esc", "/../../../etc")))
	c, _ := apply(t, Empty("base"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/a", To: "/b"}})
	equal(t, "absolute names and links", made(t, st, c), "5 0755 0:0 epoch b/\n2 0777 0:0 epoch b/l -> /etc/passwd\n0 0644 0:0 epoch b/x \"1\"\n")
	_, _, err := Empty("base").Apply(t.Context(), files(plan.Action{Copy: &plan.Copy{Source: "img", From: "/esc/passwd", To: "/b"}}), sources(img))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), "/esc is a link to /../../../etc, which does not exist") {
		t.Errorf("through a link that climbs: %v", err)
	}
}

func TestDamagedLayers(t *testing.T) {
	body := strings.Repeat("content ", 10000)
	plain := tarOf(t, dir("d/"), file("d/a", body), file("d/b", body))
	for name, b := range map[string][]byte{
		"cut in a header":  plain[:700],
		"cut in a file":    plain[:20000],
		"not an archive":   []byte(body),
		"cut gzip":         gzipped(t, plain)[:200],
		"gzip of nonsense": gzipped(t, []byte(body)),
		"broken gzip":      append([]byte{0x1f, 0x8b, 9, 9}, plain...),
		"broken zstd":      append([]byte{0x28, 0xb5, 0x2f, 0xfd}, plain...),
		"flipped checksum": flipped(plain, 150),
		"a huge file":      hugeHeader(t),
	} {
		st := testStore(t)
		if _, err := FromLayers(t.Context(), st, "img", []*Layer{layerOf(b)}); err == nil {
			t.Errorf("%s: taken", name)
		}
		if _, ok := st.Contents(plan.DigestOf(b)); ok {
			t.Errorf("%s: its table was kept", name)
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "gzip": gzipped(t, plain), "two gzip members": append(gzipped(t, plain[:512]), gzipped(t, plain[512:])...), "without an end": plain[:len(plain)-1024], "junk behind": append(bytes.Clone(plain), "junk"...)} {
		st := testStore(t)
		if _, err := FromLayers(t.Context(), st, "img", []*Layer{layerOf(b)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A layer whose blob turns out damaged, while its table is read or when contents
// are copied out of it, leads to no table and no layer, also when what was wanted
// came before the damage.
func TestDamageFoundAtTheEnd(t *testing.T) {
	plain := tarOf(t, file("a", "first"), file("b", "second"))
	fails := errors.New("digest mismatch")
	bad := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(plain), iotest.ErrReader(fails))), nil
	}
	st := testStore(t)
	l := layerOf(plain)
	if _, err := FromLayers(t.Context(), st, "img", []*Layer{{l.Digest, bad}}); !errors.Is(err, fails) {
		t.Errorf("table: %v", err)
	}
	if _, ok := st.Contents(l.Digest); ok {
		t.Error("the table was kept")
	}
	img := image(t, st, "img", l)
	l.Open = bad
	c, _ := apply(t, Empty("base"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/a", To: "/a"}})
	if _, _, err := Write(t.Context(), st, c, Options{}); !errors.Is(err, fails) {
		t.Errorf("layer: %v", err)
	}
	if u, err := st.Usage(); err != nil || u.Blobs != 0 || u.Temp != 0 {
		t.Errorf("left %+v, %v", u, err)
	}
}

// A source layer that is not what its table says.
func TestAnotherLayerThanBefore(t *testing.T) {
	st := testStore(t)
	l := layer(t, file("a", "first"))
	img := image(t, st, "img", l)
	c, _ := apply(t, Empty("base"), sources(img), plan.Action{Copy: &plan.Copy{Source: "img", From: "/a", To: "/a"}})
	for name, b := range map[string][]byte{"other size": tarOf(t, file("a", "another")), "fewer entries": tarOf(t)} {
		l.Open = layerOf(b).Open
		if _, _, err := Write(t.Context(), st, c, Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A layer that is made can be read while it is; one that is there is not made.
func TestBegun(t *testing.T) {
	st := testStore(t)
	l := layer(t, file("a", strings.Repeat("content ", 100<<10)))
	c, _ := apply(t, Empty("base"), sources(image(t, st, "img", l)), plan.Action{Copy: &plan.Copy{Source: "img", From: "/a", To: "/a"}})
	begun := 0
	var followed *store.Following
	o := Options{Begun: func(w *store.Writer) {
		begun++
		var err error
		followed, err = w.Follow()
		check(t, err)
	}}
	r, reused, err := Write(t.Context(), st, c, o)
	check(t, err)
	defer followed.Close()
	got := make([]byte, r.Size)
	_, err = followed.ReadAt(got, 0)
	check(t, err)
	if n, err := followed.Wait(t.Context(), r.Size+1); n != r.Size || err != nil {
		t.Errorf("%d bytes of %d, %v", n, r.Size, err)
	}
	if d := plan.DigestOf(got); reused || d != r.Digest {
		t.Errorf("followed %s, made %s, reused %t", d, r.Digest, reused)
	}
	if _, reused, err = Write(t.Context(), st, c, o); err != nil || !reused || begun != 1 {
		t.Errorf("begun %d times, reused %t, %v", begun, reused, err)
	}
	check(t, os.Remove(filepath.Join(st.Dir(), "blobs", "sha256", strings.TrimPrefix(string(r.Digest), "sha256:"))))
	if again, reused, err := Write(t.Context(), st, c, o); err != nil || reused || again != r || begun != 1 {
		t.Errorf("of what was lost: begun %d times, reused %t, %v", begun, reused, err)
	}
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	check(t, err)
	check(t, z.Close())
	return out.Bytes()
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// hugeHeader is an archive whose one file claims more than any disk holds.
func hugeHeader(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 62}))
	return b.Bytes()
}
