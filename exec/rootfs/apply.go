package rootfs

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"canvos.dev/compile/plan"
)

// Apply carries out the actions of a step on t, in order. It returns what they
// change and the tree they lead to; t stays as it is. No content is read. open
// finds the source of a Copy.
//
// What an action touches gets the time of the step: what it makes, and the
// directory it makes it in or removes it from, which keeps mode and owner.
// Missing parents are made 0755 0:0. The root itself never changes.
func (t *Tree) Apply(ctx context.Context, files plan.Files, open func(plan.Digest) (Source, error)) (*Change, *Tree, error) {
	epoch, err := time.Parse(time.RFC3339, files.Epoch)
	if err != nil {
		return nil, nil, fmt.Errorf("epoch %q: %w", files.Epoch, err)
	}
	a := &applying{edit: t.edit(), base: t, epoch: epoch.Unix(), open: open}
	for _, action := range files.Actions {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		if err := a.do(action); err != nil {
			return nil, nil, err
		}
	}
	// Contents of the tree itself come last: only what was touched is read again.
	layers := append(a.layers, t.layers...)
	next := &Tree{t.name, a.root, layers}
	c, err := changeOf(t, next, files.Compression, a.epoch)
	return c, next, err
}

type applying struct {
	*edit
	base   *Tree
	epoch  int64
	open   func(plan.Digest) (Source, error)
	layers []*Layer // of the sources, in the order they were copied from
}

func (a *applying) do(action plan.Action) error {
	var deed string
	var err error
	switch {
	case action.Copy != nil:
		return a.copy(*action.Copy) // names its source in its errors
	case action.Write != nil:
		deed, err = "write "+action.Write.Path, a.write(*action.Write)
	case action.Mkdir != nil:
		deed, err = "make directory "+action.Mkdir.Path, a.mkdir(*action.Mkdir)
	case action.Link != nil:
		deed, err = "link "+action.Link.Path, a.link(*action.Link)
	case action.Touch != nil:
		deed, err = "touch "+action.Touch.Path, a.touch(*action.Touch)
	case action.Remove != nil:
		deed, err = "remove "+action.Remove.Path, a.remove(*action.Remove)
	case action.Attr != nil:
		deed, err = "change "+action.Attr.Path, a.attr(*action.Attr)
	case action.Expect != nil:
		return a.expect(*action.Expect)
	default:
		err = fmt.Errorf("an action that says nothing")
	}
	if err != nil && deed != "" {
		return fmt.Errorf("%s: %w", deed, err)
	}
	return err
}

// made is a new entry.
func (a *applying) made(typ byte, mode int64) *Entry {
	return &Entry{Type: typ, Mode: mode, Time: a.epoch, origin: "this step"}
}

// clean checks the path of an action; a plan that has others was not made by us.
func clean(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return fmt.Errorf("%q is not an absolute, clean path", p)
	}
	for _, name := range split(p) {
		if strings.HasPrefix(name, whiteout) {
			return fmt.Errorf("%q: a name that begins with %s cannot be put in an image", p, whiteout)
		}
	}
	return nil
}

// parent is the directory that holds p, ready to be changed, and made if it is
// missing; and p's last name.
func (a *applying) parent(p string) (*node, string, error) {
	if err := clean(p); err != nil {
		return nil, "", err
	}
	if p == "/" {
		return nil, "", fmt.Errorf("the root stays as it is")
	}
	dir, _, err := a.dir(path.Dir(p))
	return dir, path.Base(p), err
}

// dir is the directory at p, links followed, ready to be changed, and made if it
// is missing.
func (a *applying) dir(p string) (dir *node, made bool, err error) {
	at, err := a.root.walk(p, true)
	switch {
	case err != nil:
		return nil, false, err
	case at.link != "":
		return nil, false, at.absent()
	case at.node != nil && !at.node.ent.dir():
		return nil, false, fmt.Errorf("%s is %s, from %s", p, at.node.ent.kind(), a.from(at.node.ent))
	}
	dir = a.at(at.names)
	for _, name := range at.missing {
		a.touched(dir)
		dir = a.put(dir, name, a.made(tar.TypeDir, 0o755))
	}
	return dir, len(at.missing) > 0, nil
}

// touched gives a directory, which must be the edit's, the time of the step.
func (a *applying) touched(dir *node) {
	if dir == a.root || dir.ent.Time == a.epoch {
		return
	}
	ent := *dir.ent
	ent.Time = a.epoch
	dir.ent = &ent
}

// replace makes name in dir stand for ent. A directory is not replaced.
func (a *applying) replace(dir *node, name string, ent *Entry) error {
	if old := dir.kid(name); old != nil && old.ent.dir() {
		return fmt.Errorf("it is a directory, from %s", a.from(old.ent))
	}
	a.touched(dir)
	a.put(dir, name, ent)
	return nil
}

// from names the tree an entry came from.
func (a *applying) from(e *Entry) string {
	if e.origin == "" {
		return a.base.name
	}
	return e.origin
}

func (a *applying) write(w plan.Write) error {
	mode, err := parseMode(w.Mode)
	if err != nil {
		return err
	}
	dir, name, err := a.parent(w.Path)
	if err != nil {
		return err
	}
	ent := a.made(tar.TypeReg, mode)
	if ent.Size = int64(len(w.Content)); ent.Size > 0 {
		ent.content.blob = &blob{plan.DigestOf([]byte(w.Content)), func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(w.Content)), nil
		}}
	}
	return a.replace(dir, name, ent)
}

func (a *applying) mkdir(m plan.Mkdir) error {
	mode, err := parseMode(m.Mode)
	if err != nil {
		return err
	}
	if err := clean(m.Path); err != nil {
		return err
	}
	dir, _, err := a.dir(m.Path)
	if err != nil || dir == a.root {
		return err
	}
	ent := *dir.ent
	ent.Mode = mode
	dir.ent = &ent
	return nil
}

func (a *applying) link(l plan.Link) error {
	if l.Target == "" || strings.ContainsRune(l.Target, 0) {
		return fmt.Errorf("a link cannot lead to %q", l.Target)
	}
	dir, name, err := a.parent(l.Path)
	if err != nil {
		return err
	}
	ent := a.made(tar.TypeSymlink, 0o777)
	ent.Target = l.Target
	return a.replace(dir, name, ent)
}

func (a *applying) touch(t plan.Touch) error {
	mode, err := parseMode(t.Mode)
	if err != nil {
		return err
	}
	n, err := a.existing(t.Path)
	if err != nil {
		return err
	}
	if n == nil {
		at, err := a.root.walk(t.Path, true)
		if err != nil {
			return err
		}
		if at.link != "" && len(at.missing) > 1 {
			return at.absent()
		}
		p := t.Path
		if at.link != "" { // through a link to a file that is not there yet
			p = "/" + path.Join(path.Join(at.names...), at.missing[0])
		}
		dir, name, err := a.parent(p)
		if err != nil {
			return err
		}
		return a.replace(dir, name, a.made(tar.TypeReg, mode))
	}
	ent := *n.ent
	ent.Mode, ent.Time = mode, a.epoch
	n.ent = &ent
	return nil
}

func (a *applying) remove(r plan.Remove) error {
	if err := clean(r.Path); err != nil {
		return err
	}
	if r.Path == "/" {
		return fmt.Errorf("the root stays as it is")
	}
	pattern := path.Base(r.Path)
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	at, err := a.root.walk(path.Dir(r.Path), true)
	if err != nil || at.node == nil || !at.node.ent.dir() {
		return nil // nothing to remove
	}
	var gone []string
	for _, k := range at.node.kids {
		if ok, _ := path.Match(pattern, k.name); ok {
			gone = append(gone, k.name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	dir := a.at(at.names)
	a.touched(dir)
	for _, name := range gone {
		dir.drop(name)
	}
	return nil
}

func (a *applying) attr(t plan.Attr) error {
	n, err := a.existing(t.Path)
	switch {
	case err != nil:
		return err
	case n == nil && t.Optional:
		return nil
	case n == nil:
		return fs.ErrNotExist
	case n == a.root:
		return fmt.Errorf("the root stays as it is")
	}
	ent := *n.ent
	if t.Mode != "" {
		if ent.Mode, err = parseMode(t.Mode); err != nil {
			return err
		}
	}
	if t.Owner != "" {
		if ent.UID, ent.GID, err = parseOwner(t.Owner); err != nil {
			return err
		}
	}
	if ent.Mode != n.ent.Mode || ent.UID != n.ent.UID || ent.GID != n.ent.GID {
		n.ent = &ent // other names of the file keep what they have, as on an overlay file system
	}
	return nil
}

// existing is what p leads to, ready to be changed; nil if nothing is there.
func (a *applying) existing(p string) (*node, error) {
	if err := clean(p); err != nil {
		return nil, err
	}
	at, err := a.root.walk(p, true)
	if err != nil || at.node == nil {
		return nil, err
	}
	return a.at(at.names), nil
}

func parseMode(s string) (int64, error) {
	m, err := strconv.ParseUint(s, 8, 16)
	if err != nil || m > 0o7777 {
		return 0, fmt.Errorf("mode %q is not up to four octal digits", s)
	}
	return int64(m), nil
}

func parseOwner(s string) (uid, gid int, err error) {
	u, g, _ := strings.Cut(s, ":")
	a, err1 := strconv.ParseUint(u, 10, 31)
	b, err2 := strconv.ParseUint(g, 10, 31)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("owner %q is not UID:GID in numbers", s)
	}
	return int(a), int(b), nil
}

// MissingError says that nothing is where a plan expects something.
type MissingError struct {
	What  string
	Paths []string
}

func (e *MissingError) Error() string {
	const most = 2
	places := e.Paths
	if len(places) > most+1 {
		places = append(places[:most:most], fmt.Sprintf("%d other places", len(places)-most))
	}
	return fmt.Sprintf("there is no %s: nothing is at %s", e.What, strings.Join(places, " or "))
}

func (a *applying) expect(t plan.Expect) error {
	for _, p := range t.Paths {
		if err := clean(p); err != nil {
			return err
		}
		if at, err := a.root.walk(p, true); err == nil && at.node != nil {
			return nil
		}
	}
	return &MissingError{t.What, t.Paths}
}
