package problem

import (
	"regexp"
	"strings"
)

// Text is what may be said of values that a person wrote: without the user and
// password of an address. Where only names of images and registries are spoken of, whatever
// stands before an @ is a credential.
func Text(s string, names bool) string {
	return units.ReplaceAllStringFunc(s, func(unit string) string {
		before, inner, after := "", unit, ""
		if unit[0] == '"' && len(unit) > 1 {
			before, inner, after = `"`, unit[1:len(unit)-1], `"`
		}
		if from, to, ok := Credentials(inner, names); ok {
			inner = inner[:from] + "…" + inner[to:]
		}
		return before + inner + after
	})
}

// units are texts in quotes, and words.
var units = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|[^\s"]+|"`)

// Credentials finds user and password of an address in a text, between // and @
// or, where there is no scheme, before the @. The @ of a digest is none.
func Credentials(s string, names bool) (from, to int, ok bool) {
	to = len(s)
	for {
		if to = strings.LastIndexByte(s[:to], '@'); to < 0 {
			return 0, 0, false
		}
		if !digest.MatchString(s[to:]) {
			break
		}
	}
	if i := strings.Index(s[:to], "://"); i >= 0 {
		return i + 3, to, to > i+3
	}
	from = strings.LastIndexAny(s[:to], " \t\n") + 1
	return from, to, to > from && (names || strings.Contains(s[from:to], ":"))
}

var digest = regexp.MustCompile(`^@sha(256|512):`)
