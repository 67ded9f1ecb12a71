package oci

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/store"
)

// recall remembers in the store what images are made of that this machine has
// published, or has seen published as it would have made them. An image names its
// step, which is a digest: only who knows what was in it can say in what it differs
// from another.
//
// Nothing depends on it but words. It is a record a step, and one for each local
// tree, so that a tree that many images share is kept once.
type recall struct {
	store *store.Store
	root  fs.FS // the module's tree; nil is none
	// inputs tells what a step of the plan is made of.
	inputs func() func(step plan.Digest) plan.Inputs
	trees  sync.Map // digests of trees that are kept already
}

func newRecall(st *store.Store, root fs.FS, p plan.Plan) *recall {
	return &recall{store: st, root: root, inputs: sync.OnceValue(func() func(plan.Digest) plan.Inputs { return plan.InputsOf(p) })}
}

func inputsKey(step plan.Digest) string { return "inputs " + string(step) }
func treeKeyOf(tree plan.Digest) string { return "tree " + string(tree) }

// keep remembers a step of the plan.
func (r *recall) keep(step plan.Digest) error {
	var known plan.Inputs
	if r.store.Record(inputsKey(step), &known) {
		return nil
	}
	is := r.inputs()(step)
	for _, s := range is.Sources {
		if err := r.keepTree(s); err != nil {
			return err
		}
	}
	return r.store.PutRecord(inputsKey(step), is)
}

// saw remembers a step that is published. A plan does not fail for want of words.
func (r *recall) saw(step plan.Digest) {
	if r.root != nil {
		_ = r.keep(step)
	}
}

// mostEntries is how many files and links of a local tree are kept; of a larger tree
// none is.
const mostEntries = 5000

func (r *recall) keepTree(s plan.Source) error {
	name, local := strings.CutPrefix(s.Reference, "file:")
	if !local || r.root == nil {
		return nil
	}
	if _, done := r.trees.LoadOrStore(s.Digest, true); done {
		return nil
	}
	if files := r.files(name, s.Digest); len(files) <= mostEntries {
		return r.store.PutRecord(treeKeyOf(s.Digest), files)
	}
	return nil
}

// files are those of a local tree by their path in the module; none if it is not the
// tree that is meant.
func (r *recall) files(name string, want plan.Digest) map[string]string {
	entries, d, _, err := plan.SumTree(r.root, name)
	if err != nil || d != want {
		return nil
	}
	files := map[string]string{}
	for _, e := range entries {
		files[path.Join(name, e.Path)] = e.Mode + " " + string(e.Sum)
	}
	return files
}

// apart says in what a step of the plan differs from one that is published: ": " and
// a list; "" if nothing is known of that one.
func (r *recall) apart(published, wanted plan.Digest) string {
	var was plan.Inputs
	if r.root == nil || !r.store.Record(inputsKey(published), &was) {
		return ""
	}
	var inputs, image, steps []string
	for _, c := range was.Causes(r.inputs()(wanted)) {
		switch {
		case c.Source != "":
			for _, text := range r.changed(c) {
				if !slices.Contains(inputs, text) { // once for all platforms
					inputs = append(inputs, text)
				}
			}
		case c.Step == "image":
			image = append(image, ofImage(append(c.Gone, c.New...)))
		case c.Step == "recipe":
			steps = append(steps, "canvos builds by newer rules")
		default:
			steps = append(steps, "the step "+c.Step+" does something else")
		}
	}
	if len(inputs) > 0 {
		steps = nil // they name what has changed, and so differ too
	}
	inputs = slices.Concat(inputs, image, steps)
	const most = 3
	if more := len(inputs) - most; more > 1 {
		inputs = append(inputs[:most], fmt.Sprintf("and %d more changes", more))
	}
	return ": " + strings.Join(inputs, ", ")
}

// ofImage says what has changed of an image that is no matter of its files, by the
// lines of its step.
func ofImage(lines []string) string {
	var words []string
	for _, l := range []struct{ begin, word string }{{"image ", "epoch or platforms"}, {"annotations ", "facts"}, {"facts ", "facts"}, {"labels ", "labels"}} {
		if slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, l.begin) }) && !slices.Contains(words, l.word) {
			words = append(words, l.word)
		}
	}
	return strings.Join(words, " and ") + " changed"
}

// changed says what became of an input, of a local tree file by file.
func (r *recall) changed(c plan.Cause) []string {
	name, local := strings.CutPrefix(c.Source, "file:")
	if !local {
		name = shortName(name)
	}
	switch {
	case c.Before == "":
		return []string{"with " + name}
	case c.After == "":
		return []string{"without " + name}
	case !local:
		return []string{name + " changed"}
	}
	var was map[string]string
	is := r.files(name, c.After)
	if !r.store.Record(treeKeyOf(c.Before), &was) || is == nil {
		return []string{name + " changed"}
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	var out []string
	for _, file := range slices.Sorted(maps.Keys(all)) {
		switch a, b := was[file], is[file]; {
		case a == b:
		case a == "":
			out = append(out, file+" is new")
		case b == "":
			out = append(out, file+" is gone")
		default:
			out = append(out, file+" changed")
		}
	}
	return out
}
