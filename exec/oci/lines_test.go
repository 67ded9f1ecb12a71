package oci

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"canvos.dev/exec/image"
)

func TestKeptOf(t *testing.T) {
	out := targetIn(t, filepath.Join(t.TempDir(), "out"))
	for _, ref := range []string{"k3s-1.30.4-v4.4.12-demo", "k3s-1.29.8-v4.4.12-demo", "k3s-1.29.8-v4.4.12-demo-r2", "k3s-1.29.8-v4.4.12-other", "rke2-1.29.8-v4.4.12-demo"} {
		put(t, out, ready(t, "docker.io/acme/ubuntu:"+ref, "f", ref))
	}
	kept, err := KeptOf(t.Context(), out, []string{demoLine, "docker.io/acme/none:k3s-*"}, func(ref string) bool { return strings.HasSuffix(ref, "1.30.4-v4.4.12-demo") })
	if want := "kept  ubuntu:k3s-1.29.8-v4.4.12-demo: no longer declared\nkept  ubuntu:k3s-1.29.8-v4.4.12-demo-r2: no longer declared"; err != nil || decided(kept) != want {
		t.Errorf("%v\n%s", err, decided(kept))
	}
}

func TestInLine(t *testing.T) {
	for _, c := range []struct {
		line, reference string
		want            bool
	}{
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r12", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.10.0-rc.2-demo", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-rx", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-my-demo", false},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12", false},
		{"a/u:k3s-*-demo", "a/u:k3s-latest-demo", false},
		{"a/u:k3s-*-demo", "a/ubuntu:k3s-1.30.4-v4.4.12-demo", false},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12-r2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.10.0-rc.2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.4.12-demo", false},
		// Of two lines that one could take it for, it is of the first.
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-v4.4.12-demo-r2", true},
		{"a/u:k3s-*-demo-r2", "a/u:k3s-1.30.4-v4.4.12-demo-r2", false},
		{"a/u:k3s-*-demo-r2", "a/u:k3s-1.30.4-v4.4.12-demo-r2-r2", true},
		{"a/u:k3s-*", "a/u:k3s-1.30.4-v4.10.0-rc.2-r2", true},
		{"a/u:k3s-*-rc.x", "a/u:k3s-1.30.4-v4.10.0-rc.x", true},
		{"a/u:k3s-*-demo", "a/u:k3s-1.30.4-r2-demo", false},
		{"a/u:kubeadm-*-x", "a/u:kubeadm-fips-1.30.4-v4.4.12-x", false},
		{"a/u:kubeadm-fips-*-x", "a/u:kubeadm-fips-1.30.4-v4.4.12-x", true},
	} {
		if got := InLine(c.line, c.reference); got != c.want {
			t.Errorf("%s, %s: %t", c.line, c.reference, got)
		}
	}
}

func TestNewestFirst(t *testing.T) {
	want := []string{"1.30.4-v4.10.0", "1.30.4-v4.10.0-rc.2", "1.30.4-v4.9.38", "1.30.4-v4.4.12-r10", "1.30.4-v4.4.12-r2", "1.30.4-v4.4.12", "1.9.10-v4.10.0"}
	for i, tag := range want {
		version, revision, _ := strings.Cut(tag, "-r")
		if strings.HasPrefix(revision, "c") { // of the agent
			version, revision = tag, ""
		}
		want[i] = "a/u:k3s-" + version + "-demo"
		if revision != "" {
			want[i] += "-r" + revision
		}
	}
	all := slices.Clone(want)
	slices.Sort(all)
	if got := newestFirst("a/u:k3s-*-demo", append(all, "a/u:k3s-2.0.0-v4.4.12-other", "a/u:latest")); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

// Of a line in which some other tool has published for years, not all is read.
func TestLineIsAskedWithinBounds(t *testing.T) {
	l := newLab(t, Rule{"docker.io/acme/base", "oci:bases"})
	l.writeAll("bases", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, dir("etc"))}))
	out := &Layout{Dir: path.Join(t.TempDir(), "out"), Store: l.sources.Store}
	publishes(t, "docker.io/acme/ubuntu:k3s-1.29.0-v4.4.12-demo", "a", demo, amd64)(l, out)
	var others []image.Image
	for i := range 40 {
		others = append(others, ready(t, fmt.Sprintf("docker.io/acme/ubuntu:k3s-1.30.%d-v4.4.12-demo", i), "x", "by docker"))
	}
	put(t, out, others...)
	counted := &countingTarget{Layout: out, asked: map[string]int{}}
	d := wanted(t, l, "docker.io/acme/ubuntu:k3s-1.31.1-v4.4.12-demo", "b", demo, amd64)
	ds, err := Decide(t.Context(), d.Plan, Comparison{Target: counted, Store: l.sources.Store, Jobs: 2})
	check(t, err)
	if want := "build  ubuntu:k3s-1.31.1-v4.4.12-demo: not published yet; the 32 newest images of its line do not say what they are, 9 more were not asked"; decided(ds) != want {
		t.Errorf("%s", decided(ds))
	}
	if len(counted.asked) != 1+mostLooked || counted.asked["docker.io/acme/ubuntu:k3s-1.30.39-v4.4.12-demo"] != 1 {
		t.Errorf("%d references were asked for", len(counted.asked))
	}
}
