package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"canvos.dev/schema"
)

// TestDocument compares what docs/review.md says of the rules with the rules.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (deny|warn|info) \\| .+ \\| .+ \\|$").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	var rules []string
	for _, r := range Builtin() {
		rules = append(rules, r.ID+" "+string(r.Severity))
		if r.Title == "" || r.Reason == "" {
			t.Errorf("%s says nothing of itself", r.ID)
		}
	}
	if !slices.Equal(documented, rules) {
		t.Errorf("docs/review.md has\n%s\nnot\n%s", strings.Join(documented, "\n"), strings.Join(rules, "\n"))
	}
}

// TestSchemaKnowsRules: an id that the schema took for a rule of one's own could
// not be set.
func TestSchemaKnowsRules(t *testing.T) {
	text, err := schema.FS.ReadFile("policy.cue")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`_builtin: "\^\((.*)\)\$"`).FindSubmatch(text)
	if found == nil {
		t.Fatal("schema/policy.cue names no rules")
	}
	var ids []string
	for _, r := range Builtin() {
		ids = append(ids, r.ID)
	}
	if got := strings.Split(string(found[1]), "|"); !slices.Equal(got, ids) {
		t.Errorf("schema/policy.cue has %v, not %v", got, ids)
	}
}

// TestDocumentedRules: the examples of docs/review.md are rules.
func TestDocumentedRules(t *testing.T) {
	text, err := os.ReadFile("../../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	set := NewRuleset()
	for _, m := range regexp.MustCompile("(?s)```cue\n(.*?)```").FindAllSubmatch(text, -1) {
		example := strings.Replace(string(m[1]), "sha256:…", "sha256:"+strings.Repeat("0", 64), 1)
		one := rulesOf(t, example)
		set.Own, set.Waivers = append(set.Own, one.Own...), append(set.Waivers, one.Waivers...)
		for id, s := range one.Settings {
			set.Settings[id] = s
		}
		for _, b := range one.Broken {
			t.Error(b.Message)
		}
	}
	if len(set.Own) != 2 || len(set.Waivers) != 1 || len(set.Settings) != 4 {
		t.Errorf("%d rules, %d waivers, %d settings", len(set.Own), len(set.Waivers), len(set.Settings))
	}
	results, _ := set.Test()
	for _, r := range results {
		if !r.OK() {
			t.Errorf("%+v", r)
		}
	}
}
