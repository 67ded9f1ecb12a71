package rootfs

import (
	"archive/tar"
	"fmt"
	"maps"
	"path"
	"strings"

	"canvos.dev/compile/plan"
)

// ConflictError says that a directory would have to take the place of something
// else, or the reverse. Either would lose what was there, so neither is done.
type ConflictError struct {
	Path     string
	Source   string // what brings New
	New      string // "a directory", "a file", "a link to usr/lib"
	Existing string
	Origin   string // what brought Existing
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s is %s in %s, and %s in %s", e.Path, e.New, e.Source, e.Existing, e.Origin)
}

func (a *applying) copy(c plan.Copy) error {
	src, err := a.open(c.Source)
	if err != nil {
		return err
	}
	cp := &copying{applying: a, src: src, opts: c}
	if err := cp.run(); err != nil {
		return fmt.Errorf("copy %s of %s to %s: %w", cp.opts.From, src.name, c.To, err)
	}
	a.layers = append(a.layers, src.layers...)
	return nil
}

type copying struct {
	*applying
	src        Source
	opts       plan.Copy
	chown      bool
	uid, gid   int
	linkedHere map[*Entry]*Entry // files of the source with several names, and what they became
}

func (c *copying) run() (err error) {
	if c.opts.FromWorkdir {
		c.opts.From = path.Join("/", c.src.WorkingDir, c.opts.From)
	}
	for _, p := range []string{c.opts.From, c.opts.To} {
		if err := clean(p); err != nil {
			return err
		}
	}
	if c.opts.Owner != "" {
		if c.uid, c.gid, err = parseOwner(c.opts.Owner); err != nil {
			return err
		}
		c.chown = true
	}
	if x := c.opts.Xattrs; x != "" && x != "all" && x != "capability" {
		return fmt.Errorf("unknown choice of extended attributes %q (known: all, capability)", x)
	}
	at, err := c.src.root.walk(c.opts.From, false)
	switch {
	case err != nil:
		return err
	case at.node == nil && c.opts.Optional:
		return nil
	case at.node == nil:
		return at.absent()
	}
	from := at.node
	if c.opts.Follow {
		from = c.followed(c.opts.From, from)
	}
	c.linkedHere = map[*Entry]*Entry{}
	if !from.ent.dir() {
		dir, name, err := c.parent(c.opts.To)
		if err != nil {
			return err
		}
		c.touched(dir)
		return c.node(from, dir, name, path.Dir(c.opts.To))
	}
	to, _, err := c.dir(c.opts.To)
	if err != nil {
		return err
	}
	c.touched(to)
	for _, k := range from.kids {
		if c.opts.EachTop {
			clear(c.linkedHere)
			top := *c.followed(path.Join(c.opts.From, k.name), k)
			top.name, k = k.name, &top
		}
		if err := c.node(k, to, k.name, c.opts.To); err != nil {
			return err
		}
	}
	return nil
}

// followed is what a link of the source leads to; the link itself if it leads
// nowhere, or in a circle.
func (c *copying) followed(p string, n *node) *node {
	if n.ent.Type != tar.TypeSymlink {
		return n
	}
	at, err := c.src.root.walk(p, true)
	if err != nil || at.node == nil {
		return n
	}
	return at.node
}

// node copies src to name in dir, which is the edit's and is called at.
func (c *copying) node(src *node, dir *node, name, at string) error {
	p := path.Join(at, name)
	if strings.HasPrefix(name, whiteout) {
		return fmt.Errorf("%s: a name that begins with %s cannot be put in an image", p, whiteout)
	}
	old := dir.kid(name)
	if !src.ent.dir() {
		if old != nil && old.ent.dir() {
			return c.conflict(p, src.ent, old.ent.kind(), old.ent)
		}
		c.put(dir, name, c.entry(src.ent))
		return nil
	}
	var to *node
	switch {
	case old == nil:
		to = c.put(dir, name, c.entry(src.ent))
	case old.ent.dir():
		to = c.kid(dir, name)
		to.ent = c.merged(src.ent, to.ent)
	case old.ent.Type == tar.TypeSymlink:
		// at may lead through links itself, so the way down starts at the root.
		real, err := c.root.walk(p, true)
		if err != nil {
			return err
		}
		if real.node == nil {
			return c.conflict(p, src.ent, old.ent.kind()+", which does not exist,", old.ent)
		}
		if !real.node.ent.dir() {
			return c.conflict(p, src.ent, old.ent.kind()+", which is no directory,", old.ent)
		}
		if to = c.at(real.names); to != c.root {
			to.ent = c.merged(src.ent, to.ent)
		}
	default:
		return c.conflict(p, src.ent, old.ent.kind(), old.ent)
	}
	for _, k := range src.kids {
		if err := c.node(k, to, k.name, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *copying) conflict(p string, src *Entry, existing string, old *Entry) error {
	return &ConflictError{p, c.src.name, src.kind(), existing, c.from(old)}
}

// entry is what an entry of the source becomes.
func (c *copying) entry(src *Entry) *Entry {
	if src.linked {
		if e := c.linkedHere[src]; e != nil {
			return e
		}
	}
	e := *src
	e.origin = c.src.name
	if c.chown {
		e.UID, e.GID = c.uid, c.gid
	}
	if !c.opts.KeepTimes || e.Time == noTime {
		e.Time = c.epoch
	}
	if c.opts.Xattrs == "capability" {
		e.Xattrs = nil
		if v, ok := src.Xattrs["security.capability"]; ok {
			e.Xattrs = map[string]string{"security.capability": v}
		}
	}
	if src.linked {
		c.linkedHere[src] = &e
	}
	return &e
}

// merged is what a directory becomes when one of the source is laid over it: the
// source's, but that no attribute is taken away.
func (c *copying) merged(src, old *Entry) *Entry {
	e := c.entry(src)
	for k, v := range old.Xattrs {
		if _, ok := e.Xattrs[k]; !ok {
			e.Xattrs = maps.Clone(e.Xattrs)
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[k] = v
		}
	}
	return e
}
