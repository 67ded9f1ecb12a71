package oci

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// lister is a target that can say what it holds.
type lister interface {
	// Tags are the references of a repository, "docker.io/acme/ubuntu".
	Tags(ctx context.Context, repository string) ([]string, error)
}

// lines asks the target for the other images of a line, once a line.
type lines struct {
	target image.Target

	mu   sync.Mutex
	once map[string]*lineOnce
}

type lineOnce struct {
	sync.Once
	facts plan.Facts
	known bool
	err   error
}

// judge refuses an image that is new in a line of other facts.
func (l *lines) judge(ctx context.Context, d *Decision) error {
	target, ok := l.target.(lister)
	if !ok {
		return nil
	}
	l.mu.Lock()
	o := l.once[d.Image.Line]
	if o == nil {
		o = &lineOnce{}
		l.once[d.Image.Line] = o
	}
	l.mu.Unlock()
	o.Do(func() { o.facts, o.known, o.err = l.ask(ctx, target, d.Image.Line) })
	if o.err != nil || !o.known {
		return o.err
	}
	if apart := factsApart(o.facts, d.Image.Facts); apart != "" {
		d.refuseFacts("other images of the line " + shortName(d.Image.Line) + " are " + apart)
	}
	return nil
}

// ask finds the facts of any image of a line.
func (l *lines) ask(ctx context.Context, t lister, line string) (facts plan.Facts, known bool, err error) {
	tags, err := t.Tags(ctx, repository(line))
	if err != nil {
		return facts, false, err
	}
	for _, ref := range tags {
		if !InLine(line, ref) {
			continue
		}
		pub, err := l.target.Published(ctx, ref, "")
		if err != nil {
			return facts, false, err
		}
		if pub == nil {
			continue // damaged, or gone since it was listed
		}
		if facts, known, err = factsOf(ctx, l.target, ref, pub); known || err != nil {
			return facts, known, err
		}
	}
	return facts, false, nil
}

// KeptOf are images of lines that a target has and nobody declares any more, in
// order. A target that cannot list what it holds has none. The error joins what
// could not be asked; the others' images are there all the same.
func KeptOf(ctx context.Context, t image.Target, lines []string, declared func(reference string) bool) ([]Decision, error) {
	target, ok := t.(lister)
	if !ok {
		return nil, nil
	}
	var kept []Decision
	var errs *multierror.Error
	tags := map[string][]string{}
	for _, line := range lines {
		repo := repository(line)
		if _, asked := tags[repo]; !asked {
			var err error
			if tags[repo], err = target.Tags(ctx, repo); err != nil {
				errs = multierror.Append(errs, fmt.Errorf("look for images in %s: %w", repo, err))
			}
		}
		for _, ref := range tags[repo] {
			if InLine(line, ref) && !declared(ref) {
				kept = append(kept, Decision{Image: plan.Image{Reference: ref, Line: line}, Action: Kept, Reason: "no longer declared"})
			}
		}
	}
	slices.SortFunc(kept, func(a, b Decision) int { return cmp.Compare(a.Image.Reference, b.Image.Reference) })
	return kept, errs.ErrorOrNil()
}

// InLine says whether a reference is of an image line. A line ends in the custom
// tag: "docker.io/acme/ubuntu:k3s-*-demo" has all of its versions, releases and
// revisions. A reference is of one line at most: no custom tag ends like a
// revision, so that what ends like one is one.
func InLine(line, reference string) bool {
	_, ok := taggedOf(line, reference)
	return ok
}

// tagged is what a reference says besides its line.
type tagged struct {
	kubernetes, agent string // "1.30.4", "v4.4.12"
	revision          int
}

var (
	taggedForm   = regexp.MustCompile(`^([0-9.]+)-(v[^-]+(?:-rc\.[0-9]+)?)$`) // the agent may have a hyphen of its own: v4.10.0-rc.2
	revisionForm = regexp.MustCompile(`^(.*)-r([0-9]+)$`)
)

// taggedOf takes a reference of a line apart.
func taggedOf(line, reference string) (t tagged, ok bool) {
	before, after, _ := strings.Cut(line, "*")
	rest, ok := strings.CutPrefix(reference, before)
	if !ok {
		return tagged{}, false
	}
	if parts := revisionForm.FindStringSubmatch(rest); parts != nil {
		rest = parts[1]
		t.revision, _ = strconv.Atoi(parts[2]) // one that is too large is none of ours
	}
	rest, ok = strings.CutSuffix(rest, after)
	parts := taggedForm.FindStringSubmatch(rest)
	if !ok || parts == nil {
		return tagged{}, false
	}
	t.kubernetes, t.agent = parts[1], parts[2]
	return t, true
}
