package main

import (
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/rootfs"
)

// The compiler writes into plans which layer format the engine makes; they
// may not import each other.
func TestOneFormat(t *testing.T) {
	if plan.Format != rootfs.Format {
		t.Errorf("plans say format %d, layers are made in format %d", plan.Format, rootfs.Format)
	}
}
