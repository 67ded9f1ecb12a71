package oci

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// Action is what carrying out a plan does with an image.
type Action string

const (
	Build     Action = "build"     // not published yet
	Unchanged Action = "unchanged" // published, made by the same step
	Replace   Action = "replace"   // published with other content, and somebody consents
	Refused   Action = "refused"   // published with what may not be replaced
	Kept      Action = "kept"      // no longer declared; nothing is ever deleted
)

// Decision is what is done with one image, and why.
type Decision struct {
	Image  plan.Image // of Kept only the reference is known
	Action Action
	Reason string
	Code   string // of a refusal: "CV0401" content, "CV0402" not canvos's, "CV0403" facts
	Help   string
	Before plan.Digest // what is published now; "" is nothing
}

// Consent is what a person allows beyond the manifest.
type Consent struct {
	Replace func(reference string) bool // content that is published already
	Adopt   func(reference string) bool // images that canvos did not make, or that were changed since
}

// Declared are the platforms of image lines, over all images of a manifest.
type Declared map[string][]string

// DeclaredBy are those of the lines of a plan.
func DeclaredBy(p plan.Plan) Declared {
	d := Declared{}
	for _, i := range p.Images {
		d[i.Line] = append(d[i.Line], without(i.Platforms, d[i.Line])...)
		slices.Sort(d[i.Line])
	}
	return d
}

// Comparison is what a plan is compared with.
type Comparison struct {
	Target   image.Target
	Store    *store.Store // knows what this machine has published
	Declared Declared     // of the manifest that the plan is a part of; nil if it is all
	Consent  Consent
	Jobs     int // references asked for at a time; 1 if less
	// Root is the module's tree. With it, reasons name the inputs that differ, where
	// the store knows what is published; nil leaves them the same on every machine.
	Root fs.FS
}

// Decide compares a plan with a target. Each reference is asked for once; where
// the store remembers that this plan's step was published there, its digest is
// enough.
func Decide(ctx context.Context, p plan.Plan, with Comparison) ([]Decision, error) {
	if with.Declared == nil {
		with.Declared = DeclaredBy(p)
	}
	ds := make([]Decision, len(p.Images))
	errs := make([]error, len(p.Images))
	c := &comparing{
		Comparison: with,
		lines:      &lines{target: with.Target, declared: with.Declared, once: map[string]func() (line, error){}},
		recall:     newRecall(with.Store, with.Root, p),
	}
	slots := make(chan struct{}, max(with.Jobs, 1))
	var wg sync.WaitGroup
	for i, img := range p.Images {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ds[i], errs[i] = c.decide(ctx, img)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil && !strings.Contains(err.Error(), p.Images[i].Reference) {
			err = fmt.Errorf("ask for %s: %w", p.Images[i].Reference, err)
		}
		if err != nil {
			return nil, err
		}
	}
	return ds, nil
}

// rememberKey is of the record of what a step was published as.
func rememberKey(reference string) string { return "published " + reference }

type remembered struct{ Step, Digest plan.Digest }

// comparing is one Decide.
type comparing struct {
	Comparison
	lines  *lines
	recall *recall
}

func (c *comparing) decide(ctx context.Context, img plan.Image) (Decision, error) {
	d := Decision{Image: img}
	var was remembered
	if !c.Store.Record(rememberKey(img.Reference), &was) || was.Step != img.Step {
		was = remembered{}
	}
	pub, err := c.Target.Published(ctx, img.Reference, was.Digest)
	switch {
	case err != nil:
		return d, err
	case pub == nil:
		d.Action, d.Reason = Build, "not published yet"
		note, err := c.lines.judge(ctx, &d)
		if d.Action == Build {
			d.Reason += note
		}
		return d, err
	}
	d.Before = pub.Digest
	if was.Digest != "" && pub.Digest == was.Digest {
		d.Action, d.Reason = Unchanged, string(pub.Digest)
		return d, nil
	}
	is, err := aboutOf(ctx, c.Target, img.Reference, pub)
	if err != nil {
		return d, err
	}
	return d, c.judge(ctx, &d, is, pub)
}

// judge compares an image with what is published under its reference. What a line
// is comes first, since no consent changes that; of an image that does not say it,
// the others of its line are asked.
func (c *comparing) judge(ctx context.Context, d *Decision, is about, pub *image.Published) error {
	changed := drifted(pub.Manifest)
	note := ""
	if apart := factsApart(is.facts, d.Image.Facts); is.known && apart != "" {
		d.refuseFacts(apart)
	} else if dropped := without(is.platforms, d.Image.Platforms); len(dropped) > 0 {
		d.refusePlatforms("it was published for ", dropped)
	} else if !is.known && (changed || is.Annotations[StepKey] != string(d.Image.Step)) { // a step covers the facts
		var err error
		if note, err = c.lines.judge(ctx, d); err != nil {
			return err
		}
	}
	if d.Action == Refused {
		return nil
	}
	c.compare(d, is, pub.Digest, changed)
	if d.Action == Replace {
		d.Reason += note
	}
	return nil
}

// compare decides by content, and by who published it.
func (c *comparing) compare(d *Decision, is about, digest plan.Digest, changed bool) {
	ref, step := d.Image.Reference, plan.Digest(is.Annotations[StepKey])
	switch {
	case step == "":
		d.Code, d.Reason = "CV0402", "published by something else than canvos"
	case changed:
		d.Code, d.Reason = "CV0402", "changed by another tool since canvos published it"
	}
	if d.Code != "" {
		if adopt := c.Consent.Adopt; adopt != nil && adopt(ref) {
			d.Action, d.Code, d.Reason = Replace, "", d.Reason+"; taken over"
			return
		}
		d.Action, d.Help = Refused, "--adopt '"+shortName(ref)+"' takes it over; another tag leaves it alone"
		return
	}
	if step == d.Image.Step {
		d.Action, d.Reason = Unchanged, string(digest)
		c.recall.saw(step)
		return
	}
	d.Reason = "published with other content" + c.recall.apart(step, d.Image.Step)
	switch replace := c.Consent.Replace; {
	case d.Image.Publish == "replace":
		d.Action, d.Reason = Replace, d.Reason+"; publish is \"replace\""
	case replace != nil && replace(ref):
		d.Action, d.Reason = Replace, d.Reason+"; --replace consents"
	default:
		d.Action, d.Code = Refused, "CV0401"
		d.Help = "revision: 2 makes a new tag; publish: \"replace\" or --replace moves this one"
	}
}

func (d *Decision) refuseFacts(reason string) {
	d.Action, d.Code, d.Reason = Refused, "CV0403", reason
	d.Help = "what a line is may not change: take another tag"
}

func (d *Decision) refusePlatforms(published string, dropped []string) {
	d.Action, d.Code, d.Reason = Refused, "CV0403", published+strings.Join(dropped, ", ")+" too"
	d.Help = "add " + strings.ReplaceAll(strings.Join(dropped, ", "), "linux/", "") + " to arch, or take another tag"
}

// factsApart says how two images of a line differ in what a line fixes.
func factsApart(published, wanted plan.Facts) string {
	for _, f := range []struct {
		name     string
		was, now any
	}{
		{"twoNode", published.TwoNode, wanted.TwoNode},
		{"fips", published.FIPS, wanted.FIPS},
		{"uki", published.UKI, wanted.UKI},
		{"os.distribution", published.OSDistribution, wanted.OSDistribution},
	} {
		if f.was != f.now {
			return fmt.Sprintf("published with %s: %v, and wanted with %v", f.name, f.was, f.now)
		}
	}
	return ""
}

// without are the texts of a that b does not have, sorted.
func without(a, b []string) []string {
	rest := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	slices.Sort(rest)
	return rest
}

func shortName(reference string) string { return reference[strings.LastIndexByte(reference, '/')+1:] }
