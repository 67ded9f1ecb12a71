package view

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the goldens to what is seen")

// golden compares text with a file one can read. Colours are written as \e, so
// that a diff shows them.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got = strings.ReplaceAll(got, "\x1b", `\e`)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; seen now:\n%s", path, got)
	}
}

// voices are the styles that every text is tried in.
var voices = []struct {
	name string
	Style
}{
	{"plain", Style{}},
	{"tty", Style{Colour: true, Terminal: true, Width: 110}},
}
