package problem

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Text is what may be said of values that a person wrote: without the user and
// password of an address, and without the middle of what is longer than a screen
// shows. Where only names of images and registries are spoken of, whatever
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
		return before + cut(inner) + after
	})
}

// units are texts in quotes, and words.
var units = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|[^\s"]+|"`)

// longest is how much of a value is shown: the longest reference of a sensible
// length, and no more than two lines of a terminal.
const longest = 160

func cut(s string) string {
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	const tail = 20
	r := []rune(s)
	return string(r[:longest-tail]) + "…" + string(r[len(r)-tail:])
}

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
