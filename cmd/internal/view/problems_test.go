package view

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

const manifest = `package images

canvos:   "v4.4.12"
registry: "docker.io/acme"
families: {
	"store": {
		os: distribution: "ubuntu"
		tag: "dämo"
		kubernetes: {distribution: "k3s", versions: ["1.32.3"]}
	}
	"store-arm": {
		tag: "palette-learn"
	}
}
`

func manifestLines(file string, line int) (string, bool) {
	all := strings.Split(manifest, "\n")
	if file != "images.cue" || line > len(all) {
		return "", false
	}
	return all[line-1], true
}

var problems = []*problem.Problem{
	{
		Code: "CV0107", Severity: problem.Error,
		Message: `Kubernetes 1.32.3 is not in CanvOS v4.4.12 for k3s`,
		Notes:   []string{"nearest here: 1.30.4 (newest), 1.29.8", "first release that has 1.32.3: v4.6.21"},
		Help:    `take 1.30.4, or set canvos: "v4.6.21" or later`,
		Path:    `families.store.kubernetes.versions[0]`, Family: "store",
		At: plan.Pos{File: "images.cue", Line: 9, Column: 48},
	},
	{
		Code: "CV0301", Severity: problem.Error,
		Message: `families "store" and "store-arm" both publish docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo`,
		Help:    "give one of them another tag or repository",
		At:      plan.Pos{File: "images.cue", Line: 6, Column: 2},
		Also:    []plan.Pos{{File: "images.cue", Line: 11, Column: 2}, {File: "more.cue", Line: 3, Column: 1}},
	},
	{
		Code: "CV0203", Severity: problem.Warning, Message: "two-node images should say so in their tag",
		Help: `tag: "palette-learn-two-node"`,
		At:   plan.Pos{File: "images.cue", Line: 12, Column: 8},
	},
	{Code: "CV0501", Severity: problem.Error, Message: "the lock lacks an entry"},
}

func TestProblems(t *testing.T) {
	for _, v := range voices {
		var b bytes.Buffer
		Problems(&b, v.Style, problems, manifestLines)
		Verdict(&b, v.Style, Tally{Manifests: []string{"images.cue"}, Families: 2}, problems)
		golden(t, "problems."+v.name, b.String())
	}
}

func TestProblemsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := ProblemsJSON(&b, problems); err != nil {
		t.Fatal(err)
	}
	golden(t, "problems.json", b.String())
}

func TestVerdictOfNothing(t *testing.T) {
	var b bytes.Buffer
	Verdict(&b, Style{}, Tally{Manifests: []string{"a.cue", "b.cue"}, Families: 1, Images: 2}, nil)
	if got, want := b.String(), "2 manifests: no problems in 1 family, 2 images\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTokenLength(t *testing.T) {
	for text, want := range map[string]string{
		`"1.32.3"]}`:      `"1.32.3"`,
		`"a \" b", c`:     `"a \" b"`,
		`"not closed`:     `"not closed`,
		`twonode: true`:   `twonode`,
		`os: {`:           `os`,
		`{distribution`:   `{`,
		`true`:            `true`,
		`1.2.3-rc.1 // x`: `1.2.3-rc.1`,
	} {
		if got := text[:tokenLength(text)]; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// A long line is shown around the place, wherever that is.
func TestWindow(t *testing.T) {
	filler := strings.Repeat("x", 300)
	for _, c := range []struct{ line, token string }{
		{`a: "here", ` + filler, `"here"`},
		{filler + ` "here" ` + filler, `"here"`},
		{filler + ` "here"`, `"here"`},
		{filler + ` "` + filler + `"`, `"` + strings.Repeat("x", 100)},
		{"\t\tä" + filler + `ä"hére"`, `"hére"`},
		{`a: "` + filler + `"`, `"` + strings.Repeat("x", 100)},
		{strings.Repeat("\t", 100) + `"here"`, `"here"`},
		{`"here"`, `"here"`},
		{filler, strings.Repeat("x", 100)},
	} {
		column := strings.Index(c.line, c.token) + 1
		var b bytes.Buffer
		excerpt(&b, Style{}, plan.Pos{File: "a", Line: 7, Column: column}, c.line, 1, red)
		lines := strings.Split(b.String(), "\n")
		text, marks := []rune(lines[0]), []rune(lines[1])
		first, width := strings.IndexRune(lines[1], '^'), strings.Count(lines[1], "^")
		if len(text) > 175 || len(marks) > len(text) || first < 0 {
			t.Errorf("%.20s…\n%s", c.line, b.String())
			continue
		}
		marked := string(text[first : first+width])
		if !strings.HasPrefix(marked, c.token) && !strings.HasPrefix(c.token, strings.TrimSuffix(marked, "…")) {
			t.Errorf("%q is marked, not %q, in\n%s", marked, c.token, b.String())
		}
	}
}

func TestErrors(t *testing.T) {
	var b bytes.Buffer
	err := multierror.Append(nil, errors.New("open out: permission denied"), errors.New("two\nlines")).ErrorOrNil()
	Error(&b, Style{}, err, "chmod it")
	want := "error: open out: permission denied\nerror: two\n  lines\n  help: chmod it\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9960: "10 kB", 96e6: "96 MB", 999_600_000: "1.0 GB", 1.9e9: "1.9 GB", 14.2e12: "14 TB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		31 * time.Millisecond: "31 ms", 3200 * time.Millisecond: "3.2 s", 31 * time.Second: "31 s",
		3*time.Minute + 12*time.Second: "3 min 12 s", 2*time.Hour + 5*time.Minute: "2 h 5 min",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// The line of a problem about a secret is not shown: it may hold the secret.
func TestHiddenLine(t *testing.T) {
	p := *problems[0]
	p.Hide = true
	var b bytes.Buffer
	Problems(&b, Style{}, []*problem.Problem{&p}, manifestLines)
	if got := b.String(); strings.Contains(got, `versions: ["1.32.3"]`) || !strings.Contains(got, "images.cue:9:48") {
		t.Errorf("%s", got)
	}
}
