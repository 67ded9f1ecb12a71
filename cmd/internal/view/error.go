package view

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Error says what went wrong and what to do; errors that were joined get a
// block each.
func Error(w io.Writer, s Style, err error, help string) {
	for _, e := range flatten(err) {
		fmt.Fprintf(w, "%s %s\n", s.paint("error:", bold, red), indentRest(safeText(e.Error())))
	}
	if help != "" {
		fmt.Fprintf(w, "  %s %s\n", s.paint("help:", cyan), indentRest(safeText(help)))
	}
}

// ErrorJSON is Error for machines. What cannot be written cannot be said
// either, so nothing is returned.
func ErrorJSON(w io.Writer, err error, help string, code int) {
	doc := struct {
		header
		Errors   []string `json:"errors"`
		Help     string   `json:"help"`
		ExitCode int      `json:"exitCode"`
	}{header: head("Error"), Help: help, ExitCode: code}
	for _, e := range flatten(err) {
		doc.Errors = append(doc.Errors, e.Error())
	}
	_ = writeJSON(w, doc)
}

func flatten(err error) []error {
	var many *multierror.Error
	if !errors.As(err, &many) {
		return []error{err}
	}
	var all []error
	for _, e := range many.Errors {
		all = append(all, flatten(e)...)
	}
	return all
}

func indentRest(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// Note writes what a person should know, and need do nothing about.
func Note(w io.Writer, s Style, text string) {
	fmt.Fprintf(w, "%s %s\n", s.paint("note:", cyan), indentRest(safeText(text)))
}
