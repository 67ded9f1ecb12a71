package view

import (
	"fmt"
	"io"
)

// Check is one thing that was looked at.
type Check struct {
	Area string `json:"area"` // "machine", "store", "registry", "engine"
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Help string `json:"help,omitempty"` // of one that does not work
}

// Checks writes what works and what to do about what does not.
func Checks(w io.Writer, s Style, f Format, checks []Check) error {
	if f == JSON {
		return writeJSON(w, struct {
			header
			Checks []Check `json:"checks"`
		}{head("Checks"), append([]Check{}, checks...)})
	}
	bad := 0
	last := ""
	for _, c := range checks {
		text := indentRest(safeText(c.Text))
		c = safe(c)
		sign, colour := "✔", green
		if !c.OK {
			sign, colour = "✘", red
			bad++
		}
		area := c.Area
		if area == last {
			area = ""
		}
		last = c.Area
		fmt.Fprintf(w, "  %s  %s %s\n", pad(area, len("registry")), s.paint(sign, colour), text)
		if c.Help != "" && !c.OK {
			fmt.Fprintf(w, "  %s    %s %s\n", pad("", len("registry")), s.paint("help:", cyan), c.Help)
		}
	}
	text := "all of it works"
	if bad > 0 {
		text = fmt.Sprintf("%d of %d do not work", bad, len(checks))
	}
	_, err := fmt.Fprintf(w, "\n  %s\n", text)
	return err
}
