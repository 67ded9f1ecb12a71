package compile

import (
	"strings"
	"testing"
)

func TestRanges(t *testing.T) {
	offered := strings.Fields("1.28.15 1.29.0 1.29.8 1.29.10 1.30.0 1.30.4 1.31.1 2.0.0")
	for _, c := range []struct{ text, want string }{
		{"1.30.4", "1.30.4"},
		{"1.30.9", ""},
		{"1.29.x", "1.29.0 1.29.8 1.29.10"},
		{"1.29.*", "1.29.0 1.29.8 1.29.10"},
		{"1.x", "1.28.15 1.29.0 1.29.8 1.29.10 1.30.0 1.30.4 1.31.1"},
		{">=1.29 <1.31", "1.29.0 1.29.8 1.29.10 1.30.0 1.30.4"},
		{"  >= 1.29   < 1.31 ", "1.29.0 1.29.8 1.29.10 1.30.0 1.30.4"},
		{">=1.29, <1.30", "1.29.0 1.29.8 1.29.10"},
		{">1.29 <=1.30", "1.30.0 1.30.4"},
		{">1.29.8 <1.30.4", "1.29.10 1.30.0"},
		{">=1.29.8 <=1.29.10", "1.29.8 1.29.10"},
		{"=1.30", "1.30.0 1.30.4"},
		{"=1.30.4", "1.30.4"},
		{">=2", "2.0.0"},
		{">1", "2.0.0"},
		{"<1.29 >1.30", ""},
	} {
		r, err := parseRange(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := strings.Join(within(r, offered), " "); got != c.want {
			t.Errorf("%q holds %s, want %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{"", " ", "1.30", "1", "v1.30.4", "1.30.04", "1.30.4.1", "1.30.4-rc1", "~1.30", "^1.30", "!=1.30", ">=", ">=1.x", "latest", "*", "x", ">=1.29 || <1.20", "1.30.4 1.30.5", "1.30.4.x", "99999999999999999999.1.1", "-1.2.3"} {
		if r, err := parseRange(text); err == nil {
			t.Errorf("%q is taken as %v", text, r)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"1.30.4", ">=1.29 <1.31", "1.30.x", ">= 1 , <2", "", "=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRange(s)
		if err == nil && r.exact && r.low.String() != s {
			t.Errorf("%q is read as the version %s", s, r.low)
		}
	})
}
