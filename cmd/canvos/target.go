package main

import (
	"strings"

	"canvos.dev/exec/image"
	"canvos.dev/exec/oci"
	"canvos.dev/exec/store"
)

// target is where images are published: "oci:DIR" is a layout. It is nil if
// nothing shall be asked.
func (d *door) target(to string, offline bool, st *store.Store) (t image.Target, shown string, err error) {
	dir, ok := strings.CutPrefix(to, "oci:")
	switch {
	case ok && dir != "":
		return &oci.Layout{Dir: d.absolute(dir), Store: st}, to, nil
	case to != "":
		return nil, "", fail(exitUsage, "--to oci:out", "%q is no place to publish to", to)
	case offline:
		return nil, "", nil
	}
	return nil, "", fail(exitUsage, "--to oci:DIR names a layout; plan --offline compares with nothing", "this canvos does not publish to registries")
}
