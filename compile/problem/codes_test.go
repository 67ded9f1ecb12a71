package problem

import (
	"regexp"
	"strings"
	"testing"
)

func TestCodes(t *testing.T) {
	form := regexp.MustCompile(`^CV0[0-6]\d\d$`)
	constraint := regexp.MustCompile(`^C\d\d$`)
	rooms := map[string]bool{"load": true, "compile": true, "lock": true, "plan": true, "engine": true}
	previous := ""
	for _, e := range Codes() {
		if !form.MatchString(e.Code) {
			t.Errorf("%s is not a code", e.Code)
		}
		if e.Code == previous {
			t.Errorf("%s is there twice", e.Code)
		}
		previous = e.Code
		if e.Severity != Error && e.Severity != Warning {
			t.Errorf("%s has severity %q", e.Code, e.Severity)
		}
		if !rooms[e.Room] {
			t.Errorf("%s has room %q", e.Code, e.Room)
		}
		if len(e.Title) == 0 || len(e.Title) > 72 || strings.HasSuffix(e.Title, ".") {
			t.Errorf("%s: title %q", e.Code, e.Title)
		}
		if len(e.Explanation) < 2 {
			t.Errorf("%s explains in %d paragraphs: say the cause and what to do", e.Code, len(e.Explanation))
		}
		for _, p := range e.Explanation {
			if !strings.HasSuffix(p, ".") {
				t.Errorf("%s: a paragraph without an end: %q", e.Code, p)
			}
		}
		if len(e.Sources) == 0 {
			t.Errorf("%s names no source", e.Code)
		}
		for _, c := range e.Constraints {
			if !constraint.MatchString(c) {
				t.Errorf("%s: constraint %q", e.Code, c)
			}
		}
		if got, ok := Lookup(e.Code); !ok || got.Title != e.Title {
			t.Errorf("Lookup(%s) = %v, %v", e.Code, got, ok)
		}
	}
	if _, ok := Lookup("CV9999"); ok {
		t.Error("Lookup finds a code that is not there")
	}
}
