package compile

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFollow(t *testing.T) {
	link := func(text string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(text), Mode: fs.ModeSymlink | 0o777}
	}
	tree := fstest.MapFS{
		"m/key.pem":       {Data: []byte("x")},
		"m/beside":        link("key.pem"),
		"m/up":            link("../shared/motd"),
		"m/over":          link("../../etc/passwd"),
		"m/absolute":      link("/etc/passwd"),
		"m/circle":        link("circle"),
		"m/dir":           link("../shared"),
		"m/broken":        link("nowhere"),
		"shared/motd":     {Data: []byte("x")},
		"shared/out/file": link("../../../x"),
	}
	for _, c := range []struct{ path, name, link, err string }{
		{"key.pem", "m/key.pem", "", ""},
		{"./key.pem", "m/key.pem", "", ""},
		{"../m/key.pem", "m/key.pem", "", ""},
		{"../shared/motd", "shared/motd", "", ""},
		{"dir/motd", "shared/motd", "", ""},
		{"dir/../key.pem", "m/key.pem", "", ""}, // as everything that joins paths reads it
		{"beside", "m/key.pem", "key.pem", ""},
		{"up", "shared/motd", "../shared/motd", ""},
		{"dir", "shared", "../shared", ""},
		{"..", ".", "", ""},
		{"../..", "", "", "leaves"},
		{"../../m/key.pem", "", "", "leaves"},
		{"over", "", "", "leaves"},
		{"absolute", "", "", "leaves"},
		{"dir/out/file", "", "", "leaves"},
		{"/etc/passwd", "", "", "leaves"},
		{"~/key.pem", "", "", "leaves"},
		{`..\key.pem`, "", "", "leaves"},
		{"circle", "", "", "circle"},
		{"broken", "", "", "missing"},
		{"nothing", "", "", "missing"},
	} {
		files := newLocalFiles(&Manifest{FS: tree, Dir: "m"})
		found := files.find(c.path)
		var leaves *leavesError
		err := ""
		switch {
		case errors.As(found.err, &leaves):
			err = "leaves"
		case errors.Is(found.err, fs.ErrNotExist):
			err = "missing"
		case errors.Is(found.err, errCircle):
			err = "circle"
		case found.err != nil:
			err = found.err.Error()
		}
		if err != c.err || err == "" && (found.name != c.name || found.link != c.link || found.info == nil) {
			t.Errorf("%s: %+v, want %+v", c.path, found, c)
		}
	}
}

func TestLinksAreNamed(t *testing.T) {
	ps := Check(oneFamily(func(m *Manifest, f *Family) {
		m.FS = fstest.MapFS{"keys/a.pem": {Data: []byte("x")}, "key.pem": {Data: []byte("keys/a.pem"), Mode: fs.ModeSymlink | 0o777}}
		f.EdgeConfig = value("key.pem", 20)
	}))
	if p := has(ps, "CV0120"); p == nil || !strings.Contains(p.Help, `"keys/a.pem"`) {
		t.Errorf("%s", listing(ps))
	}
}

func TestMisfit(t *testing.T) {
	for _, c := range []struct{ text, kind, want string }{
		{"", publicKeys, "is empty"},
		{"hello", certificates, "is no PEM file"},
		{"-----BEGIN PRIVATE KEY-----\n", certificates, "holds a private key"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", publicKeys, "holds a private key"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n", publicKeys, "holds a private key"},
		{"-----BEGIN CERTIFICATE-----\nMIIB", certificates, "is damaged: a block of it is no PEM"},
		{"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", certificates, "holds a certificate that cannot be read"},
		{"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", publicKeys, "holds a public key that cannot be read"},
		{"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", certificates, "holds a public key, not a certificate"},
		{"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", publicKeys, "holds a x509 crl, not a public key"},
	} {
		if got := misfit([]byte(c.text), c.kind); got != c.want {
			t.Errorf("%q as %s: %q, want %q", c.text, c.kind, got, c.want)
		}
	}
}

// counting counts how often files are opened.
type counting struct {
	fstest.MapFS
	opened map[string]int
}

func (c counting) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.MapFS.Open(name)
}

// What many families name is read once.
func TestFilesAreReadOnce(t *testing.T) {
	tree := counting{fstest.MapFS{"etc/motd": {Data: []byte("x")}, "edge.yaml": {Data: []byte("x")}}, map[string]int{}}
	m := oneFamily(nil)
	m.FS, m.Families = tree, nil
	for i := range 100 {
		f := k3sFamily("store-"+itoa(i), 10+4*i, "1.30.4")
		f.Overlay = []Overlay{{Target: "/etc", Path: value("etc", 11)}}
		f.EdgeConfig = value("edge.yaml", 12)
		m.Families = append(m.Families, f)
	}
	if ps := Check(m); codes(ps) != "CV0251" {
		t.Errorf("%s", listing(ps))
	}
	for name, n := range tree.opened {
		if n > 3 {
			t.Errorf("%s is opened %d times", name, n)
		}
	}
	if tree.opened["edge.yaml"] == 0 {
		t.Error("nothing is counted")
	}
}
