package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"canvos.dev/cmd/internal/view"
	"canvos.dev/compile/plan"
)

func newVersion(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "What this canvos is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return view.ShowVersion(d.out, d.format, buildVersion())
		},
	}
	formats(d, cmd)
	return cmd
}

// buildVersion is what the Go toolchain wrote into the binary.
func buildVersion() view.Version {
	v := view.Version{
		Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Plan: plan.Version,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
