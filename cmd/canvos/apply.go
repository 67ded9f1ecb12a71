package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/registry"
	"canvos.dev/exec/store"
)

func newApply(d *door) *cobra.Command {
	a := &applying{door: d}
	cmd := &cobra.Command{
		Use:   "apply [PATH or PLAN]",
		Short: "Build what is missing, and publish it",
		Long: `Carries out the plan of a manifest: builds the images that are not published
yet, and publishes them. Anything refused stops it before any work is done. A
family's tags move together, when all of its images are there.

PLAN is a file of canvos plan --out. Exactly what it says is done: it is stale,
exit 7, if what was published or a local file has changed since.

Interrupted, it finishes what is in flight and says how to go on; what was made
stays in the store and is not made again.`,
		Example: `  canvos apply --to oci:out images.cue
  canvos apply --to oci:out --target 'ubuntu:*palette-learn'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeManifests,
	}
	cmd.Flags().StringVar(&a.to, "to", "", "publish into a layout, `oci:DIR`, instead of registries")
	cmd.Flags().BoolVar(&a.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&a.retryFailed, "retry-failed", false, "only what the last run of this manifest did not finish")
	cmd.Flags().BoolVar(&a.keepGoing, "keep-going", false, "go on with other families when one fails")
	targetFlag(d, cmd, &a.targets)
	choose(cmd, &a.progress, "progress", "", "how the run is shown:", view.ProgressKinds...)
	setting(cmd.Flags(), "to", "keep-going", "progress")
	a.consent = addConsentFlags(cmd)
	a.lock = addLockFlags(cmd)
	a.access = accessFlags(d, cmd)
	a.tags = tagFlag(cmd)
	formats(d, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.args, a.begin = args, time.Now()
		return a.run(cmd.Context())
	}
	return cmd
}

// applying is one run of apply.
type applying struct {
	*door
	begin          time.Time
	args, targets  []string
	name           string // of the manifest, for what a run leaves unfinished
	to, progress   string
	yes, keepGoing bool
	retryFailed    bool
	consent        *consentFlags
	lock           *lockFlags
	access         *access
	tags           *[]string
}

func (a *applying) run(ctx context.Context) error {
	if a.lock.offline && a.to == "" {
		return fail(exitUsage, "--to oci:out publishes into a layout; canvos plan --offline shows the plan", "--offline asks no registry, so it cannot publish to one")
	}
	st, err := a.openStore(a.access)
	if err != nil {
		return err
	}
	defer st.Close()
	if len(a.args) == 1 && a.isPlan(a.args[0]) {
		if a.retryFailed || a.lock.locked || a.lock.file != "" {
			return fail(exitUsage, "apply it again: what is published already is left as it is", "a saved plan is carried out as it was reviewed: no --retry-failed, --locked or --lock")
		}
		return a.saved(ctx, a.args[0], st)
	}
	m, err := a.manifest(a.args, *a.tags)
	if err != nil {
		return err
	}
	c, err := a.compile(ctx, m, a.lock, st, a.access)
	if err != nil {
		return err
	}
	a.name = m.root + " " + m.src.Dir
	p, err := a.selected(c.plan, st)
	if err != nil {
		return err
	}
	if cannot := (&oci.Engine{}).Check(p); cannot != nil {
		ps := problemsOfChecks(cannot)
		_ = a.invalid(ps, m) // shows them; the code is another
		return told(exitRefused)
	}
	t, shown, err := a.target(a.to, false, st, a.access)
	if err != nil {
		return err
	}
	v, err := a.decided(ctx, c, p, t, shown, a.consent.consent(), false, st, a.access)
	if err != nil {
		return err
	}
	refused := planExit(v, false) == exitRefused
	if refused || a.asks() && !a.yes {
		if err := a.cost(ctx, c.sources, t, &v); err != nil {
			return err
		}
	}
	if refused {
		v.Exit = exitRefused
		if a.format == view.JSON {
			if err := view.PlanJSON(a.out, v); err != nil {
				return err
			}
		} else {
			view.ShowPlan(a.err, a.errStyle(), v, false)
		}
		return told(exitRefused)
	}
	if ok, err := a.agreed(ctx, v); !ok {
		return err
	}
	return a.carryOut(ctx, c.sources, standIns(c.sources, c.manifest.name), v, c.plan, t, st)
}

// isPlan says that a word of the command line names a saved plan: a file that is
// no CUE.
func (d *door) isPlan(arg string) bool {
	if filepath.Ext(arg) == ".cue" {
		return false
	}
	fi, err := os.Stat(d.absolute(arg))
	return err == nil && fi.Mode().IsRegular() || filepath.Ext(arg) == ".json"
}

// unfinished are the references that the last run of a manifest did not finish.
type unfinished struct{ References []string }

func (a *applying) unfinishedKey() string { return "unfinished " + a.name + " " + a.to }

// remember notes what --retry-failed is about. A saved plan needs no note: it says
// itself what it is to publish.
func (a *applying) remember(st *store.Store, left unfinished) error {
	if a.name == "" {
		return nil
	}
	return st.PutRecord(a.unfinishedKey(), left)
}

// selected are the images that --target and --retry-failed leave.
func (a *applying) selected(p plan.Plan, st *store.Store) (plan.Plan, error) {
	p, err := selected(p, a.targets)
	if err != nil || !a.retryFailed {
		return p, err
	}
	var left unfinished
	st.Record(a.unfinishedKey(), &left)
	p = only(p, func(i plan.Image) bool { return slices.Contains(left.References, i.Reference) })
	if len(p.Images) == 0 {
		return p, fail(exitError, "leave --retry-failed out", "the last run left nothing unfinished")
	}
	return p, p.Seal()
}

// agreed asks a person who is there. A layout is a directory of one's own: what
// goes into it needs no word.
func (a *applying) agreed(ctx context.Context, v view.Plan) (bool, error) {
	if a.yes || a.to != "" || planExit(v, true) == exitDone {
		return true, nil
	}
	if !a.asks() {
		return false, fail(exitUsage, "--yes says so beforehand; canvos plan shows what would be done", "nobody is there to agree")
	}
	view.ShowPlan(a.err, a.errStyle(), v, false)
	fmt.Fprint(a.err, "\nPublish this? Only yes is taken: ")
	answers := make(chan string, 1)
	go func() { // a terminal cannot be asked to stop waiting
		var answer string
		_, _ = fmt.Fscanln(a.in, &answer) // no answer is none
		answers <- answer
	}()
	select {
	case answer := <-answers:
		if strings.TrimSpace(answer) != "yes" {
			return false, fail(exitError, "", "not agreed; nothing was done")
		}
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// carryOut runs what is to be built or replaced, and tells of all. whole is the
// plan of which v may be a part.
func (a *applying) carryOut(ctx context.Context, src *oci.Sources, notes []string, v view.Plan, whole plan.Plan, t image.Target, st *store.Store) error {
	actions := map[string]view.Decision{}
	for _, one := range v.Decisions {
		actions[one.Image.Reference] = one
	}
	todo := only(v.Plan, func(i plan.Image) bool {
		act := actions[i.Reference].Action
		return act == view.Build || act == view.Replace
	})
	if err := writable(t); err != nil {
		return err
	}
	journal, err := journal(st, t, whole)
	if err != nil {
		return err
	}
	defer journal.Close()
	var left unfinished // all, until the run has ended well or told what it left
	for _, i := range todo.Images {
		left.References = append(left.References, i.Reference)
	}
	if err := a.remember(st, left); err != nil {
		return err
	}
	eng := &oci.Engine{Sources: src, Target: t, Jobs: a.access.jobs, KeepGoing: a.keepGoing}
	res, err := a.watched(ctx, eng, todo)
	if err == nil && len(v.Plan.Images) == len(whole.Images) { // what a part leaves may be about the rest
		if err := journal.Done(); err != nil {
			return err
		}
	}
	sum := view.Summary{Local: a.to != "", Took: time.Since(a.begin), Places: map[string]string{}}
	sum.Result = merged(v.Plan, res, actions)
	for _, i := range v.Plan.Images {
		sum.Places[i.Reference] = view.Place(i.At)
	}
	left.References = nil
	for _, i := range sum.Result.Images {
		if i.State == exec.Failed || i.State == exec.Skipped {
			left.References = append(left.References, i.Reference)
		}
	}
	if err := a.remember(st, left); err != nil {
		return err
	}
	sum.Notes, sum.Problems = notes, v.Problems
	sum.Exit = a.exitOf(ctx, err)
	sum.Next = a.next(sum)
	if a.format == view.JSON {
		if err := view.ResultJSON(a.out, sum); err != nil {
			return err
		}
	} else {
		view.ShowSummary(a.out, a.outStyle(), sum)
	}
	if sum.Exit == exitDone {
		return nil
	}
	if only := notSaid(err, sum.Result); only != nil {
		return &failure{code: sum.Exit, err: only}
	}
	return told(sum.Exit)
}

// watched runs an engine and shows how it goes.
func (a *applying) watched(ctx context.Context, eng exec.Engine, p plan.Plan) (exec.Result, error) {
	if len(p.Images) == 0 {
		return exec.Result{Images: []exec.ImageResult{}}, nil
	}
	debug.FreeOSMemory() // evaluating the manifest is over; building should stay small
	progress := view.NewProgress(a.progress, a.err, a.errStyle(), p, a.access.jobs)
	events := make(chan exec.Event)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case e, ok := <-events:
				if !ok {
					progress.Close()
					return
				}
				progress.Event(e)
			case now := <-tick.C:
				progress.Tick(now)
			}
		}
	}()
	var running sync.WaitGroup // tellers of retries, who may be late
	var known retries
	a.registries(a.access).Retried = func(r registry.Retry) {
		running.Add(1)
		defer running.Done()
		now := time.Now()
		if a.progress != "json" && !known.news(r, now) {
			return // a program may count them; a person has read it
		}
		again := "in " + view.Duration(r.Wait)
		if r.Wait == 0 {
			again = "once it is made"
		}
		select {
		case events <- exec.Event{Time: now, Kind: exec.Retry, Name: r.Host, Text: fmt.Sprintf("%s: %s; again %s", r.What, strings.TrimPrefix(r.Err.Error(), r.Host+": "), again)}:
		case <-shown:
		}
	}
	res, err := eng.Run(ctx, p, func(e exec.Event) { events <- e })
	running.Wait()
	close(events)
	<-shown
	return res, err
}

// merged is a result with the images that needed nothing.
func merged(p plan.Plan, res exec.Result, actions map[string]view.Decision) exec.Result {
	ran := map[string]exec.ImageResult{}
	for _, i := range res.Images {
		ran[i.Reference] = i
	}
	out := exec.Result{Bytes: res.Bytes, Images: []exec.ImageResult{}}
	for _, i := range p.Images {
		r, ok := ran[i.Reference]
		if !ok {
			r = exec.ImageResult{Reference: i.Reference, Digest: actions[i.Reference].Before, State: exec.Unchanged}
		}
		out.Images = append(out.Images, r)
	}
	return out
}

func (a *applying) exitOf(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case a.keepGoing:
		return exitPartly
	}
	for _, e := range flat(err) {
		if _, ok := errors.AsType[*oci.PublishError](e); !ok {
			return exitError
		}
	}
	return exitUnpublished
}

// next is the command that goes on: after success one that looks at the result.
func (a *applying) next(sum view.Summary) string {
	if sum.Exit != exitDone {
		words := append([]string{"canvos apply"}, a.args...)
		if a.to != "" {
			words = append(words, "--to", a.to)
		}
		if a.name != "" {
			words = append(words, "--retry-failed")
		}
		return strings.Join(words, " ")
	}
	if dir, ok := strings.CutPrefix(a.to, "oci:"); ok && len(sum.Result.Images) > 0 {
		return fmt.Sprintf("skopeo inspect oci:%s:%s", dir, sum.Result.Images[0].Reference)
	}
	return ""
}

// standIns is what a person should know of images whose components were made by
// hand, as said in a manifest or plan.
func standIns(src *oci.Sources, said string) []string {
	n := src.Places.StandIns()
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d components come from directories (sources in %s): stand-ins, not what their references name", n, said)}
}

// notSaid is of an error what the images' own results do not say.
func notSaid(err error, res exec.Result) error {
	for _, e := range flat(err) {
		var step *exec.StepError
		if !errors.As(e, &step) && !errors.Is(e, errInterrupted) {
			return e
		}
	}
	return nil
}
