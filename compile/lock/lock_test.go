package lock

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
)

var update = flag.Bool("update", false, "rewrite golden files")

func sample() *File {
	f := New()
	f.SetSource("docker.io/acme/ubuntu:22.04", "linux/arm64", Source{Digest: plan.DigestOf([]byte("b")), Size: 0})
	f.SetSource("docker.io/acme/ubuntu:22.04", "linux/amd64", Source{Digest: plan.DigestOf([]byte("a")), Size: 12345678901})
	f.SetSource(`file:over lay/a"b\`, "", Source{Digest: plan.DigestOf([]byte("c")), Size: 7})
	f.Versions["v4.4.12 k3s >=1.29 <1.31"] = []string{"1.29.8", "1.30.4"}
	f.Versions["v4.4.12 rke2 *"] = []string{"1.30.3"}
	f.Catalog["v4.4.12"] = plan.DigestOf([]byte("d"))
	f.Refresh["store"] = 2
	f.Declare(map[string]LineFacts{
		"docker.io/acme/ubuntu:k3s-*-two-node": {TwoNode: true, OSDistribution: "ubuntu", Platforms: []string{"linux/amd64"}},
		"docker.io/acme/ubuntu:rke2-*":         {FIPS: true, UKI: true, OSDistribution: "ubuntu", Platforms: []string{"linux/arm64", "linux/amd64"}},
	})
	return f
}

func written(t *testing.T, f *File) string {
	t.Helper()
	b, err := f.Write()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteGolden(t *testing.T) {
	for name, f := range map[string]*File{"sample": sample(), "new": New()} {
		golden := filepath.Join("testdata", name+".lock")
		got := written(t, f)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is\n%s", name, got)
		}
		back, err := Read([]byte(got))
		if err != nil || !reflect.DeepEqual(back, f) {
			t.Errorf("%s does not come back: %v\n%+v", name, err, back)
		}
	}
}

func TestReadErrors(t *testing.T) {
	good := written(t, sample())
	digest := string(plan.DigestOf([]byte("a")))
	for _, c := range []struct {
		name, old, new string
		line           int
		want           string
		other          bool
	}{
		{"cut", good[100:], "", 6, "the file ends too early", false},
		{"no JSON", `"size": 7`, `"size": x`, 8, "not JSON: invalid character 'x'", false},
		{"digest", digest, "sha256:12", 6, `"sha256:12" is not a digest`, false},
		{"upper case digest", digest, strings.ToUpper(digest), 6, "is not a digest", false},
		{"negative size", `"size": 7`, `"size": -7`, 8, "a size of -7 bytes", false},
		{"text for size", `"size": 7`, `"size": "7"`, 8, "a JSON string where a whole number belongs", false},
		{"no size", `, "size": 7`, ``, 8, `no "size"`, false},
		{"field of a source", `"size": 7`, `"size": 7, "place": ""`, 8, `unknown field "place"`, false},
		{"field in other case", `"size": 7`, `"Size": 7`, 8, `unknown field "Size"`, false},
		{"field", `"catalog": {`, `"catalogue": {`, 14, `unknown field "catalogue"`, false},
		{"twice", `ubuntu:22.04 linux/arm64`, `ubuntu:22.04 linux/amd64`, 7, `"docker.io/acme/ubuntu:22.04 linux/amd64" is there twice`, false},
		{"no platform", `ubuntu:22.04 linux/arm64`, `ubuntu:22.04`, 7, "is neither a reference and a platform", false},
		{"range", `"v4.4.12 rke2 *"`, `"v4.4.12 rke2"`, 12, "is not a release, a distribution and a range", false},
		{"empty range", `["1.30.3"]`, `[]`, 12, "a range that stands for nothing", false},
		{"version in a range", `["1.30.3"]`, `["v1.30"]`, 12, `"v1.30" is not a version`, false},
		{"refresh", `"store": 2`, `"store": -2`, 18, "refreshed -2 times", false},
		{"platform in facts", `["linux/amd64"]`, `["amd64"]`, 21, `"amd64" is not a platform`, false},
		{"fact", `"fips": false`, `"fips": "no"`, 21, "a JSON string where true or false belongs", false},
		{"version", `"version": 1`, `"version": 2`, 2, "2 is not known here (newest: 1)", true},
		{"recipe", `"recipe": 1`, `"recipe": 9`, 3, "9 is not known here", true},
		{"no recipe at all", `"recipe": 1`, `"recipe": 0`, 3, "0 is not known here", false},
		{"without format", ",\n  \"format\": 1", "", 23, `no "format"`, false},
		{"conflict", "  \"catalog\"", "<<<<<<< HEAD\n  \"catalog\"", 14, "this is a merge conflict", false},
		{"rest", "}\n}", "}\n} {}", 24, "{ after the end", false},
		{"list", good, "[]", 1, "[ where an object belongs", false},
		{"nothing", good, "", 1, "the file ends too early", false},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: %q is not in the sample", c.name, c.old)
		}
		_, err := Read([]byte(text))
		e, ok := err.(*Error)
		if !ok {
			t.Errorf("%s: read without an error", c.name)
			continue
		}
		if e.Line != c.line || !strings.Contains(e.Text, c.want) || e.Other != c.other {
			t.Errorf("%s: %v (other %t), want line %d: %s", c.name, e, e.Other, c.line, c.want)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	f, want := sample(), written(t, sample())
	c := f.Clone()
	if written(t, c) != want {
		t.Fatal("the clone is another lock")
	}
	c.SetSource("docker.io/x:1", "linux/amd64", Source{})
	c.Versions["v4.4.12 rke2 *"][0] = "1.0.0"
	c.Facts["docker.io/acme/ubuntu:rke2-*"].Platforms[0] = "linux/x"
	c.Refresh["store"]++
	c.Forget("docker.io/acme/ubuntu:k3s-*-two-node")
	if written(t, f) != want {
		t.Error("a change of the clone changed the lock")
	}
	if written(t, (*File)(nil).Clone()) != written(t, New()) {
		t.Error("the clone of nothing is not a new lock")
	}
}

func TestPruneKeepsFacts(t *testing.T) {
	f := sample()
	f.Prune(Used{Sources: map[string]bool{`file:over lay/a"b\`: true}, Versions: map[string]bool{"v4.4.12 rke2 *": true}})
	if len(f.Sources) != 1 || len(f.Versions) != 1 || len(f.Catalog) != 0 || len(f.Refresh) != 0 || len(f.Facts) != 2 {
		t.Errorf("%s", written(t, f))
	}
	if !f.Forget("docker.io/acme/ubuntu:rke2-*") || f.Forget("docker.io/acme/ubuntu:rke2-*") || len(f.Facts) != 1 {
		t.Errorf("forgotten: %v", f.Facts)
	}
}

func TestDeclareOnlyAdds(t *testing.T) {
	f := sample()
	line := "docker.io/acme/ubuntu:k3s-*-two-node"
	given := []string{"linux/arm64"}
	f.Declare(map[string]LineFacts{line: {TwoNode: false, OSDistribution: "rhel", Platforms: given}})
	if got := f.Facts[line]; !got.TwoNode || got.OSDistribution != "ubuntu" || strings.Join(got.Platforms, " ") != "linux/amd64 linux/arm64" {
		t.Errorf("%+v", got)
	}
}

func TestCompare(t *testing.T) {
	a, b := sample(), sample()
	if got := Compare(a, b); len(got) != 0 {
		t.Errorf("equal locks differ: %v", got)
	}
	b.SetSource("docker.io/acme/ubuntu:22.04", "linux/amd64", Source{Digest: plan.DigestOf([]byte("new")), Size: 1})
	b.SetSource("docker.io/acme/zz:1", "linux/amd64", Source{Digest: plan.DigestOf([]byte("z"))})
	delete(b.Versions, "v4.4.12 rke2 *")
	b.Refresh["store"] = 3
	b.Recipe = 2
	var got []string
	for _, c := range Compare(a, b) {
		sign := "~"
		if c.Added() {
			sign = "+"
		} else if c.Removed() {
			sign = "-"
		}
		got = append(got, sign+c.Section+" "+c.Key)
	}
	want := "~recipe |~sources docker.io/acme/ubuntu:22.04 linux/amd64|+sources docker.io/acme/zz:1 linux/amd64|-versions v4.4.12 rke2 *|~refresh store"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	if n := len(Compare(nil, a)); n != 9 {
		t.Errorf("against nothing %d entries are new", n)
	}
}

func TestKeys(t *testing.T) {
	for _, c := range [][3]string{{"docker.io/a/b:1", "linux/amd64", "docker.io/a/b:1 linux/amd64"}, {"file:a b/c", "", "file:a b/c"}} {
		if got := Key(c[0], c[1]); got != c[2] {
			t.Errorf("key %q", got)
		}
		if ref, platform := SplitKey(c[2]); ref != c[0] || platform != c[1] {
			t.Errorf("%q is %q, %q", c[2], ref, platform)
		}
	}
	if _, ok := (*File)(nil).Source("docker.io/a/b:1", "linux/amd64"); ok {
		t.Error("no lock holds something")
	}
}

// What can be read is written in one form, which reads back the same.
func FuzzRead(f *testing.F) {
	for _, lock := range []*File{New(), sample()} {
		b, err := lock.Write()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"version":1,"recipe":1,"format":1,"sources":{"file:ü\ud800":{"digest":"sha256:","size":1e3}}}`))
	f.Add([]byte(`{"version":1,"recipe":1,"format":1,"facts":{"a":{"twoNode":null,"fips":false,"uki":false,"osDistribution":"<","platforms":null}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := Read(text)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Line < 1 || e.Line > 1+strings.Count(string(text), "\n") || e.Text == "" {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		once := written(t, first)
		second, err := Read([]byte(once))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once)
		}
		if again := written(t, second); again != once {
			t.Errorf("written twice:\n%s\n%s", once, again)
		}
	})
}
