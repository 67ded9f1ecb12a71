// Package compile gives a manifest its meaning. It loads a manifest package
// (Load), judges it (Check), says which images it stands for (Images) and what
// must be resolved (Requests), and lowers it to a plan (Lower). It is pure:
// files in, data out. It reaches no network, clock, environment or process, and
// it is the only package that knows cue.Value.
package compile
