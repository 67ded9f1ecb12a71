package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
)

// Read reads a plan from the document that plan -o json writes, and believes
// nothing of it: every step's identity and the plan's digest are computed again,
// and what Check demands is demanded. What that document says besides the plan
// (actions, reasons, bytes, problems, images that are kept, where inputs lie) is
// passed over; anything else that a plan does not have is an error.
func Read(text []byte) (Plan, error) {
	var doc struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Version    int               `json:"version"`
		Digest     Digest            `json:"digest"`
		Recipe     int               `json:"recipe"`
		Format     int               `json:"format"`
		Sources    []Source          `json:"sources"`
		Steps      []Step            `json:"steps"`
		Images     []json.RawMessage `json:"images"`
		Bytes      json.RawMessage   `json:"bytes"`
		Problems   json.RawMessage   `json:"problems"`
		Saved      json.RawMessage   `json:"saved"`
	}
	// The version first: a newer shape may have fields that are unknown here.
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Version    int    `json:"version"`
	}
	switch err := json.Unmarshal(text, &head); {
	case err != nil:
		return Plan{}, fmt.Errorf("read plan: %w", err)
	case head.APIVersion != apiVersion || head.Kind != "Plan":
		return Plan{}, fmt.Errorf("read plan: it is %q of %q, not a Plan of %s", head.Kind, head.APIVersion, apiVersion)
	case head.Version != Version:
		return Plan{}, fmt.Errorf("read plan: version %d is not known here (known: %d)", head.Version, Version)
	}
	if err := strict(text, &doc); err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	p := Plan{Version: doc.Version, Digest: doc.Digest, Recipe: doc.Recipe, Format: doc.Format, Sources: doc.Sources, Steps: doc.Steps, Images: []Image{}}
	for i, raw := range doc.Images {
		image, kept, err := readImage(raw)
		if err != nil {
			return Plan{}, fmt.Errorf("read plan: image %d: %w", i+1, err)
		}
		if !kept {
			p.Images = append(p.Images, image)
		}
	}
	if err := p.Check(); err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	return p, nil
}

const apiVersion = "canvos.dev/v1"

// readImage reads an image, with what a decision adds to it. An image that is
// kept is only named; it is none of the plan's.
func readImage(raw []byte) (Image, bool, error) {
	var i struct {
		Image
		Action string          `json:"action"`
		Reason string          `json:"reason"`
		Code   string          `json:"code"`
		Help   string          `json:"help"`
		Before json.RawMessage `json:"before"`
	}
	err := strict(raw, &i)
	return i.Image, i.Action == "kept", err
}

// strict decodes one JSON value, and refuses fields that v does not have.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows the end")
	}
	return nil
}

// Check says what is wrong with a plan: the first thing found. A plan without an
// error is what engines rely on: digests and identities are right, steps come
// after those they need, each has one operation with as many needs as it takes,
// and every source that is used is listed.
func (p Plan) Check() error {
	if p.Version != Version {
		return fmt.Errorf("version %d is not known here (known: %d)", p.Version, Version)
	}
	if p.Recipe < 1 || p.Recipe > Recipe || p.Format < 1 || p.Format > Format {
		return fmt.Errorf("recipe %d, format %d are not known here (newest: %d, %d)", p.Recipe, p.Format, Recipe, Format)
	}
	sources := map[Digest]bool{}
	for i, s := range p.Sources {
		sources[s.Digest] = true
		if err := s.check(); err != nil {
			return fmt.Errorf("source %q: %w", s.Reference, err)
		}
		if i > 0 && compareSources(p.Sources[i-1], s) >= 0 {
			return fmt.Errorf("source %q: out of order, or twice", s.Reference)
		}
	}
	steps := map[Digest]Step{}
	for i, s := range p.Steps {
		if err := p.checkStep(s, steps, sources); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.Name, err)
		}
		steps[s.ID] = s
	}
	for i, image := range p.Images {
		if err := image.check(steps); err != nil {
			return fmt.Errorf("image %q: %w", image.Reference, err)
		}
		if i > 0 && p.Images[i-1].Reference >= image.Reference {
			return fmt.Errorf("image %q: out of order, or twice", image.Reference)
		}
	}
	sealed := p
	if err := sealed.Seal(); err != nil {
		return err
	}
	if sealed.Digest != p.Digest {
		return fmt.Errorf("the digest says %s, the plan is %s", p.Digest, sealed.Digest)
	}
	return nil
}

var (
	digestForm   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	platformForm = regexp.MustCompile(`^linux/[a-z0-9]+$`)
	modeForm     = regexp.MustCompile(`^[0-7]{4}$`)
	epochForm    = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`)
)

func (s Source) check() error {
	switch local := len(s.Reference) > 5 && s.Reference[:5] == "file:"; {
	case s.Reference == "":
		return errors.New("it has no reference")
	case !digestForm.MatchString(string(s.Digest)):
		return fmt.Errorf("%q is not a digest", s.Digest)
	case s.Size < 0:
		return fmt.Errorf("a size of %d", s.Size)
	case local && s.Platform != "":
		return errors.New("a local source with a platform")
	case !local && !platformForm.MatchString(s.Platform):
		return fmt.Errorf("%q is not a platform", s.Platform)
	}
	return nil
}

func (p Plan) checkStep(s Step, before map[Digest]Step, sources map[Digest]bool) error {
	fresh := s
	if err := fresh.Identify(p.Recipe, p.Format); err != nil {
		return err
	}
	if fresh.ID != s.ID {
		return fmt.Errorf("its identity says %s, it is %s", s.ID, fresh.ID)
	}
	if _, twice := before[s.ID]; twice {
		return errors.New("it is there twice")
	}
	for _, n := range s.Needs {
		need, ok := before[n]
		if !ok {
			return fmt.Errorf("it needs %s, which no step before it is", n)
		}
		if need.Op.Image != nil {
			return fmt.Errorf("it needs an image, %s, as a root filesystem", need.Name)
		}
	}
	var used []Digest
	needs := 1
	switch o := s.Op; {
	case o.count() != 1:
		return fmt.Errorf("it has %d operations", o.count())
	case o.Base != nil:
		needs, used = 0, []Digest{o.Base.Source}
		if !platformForm.MatchString(o.Base.Platform) {
			return fmt.Errorf("%q is not a platform", o.Base.Platform)
		}
	case o.Run != nil:
		var err error
		if used, needs, err = s.mounted(); err != nil {
			return err
		}
	case o.Image != nil:
		needs = len(o.Image.Platforms)
		if needs == 0 || !epochForm.MatchString(o.Image.Epoch) {
			return fmt.Errorf("platforms %q, epoch %q", o.Image.Platforms, o.Image.Epoch)
		}
	case o.Files != nil:
		if !epochForm.MatchString(o.Files.Epoch) || o.Files.Compression != "gzip" && o.Files.Compression != "zstd" {
			return fmt.Errorf("epoch %q, compression %q", o.Files.Epoch, o.Files.Compression)
		}
		for i, a := range o.Files.Actions {
			if err := a.check(); err != nil {
				return fmt.Errorf("action %d: %w", i+1, err)
			}
			if a.Copy != nil {
				used = append(used, a.Copy.Source)
			}
		}
	}
	if len(s.Needs) != needs {
		return fmt.Errorf("it has %d needs, not %d", len(s.Needs), needs)
	}
	for _, d := range used {
		if !sources[d] {
			return fmt.Errorf("it uses %q, which is no source of the plan", d)
		}
	}
	return nil
}

// mounted is the sources that a Run mounts, and how many steps it needs.
func (s Step) mounted() (sources []Digest, needs int, err error) {
	others := []Digest{}
	for _, m := range s.Op.Run.Mounts {
		if (m.Source == "") == (m.Step == "") {
			return nil, 0, fmt.Errorf("the mount at %s is of a source or of a step", m.To)
		}
		if m.Source != "" {
			sources = append(sources, m.Source)
		} else if !slices.Contains(others, m.Step) {
			others = append(others, m.Step)
		}
	}
	if len(s.Needs) > 0 && !slices.Equal(s.Needs[1:], others) {
		return nil, 0, errors.New("it needs other steps than it mounts")
	}
	return sources, 1 + len(others), nil
}

func (o Op) count() int {
	n := 0
	for _, set := range []bool{o.Base != nil, o.Files != nil, o.Run != nil, o.Image != nil} {
		if set {
			n++
		}
	}
	return n
}

func (a Action) check() error {
	n := 0
	for _, set := range []bool{a.Copy != nil, a.Write != nil, a.Mkdir != nil, a.Link != nil, a.Touch != nil, a.Remove != nil, a.Attr != nil, a.Expect != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("it does %d things", n)
	}
	var paths, modes []string
	switch {
	case a.Copy != nil:
		paths = []string{a.Copy.To}
		if !a.Copy.FromWorkdir {
			paths = append(paths, a.Copy.From)
		}
	case a.Write != nil:
		paths, modes = []string{a.Write.Path}, []string{a.Write.Mode}
	case a.Mkdir != nil:
		paths, modes = []string{a.Mkdir.Path}, []string{a.Mkdir.Mode}
	case a.Link != nil:
		paths = []string{a.Link.Path}
	case a.Touch != nil:
		paths, modes = []string{a.Touch.Path}, []string{a.Touch.Mode}
	case a.Remove != nil:
		paths = []string{a.Remove.Path}
	case a.Attr != nil:
		paths = []string{a.Attr.Path}
		if a.Attr.Mode != "" {
			modes = []string{a.Attr.Mode}
		}
	case a.Expect != nil:
		if paths = a.Expect.Paths; len(paths) == 0 {
			return errors.New("it expects nothing")
		}
	}
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) != p {
			return fmt.Errorf("%q is not an absolute, clean path", p)
		}
	}
	for _, m := range modes {
		if !modeForm.MatchString(m) {
			return fmt.Errorf("%q is not a mode", m)
		}
	}
	return nil
}

func (i Image) check(steps map[Digest]Step) error {
	s, ok := steps[i.Step]
	switch {
	case i.Reference == "":
		return errors.New("it has no reference")
	case !ok || s.Op.Image == nil:
		return fmt.Errorf("its step %q makes no image", i.Step)
	case !slices.Equal(i.Platforms, s.Op.Image.Platforms) || i.Facts != s.Op.Image.Facts:
		return errors.New("its platforms and facts are not its step's")
	case i.Publish != "once" && i.Publish != "replace":
		return fmt.Errorf("publish is %q", i.Publish)
	}
	return nil
}
