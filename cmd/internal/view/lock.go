package view

import (
	"fmt"
	"io"
	"strings"

	"canvos.dev/compile/lock"
)

// LockChanges says what a lock gained, lost and changed. Lines that a lock
// forgets are never folded.
func LockChanges(w io.Writer, s Style, f Format, file string, changes []lock.Change, written bool) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			File    string        `json:"file"`
			Written bool          `json:"written"`
			Changes []lock.Change `json:"changes"`
		}{head("LockChanges"), file, written, append([]lock.Change{}, changes...)})
	}
	file, changes = safeLine(file), safe(changes)
	if len(changes) == 0 {
		state := "up to date"
		if written {
			state = "written anew, with the same content"
		}
		_, err := fmt.Fprintf(w, "%s: %s\n", file, s.paint(state, green))
		return err
	}
	var t table
	t.indent = "  "
	added, gone, refreshed := map[string]int{}, 0, 0
	for _, c := range changes {
		switch {
		case c.Section == "refresh" && !c.Removed():
			refreshed++
			t.add("~", c.Section, c.Key, orNever(c.Before)+" → "+c.After).paint(0, yellow)
		case c.Added():
			added[c.Section]++
			if c.Section == "versions" || c.Section == "facts" {
				t.add("+", c.Section, c.Key, c.After).paint(0, green)
			}
		case c.Removed():
			gone++
			t.add("-", c.Section, c.Key, "").paint(0, red)
		default:
			name := c.Key
			t.add("~", c.Section, name, brief(c.Before)+" → "+brief(c.After)).paint(0, yellow)
		}
	}
	t.write(w, s)
	var parts []string
	for _, section := range []struct{ name, noun string }{{"sources", "source"}, {"versions", "range"}, {"catalog", "release"}, {"facts", "line"}} {
		if n := added[section.name]; n > 0 {
			parts = append(parts, count(n, section.noun)+" added")
		}
	}
	if n := len(changes) - gone - refreshed - sum(added); n > 0 {
		parts = append(parts, fmt.Sprintf("%d changed", n))
	}
	if refreshed > 0 {
		parts = append(parts, count(refreshed, "OS stage")+" to run again")
	}
	if gone > 0 {
		parts = append(parts, fmt.Sprintf("%d dropped", gone))
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", file, strings.Join(parts, " · "))
	return err
}

// orNever is how often an OS stage was asked to run again.
func orNever(times string) string {
	if times == "" {
		return "0"
	}
	return times
}

func sum(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

// brief is a digest as people compare it; anything else as it is.
func brief(text string) string {
	if hex, ok := strings.CutPrefix(text, "sha256:"); ok && len(hex) == 64 {
		return "sha256:" + hex[:8] + "…"
	}
	return text
}

// LockCompleted is a note that a run goes by more than its lock says.
func LockCompleted(w io.Writer, s Style, file string, missing bool, entries int) {
	file = safeLine(file)
	text := fmt.Sprintf("%s lacks %s", file, count(entries, "entry"))
	if missing {
		text = "there is no " + file + " yet"
	}
	fmt.Fprintf(w, "%s %s: found out for this run; canvos lock writes it down\n", s.paint("note:", cyan), text)
}
