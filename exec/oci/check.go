package oci

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
)

// Check says what this engine cannot do of a plan, once for each cause and
// family, as *exec.CheckError: whatever needs a program to be run in the image.
func (e *Engine) Check(p plan.Plan) error {
	steps := map[plan.Digest]plan.Step{}
	for _, s := range p.Steps {
		steps[s.ID] = s
	}
	var errs *multierror.Error
	told := map[string]bool{}
	for _, i := range p.Images {
		c := cannot(i, steps)
		if c == nil || told[c.Code+i.Family] {
			continue
		}
		told[c.Code+i.Family] = true
		c.Reason = fmt.Sprintf("family %q: %s", i.Family, c.Reason)
		errs = multierror.Append(errs, c)
	}
	return errs.ErrorOrNil()
}

// cannot is why an image is out of reach, or nil.
func cannot(i plan.Image, steps map[plan.Digest]plan.Step) *exec.CheckError {
	runs := runsBelow(i.Step, steps, map[plan.Digest]bool{})
	if len(runs) == 0 {
		return nil
	}
	c := &exec.CheckError{Step: runs[0]}
	asks := func(argument string) bool { return i.Arguments[argument] == "true" }
	switch {
	case i.Facts.UKI:
		c.Code = "CV0602"
		c.Reason = "a UKI image is built and signed by a program, with private keys"
		c.Help = "build it with CanvOS; canvos plan -o json has its arguments"
	case asks("IS_MAAS"):
		c.Code = "CV0603"
		c.Reason = "a MAAS image needs commands to be run"
		c.Help = "build it with CanvOS; canvos plan -o json has its arguments"
	case asks("INSTALL_NVIDIA_GPU_DRIVERS"), asks("INSTALL_AMD_GPU_DRIVERS"):
		c.Code = "CV0604"
		c.Reason = "GPU drivers are installed by programs in the image"
		c.Help = "name an image that holds them: os: {image: \"…\", prepare: false}"
	default:
		c.Code = "CV0601"
		var names, later []string
		for _, r := range runs {
			names = append(names, r.Name)
			if changesFiles(r.ID, steps) {
				c.Step, later = r, append(later, r.Name)
			}
		}
		if len(later) > 0 {
			// No prepared image can hold what is made on top of the components.
			slices.Sort(later)
			c.Reason = "its Kubernetes is installed by commands (" + some(slices.Compact(later), 3) + "), which the embedded engine cannot run"
			c.Help = "build it with CanvOS; canvos plan -o json has its arguments"
			break
		}
		slices.Sort(names)
		c.Reason = "its OS stage runs commands (" + some(slices.Compact(names), 3) + "), which the embedded engine cannot"
		c.Help = "name an image that is prepared already: os: {image: \"…\", prepare: false}"
	}
	return c
}

// changesFiles says whether a step works on what files were put into: it comes
// after the OS stage then.
func changesFiles(id plan.Digest, steps map[plan.Digest]plan.Step) bool {
	return slices.ContainsFunc(steps[id].Needs, func(n plan.Digest) bool { return steps[n].Op.Files != nil || changesFiles(n, steps) })
}

// runsBelow are the Run steps that a step needs, in the order they are met.
func runsBelow(id plan.Digest, steps map[plan.Digest]plan.Step, seen map[plan.Digest]bool) []plan.Step {
	if seen[id] {
		return nil
	}
	seen[id] = true
	s := steps[id]
	var runs []plan.Step
	for _, n := range s.Needs {
		runs = append(runs, runsBelow(n, steps, seen)...)
	}
	if s.Op.Run != nil {
		runs = append(runs, s)
	}
	return runs
}
