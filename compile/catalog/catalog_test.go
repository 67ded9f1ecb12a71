package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func lookup(t testing.TB, tag string) *Release {
	t.Helper()
	r, err := Lookup(tag)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryReleaseIsThere(t *testing.T) {
	tags := Tags()
	if len(tags) != 90 || tags[0] != "v4.0.2" || tags[89] != "v4.10.0" {
		t.Fatalf("%d releases, %s to %s", len(tags), tags[0], tags[len(tags)-1])
	}
	if !slices.IsSortedFunc(tags, CompareVersions) {
		t.Error("tags are not in order")
	}
	for _, tag := range tags {
		r := lookup(t, tag)
		if r.Tag != tag || r.AgentVersion == "" || len(r.Kubernetes) < 4 || r.Stylus["amd64"] == "" || r.LuetRepo["arm64"] == "" {
			t.Errorf("%s is not whole: %+v", tag, r)
		}
		for d, versions := range r.Kubernetes {
			if r.Providers[d].Image == "" {
				t.Errorf("%s: no provider image for %s", tag, d)
			}
			if !slices.IsSortedFunc(versions, CompareVersions) {
				t.Errorf("%s: versions of %s are not in order", tag, d)
			}
			for _, v := range versions {
				if !slices.Contains(Having(d, v), tag) {
					t.Errorf("Having(%s, %s) is without %s", d, v, tag)
				}
			}
		}
	}
}

func TestFactsOfSomeReleases(t *testing.T) {
	r := lookup(t, "v4.4.12")
	if n := len(r.Versions("k3s")); n != 18 || r.Has("k3s", "1.32.3") || !r.Has("k3s", "1.30.4") || r.Has("k3s", "1.28.2") || !r.Has("rke2", "1.28.2") {
		t.Errorf("v4.4.12 k3s: %v", r.Versions("k3s"))
	}
	if r.Certificates != CertPath || !r.Declares("TWO_NODE") || r.Declares("IS_MAAS") || r.Arguments["UPDATE_KERNEL"] != "false" {
		t.Errorf("v4.4.12: %s, %v", r.Certificates, r.Arguments)
	}
	if w := r.Warning(); w != "" {
		t.Error(w)
	}
	var odd []string
	for _, e := range Entries() {
		if lookup(t, e.Tag).Warning() != "" {
			odd = append(odd, e.Tag+"="+e.AgentVersion)
		}
	}
	want := "v4.1.4=v4.1.2 v4.3.3=v4.3.2 v4.4.5=v4.4.4 v4.7.17=v4.7.16 v4.7.18=v4.7.17 v4.9.0=v4.9.7 v4.10.0=v4.9.21"
	if got := strings.Join(odd, " "); got != want {
		t.Errorf("agent version is not the tag for %s, want %s", got, want)
	}
}

func TestUnknownRelease(t *testing.T) {
	for tag, nearest := range map[string]string{
		"v4.4.3":  "v4.4.4", // as near as v4.4.2, and newer
		"v4.4.11": "v4.4.12",
		"v4.9.39": "v4.9.38",
		"v4.11.0": "v4.9.38", // v4.10.0 builds another agent,
		"4.4.12":  "v4.4.12",
		"v4.8.a":  "v4.8.1",
		"latest":  "v4.9.38",
	} {
		_, err := Lookup(tag)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || len(unknown.Nearest) != 3 {
			t.Errorf("%s: %v", tag, err)
			continue
		}
		if unknown.Nearest[0] != nearest {
			t.Errorf("%s: nearest %v, want %s first", tag, unknown.Nearest, nearest)
		}
	}
}

func TestNearestVersions(t *testing.T) {
	below, above, newest := NearestVersions(lookup(t, "v4.4.12"), "k3s", "1.28.2")
	if below != "1.27.15" || above != "1.28.5" || newest != "1.30.4" {
		t.Error(below, above, newest)
	}
	if having := Having("k3s", "1.32.3"); len(having) == 0 || having[0] != "v4.6.21" {
		t.Error(having)
	}
	if having := Having("k3s", "9.9.9"); having != nil {
		t.Error(having)
	}
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		lookup(b, "v4.9.38")
	}
}

func BenchmarkHaving(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Having("k3s", "1.32.3")
	}
}
