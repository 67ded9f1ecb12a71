package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table aligns columns; the last one is as long as it likes. Colours go round
// a cell after it was padded, so they do not count.
type table struct {
	indent string
	rows   []row
}

type row struct {
	cells   []string
	colours []string // of the cells; "" is none
}

func (t *table) add(cells ...string) *row {
	t.rows = append(t.rows, row{cells: cells, colours: make([]string, len(cells))})
	return &t.rows[len(t.rows)-1]
}

func (r *row) paint(cell int, colour string) { r.colours[cell] = colour }

func (t *table) write(w io.Writer, s Style) {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range t.rows {
		last := len(r.cells) - 1
		for last > 0 && r.cells[last] == "" {
			last--
		}
		var b strings.Builder
		for i, c := range r.cells[:last+1] {
			if i < last {
				c = pad(c, widths[i])
			}
			if r.colours[i] != "" {
				c = s.paint(c, r.colours[i])
			}
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(c)
		}
		fmt.Fprintln(w, t.indent+strings.TrimRight(b.String(), " "))
	}
}
