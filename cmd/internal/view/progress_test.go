package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
	"canvos.dev/exec"
)

// start is when the events of these tests begin.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

var progressPlan = plan.Plan{
	Steps:  []plan.Step{{ID: "sha256:a", Name: "components k3s linux/amd64"}, {ID: "sha256:b", Name: "kubernetes k3s 1.30.4 linux/amd64"}, {ID: "sha256:c", Name: "image"}},
	Images: []plan.Image{{Reference: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"}, {Reference: "docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-demo"}},
}

var events = []exec.Event{
	{Time: at(0), Kind: exec.StepStarted, Step: "sha256:a"},
	{Time: at(0.5), Kind: exec.StepStarted, Step: "sha256:b"},
	{Time: at(1), Kind: exec.StepProgress, Step: "sha256:b", Unit: "bytes", Done: 10e6, Total: 330e6},
	{Time: at(4.5), Kind: exec.StepProgress, Step: "sha256:b", Unit: "bytes", Done: 214e6, Total: 330e6},
	{Time: at(5), Kind: exec.StepDone, Step: "sha256:a"},
	{Time: at(5.1), Kind: exec.Retry, Step: "sha256:b", Text: "GET blob: 503, again in 1 s"},
	{Time: at(12), Kind: exec.StepProgress, Step: "sha256:b", Unit: "bytes", Done: 300e6, Total: 330e6},
	{Time: at(13), Kind: exec.StepDone, Step: "sha256:b"},
	{Time: at(13.1), Kind: exec.StepCached, Step: "sha256:c"},
	{Time: at(13.2), Kind: exec.ImageDone, Name: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo", Text: "sha256:4f1c9a2e77ab3104f1c9a2e77ab310"},
	{Time: at(13.3), Kind: exec.ImageFailed, Name: "docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-demo", Text: "pull x: not found"},
}

func TestProgress(t *testing.T) {
	for _, kind := range ProgressKinds[1:] {
		var b bytes.Buffer
		p := NewProgress(kind, &b, Style{Terminal: kind == "tty", Width: 100}, progressPlan, 2)
		for _, e := range events {
			p.Event(e)
		}
		p.Close()
		if kind == "quiet" {
			if b.Len() > 0 {
				t.Errorf("quiet says %q", b.String())
			}
			continue
		}
		// A golden of a terminal shows each picture under the last.
		golden(t, "progress."+kind, strings.ReplaceAll(b.String(), "\x1b[2K", ""))
	}
}

func TestSummary(t *testing.T) {
	sum := Summary{
		Result: exec.Result{
			Images: []exec.ImageResult{
				{Reference: "docker.io/acme/ubuntu:a", State: exec.Unchanged, Digest: "sha256:1"},
				{Reference: "docker.io/acme/ubuntu:b", State: exec.Built, Digest: "sha256:2"},
				{Reference: "docker.io/acme/ubuntu:c", State: exec.Failed, Error: "layer kubernetes: pull gcr.io/x:y: not found"},
				{Reference: "docker.io/acme/ubuntu:d", State: exec.Skipped},
			},
			Bytes: exec.Bytes{Uploaded: 310e6, Mounted: 14.2e9, Reused: 9},
		},
		Places: map[string]string{"docker.io/acme/ubuntu:c": "images.cue:9:43"},
		Notes:  []string{"6 components come from local places"},
		Problems: []*problem.Problem{{
			Code: "CV0203", Severity: problem.Warning, Message: "\"v4.4.12\" is old", Help: "take v4.5", Path: "canvos",
			At: plan.Pos{File: "images.cue", Line: 3, Column: 9},
		}},
		Took: 192 * time.Second, Next: "canvos apply --retry-failed", Exit: 5,
	}
	for _, v := range voices {
		var b bytes.Buffer
		ShowSummary(&b, v.Style, sum)
		golden(t, "summary."+v.name, b.String())
	}
	var b bytes.Buffer
	if err := ResultJSON(&b, sum); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.json", b.String())
}

func TestLiveFits(t *testing.T) {
	l := live{s: Style{Terminal: true, Width: 60}, run: newRun(progressPlan)}
	l.run.take(exec.Event{Time: at(0), Kind: exec.StepStarted, Step: "sha256:x", Name: strings.Repeat("very-long-", 20)})
	l.run.take(exec.Event{Time: at(1), Kind: exec.StepProgress, Step: "sha256:x", Unit: "bytes", Done: 5, Total: 10, Text: strings.Repeat("log ", 50)})
	for _, line := range l.lines(60) {
		if n := len([]rune(line)); n >= 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
