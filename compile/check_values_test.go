package compile

import "testing"

func TestIsDay(t *testing.T) {
	for text, want := range map[string]bool{
		"2026-12-31": true, "2028-02-29": true, "2000-02-29": true,
		"2026-02-29": false, "2099-99-99": false, "2026-04-31": false, "2026-00-10": false, "2026-1-10": false, "26-01-10": false, "2026-01-1x": false, "": false, "2026-01-": false, "202--01-01": false,
	} {
		if IsDay(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
