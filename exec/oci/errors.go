package oci

import (
	"errors"
	"fmt"
	"strings"

	"canvos.dev/exec/registry"
)

// SourceError says that an external input cannot be had as the plan wants it.
type SourceError struct {
	Code      string // of package problem: "CV0610" not found, "CV0611" platform, "CV0612" corrupt
	Reference string
	Place     string // where it was looked for
	Reason    string
	Notes     []string
	Help      string
	Err       error // what the place answered, if it did
}

func (e *SourceError) Error() string {
	where := ""
	if e.Place != "" && e.Place != e.Reference {
		where = " in " + e.Place
	}
	return fmt.Sprintf("%s%s: %s", e.Reference, where, e.Reason)
}

func (e *SourceError) Unwrap() error { return e.Err }

// helpOf is what a person can do about an error, as what met it knows best.
func helpOf(err error) string {
	if e, ok := errors.AsType[*SourceError](err); ok && e.Help != "" {
		return e.Help
	}
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Help()
	}
	return ""
}

// some lists the first few of many.
func some(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}
