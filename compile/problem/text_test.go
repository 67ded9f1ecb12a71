package problem

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		text, want string
		names      bool
	}{
		{`two values: "http://u:SECRET@h:1" and "http://SECRET@h/x"`, `two values: "http://…@h:1" and "http://…@h/x"`, false},
		{`"https://u:SE/C@RET@h/x" has a scheme (images.cue:7:2)`, `"https://…@h/x" has a scheme (images.cue:7:2)`, false},
		{`"https://u:SE\"CR ET@h"`, `"https://…@h"`, false},
		{`"u:SECRET@h/x" is not a registry host`, `"…@h/x" is not a registry host`, false},
		{`u:SECRET@h/x`, `…@h/x`, false},
		{`"SECRET@h/x"`, `"…@h/x"`, true},
		{`"me@example.com" owns it`, `"me@example.com" owns it`, false},
		{`docker.io/acme/x:1@sha256:` + hex, `docker.io/acme/x:1@sha256:` + hex, true},
		{`"https://u:SECRET@h/x@sha256:` + hex + `"`, `"https://…@h/x@sha256:` + hex + `"`, true},
		{`"`, `"`, true},
		{`""`, `""`, true},
		{`"@h"`, `"@h"`, true},
	} {
		if got := Text(c.text, c.names); got != c.want {
			t.Errorf("%s\nbecame %s\nnot    %s", c.text, got, c.want)
		}
	}
	long := strings.Repeat("ä", 1<<20)
	for _, text := range []string{long, `the tag "` + long + `" is long`, `"` + strings.Repeat("a b ", 1<<18) + `"`} {
		if got := Text(text, false); len(got) > 600 || !strings.Contains(got, "…") || strings.Count(text, `"`) != strings.Count(got, `"`) {
			t.Errorf("%.40s became %d bytes", text, len(got))
		}
	}
	// A text that is cut shows no credentials either.
	if got := Text(`"http://u:SECRET`+long+`@h"`, false); got != `"http://…@h"` {
		t.Error(got)
	}
}
