package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
)

func TestActions(t *testing.T) {
	base := []entry{
		dir("etc/").at(1), file("etc/f", "old").mode(0o600).owner(7, 7).at(2), sym("etc/l", "f"), sym("etc/gone", "nowhere/x"), sym("etc/later", "/etc/made"), sym("conf", "/etc"),
		dir("d/").at(3), dir("d/sub/").at(4), file("d/sub/x", "").at(5), file("d/y", "").at(6), file("d/ssh_host_1", ""), file("d/ssh_host_2", ""), file("d/.hidden", ""),
		file("one", "x").at(7), hard("two", "one"),
	}
	write := func(p, text, mode string) plan.Action {
		return plan.Action{Write: &plan.Write{Path: p, Content: text, Mode: mode}}
	}
	mkdir := func(p, mode string) plan.Action { return plan.Action{Mkdir: &plan.Mkdir{Path: p, Mode: mode}} }
	link := func(p, to string) plan.Action { return plan.Action{Link: &plan.Link{Path: p, Target: to}} }
	touch := func(p, mode string) plan.Action { return plan.Action{Touch: &plan.Touch{Path: p, Mode: mode}} }
	remove := func(p string) plan.Action { return plan.Action{Remove: &plan.Remove{Path: p}} }
	attr := func(p, mode, owner string) plan.Action {
		return plan.Action{Attr: &plan.Attr{Path: p, Mode: mode, Owner: owner}}
	}
	for _, c := range []struct {
		name    string
		actions []plan.Action
		want    string // the layer, or after "error: " the error
	}{
		{"write", []plan.Action{write("/a/b", "text", "4755")}, "5 0755 0:0 epoch a/\n0 4755 0:0 epoch a/b \"text\"\n"},
		{"write nothing", []plan.Action{write("/b", "", "0644")}, "0 0644 0:0 epoch b\n"},
		{"write over a file", []plan.Action{write("/etc/f", "new", "0644")}, "5 0755 0:0 epoch etc/\n0 0644 0:0 epoch etc/f \"new\"\n"},
		{"write over a link", []plan.Action{write("/etc/l", "new", "0644")}, "5 0755 0:0 epoch etc/\n0 0644 0:0 epoch etc/l \"new\"\n"},
		{"write below a link", []plan.Action{write("/conf/x", "new", "0644")}, "5 0755 0:0 epoch etc/\n0 0644 0:0 epoch etc/x \"new\"\n"},
		{"write over a directory", []plan.Action{write("/d", "new", "0644")}, "error: write /d: it is a directory, from base"},
		{"write below a file", []plan.Action{write("/one/x", "new", "0644")}, "error: write /one/x: /one is a file, from base"},
		{"write far below a file", []plan.Action{write("/one/x/y", "new", "0644")}, "error: write /one/x/y: find /one/x: /one is a file, not a directory"},
		{"write below a dangling link", []plan.Action{write("/etc/gone/x", "new", "0644")}, "error: write /etc/gone/x: find /etc/gone: /etc/gone is a link to nowhere/x, which does not exist"},
		{"write the root", []plan.Action{write("/", "x", "0644")}, "error: write /: the root stays as it is"},
		{"write a whiteout", []plan.Action{write("/.wh.x", "x", "0644")}, `error: write /.wh.x: "/.wh.x": a name that begins with .wh. cannot be put in an image`},
		{"write outside", []plan.Action{write("../x", "x", "0644")}, `error: write ../x: "../x" is not an absolute, clean path`},
		{"write outside later", []plan.Action{write("/a/../../x", "x", "0644")}, `error: write /a/../../x: "/a/../../x" is not an absolute, clean path`},
		{"write a zero byte", []plan.Action{write("/a\x00b", "x", "0644")}, "error: write /a\x00b: \"/a\\x00b\" is not an absolute, clean path"},
		{"write with a strange mode", []plan.Action{write("/a", "x", "rw")}, `error: write /a: mode "rw" is not up to four octal digits`},
		{"write with a large mode", []plan.Action{write("/a", "x", "10000")}, `error: write /a: mode "10000" is not up to four octal digits`},

		{"mkdir", []plan.Action{mkdir("/a/b", "0700")}, "5 0755 0:0 epoch a/\n5 0700 0:0 epoch a/b/\n"},
		{"mkdir over one", []plan.Action{mkdir("/d", "1777")}, "5 1777 0:0 3 d/\n"},
		{"mkdir over one of the same mode", []plan.Action{mkdir("/d", "0755")}, ""},
		{"mkdir through a link", []plan.Action{mkdir("/conf", "0700")}, "5 0700 0:0 1 etc/\n"},
		{"mkdir over a file", []plan.Action{mkdir("/one", "0700")}, "error: make directory /one: /one is a file, from base"},
		{"mkdir of the root", []plan.Action{mkdir("/", "0700")}, ""},

		{"link", []plan.Action{link("/a/l", "../x")}, "5 0755 0:0 epoch a/\n2 0777 0:0 epoch a/l -> ../x\n"},
		{"link over a file and a link", []plan.Action{link("/one", "two"), link("/conf", "d")}, "2 0777 0:0 epoch conf -> d\n2 0777 0:0 epoch one -> two\n"},
		{"link over a directory", []plan.Action{link("/d", "x")}, "error: link /d: it is a directory, from base"},
		{"link nowhere", []plan.Action{link("/x", "")}, `error: link /x: a link cannot lead to ""`},

		{"touch", []plan.Action{touch("/a/m", "0444")}, "5 0755 0:0 epoch a/\n0 0444 0:0 epoch a/m\n"},
		{"touch what is there", []plan.Action{touch("/etc/f", "0444")}, "5 0755 0:0 1 etc/\n0 0444 7:7 epoch etc/f \"old\"\n"},
		{"touch through a link", []plan.Action{touch("/conf/l", "0444")}, "5 0755 0:0 1 etc/\n0 0444 7:7 epoch etc/f \"old\"\n"},
		{"touch through a link to what is not there yet", []plan.Action{touch("/etc/later", "0444")}, "5 0755 0:0 epoch etc/\n0 0444 0:0 epoch etc/made\n"},
		{"touch through a link to a missing directory", []plan.Action{touch("/etc/gone", "0444")}, "error: touch /etc/gone: find /etc/gone: /etc/gone is a link to nowhere/x, which does not exist"},

		{"remove", []plan.Action{remove("/d/y")}, "5 0755 0:0 epoch d/\n0 0644 0:0 epoch d/.wh.y\n"},
		{"remove a directory", []plan.Action{remove("/d")}, "0 0644 0:0 epoch .wh.d\n"},
		{"remove by pattern", []plan.Action{remove("/d/ssh_host_*")}, "5 0755 0:0 epoch d/\n0 0644 0:0 epoch d/.wh.ssh_host_1\n0 0644 0:0 epoch d/.wh.ssh_host_2\n"},
		{"remove through a link", []plan.Action{remove("/conf/f")}, "5 0755 0:0 epoch etc/\n0 0644 0:0 epoch etc/.wh.f\n"},
		{"remove a link, not what it leads to", []plan.Action{remove("/conf")}, "0 0644 0:0 epoch .wh.conf\n"},
		{"remove nothing", []plan.Action{remove("/x/y"), remove("/d/z*"), remove("/one/x"), remove("/etc/gone/x")}, ""},
		{"remove the root", []plan.Action{remove("/")}, "error: remove /: the root stays as it is"},
		{"remove by a bad pattern", []plan.Action{remove("/d/[")}, `error: remove /d/[: pattern "[": syntax error in pattern`},
		{"remove and make again", []plan.Action{remove("/d"), mkdir("/d", "0700"), write("/d/y", "new", "0644")},
			"5 0700 0:0 epoch d/\n0 0644 0:0 epoch d/.wh..hidden\n0 0644 0:0 epoch d/.wh.ssh_host_1\n0 0644 0:0 epoch d/.wh.ssh_host_2\n0 0644 0:0 epoch d/.wh.sub\n0 0644 0:0 epoch d/y \"new\"\n"},
		{"remove a directory for a file", []plan.Action{remove("/d"), write("/d", "x", "0644")}, "0 0644 0:0 epoch d \"x\"\n"},
		{"remove a file for a directory", []plan.Action{remove("/one"), mkdir("/one", "0700")}, "5 0700 0:0 epoch one/\n"},
		{"remove what this step made", []plan.Action{write("/n/x", "x", "0644"), remove("/n")}, ""},

		{"attr", []plan.Action{attr("/etc/f", "0640", "0:5")}, "5 0755 0:0 1 etc/\n0 0640 0:5 2 etc/f \"old\"\n"},
		{"attr of a directory", []plan.Action{attr("/d", "", "4:4")}, "5 0755 4:4 3 d/\n"},
		{"attr through a link", []plan.Action{attr("/etc/l", "0640", "")}, "5 0755 0:0 1 etc/\n0 0640 7:7 2 etc/f \"old\"\n"},
		{"attr that changes nothing", []plan.Action{attr("/etc/f", "0600", "7:7")}, ""},
		{"attr of one name of two", []plan.Action{attr("/two", "0600", "")}, "0 0600 0:0 7 two \"x\"\n"},
		{"attr of nothing", []plan.Action{attr("/x", "0600", "")}, "error: change /x: file does not exist"},
		{"attr of nothing, optional", []plan.Action{{Attr: &plan.Attr{Path: "/x", Mode: "0600", Optional: true}}}, ""},
		{"attr with a name", []plan.Action{attr("/one", "", "root:root")}, `error: change /one: owner "root:root" is not UID:GID in numbers`},
		{"no action", []plan.Action{{}}, "error: an action that says nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := testStore(t)
			before := image(t, st, "base", layer(t, base...))
			listed := listTree(before)
			change, next, err := before.Apply(t.Context(), files(c.actions...), nil)
			equal(t, "the tree that was there", listTree(before), listed)
			if err != nil {
				equal(t, "error", "error: "+err.Error(), c.want)
				return
			}
			r, _, err := Write(t.Context(), st, change, Options{})
			check(t, err)
			if change.Empty() {
				equal(t, "layer", "", c.want)
				if r.Digest != "" {
					t.Errorf("a layer of nothing: %v", r)
				}
				return
			}
			equal(t, "layer", listLayer(t, st, r), c.want)
			equal(t, "the tree by layers", listTree(image(t, st, "base", layer(t, base...), ofRecord(st, r))), listTree(next))
		})
	}
}

func TestCopyErrors(t *testing.T) {
	st := testStore(t)
	src := image(t, st, "src", layer(t, dir("d/"), file("f", ""), sym("l", "nowhere"), sym("round", "round")))
	arch, err := FromArchive(t.Context(), st, "archive", layer(t, dir("d/"), file("d/x", "")))
	check(t, err)
	for want, c := range map[string]plan.Copy{
		"copy /x of src to /y: find /x: file does not exist":                                          {Source: "src", From: "/x", To: "/y"},
		"copy /f/x of src to /y: find /f/x: /f is a file, not a directory":                            {Source: "src", From: "/f/x", To: "/y"},
		"copy /l/x of src to /y: find /l/x: /l is a link to nowhere, which does not exist":            {Source: "src", From: "/l/x", To: "/y"},
		"copy /round/x of src to /y: find /round/x: too many links":                                   {Source: "src", From: "/round/x", To: "/y"},
		`copy x of src to /y: "x" is not an absolute, clean path`:                                     {Source: "src", From: "x", To: "/y"},
		`copy /f of src to y: "y" is not an absolute, clean path`:                                     {Source: "src", From: "/f", To: "y"},
		`copy /f of src to /: the root stays as it is`:                                                {Source: "src", From: "/f", To: "/"},
		`copy /f of src to /y: owner "0" is not UID:GID in numbers`:                                   {Source: "src", From: "/f", To: "/y", Owner: "0"},
		`copy /f of src to /y: unknown choice of extended attributes "none" (known: all, capability)`: {Source: "src", From: "/f", To: "/y", Xattrs: "none"},
		`no source missing`: {Source: "missing", From: "/f", To: "/y"},
		`copy /f of src to /f/x: /f is a file, from base`: {Source: "src", From: "/f", To: "/f/x"},
	} {
		_, _, err := image(t, st, "base", layer(t, file("f", ""))).Apply(t.Context(), files(plan.Action{Copy: &c}), sources(src, arch))
		if err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
	}
	if _, err := FromArchive(t.Context(), st, "archive", layer(t, file("d/.wh.x", ""))); err == nil || !strings.Contains(err.Error(), "begins with .wh.") {
		t.Errorf("a whiteout in an archive: %v", err)
	}
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("interrupted"))
	if _, _, err := Empty("base").Apply(ended, files(plan.Action{}), nil); err == nil || err.Error() != "interrupted" {
		t.Errorf("%v", err)
	}
	for _, f := range []plan.Files{{Epoch: "yesterday", Compression: "gzip"}, {Epoch: testEpoch, Compression: "xz"}} {
		if _, _, err := Empty("base").Apply(t.Context(), f, nil); err == nil {
			t.Errorf("took %v", f)
		}
	}
}

// Without an owner or a choice of attributes a copy keeps all there is.
func TestFaithfulCopy(t *testing.T) {
	st := testStore(t)
	src := image(t, st, "src", layer(t, dir("d/").owner(1, 2).mode(0o2750).xattr("user.d", "1"), file("d/f", "x").owner(3, 4_000_000).mode(0o4711).at(-5).xattr("user.x", "\x00").xattr("security.capability", "c"), sym("d/l", "f").owner(5, 6)))
	c, _ := apply(t, Empty("base"), sources(src), plan.Action{Copy: &plan.Copy{Source: "src", From: "/", To: "/", KeepTimes: true}})
	equal(t, "layer", made(t, st, c), `
5 2750 1:2 0 d/ user.d="1"
2 0777 5:6 0 d/l -> f
0 4711 3:4000000 -5 d/f "x" security.capability="c" user.x="\x00"
`)
}

func TestLinkToAReplacedName(t *testing.T) {
	st := testStore(t)
	src := image(t, st, "src", layer(t, file("a", "linked"), hard("b", "a"), hard("c", "a")))
	c, _ := apply(t, Empty("base"), sources(src), plan.Action{Copy: &plan.Copy{Source: "src", From: "/", To: "/"}}, plan.Action{Write: &plan.Write{Path: "/a", Content: "new", Mode: "0644"}})
	equal(t, "layer", made(t, st, c), `
0 0644 0:0 epoch a "new"
0 0644 0:0 epoch b "linked"
1 0644 0:0 epoch c -> b
`)
}

// One file copied to several names, longer than is kept in memory.
func TestCopiesOfOneFile(t *testing.T) {
	st := testStore(t)
	body := strings.Repeat("0123456789abcdef", 100_000)
	src := image(t, st, "src", layer(t, file("f", body), file("g", "g")))
	to := func(p string) plan.Action { return plan.Action{Copy: &plan.Copy{Source: "src", From: "/f", To: p}} }
	c, _ := apply(t, Empty("base"), sources(src), to("/z"), to("/y"), to("/x/w"), plan.Action{Copy: &plan.Copy{Source: "src", From: "/g", To: "/g"}})
	equal(t, "layer", made(t, st, c), `
5 0755 0:0 epoch x/
0 0644 0:0 epoch x/w 1600000 bytes
0 0644 0:0 epoch y 1600000 bytes
0 0644 0:0 epoch z 1600000 bytes
0 0644 0:0 epoch g "g"
`)
	if u, err := st.Usage(); err != nil || u.Temp != 0 {
		t.Errorf("left %+v, %v", u, err)
	}
}

func TestStat(t *testing.T) {
	st := testStore(t)
	img := image(t, st, "img", layer(t, dir("usr/"), file("usr/os-release", "abc"), dir("etc/"), sym("etc/os-release", "../usr/os-release"), sym("etc/gone", "x")))
	e, err := img.Stat("/etc/os-release")
	check(t, err)
	if e.Type != tar.TypeReg || e.Size != 3 {
		t.Errorf("%+v", e)
	}
	for _, p := range []string{"/etc/gone", "/nothing", "/etc/../../nothing"} {
		if _, err := img.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
