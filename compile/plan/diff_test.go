package plan

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	again := func(p *Plan, from int) {
		// The identities of all steps from one on follow.
		renamed := map[Digest]Digest{}
		for i := range p.Steps {
			old := p.Steps[i].ID
			for j, n := range p.Steps[i].Needs {
				if d, ok := renamed[n]; ok {
					p.Steps[i].Needs[j] = d
				}
			}
			if i >= from {
				if err := p.Steps[i].Identify(p.Recipe, p.Format); err != nil {
					t.Fatal(err)
				}
			}
			renamed[old] = p.Steps[i].ID
		}
		for i := range p.Images {
			p.Images[i].Step = renamed[p.Images[i].Step]
		}
	}
	one, two := "docker.io/acme/ubuntu:one", "docker.io/acme/ubuntu:two"
	for _, c := range []struct {
		name   string
		change func(*Plan)
		want   string
	}{
		{"nothing", nil, "unchanged one|unchanged two"},
		{"names and places", func(p *Plan) { p.Steps[0].Name = "x"; p.Steps[0].At = Pos{}; p.Images[0].Family = "z" }, "unchanged one|unchanged two"},
		{"removed", func(p *Plan) { p.Images = p.Images[:1] }, "unchanged one|removed two"},
		{"added", func(p *Plan) {
			i := p.Images[0]
			i.Reference = "docker.io/acme/ubuntu:zero"
			p.Images = append(p.Images, i)
		}, "unchanged one|unchanged two|added zero"},
		{"retagged", func(p *Plan) { p.Images[1].Reference = "docker.io/acme/ubuntu:zwei" }, "unchanged one|retagged zwei from two"},
		{"source", func(p *Plan) {
			d := DigestOf([]byte("other"))
			p.Steps[3].Op.Files.Actions[0].Copy.Source, p.Sources[2].Digest = d, d
			again(p, 3)
		}, "rebuilt one: docker.io/acme/k3s:1.30.4 linux/amd64 changed|rebuilt two: docker.io/acme/k3s:1.30.4 linux/amd64 changed"},
		{"source of one platform", func(p *Plan) {
			d := DigestOf([]byte("other"))
			p.Steps[1].Op.Base.Source, p.Sources[1].Digest = d, d
			again(p, 1)
		}, "rebuilt one: docker.io/acme/base:1 linux/arm64 changed|rebuilt two: docker.io/acme/base:1 linux/arm64 changed"},
		{"another source", func(p *Plan) {
			p.Sources[2].Reference = "docker.io/acme/k3s:1.30.5"
			p.Sources[2].Digest = DigestOf([]byte("5"))
			p.Steps[3].Op.Files.Actions[0].Copy.Source = p.Sources[2].Digest
			again(p, 3)
		}, "rebuilt one: docker.io/acme/k3s:1.30.4 linux/amd64 gone, docker.io/acme/k3s:1.30.5 linux/amd64 new, files -1 +1|rebuilt two: docker.io/acme/k3s:1.30.4 linux/amd64 gone, docker.io/acme/k3s:1.30.5 linux/amd64 new, files -1 +1"},
		{"script", func(p *Plan) { p.Steps[2].Op.Run.Script = "true\n"; again(p, 2) }, "rebuilt one: os -1 +0|rebuilt two: os -1 +0"},
		{"action", func(p *Plan) { p.Steps[3].Op.Files.Actions[2].Write.Content = "y"; again(p, 3) }, "rebuilt one: files -1 +1|rebuilt two: files -1 +1"},
		{"label", func(p *Plan) { p.Steps[4].Op.Image.Labels = map[string]string{"a": "c"}; again(p, 4) }, "rebuilt one: image -1 +1|unchanged two"},
		{"order", func(p *Plan) {
			as := p.Steps[3].Op.Files.Actions
			as[2], as[3] = as[3], as[2]
			again(p, 3)
		}, "rebuilt one: order of the steps -0 +0|rebuilt two: order of the steps -0 +0"},
		{"recipe", func(p *Plan) { p.Recipe = 2; again(p, 0) }, "rebuilt one: recipe -0 +0|rebuilt two: recipe -0 +0"},
	} {
		var got []string
		for _, ch := range Diff(sealed(t, nil), sealed(t, c.change)) {
			s := string(ch.Kind) + " " + strings.TrimPrefix(ch.Reference, "docker.io/acme/ubuntu:")
			if ch.Was != "" {
				s += " from " + strings.TrimPrefix(ch.Was, "docker.io/acme/ubuntu:")
			}
			var causes []string
			for _, cause := range ch.Causes {
				causes = append(causes, causeText(cause))
			}
			if len(causes) > 0 {
				s += ": " + strings.Join(causes, ", ")
			}
			if (ch.Old == nil) != (ch.Kind == Added) || (ch.New == nil) != (ch.Kind == Removed) {
				t.Errorf("%s: %s has old %v, new %v", c.name, ch.Reference, ch.Old, ch.New)
			}
			got = append(got, s)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "|"), c.want)
		}
	}
	if got := Diff(Plan{}, sealed(t, nil)); len(got) != 2 || got[0].Reference != one || got[1].Reference != two || got[0].Kind != Added {
		t.Errorf("from nothing: %v", got)
	}
}

func causeText(c Cause) string {
	switch {
	case c.Step != "":
		return fmt.Sprintf("%s -%d +%d", c.Step, len(c.Gone), len(c.New))
	case c.Before == "":
		return c.Source + " " + c.Platform + " new"
	case c.After == "":
		return c.Source + " " + c.Platform + " gone"
	}
	return c.Source + " " + c.Platform + " changed"
}

func TestTextSaysWhatTheDigestCovers(t *testing.T) {
	text := sealed(t, nil).Text()
	for _, want := range []string{
		"source file:overlay\n", "step 3 os on 1, 2\n", "step 6 two on 4, 2\n",
		"copy . of docker.io/acme/k3s:1.30.4 to /, from the working directory, each name by itself, owner 0:0, xattrs capability",
		"copy / of file:overlay to /etc, out of the archive, if there, following a link, with times",
		"  run on linux/amd64 with network, refreshed 1\n    mount / of file:overlay at /run/x\n    mount / of the next step it needs at /run/y\n    secret TOKEN\n    env A=b\n    | true\n    | false\n",
		`write /a 0644 "x\n"`, "attr /a 0600 owner 1:1, if there", "base docker.io/acme/base:1 for linux/arm64, prepared",
		"image docker.io/acme/ubuntu:one\n  step 5, linux/amd64, ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if p := sealed(t, nil); !strings.HasSuffix(text, "\n"+string(p.Digest)+"\n") {
		t.Error("the digest is not last")
	}
}
