package policy

import (
	"strings"
	"testing"

	"canvos.dev/compile/lock"
)

// TestLinesByName: whoever declares a line, by whatever name, what a lock
// recorded of it is found by the names of images.
func TestLinesByName(t *testing.T) {
	base := Manifest{Name: ".", Recorded: map[string]lock.LineFacts{
		"docker.io/acme/ubuntu:k3s-*-two-node-r2": {TwoNode: true},
		"docker.io/acme/ubuntu:k3s-*":             {FIPS: true},
	}}
	for _, c := range []struct{ tag, want string }{
		{`tag: "two-node", revision: 2`, "docker.io/acme/ubuntu:k3s-*-two-node-r2"},
		{`tag: "two-node-r2"`, "docker.io/acme/ubuntu:k3s-*-two-node-r2"},
		{`tag: "two-node-r3"`, "docker.io/acme/ubuntu:k3s-*-two-node-r2"},
		{`components: agent: "v4.4.12-two-node"`, "docker.io/acme/ubuntu:k3s-* docker.io/acme/ubuntu:k3s-*-two-node-r2"},
		{`tag: "r7"`, "docker.io/acme/ubuntu:k3s-*"},
		{`components: agent: "v4.4.12-rc.3"`, "docker.io/acme/ubuntu:k3s-*"},
		{`tag: "one"`, ""},
	} {
		head := side(t, strings.Replace(shop, `tag: "shop"`, c.tag, 1))
		head.Recorded = nil
		both := Compare(StateOf(Side{}, []Manifest{base}), StateOf(Side{}, []Manifest{head}))
		var lines []string
		for _, was := range both.linesOf(both.linesBefore(), &head.Families[0]) {
			lines = append(lines, was.line)
		}
		if got := strings.Join(lines, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.tag, got, c.want)
		}
	}
}
