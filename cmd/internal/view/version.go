package view

import (
	"fmt"
	"io"
)

// Version is what a canvos is.
type Version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"` // built from a tree with changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Plan     int    `json:"planVersion"`
}

// ShowVersion writes it.
func ShowVersion(w io.Writer, f Format, v Version) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			Version
		}{head("Version"), v})
	}
	v = safe(v)
	commit := ""
	if v.Commit != "" {
		commit = " · " + v.Commit[:min(12, len(v.Commit))]
		if v.Modified {
			commit += " with changes"
		}
	}
	_, err := fmt.Fprintf(w, "canvos %s%s · %s · %s\n", v.Version, commit, v.Go, v.Platform)
	return err
}
