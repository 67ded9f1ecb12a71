package rootfs

import (
	"archive/tar"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
)

// The rules are those by which CanvOS's own recipe composes images, as measured
// over awkward stand-ins; docs/differences.md names them. These are the copies
// as the recipe's steps ask for them.
func recipe(source string) plan.Copy { // provider agent: COPY +image/./* /
	return plan.Copy{Source: plan.Digest(source), From: "/", To: "/", EachTop: true, Owner: "0:0", Xattrs: "capability"}
}

func packages(source string) plan.Copy { // Kubernetes packages of v4.9.38
	return plan.Copy{Source: plan.Digest(source), From: "/", To: "/", KeepTimes: true, Owner: "0:0", Xattrs: "capability"}
}

func tree(source, from, to string) plan.Copy {
	return plan.Copy{Source: plan.Digest(source), From: from, To: to, Owner: "0:0", Xattrs: "capability"}
}

func do(cs ...plan.Copy) []plan.Action {
	var as []plan.Action
	for _, c := range cs {
		as = append(as, plan.Action{Copy: &c})
	}
	return as
}

const y2033 = 2_000_000_000

func TestRules(t *testing.T) {
	long := strings.Repeat("n", 200)
	for _, c := range []struct {
		name    string
		base    []entry
		src     []entry
		actions []plan.Action
		tree    string // the whole tree afterwards
		layer   string // the whole layer, where it matters
	}{{
		name:    "01 everything copied belongs to 0:0",
		src:     []entry{dir("d/").owner(5, 6), file("d/f", "x").owner(1000, 1000), sym("d/l", "f").owner(7, 8), file("g", "").owner(3_000_000, 9)},
		actions: do(recipe("src")),
		tree: `
dir 0755 0:0 epoch /d
file 0644 0:0 epoch /d/f 1
link 0777 0:0 epoch /d/l -> f
file 0644 0:0 epoch /g 0
`,
	}, {
		name: "02 modes survive a change of owner",
		src: []entry{dir("d/").mode(0o2750), file("d/suid", "x").mode(0o4755).owner(5, 5), file("d/none", "x").mode(0), dir("sticky/").mode(0o1777),
			file("d/sgid", "").mode(0o2711), sym("d/l", "x").mode(0o600)},
		actions: do(recipe("src")),
		tree: `
dir 2750 0:0 epoch /d
link 0777 0:0 epoch /d/l -> x
file 0000 0:0 epoch /d/none 1
file 2711 0:0 epoch /d/sgid 0
file 4755 0:0 epoch /d/suid 1
dir 1777 0:0 epoch /sticky
`,
	}, {
		name:    "03 times are the epoch",
		src:     []entry{dir("d/").at(1), file("d/f", "x").at(y2033), sym("d/l", "f").at(5), special("d/p", tar.TypeFifo, 0, 0).at(6)},
		actions: do(recipe("src")),
		tree: `
dir 0755 0:0 epoch /d
file 0644 0:0 epoch /d/f 1
link 0777 0:0 epoch /d/l -> f
fifo 0600 0:0 epoch /d/p
`,
	}, {
		name:    "03 but those of packages are kept",
		base:    []entry{dir("d/").at(77), file("d/old", "")},
		src:     []entry{dir("d/").at(1), file("d/f", "x").at(y2033), sym("d/l", "f").at(0), dir("d/e/").at(9)},
		actions: do(packages("src")),
		tree: `
dir 0755 0:0 1 /d
dir 0755 0:0 9 /d/e
file 0644 0:0 2000000000 /d/f 1
link 0777 0:0 0 /d/l -> f
file 0644 0:0 0 /d/old 0
`,
	}, {
		name:    "05 a capability survives, user attributes do not",
		base:    []entry{dir("d/").xattr("user.base", "b"), file("d/kept", "k").xattr("user.base", "b"), file("d/replaced", "r").xattr("user.base", "b").xattr("security.capability", "old")},
		src:     []entry{dir("d/").xattr("user.src", "s"), file("d/f", "x").xattr("user.src", "s").xattr("security.capability", capability), file("d/replaced", "new")},
		actions: do(recipe("src")),
		layer: `
5 0755 0:0 epoch d/ user.base="b"
0 0644 0:0 epoch d/f "x" security.capability="\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
0 0644 0:0 epoch d/replaced "new"
`,
	}, {
		name:    "06 hard links are kept within one source",
		src:     []entry{dir("d/"), file("d/b", "x"), hard("d/a", "d/b"), hard("top", "d/b"), dir("e/"), hard("e/c", "d/b")},
		actions: do(packages("src")),
		tree: `
dir 0755 0:0 0 /d
file 0644 0:0 0 /d/a 1 inode 1
file 0644 0:0 0 /d/b 1 inode 1
dir 0755 0:0 0 /e
file 0644 0:0 0 /e/c 1 inode 1
file 0644 0:0 0 /top 1 inode 1
`,
		layer: `
5 0755 0:0 0 d/
5 0755 0:0 0 e/
0 0644 0:0 0 d/a "x"
1 0644 0:0 0 d/b -> d/a
1 0644 0:0 0 e/c -> d/a
1 0644 0:0 0 top -> d/a
`,
	}, {
		name:    "06 and become files across top-level names",
		src:     []entry{dir("d/"), file("d/b", "x"), hard("d/a", "d/b"), hard("top", "d/b"), dir("e/"), hard("e/c", "d/b")},
		actions: do(recipe("src")),
		layer: `
5 0755 0:0 epoch d/
5 0755 0:0 epoch e/
0 0644 0:0 epoch d/a "x"
0 0644 0:0 epoch e/c "x"
0 0644 0:0 epoch top "x"
1 0644 0:0 epoch d/b -> d/a
`,
	}, {
		name:    "06 replacing one of three linked files leaves the other two linked",
		base:    []entry{file("a", "x"), hard("b", "a"), hard("c", "a")},
		src:     []entry{file("b", "new")},
		actions: do(recipe("src")),
		tree: `
file 0644 0:0 0 /a 1 inode 1
file 0644 0:0 epoch /b 3
file 0644 0:0 0 /c 1 inode 1
`,
		layer: `
0 0644 0:0 epoch b "new"
`,
	}, {
		name:    "07 fifos and devices are copied",
		src:     []entry{special("p", tar.TypeFifo, 0, 0), special("null", tar.TypeChar, 1, 3), special("loop", tar.TypeBlock, 7, 300)},
		actions: do(recipe("src")),
		layer: `
4 0600 0:0 epoch loop 7,300
3 0600 0:0 epoch null 1,3
6 0600 0:0 epoch p
`,
	}, {
		name:    "09 an existing directory takes mode, owner and time of the source's",
		base:    []entry{dir("etc/").owner(3, 4).at(5), file("etc/stays", "s").at(6), dir("tmp/").mode(0o1777), dir("other/").at(8)},
		src:     []entry{dir("etc/").mode(0o711).owner(9, 9), dir("tmp/").mode(0o700)},
		actions: do(recipe("src")),
		tree: `
dir 0711 0:0 epoch /etc
file 0644 0:0 6 /etc/stays 1
dir 0755 0:0 8 /other
dir 0700 0:0 epoch /tmp
`,
		layer: `
5 0711 0:0 epoch etc/
5 0700 0:0 epoch tmp/
`,
	}, {
		name:    "09 the last copy wins",
		src:     []entry{dir("a/"), dir("a/etc/").mode(0o711), dir("b/"), dir("b/etc/").mode(0o750)},
		actions: do(tree("src", "/a", "/"), tree("src", "/b", "/")),
		tree: `
dir 0750 0:0 epoch /etc
`,
	}, {
		name:    "10 the directory named as the source gives its attributes to nobody",
		base:    []entry{dir("etc/").at(1), dir("etc/branding/").mode(0o711).owner(7, 7).at(2)},
		src:     []entry{dir("b/").mode(0o700), file("b/f", "")},
		actions: do(tree("src", "/b", "/etc/branding")),
		tree: `
dir 0755 0:0 1 /etc
dir 0711 7:7 epoch /etc/branding
file 0644 0:0 epoch /etc/branding/f 0
`,
	}, {
		name:    "11 nor to one that is made",
		base:    []entry{dir("etc/").owner(1, 1).mode(0o700)},
		src:     []entry{dir("b/").mode(0o711).owner(2, 2), file("b/f", "")},
		actions: do(tree("src", "/b", "/etc/kairos/branding")),
		tree: `
dir 0700 1:1 epoch /etc
dir 0755 0:0 epoch /etc/kairos
dir 0755 0:0 epoch /etc/kairos/branding
file 0644 0:0 epoch /etc/kairos/branding/f 0
`,
	}, {
		name:    "12 the root has no entry",
		src:     []entry{dir("./").mode(0o711).owner(5, 6), file("./f", "")},
		actions: do(recipe("src"), packages("src")),
		layer: `
0 0644 0:0 0 f
`,
	}, {
		name:    "13 the parent of a single file keeps mode and owner",
		base:    []entry{dir("usr/").at(3), dir("usr/bin/").mode(0o711).owner(7, 7).at(4)},
		src:     []entry{file("etcdctl", "x").mode(0o755), file("config", "y")},
		actions: do(tree("src", "/etcdctl", "/usr/bin/etcdctl"), tree("src", "/config", "/etc/elemental/config.yaml")),
		layer: `
5 0755 0:0 epoch etc/
5 0755 0:0 epoch etc/elemental/
5 0755 0:0 3 usr/
5 0711 7:7 epoch usr/bin/
0 0755 0:0 epoch usr/bin/etcdctl "x"
0 0644 0:0 epoch etc/elemental/config.yaml "y"
`,
	}, {
		name:    "14 names are what they are",
		src:     []entry{dir("d/"), file("d/a b", ""), file("d/é", ""), file("d/"+long, ""), file("d/[x]*?", ""), file(".hidden", ""), dir(".hid/"), file(".hid/x", "")},
		actions: do(recipe("src")),
		tree: `
dir 0755 0:0 epoch /.hid
file 0644 0:0 epoch /.hid/x 0
file 0644 0:0 epoch /.hidden 0
dir 0755 0:0 epoch /d
file 0644 0:0 epoch /d/[x]*? 0
file 0644 0:0 epoch /d/a b 0
file 0644 0:0 epoch /d/` + long + ` 0
file 0644 0:0 epoch /d/é 0
`,
	}, {
		name:    "15 links at the top are followed",
		src:     []entry{dir("usr/"), dir("usr/lib/").mode(0o711), file("usr/lib/x", "1"), sym("lib", "usr/lib"), sym("f", "/usr/lib/x")},
		actions: do(recipe("src")),
		tree: `
file 0644 0:0 epoch /f 1
dir 0711 0:0 epoch /lib
file 0644 0:0 epoch /lib/x 1
dir 0755 0:0 epoch /usr
dir 0711 0:0 epoch /usr/lib
file 0644 0:0 epoch /usr/lib/x 1
`,
	}, {
		name:    "15 but not those of packages",
		src:     []entry{dir("usr/"), sym("lib", "usr/lib"), sym("gone", "/nowhere"), sym("round", "round")},
		actions: do(packages("src")),
		tree: `
link 0777 0:0 0 /gone -> /nowhere
link 0777 0:0 0 /lib -> usr/lib
link 0777 0:0 0 /round -> round
dir 0755 0:0 0 /usr
`,
	}, {
		name:    "16 links below the top stay links",
		src:     []entry{dir("d/"), dir("e/"), sym("d/l", "../e"), sym("d/m", "/e")},
		actions: do(recipe("src")),
		tree: `
dir 0755 0:0 epoch /d
link 0777 0:0 epoch /d/l -> ../e
link 0777 0:0 epoch /d/m -> /e
dir 0755 0:0 epoch /e
`,
	}, {
		name: "17 where upstream fails, a link that leads nowhere is copied as it is",
		src: []entry{dir("d/"), sym("d/gone", "x"), sym("d/abs", "/usr/bin/base-only"), sym("d/round", "round"), sym("gone", "/usr/bin/base-only"), sym("round", "round"),
			sym("up", "../../../d")},
		actions: do(recipe("src")),
		tree: `
dir 0755 0:0 epoch /d
link 0777 0:0 epoch /d/abs -> /usr/bin/base-only
link 0777 0:0 epoch /d/gone -> x
link 0777 0:0 epoch /d/round -> round
link 0777 0:0 epoch /gone -> /usr/bin/base-only
link 0777 0:0 epoch /round -> round
dir 0755 0:0 epoch /up
link 0777 0:0 epoch /up/abs -> /usr/bin/base-only
link 0777 0:0 epoch /up/gone -> x
link 0777 0:0 epoch /up/round -> round
`,
	}, {
		name: "18 single files are followed, inside the source",
		base: []entry{dir("real/"), file("real/f", "of the base")},
		src:  []entry{sym("l", "/real/f"), dir("real/"), file("real/f", "of the source")},
		actions: []plan.Action{
			{Copy: &plan.Copy{Source: "src", From: "/l", To: "/80_stylus.yaml", Follow: true, Optional: true}},
			{Copy: &plan.Copy{Source: "src", From: "/l", To: "/l"}},
		},
		layer: `
2 0777 0:0 epoch l -> /real/f
0 0644 0:0 epoch 80_stylus.yaml "of the source"
`,
	}, {
		name:    "19 what is optional and absent is skipped",
		base:    []entry{dir("etc/").at(1)},
		src:     []entry{file("other", "")},
		actions: []plan.Action{{Copy: &plan.Copy{Source: "src", From: "/etc/80_stylus.yaml", To: "/etc/x/80_stylus.yaml", Optional: true}}},
		tree: `
dir 0755 0:0 1 /etc
`,
		layer: ``,
	}, {
		name: "20 the order of actions is visible",
		base: []entry{dir("etc/"), dir("etc/logrotate.d/")},
		src: []entry{dir("overlay/"), dir("overlay/etc/"), dir("overlay/etc/logrotate.d/"), file("overlay/etc/logrotate.d/stylus.conf", "overlay").mode(0o600),
			dir("pkg/"), dir("pkg/etc/"), dir("pkg/etc/logrotate.d/"), file("pkg/etc/logrotate.d/stylus.conf", "package").mode(0o600), dir("pkg/usr/"), file("pkg/usr/etcdctl", "package"), file("etcdctl", "third party")},
		actions: append(append(do(tree("src", "/overlay", "/")),
			plan.Action{Attr: &plan.Attr{Path: "/etc/logrotate.d/stylus.conf", Mode: "0644"}}),
			do(tree("src", "/pkg", "/"), tree("src", "/etcdctl", "/usr/etcdctl"))...),
		layer: `
5 0755 0:0 epoch etc/
5 0755 0:0 epoch etc/logrotate.d/
5 0755 0:0 epoch usr/
0 0600 0:0 epoch etc/logrotate.d/stylus.conf "package"
0 0644 0:0 epoch usr/etcdctl "third party"
`,
	}, {
		name: "21 host keys of any origin are removed, the directory keeps the last mode",
		base: []entry{dir("etc/"), dir("etc/ssh/"), file("etc/ssh/ssh_host_rsa_key", ""), file("etc/ssh/sshd_config", "").at(4)},
		src:  []entry{dir("etc/"), dir("etc/ssh/").mode(0o750), file("etc/ssh/ssh_host_ed25519_key", ""), file("etc/ssh/moduli", "")},
		actions: append(do(recipe("src")),
			plan.Action{Remove: &plan.Remove{Path: "/etc/ssh/ssh_host_*"}}, plan.Action{Remove: &plan.Remove{Path: "/etc/ssh/moduli"}}),
		tree: `
dir 0755 0:0 epoch /etc
dir 0750 0:0 epoch /etc/ssh
file 0644 0:0 4 /etc/ssh/sshd_config 0
`,
		layer: `
5 0755 0:0 epoch etc/
5 0750 0:0 epoch etc/ssh/
0 0644 0:0 epoch etc/ssh/.wh.ssh_host_rsa_key
`,
	}, {
		name:    "22 machine-id is only touched",
		base:    []entry{dir("etc/").at(7), file("etc/machine-id", "").mode(0o644)},
		src:     []entry{dir("etc/"), file("etc/machine-id", "0123").mode(0o600).owner(4, 4)},
		actions: append(do(recipe("src")), plan.Action{Touch: &plan.Touch{Path: "/etc/machine-id", Mode: "0444"}}),
		layer: `
5 0755 0:0 epoch etc/
0 0444 0:0 epoch etc/machine-id "0123"
`,
	}, {
		name:    "22 the base's empty one holds otherwise",
		base:    []entry{dir("etc/").at(7), file("etc/machine-id", "").mode(0o644).at(8)},
		actions: []plan.Action{{Touch: &plan.Touch{Path: "/etc/machine-id", Mode: "0444"}}},
		layer: `
5 0755 0:0 7 etc/
0 0444 0:0 epoch etc/machine-id
`,
	}, {
		name:    "23 what is made and removed in one step leaves the time of its directory",
		base:    []entry{dir("tmp/").mode(0o1777).at(9), file("tmp/.hidden", "")},
		src:     []entry{file("helper", "x")},
		actions: append(do(tree("src", "/helper", "/tmp/helper")), plan.Action{Remove: &plan.Remove{Path: "/tmp/helper"}}),
		layer: `
5 1777 0:0 epoch tmp/
`,
	}} {
		t.Run(c.name, func(t *testing.T) {
			st := testStore(t)
			base := image(t, st, "base", layer(t, c.base...))
			src := image(t, st, "src", layer(t, c.src...))
			before := listTree(base)
			change, next := apply(t, base, sources(src), c.actions...)
			if c.tree != "" {
				equal(t, "tree", listTree(next), c.tree)
			}
			var got string
			var made *Layer
			if !change.Empty() {
				r, _, err := Write(t.Context(), st, change, Options{})
				check(t, err)
				got, made = listLayer(t, st, r), ofRecord(st, r)
			}
			if c.layer != "" || c.tree == "" {
				equal(t, "layer", got, c.layer)
			}
			if made != nil {
				whole := image(t, st, "base", layer(t, c.base...), made)
				equal(t, "the tree by layers", listTree(whole), listTree(next))
			}
			equal(t, "the tree that was there", listTree(base), before)
		})
	}
}

func TestRule04FractionsOfSecondsAreCut(t *testing.T) {
	h := file("d/f", "x").at(5)
	h.ModTime = h.ModTime.Add(999999999)
	h.Format = tar.FormatPAX
	d := dir("d/").at(6)
	d.ModTime = d.ModTime.Add(1)
	d.Format = tar.FormatPAX
	st := testStore(t)
	src := image(t, st, "src", layer(t, d, h))
	base := image(t, st, "base", layer(t, d))
	c, _ := apply(t, base, sources(src), do(packages("src"))...)
	equal(t, "layer", made(t, st, c), "5 0755 0:0 6 d/\n0 0644 0:0 5 d/f \"x\"\n")
	c, _ = apply(t, base, sources(src), do(tree("src", "/d", "/d/e/g"))...)
	equal(t, "parents", made(t, st, c), "5 0755 0:0 epoch d/\n5 0755 0:0 epoch d/e/\n5 0755 0:0 epoch d/e/g/\n0 0644 0:0 epoch d/e/g/f \"x\"\n")
}

func TestRule08OnlyTheMergedViewOfASourceCounts(t *testing.T) {
	st := testStore(t)
	src := image(t, st, "src", layer(t, dir("d/"), file("d/gone", "1"), file("d/f", "1"), dir("o/"), file("o/low", "")), layer(t, file("d/.wh.gone", ""), file("d/f", "22"), file("o/.wh..wh..opq", ""), file("o/high", "")))
	base := image(t, st, "base", layer(t, dir("d/"), file("d/gone", "of the base")))
	c, next := apply(t, base, sources(src), do(recipe("src"))...)
	equal(t, "tree", listTree(next), `
dir 0755 0:0 epoch /d
file 0644 0:0 epoch /d/f 2
file 0644 0:0 0 /d/gone 11
dir 0755 0:0 epoch /o
file 0644 0:0 epoch /o/high 0
`)
	equal(t, "layer", made(t, st, c), `
5 0755 0:0 epoch d/
5 0755 0:0 epoch o/
0 0644 0:0 epoch o/high
0 0644 0:0 epoch d/f "22"
`)
}

func TestRule24TheWorkingDirectoryOfTheSource(t *testing.T) {
	st := testStore(t)
	src := image(t, st, "src", layer(t, dir("etc/"), dir("etc/conflict/"), file("etc/conflict/f", ""), file("other", "")))
	for dir, want := range map[string]string{
		"/etc/conflict": "file 0644 0:0 epoch /f 0\n",
		"etc/conflict/": "file 0644 0:0 epoch /f 0\n",
		"":              "dir 0755 0:0 epoch /etc\ndir 0755 0:0 epoch /etc/conflict\nfile 0644 0:0 epoch /etc/conflict/f 0\nfile 0644 0:0 epoch /other 0\n",
	} {
		open := func(plan.Digest) (Source, error) { return Source{src, dir}, nil }
		for _, from := range []string{".", "/"} {
			c := recipe("src")
			c.From, c.FromWorkdir = from, true
			_, next := apply(t, Empty("base"), open, do(c)...)
			equal(t, dir, listTree(next), want)
		}
	}
}

// The table of conflicts with the base: what upstream does, and where it fails,
// what canvos does instead.
func TestConflicts(t *testing.T) {
	base := []entry{dir("usr/"), dir("usr/lib/").at(3), file("usr/lib/low", ""), dir("full/"), file("full/x", ""), dir("empty/"), file("f", "old").mode(0o4755).xattr("user.a", "b").xattr("security.capability", "c"),
		sym("lib", "usr/lib"), sym("abs", "/usr/lib"), sym("up", "../../usr/lib"), sym("tofile", "f"), sym("gone", "nowhere"), sym("round", "round"), sym("twice", "lib")}
	for _, c := range []struct {
		name string
		src  []entry
		want string // lines of the tree that are other than before, or the error
	}{
		{"directory over a link to a directory", []entry{dir("lib/").mode(0o711), file("lib/new", "")}, "dir 0711 0:0 epoch /usr/lib\nfile 0644 0:0 epoch /usr/lib/new 0\n"},
		{"over an absolute one", []entry{dir("abs/"), file("abs/new", "")}, "dir 0755 0:0 epoch /usr/lib\nfile 0644 0:0 epoch /usr/lib/new 0\n"},
		{"over one that climbs above the root", []entry{dir("up/"), file("up/new", "")}, "dir 0755 0:0 epoch /usr/lib\nfile 0644 0:0 epoch /usr/lib/new 0\n"},
		{"over a link to a link", []entry{dir("twice/"), dir("twice/d/"), file("twice/d/new", "")}, "dir 0755 0:0 epoch /usr/lib\ndir 0755 0:0 epoch /usr/lib/d\nfile 0644 0:0 epoch /usr/lib/d/new 0\n"},
		{"over a dangling link", []entry{dir("gone/")}, "copy / of src to /: /gone is a directory in src, and a link to nowhere, which does not exist, in base"},
		{"over a link in a circle", []entry{dir("round/")}, "copy / of src to /: find /round: too many links"},
		{"over a link to a file", []entry{dir("tofile/")}, "copy / of src to /: /tofile is a directory in src, and a link to f, which is no directory, in base"},
		{"directory over a file", []entry{dir("f/"), file("f/x", "")}, "copy / of src to /: /f is a directory in src, and a file in base"},
		{"file over a directory", []entry{file("full", "")}, "copy / of src to /: /full is a file in src, and a directory in base"},
		{"file over an empty directory", []entry{file("empty", "")}, "copy / of src to /: /empty is a file in src, and a directory in base"},
		{"link over a directory", []entry{sym("full", "usr")}, "copy / of src to /: /full is a link to usr in src, and a directory in base"},
		{"file over a link", []entry{file("lib", "x")}, "file 0644 0:0 epoch /lib 1\n"},
		{"file over a dangling link", []entry{file("gone", "x")}, "file 0644 0:0 epoch /gone 1\n"},
		{"link over a file", []entry{sym("f", "usr")}, "link 0777 0:0 epoch /f -> usr\n"},
		{"link over a link", []entry{sym("lib", "usr")}, "link 0777 0:0 epoch /lib -> usr\n"},
		{"file over a file", []entry{file("f", "new")}, "file 0644 0:0 epoch /f 3\n"},
		{"fifo over a file", []entry{special("f", tar.TypeFifo, 0, 0)}, "fifo 0600 0:0 epoch /f\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := testStore(t)
			before := image(t, st, "base", layer(t, base...))
			src := image(t, st, "src", layer(t, c.src...))
			cp := recipe("src")
			cp.EachTop = false // a link stays a link
			change, after, err := before.Apply(t.Context(), files(do(cp)...), sources(src))
			if err != nil {
				equal(t, "error", err.Error(), c.want)
				return
			}
			equal(t, "new lines", newLines(listTree(before), listTree(after)), c.want)
			r, _, err := Write(t.Context(), st, change, Options{})
			check(t, err)
			equal(t, "the tree by layers", listTree(image(t, st, "base", layer(t, base...), ofRecord(st, r))), listTree(after))
		})
	}
	t.Run("two sources of one step", func(t *testing.T) {
		st := testStore(t)
		a := image(t, st, "a", layer(t, dir("x/"), file("x/y", "")))
		b := image(t, st, "b", layer(t, file("x", "")))
		_, _, err := Empty("base").Apply(t.Context(), files(do(recipe("a"), recipe("b"))...), sources(a, b))
		equal(t, "error", err.Error(), "copy / of b to /: /x is a file in b, and a directory in a")
	})
}

func newLines(before, after string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(after, "\n") {
		if !strings.Contains("\n"+before, "\n"+line) {
			b.WriteString(line)
		}
	}
	return b.String()
}
