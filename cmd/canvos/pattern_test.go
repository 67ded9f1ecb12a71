package main

import "testing"

func TestMatches(t *testing.T) {
	const ref = "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-palette-learn"
	for pattern, want := range map[string]bool{
		ref:                       true,
		"*":                       true,
		"ubuntu:*palette-learn":   true,
		"docker.io/acme/*":        true,
		"docker.io/*:k3s-*":       true,
		"ubuntu:k3s-1.30.4":       false,
		"ubuntu*":                 true,
		"acme/*":                  false,
		"ubuntu:k3s-1.30.4-?4.4*": false,
		"ubuntu:k3s-1x30.4*":      false,
		"ubuntu:k3s-[1].30.4*":    false,
		"":                        false,
		"*palette-learn*two-node": false,
		"ubuntu:k3s-1.30.4-v4.4.12-palette-learn": true,
	} {
		if got := matches(pattern, ref); got != want {
			t.Errorf("%q matches: %v", pattern, got)
		}
	}
}
