// Package view is the voice of canvos: it turns problems, images, plans and
// events into text for people and JSON for machines. It chooses words, colours
// and the field names of reports; it decides nothing, and writes only to the
// writers it is given.
package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Format is what a result is written in.
type Format string

const (
	Text Format = "text"
	JSON Format = "json"

	// Of reviews alone.
	Markdown Format = "markdown"
	SARIF    Format = "sarif"
	JUnit    Format = "junit"
	GitHub   Format = "github"
)

// APIVersion is the version of every machine format.
const APIVersion = "canvos.dev/v1"

// Style says how to write text to one writer. The words are the same in all.
type Style struct {
	Colour   bool // ANSI colours
	Terminal bool // box characters and cursor movement
	Width    int  // columns of the terminal; 0: unknown
}

// Colours, by what they mean.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(text string, sgr ...string) string {
	how := strings.Join(sgr, ";")
	if !s.Colour || text == "" || how == "" {
		return text
	}
	return "\x1b[" + how + "m" + text + "\x1b[0m"
}

// bar separates a line number from its line.
func (s Style) bar() string {
	if s.Terminal {
		return "│"
	}
	return "|"
}

// writeJSON writes v for machines that stream and people who look.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(safeJSON{w})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// header begins every machine format.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

func head(kind string) header { return header{APIVersion, kind} }

// Things is a number with its noun, for the door's own sentences.
func Things(n int, noun string) string { return count(n, noun) }

// count is a number with its noun: "1 error", "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// pad fills text with spaces up to a width, counted in characters.
func pad(text string, width int) string {
	if n := width - utf8.RuneCountInString(text); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
}
