package policy

import "testing"

func TestVerdict(t *testing.T) {
	deny, warn, info := Finding{Severity: SeverityDeny}, Finding{Severity: SeverityWarn}, Finding{Severity: SeverityInfo}
	waived := deny
	waived.WaivedBy = "w"
	for _, c := range []struct {
		of   []Finding
		want Verdict
	}{
		{nil, Pass},
		{[]Finding{info}, Pass},
		{[]Finding{info, warn}, Warn},
		{[]Finding{waived}, Pass},
		{[]Finding{warn, deny}, Deny},
	} {
		if got := VerdictOf(c.of); got != c.want {
			t.Errorf("%v: %s, want %s", c.of, got, c.want)
		}
	}
}
