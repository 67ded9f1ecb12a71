package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"canvos.dev/compile/problem"
	"canvos.dev/exec"
)

// A Summary is what a run came to.
type Summary struct {
	Result exec.Result
	// Local: the target is a layout on this machine; bytes are written, not
	// uploaded.
	Local bool
	// Places says where an image's trouble was asked for, by reference.
	Places map[string]string
	Notes  []string // what a person should know of how it was made
	// Problems are the manifest's warnings, for machines: people have read them
	// before. Their places are in the module.
	Problems []*problem.Problem
	Took     time.Duration
	Next     string // the command that goes on
	Exit     int
}

// ShowSummary writes the block that ends a run, whatever happened.
func ShowSummary(w io.Writer, s Style, sum Summary) {
	errors := make([]string, len(sum.Result.Images))
	for i, r := range sum.Result.Images {
		errors[i] = safeText(r.Error)
	}
	sum = safe(sum)
	states := map[exec.State]int{}
	for _, i := range sum.Result.Images {
		states[i.State]++
	}
	var parts []string
	for _, st := range []struct {
		state  exec.State
		colour string
	}{{exec.Unchanged, ""}, {exec.Built, green}, {exec.Failed, red}, {exec.Skipped, yellow}} {
		if n := states[st.state]; n > 0 {
			text := fmt.Sprintf("%d %s", n, st.state)
			if st.colour != "" {
				text = s.paint(text, st.colour)
			}
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		parts = []string{"no images"}
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(parts, " · "))

	b := sum.Result.Bytes
	verb := "uploaded "
	if sum.Local {
		verb = "written "
	}
	numbers := []string{verb + Bytes(b.Uploaded)}
	if b.Mounted > 0 {
		numbers = append(numbers, "there already "+Bytes(b.Mounted))
	}
	numbers = append(numbers, "reused "+count(int(b.Reused), "layer"), Duration(sum.Took))
	fmt.Fprintf(w, "  %s\n", strings.Join(numbers, " · "))

	for i := range sum.Result.Images {
		sum.Result.Images[i].Error = errors[i]
	}
	sum.failures(w, s)
	for _, n := range sum.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	end := ""
	if sum.Exit != 0 {
		end = fmt.Sprintf(" (exit %d)", sum.Exit)
	}
	if sum.Next != "" {
		fmt.Fprintf(w, "  %s %s%s\n", s.paint("next:", cyan), sum.Next, end)
	} else if end != "" {
		fmt.Fprintf(w, "  (exit %d)\n", sum.Exit)
	}
}

// ResultJSON writes the same for machines.
func ResultJSON(w io.Writer, sum Summary) error {
	images := append([]exec.ImageResult{}, sum.Result.Images...)
	return writeJSON(w, struct {
		header
		Images   []exec.ImageResult `json:"images"`
		Bytes    exec.Bytes         `json:"bytes"`
		Problems []jsonProblem      `json:"problems"`
	}{head("Result"), images, sum.Result.Bytes, problemsJSON(sum.Problems)})
}

// failures writes what failed, and each cause once.
func (sum *Summary) failures(w io.Writer, s Style) {
	var causes []string
	images, help := map[string][]string{}, map[string]string{}
	for _, i := range sum.Result.Images {
		if i.State != exec.Failed {
			continue
		}
		text := i.Error
		if at := sum.Places[i.Reference]; at != "" && !strings.HasSuffix(text, ")") { // it names no place itself
			text += " (" + at + ")"
		}
		if images[text] == nil {
			causes = append(causes, text)
		}
		help[text] = i.Help
		_, name := splitReference(i.Reference)
		images[text] = append(images[text], name)
	}
	for _, c := range causes {
		for n, name := range images[c] {
			word := "failed"
			if n > 0 {
				word = "      "
			}
			fmt.Fprintf(w, "  %s  %s\n", s.paint(word, red), name)
		}
		fmt.Fprintf(w, "          %s\n", strings.ReplaceAll(c, "\n", "\n          "))
		if help[c] != "" {
			fmt.Fprintf(w, "          %s %s\n", s.paint("help:", cyan), help[c])
		}
	}
}
