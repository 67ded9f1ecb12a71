package policy

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"canvos.dev/compile"
)

// rulesOf reads policies as --policy does.
func rulesOf(t testing.TB, text string) *Ruleset {
	t.Helper()
	policies, waivers, ps := compile.LoadRules(compile.Source{FS: fstest.MapFS{"rules.cue": {Data: []byte("package rules\n" + text)}}, Dir: "."})
	for _, p := range ps {
		t.Fatal(p)
	}
	s := NewRuleset()
	s.Add("", policies, waivers)
	return s
}

// judged is what a set of rules finds on a change of shop, without what canvos
// brings along.
func judged(t testing.TB, rules, before, after string) []Finding {
	t.Helper()
	s := rulesOf(t, rules)
	c := Compare(StateOf(Side{Name: "base"}, []Manifest{side(t, before)}), StateOf(Side{Name: "head"}, []Manifest{side(t, after)}))
	var found []Finding
	for i := range s.Own {
		f, broken := s.Own[i].judge(c)
		if found = append(found, f...); broken != "" {
			found = append(found, brokenRule("", s.Own[i].ID, broken, s.Own[i].At))
		}
	}
	return append(found, s.Broken...)
}

// TestLinks: what a reader follows leads to the web.
func TestLinks(t *testing.T) {
	for link, want := range map[string]string{"https://acme.example/a": "https://acme.example/a", "http://acme.example": "http://acme.example", "javascript:alert(1)": "", "file:///etc/passwd": "", "//acme.example": ""} {
		text := fmt.Sprintf("policies: {r: {severity: \"deny\", message: \"m\", link: %q, require: after: tag: \"x\"}, \"end-of-life\": link: %[1]q}", link)
		_, _, ps := compile.LoadRules(compile.Source{FS: fstest.MapFS{"rules.cue": {Data: []byte("package rules\n" + text)}}, Dir: "."})
		if (len(ps) > 0) != (want == "") {
			t.Errorf("%s: %v", link, ps)
		}
		s := NewRuleset() // as of a base that nobody checks
		s.Add("", compile.Rules{CUE: []byte(strings.TrimPrefix(text, "policies: "))}, compile.Rules{})
		if s.Own[0].Link != want || s.Settings["end-of-life"].Link != want {
			t.Errorf("%s: %q, %q", link, s.Own[0].Link, s.Settings["end-of-life"].Link)
		}
	}
}

func TestCustomRules(t *testing.T) {
	laughs := "#s0: {a: \"x\", b: \"x\"}\n"
	for i := range 40 {
		laughs += fmt.Sprintf("#s%d: {a: #s%[2]d, b: #s%[2]d}\n", i+1, i)
	}
	retag := [2]string{`"shop"`, `"shop2"`}
	for _, c := range []struct {
		name, rule string
		change     [2]string
		want       string // of message and place; "" is nothing
	}{
		{"require", `policies: r: {severity: "deny", message: "a production image carries a release tag", when: after: channel: "production", require: after: tag: =~"^v[0-9]+"}`,
			retag, `a production image carries a release tag: after.tag is "shop2", want =~"^v[0-9]+" images.cue:8:7`},
		{"require holds", `policies: r: {severity: "deny", message: "m", when: after: channel: "production", require: after: tag: =~"^shop"}`, retag, ""},
		{"when does not apply", `policies: r: {severity: "deny", message: "m", when: after: channel: "staging", require: after: tag: =~"^v"}`, retag, ""},
		{"as definitions", `policies: r: {severity: "deny", message: "m", #when: after: channel: "production", #require: after: tag: =~"^v"}`, retag, `m: after.tag is "shop2", want =~"^v" images.cue:8:7`},
		{"absence is a violation", `policies: r: {severity: "deny", message: "m", require: after: labels: owner: string}`, retag, `m: after.labels.owner is absent, want string images.cue:5:11`},
		{"absence does not apply", `policies: r: {severity: "deny", message: "m", when: after: labels: owner: string, require: after: tag: "x"}`, retag, ""},
		{"no effect", `policies: r: {severity: "deny", message: "m", require: after: tag: "x"}`, [2]string{"canvos:", "// c\ncanvos:"}, ""},
		{"null", `policies: r: {severity: "deny", message: "a family went", require: after: !=null}`, [2]string{`families: "store":`, `_f:`}, `a family went: after is null, want !=null images.cue:5:11`},
		{"computed", `_max: 1
policies: r: {severity: "deny", message: "m", before: _, after: _, violations: [if before != null if after != null if before.tag != after.tag {field: "tag", message: "\(before.tag) became \(after.tag), \(_max)"}]}`,
			retag, `shop became shop2, 1 images.cue:8:7`},
		{"anything, as a definition", `policies: r: {severity: "deny", message: "m", #when: before: {}, #require: after: os: {}}`, retag, ""},
		{"when anything was there", `policies: r: {severity: "deny", message: "m", #when: before: {}, #require: after: tag: "x"}`, retag, `m: after.tag is "shop2", want "x" images.cue:8:7`},
		{"elements that have more", `policies: r: {severity: "deny", message: "m", #require: after: images: [...{reference: =~"shop2$"}]}`, retag, ""},
		{"elements that are others", `policies: r: {severity: "deny", message: "m", #require: after: images: [...{reference: =~"x$"}]}`, retag, `m: after.images is […], want […] images.cue:5:11`},
		{"anything, and nothing is there", `policies: r: {severity: "deny", message: "m", #require: after: {}}`, [2]string{`families: "store":`, `_f:`}, `m: after is null, want {} images.cue:5:11`},
		{"something else than all of it", `policies: r: {severity: "deny", message: "m", #require: after: "x"}`, retag, `m: after is {…}, want "x" images.cue:5:11`},
		{"computed, of a family that comes", `policies: r: {severity: "deny", message: "m", #before: _, #after: _, #violations: [if #before == null {message: #after.tag}]}`,
			[2]string{"canvos:", "families: kiosk: {os: {distribution: \"ubuntu\", version: \"22.04\"}, kubernetes: {distribution: \"k3s\", versions: [\"1.30.4\"]}, tag: \"kiosk\"}\ncanvos:"}, "kiosk images.cue:3:11"},
		{"computed, of a family that goes", `policies: r: {severity: "deny", message: "m", #before: _, #after: _, #violations: [if #after == null {message: #before.tag}]}`,
			[2]string{`families: "store":`, `_f:`}, "shop images.cue:5:11"},
		{"computed, of a family that goes, shared", `_rule: {severity: "deny", message: "m", after: _, violations: [if after == null {message: "gone"}]}
policies: r: _rule & {help: "h"}`, [2]string{`families: "store":`, `_f:`}, "gone images.cue:5:11"},
		{"an image that comes", `policies: r: {severity: "deny", message: "m", each: "image", before: _, after: _, violations: [if before == null {message: after.reference}]}`,
			[2]string{`"1.30.4"]`, `"1.30.4", "1.29.6"]`}, "docker.io/acme/ubuntu:k3s-1.29.6-v4.4.12-shop images.cue:5:11 docker.io/acme/ubuntu:k3s-1.29.6-v4.4.12-shop"},
		{"when nothing was there", `policies: r: {severity: "deny", message: "m", #when: before: null, #require: after: tag: "x"}`, retag, ""},
		{"computed definitions", `policies: r: {severity: "deny", message: "m", #after: _, #violations: [if len(#after.kubernetes.versions) < 3 {message: "few: \(len(#after.kubernetes.versions))"}]}`,
			retag, `few: 2 images.cue:5:11`},
		{"computed with an import and a helper", `import "strings"
policies: r: {severity: "deny", message: "m", _limit: 4, after: _, violations: [if len(after.tag) > _limit {message: strings.ToUpper(after.tag)}]}`,
			retag, `SHOP2 images.cue:5:11`},
		{"computed, a name of its own", `policies: r: {severity: "deny", message: "m", after: _, violations: [for after in [1, 2] {message: "\(after)"}, {message: after.tag, field: "tag"}]}`,
			retag, "1 images.cue:5:11\n2 images.cue:5:11\nshop2 images.cue:8:7"},
		{"computed, of an input that is described", `policies: r: {severity: "deny", message: "m", after: {tag: string, ...}, violations: [{message: after.tag}]}`,
			retag, "shop2 images.cue:5:11"},
		{"computed, of what applies", `policies: r: {severity: "deny", message: "m", when: after: tag: "none", after: _, violations: [{message: after.tag}]}`, retag, ""},
		{"computed in words alone", `policies: r: {severity: "deny", message: "m", after: _, violations: [if after.tag != "shop" {after.tag}]}`, retag, "shop2 images.cue:5:11"},
		{"shared by reference", `_rule: {severity: "deny", message: "m", after: _, violations: [{message: after.tag}]}
policies: r: _rule & {help: "h"}`, retag, "shop2 images.cue:5:11"},
		{"an image, computed", `policies: r: {severity: "deny", message: "m", each: "image", before: _, after: _, violations: [if before != null if after != null {message: before.reference}]}`,
			retag, "docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-shop images.cue:5:11 docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-shop2\ndocker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-shop images.cue:5:11 docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-shop2"},
		{"an image", `policies: r: {severity: "deny", message: "m", each: "image", require: after: kubernetesVersion: =~"^1.30"}`,
			retag, `m: after.kubernetesVersion is "1.29.8", want =~"^1.30" images.cue:5:11 docker.io/acme/ubuntu:k3s-1.29.8-v4.4.12-shop2`},
		{"the change", `policies: r: {severity: "deny", message: "m", each: "change", totals: _, changes: _, violations: [if totals.retagged > 1 for n, x in changes {family: n, message: "\(totals.retagged) of \(n) are \(x.kind)"}]}`,
			retag, `2 of store are retagged images.cue:5:11`},
		{"broken: an absent field", `policies: r: {severity: "info", message: "m", after: _, violations: [if after.nosuch > 1 {message: "x"}]}`,
			retag, `the rule "r" is broken: violations: undefined field: nosuch rules.cue:2:11`},
		{"broken: nothing to judge by", `policies: r: {severity: "info", message: "m"}`, retag, `the rule "r" is broken: it has neither require nor violations rules.cue:2:11`},
		{"broken: a definition that is none", `policies: r: {severity: "info", message: "m", #requires: after: tag: "x", require: after: tag: "shop2"}`,
			retag, `the rule "r" is broken: #requires is no part of a rule rules.cue:2:11`},
		{"broken: a pattern without end", laughs + `policies: r: {severity: "info", message: "m", #require: after: #s40}`,
			retag, `the rule "r" is broken: its patterns want more than 10000 values rules.cue:43:11`},
		{"broken: a violation that is misspelt", `policies: r: {severity: "info", message: "m", #violations: [{mesage: "typo"}]}`,
			retag, `the rule "r" is broken: a violation has no field "mesage" (did you mean message?) rules.cue:2:11`},
		{"broken: one that is not found here", `policies: r: {severity: "info", message: "m", #after: _, #violations: [if #after.tag == "none" if #after.fips {message: "m", feild: "tag"}]}`,
			retag, `the rule "r" is broken: a violation has no field "feild" (did you mean field?) rules.cue:2:11`},
		{"broken: one that is computed", `policies: r: {severity: "info", message: "m", #after: _, #violations: [for k in ["mesage"] {"\(k)": #after.tag}]}`,
			retag, `the rule "r" is broken: violations: a violation has no field "mesage" (did you mean message?) rules.cue:2:11`},
		{"broken: a message that is none", `policies: r: {severity: "info", message: "m", #after: _, #violations: [{message: #after.fips}]}`,
			retag, `the rule "r" is broken: violations: cannot use value false (type bool) as string rules.cue:2:11`},
		{"the rule's own message", `policies: r: {severity: "info", message: "m", #after: _, #violations: [{field: "tag", help: "h"}]}`, retag, "m images.cue:8:7"},
		{"broken: when names what is not there", `policies: r: {severity: "info", message: "m", #when: after: tga: "x", #require: after: tag: "x"}`,
			retag, `the rule "r" is broken: when: after.tga is nothing that is there (did you mean tag?) rules.cue:2:11`},
		{"broken: require does, below", `policies: r: {severity: "info", message: "m", #require: after: os: verison: "x"}`,
			retag, `the rule "r" is broken: require: after.os.verison is nothing that is there (did you mean version?) rules.cue:2:11`},
		{"broken: neither before nor after", `policies: r: {severity: "info", message: "m", #when: afetr: tag: "x", #require: after: tag: "x"}`,
			retag, `the rule "r" is broken: when: afetr is nothing that is there (did you mean after?) rules.cue:2:11`},
		{"broken: of an image", `policies: r: {severity: "info", message: "m", each: "image", #require: after: facts: twonode: false}`,
			retag, `the rule "r" is broken: require: after.facts.twonode is nothing that is there (did you mean twoNode?) rules.cue:2:11`},
		{"broken: of the whole", `policies: r: {severity: "info", message: "m", each: "change", #require: totals: rebuild: 0}`,
			retag, `the rule "r" is broken: require: totals.rebuild is nothing that is there (did you mean rebuilt?) rules.cue:2:11`},
		{"names that anybody may choose", `policies: r: {severity: "info", message: "m", #when: after: {labels: team: "x", overlay: "/etc": string, files: a: string, os: image: amd64: string}, #require: after: name: "x"}`, retag, ""},
		{"broken: an error of types", `policies: r: {severity: "info", message: "m", after: _, violations: [if after.tag > 1 {message: "x"}]}`,
			retag, `the rule "r" is broken: violations: invalid operands "shop2" and 1 to '>' (type string and int) rules.cue:2:11`},
	} {
		var got []string
		for _, f := range judged(t, c.rule, shop, strings.Replace(shop, c.change[0], c.change[1], 1)) {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s:%d:%d %s", f.Message, f.At.File, f.At.Line, f.At.Column, f.Reference)))
		}
		if text := strings.Join(got, "\n"); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, text, c.want)
		}
	}
}
