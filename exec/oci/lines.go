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
	"golang.org/x/mod/semver"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// lister is a target that can say what it holds.
type lister interface {
	// Tags are the references of a repository, "docker.io/acme/ubuntu".
	Tags(ctx context.Context, repository string) ([]string, error)
}

// lines asks the target what is published of a line, once a line.
type lines struct {
	target   image.Target
	declared Declared

	mu   sync.Mutex
	once map[string]func() (line, error)
}

// line is what the published images of a line say.
type line struct {
	facts     plan.Facts
	known     bool
	platforms []string // of the images that were asked
	looked    []string // their references
	more      int      // images that were not
}

// mostLooked is how many images of a line are asked, at most, until one says what
// it is. It bounds what a repository costs in which some other tool has published for
// years: two or three requests an image.
const mostLooked = 32

// judge refuses an image that is new in a line of other facts, or of which nobody
// knows what it was; and one of a line that shall have fewer platforms. note tells what could not be learned; it begins with "; ".
func (l *lines) judge(ctx context.Context, d *Decision) (note string, err error) {
	target, ok := l.target.(lister)
	if !ok {
		return "", nil
	}
	name := d.Image.Line
	l.mu.Lock()
	if l.once[name] == nil {
		l.once[name] = sync.OnceValues(func() (line, error) { return l.ask(ctx, target, name) })
	}
	once := l.once[name]
	l.mu.Unlock()
	it, err := once()
	if err != nil {
		return "", err
	}
	others := "other images of the line " + shortName(name) + " are "
	if apart := factsApart(it.facts, d.Image.Facts); it.known && apart != "" {
		d.refuseFacts(others + apart)
	} else if dropped := without(it.platforms, l.declared[name]); len(dropped) > 0 {
		d.refusePlatforms(others+"published for ", dropped)
	}
	if it.known {
		return "", nil
	}
	return it.silence(d.Image.Reference), nil
}

// ask looks at the images of a line, the newest first, until one says what it is.
func (l *lines) ask(ctx context.Context, t lister, name string) (line, error) {
	all, err := t.Tags(ctx, repository(name))
	if err != nil {
		return line{}, err
	}
	refs := newestFirst(name, all)
	it := line{more: max(0, len(refs)-mostLooked)}
	for _, ref := range refs[:len(refs)-it.more] {
		pub, err := l.target.Published(ctx, ref, "")
		if err != nil {
			return line{}, err
		}
		if pub == nil {
			continue // damaged, or gone since it was listed
		}
		is, err := aboutOf(ctx, l.target, ref, pub)
		if err != nil {
			return line{}, err
		}
		it.looked = append(it.looked, ref)
		it.platforms = append(it.platforms, without(is.platforms, it.platforms)...)
		if it.facts, it.known = is.facts, is.known; it.known {
			break
		}
	}
	return it, nil
}

// silence says that nothing was learned from the images of a line, but for the one
// that is judged.
func (l line) silence(judged string) string {
	n := len(l.looked)
	if slices.Contains(l.looked, judged) {
		n--
	}
	switch {
	case n == 0:
		return ""
	case l.more > 0:
		return fmt.Sprintf("; the %d newest images of its line do not say what they are, %d more were not asked", n, l.more)
	case n == 1:
		return "; another image of its line does not say what it is"
	}
	return fmt.Sprintf("; %d other images of its line do not say what they are", n)
}

// newestFirst are the references of a line: by Kubernetes version, agent and
// revision, highest first.
func newestFirst(line string, references []string) []string {
	parts := map[string]tagged{}
	var refs []string
	for _, ref := range references {
		if t, ok := taggedOf(line, ref); ok {
			parts[ref] = t
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b string) int {
		x, y := parts[b], parts[a]
		return cmp.Or(
			semver.Compare("v"+x.kubernetes, "v"+y.kubernetes),
			semver.Compare(x.agent, y.agent),
			cmp.Compare(x.revision, y.revision),
			cmp.Compare(b, a),
		)
	})
	return refs
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
