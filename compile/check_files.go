package compile

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"strings"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// What a path of a manifest may lead to.
const (
	aFile     = "file"
	aTree     = "directory"
	eitherOne = "file or directory"
)

// checkLocalFiles judges the local files of the family, but for certificates.
func (s *subject) checkLocalFiles() {
	if s.SigningKey.V != "" && s.EdgeConfig.V != "" {
		s.report("CV0247", "edgeConfig", s.EdgeConfig.At, "signingKey and edgeConfig are two sources of one file",
			"put the key into "+quoted(s.EdgeConfig.V)+", and leave signingKey out"+at(s.SigningKey.At)).Also = []plan.Pos{s.SigningKey.At}
	}
	if text, ok := s.text("signingKey", s.SigningKey); ok {
		if why := misfit(text, publicKeys); why != "" {
			s.misfit("signingKey", s.SigningKey, why, "name the public half: openssl pkey -in "+s.SigningKey.V+" -pubout prints it")
		}
	}
	if text, ok := s.text("edgeConfig", s.EdgeConfig); ok && hasPrivateKey(text) {
		s.misfit("edgeConfig", s.EdgeConfig, "holds a private key", "leave the key out: every host of the image could read it")
	}
	for _, f := range []struct {
		path  string
		value Field[string]
	}{{"signingKey", s.SigningKey}, {"edgeConfig", s.EdgeConfig}} {
		if f.value.V != "" {
			s.report("CV0251", f.path, f.value.At, f.path+" has an effect on air-gapped hosts only",
				"acknowledge CV0251 if the hosts are, or leave "+f.path+" out", "hosts connected to Palette do not read the edge configuration")
			break
		}
	}
	if text, ok := s.text("hardwareSpecs", s.HardwareDB); ok && !json.Valid(text) {
		s.misfit("hardwareSpecs", s.HardwareDB, "is no JSON", "correct the file; jq . "+s.HardwareDB.V+" shows where")
	}
	places := map[string]Overlay{}
	for _, o := range s.Overlay {
		at := path.Clean(o.Target)
		if first, twice := places[at]; twice {
			s.report("CV0114", "overlay."+label(o.Target), o.Path.At, quoted(first.Target)+" and "+quoted(o.Target)+" are one place in the image",
				"join them into one tree").Also = []plan.Pos{first.Path.At}
		}
		places[at] = o
		s.checkOverlay(o)
	}
}

// checkOverlay judges a tree that is laid over the image.
func (s *subject) checkOverlay(o Overlay) {
	field := "overlay." + label(o.Target)
	if path.Clean(o.Target) != o.Target && path.Clean(o.Target)+"/" != o.Target || !path.IsAbs(o.Target) {
		s.report("CV0114", field, o.Path.At, quoted(o.Target)+" is not an absolute path in the image", "write "+quoted(path.Clean("/"+o.Target)))
	}
	if hidden(o.Target) {
		s.report("CV0134", field, o.Path.At, quoted(o.Target)+" is hidden on a running host, where /usr/local is a mount", "lay it over /usr or /opt")
	}
	found, ok := s.located(field, o.Path, eitherOne)
	if !ok {
		return
	}
	entries, err := s.files.tree(found.name)
	if err != nil {
		s.misfit(field, o.Path, "cannot be laid over an image: "+strings.ReplaceAll(err.Error(), found.name+"/", ""), "remove it from the tree")
		return
	}
	if len(entries) == 0 {
		s.misfit(field, o.Path, "holds no files", "put files into it, or remove the overlay; empty directories are not kept, as in git")
		return
	}
	if !found.info.IsDir() {
		return // modes of an archive's members are judged by who reads it
	}
	has := map[string]bool{}
	for _, e := range entries {
		for p := e.Path; p != "."; p = path.Dir(p) {
			has[p] = true
		}
	}
	for _, m := range o.Modes {
		if name := path.Clean(m.Key); !has[name] {
			s.report("CV0119", field+".modes."+label(m.Key), m.Value.At, quoted(m.Key)+" is not in "+quoted(o.Path.V), "remove the mode, or correct the path below the overlay")
		}
	}
}

// checkCertificates judges certificates that the image trusts.
func (s *subject) checkCertificates() {
	certs := s.Certificates
	names := map[string]Field[string]{}
	for i, c := range certs {
		field := "certificates[" + itoa(i) + "]"
		text, ok := s.text(field, c)
		if !ok {
			continue
		}
		if first, taken := names[path.Base(c.V)]; taken {
			s.report("CV0114", field, c.At, quoted(c.V)+" and "+quoted(first.V)+" have one file name: in the image one would replace the other",
				"rename one of them, or remove one").Also = []plan.Pos{first.At}
		} else {
			names[path.Base(c.V)] = c
		}
		if why := misfit(text, certificates); why != "" {
			s.misfit(field, c, why, "name a PEM file with certificates alone")
		}
		if s.runs("ubuntu") && s.release != nil && s.release.Certificates == catalog.CertDirectory && !strings.HasSuffix(c.V, ".crt") {
			name := strings.TrimSuffix(c.V, path.Ext(c.V)) + ".crt"
			s.report("CV0127", field, c.At, quoted(c.V)+" does not end in .crt: Ubuntu would ignore it", "rename the file to "+quoted(name))
		}
	}
	if s.release == nil || len(certs) == 0 {
		return
	}
	single := s.release.Certificates != catalog.CertDirectory
	both := "CanvOS's documentation says from 4.5.15 on, its code from v4.5.11"
	switch {
	case s.runs("rhel") && single:
		s.report("CV0250", "certificates", certs[0].At, "CanvOS "+s.release.Tag+" installs no certificates on rhel",
			`set canvos: "v4.5.11" or later`+at(s.Release.At)+", or put them into the base image", both)
	case !s.runs("ubuntu", "opensuse-leap", "rhel"):
		s.report("CV0250", "certificates", certs[0].At, "CanvOS installs no certificates on "+s.OS.Distribution.V, "put them into the base image")
	case single && len(certs) > 1:
		s.report("CV0250", "certificates", certs[1].At, "CanvOS "+s.release.Tag+" takes one certificate file, not "+itoa(len(certs)),
			`join them into one file, or set canvos: "v4.5.11" or later`+at(s.Release.At), "several files: "+both)
	}
}

// text reads a short local file; ok is false where the field is empty, or what
// is wrong was reported.
func (s *subject) text(field string, f Field[string]) (text []byte, ok bool) {
	if f.V == "" {
		return nil, false
	}
	found, ok := s.located(field, f, aFile)
	if !ok {
		return nil, false
	}
	text, err := s.files.text(found.name)
	switch {
	case errors.Is(err, errTooLarge):
		s.misfit(field, f, "is not what it should be: "+err.Error(), "name another file")
		return nil, false
	case err != nil:
		s.report("CV0009", field, f.At, "the file "+quoted(f.V)+" cannot be read: "+cause(err), "look at the file's permissions")
		return nil, false
	case len(text) == 0:
		s.misfit(field, f, "is empty", "name another file, or leave "+field+" out")
		return nil, false
	}
	return text, true
}

// located finds a local file, and reports what keeps it from being read.
func (s *subject) located(field string, f Field[string], kind string) (located, bool) {
	found := s.files.find(f.V)
	if p := unlocated(s.files, found, f, kind); p != nil {
		s.report(p.Code, field, f.At, p.Message, p.Help, p.Notes...)
		return found, false
	}
	return found, true
}

// unlocated is what keeps a path from leading to a file, or nil.
func unlocated(files *localFiles, found located, f Field[string], kind string) *problem.Problem {
	var leaves *leavesError
	switch err := found.err; {
	case errors.As(err, &leaves):
		return &problem.Problem{Code: "CV0121", Message: "the path " + quoted(f.V) + " leaves the module: " + leaves.why,
			Help: "move or copy it into the module, and write its path from the manifest's directory"}
	case errors.Is(err, fs.ErrNotExist):
		help := "correct the path: it is relative to the manifest's directory"
		if meant := files.nearest(f.V); meant != "" {
			help = "write " + quoted(meant)
		}
		return &problem.Problem{Code: "CV0119", Message: "there is no " + kind + " " + quoted(f.V), Help: help}
	case err != nil:
		return &problem.Problem{Code: "CV0009", Message: "the file " + quoted(f.V) + " cannot be read: " + cause(err), Help: "look at the file's permissions"}
	case found.link != "":
		return &problem.Problem{Code: "CV0120", Message: quoted(f.V) + " is a link", Help: "name what it leads to, " + quoted(path.Join(path.Dir(f.V), found.link))}
	case kind == aFile && found.info.IsDir():
		return &problem.Problem{Code: "CV0120", Message: quoted(f.V) + " is a directory, not a file", Help: "name a file in it"}
	case kind == aTree && !found.info.IsDir():
		return &problem.Problem{Code: "CV0120", Message: quoted(f.V) + " is a file, not a directory", Help: "name the directory"}
	}
	return nil
}

// misfit is a file that is not what it should be.
func (s *subject) misfit(field string, f Field[string], why, help string) {
	s.report("CV0120", field, f.At, quoted(f.V)+" "+why, help)
}

// cause is an error of the file system without the path, which a person knows
// by another name.
func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// hidden says whether a path in the image lies where a mount hides it.
func hidden(p string) bool {
	p = path.Clean(p)
	return p == "/usr/local" || strings.HasPrefix(p, "/usr/local/")
}
