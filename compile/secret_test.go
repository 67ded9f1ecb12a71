package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"canvos.dev/schema"
)

// said is all that is told of a manifest: problems, and the lines that may be
// shown with them.
func said(t testing.TB, text string) string {
	t.Helper()
	ps := Judge(Source{FS: fstest.MapFS{"images.cue": {Data: []byte(text)}}, Dir: "."}, nil).Problems
	wire, err := json.Marshal(ps)
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Split(string(Redacted([]byte(text))), "\n")
	out := listing(ps) + string(wire)
	for _, p := range ps {
		for _, at := range append(p.Also, p.At) {
			if at.Line > 0 && at.Line <= len(shown) && !p.Hide {
				out += "\n" + shown[at.Line-1]
			}
		}
	}
	return out
}

// No secret is repeated by what is said of a manifest, wherever one was written
// and whatever is wrong with it.
func TestNoSecretIsTold(t *testing.T) {
	const frame = `package images
canvos: "v4.9.38"
%s
registry: string | *"r.example.com/acme"
families: fam: {os: {distribution: "ubuntu", version: "22.04"}, kubernetes: {distribution: "k3s", versions: ["1.32.4"]}, tag: "demo"
maas: 5, %s
nonsense: 1}
`
	var tops, fields []string
	for _, value := range []string{
		`"HUNTER"`, `"C1HUNTERs8Zq3Wb6Tn"`, `"c1HUNTER"`, `'HUNTER'`, `HUNTER`, `C1HUNTER`, `_x.HUNTER1`, `"a\(HUNTER)b"`, `"C" + "HUNTER"`, `#"HUNTER"#`,
		"\"\"\"\n\tHUNTER\n\t\"\"\"", `["HUNTER"]`, `{"HUNTER"}`, `"HUNTER" & "other"`, `HUNTER: 1`, `"HUNTER": 1`, `"HUNTER`, `"HUNTER" "x"`, `"HUNTER" | 5 // HUNTER`, `1 + "HUNTER"`,
	} {
		for _, field := range []string{
			"ubuntuPro", "ubuntupro", "ubuntuPro: env", "ubuntuPro: file", "ubuntuPro: token", "ubuntuPro: {file: \"a\"}, ubuntuPro: env", "ubuntuPro: env: \"A\", ubuntuPro", "ubuntuPro: env: \"A\", ubuntuPro: env",
			"UBUNTU_PRO_KEY", "ubuntuProToken", "password", "twoNode: 5, token", "_x: {a: 1}, ubuntuPro",
		} {
			fields = append(fields, field+": "+value)
		}
	}
	for _, value := range []string{
		`"https://user:HUNTER@h.example.com/x"`, `"https://HUNTER@h.example.com/x"`, `"user:HUNTER@h.example.com/x"`, `"HUNTER@h.example.com/x"`, `"user:SE/HUNTER@h.example.com/x:1"`, `"http://u:HUNTER W@h.example.com"`,
		`"https://user:HUNTER@h.example.com/x" & "a"`, `"user:HUNTER@h.example.com/x@sha256:0"`, `"user:a@HUNTER@h.example.com/x:1"`, `5 & "https://HUNTER:x@h"`, `"http://user:HUNTER` + strings.Repeat("x", 500) + `@h"`,
	} {
		for _, field := range []string{"registry", "mirrors: images", "mirrors: base", "mirrors: packages", "mirrors: thirdParty", "mirrors: osbuilder", "os: image", "os: image: amd64"} {
			fields = append(fields, field+": "+value)
		}
		for _, field := range []string{"registry", `sources: "docker.io/x"`, `sources: "https://user:HUNTER@h/x"`, `sources: "user:HUNTER@h/x"`, `sources: "HUNTER@h/x"`} {
			tops = append(tops, field+": "+value)
		}
		if strings.Contains(value, "://") {
			fields = append(fields, "registrie: "+value)
			for _, field := range []string{"httpProxy", `httpsProxy: "http://u:HUNTER@other", build: httpsProxy`, "httproxy"} {
				tops = append(tops, "build: "+field+": "+value)
			}
		}
	}
	tops = append(tops, `build: httpProxy: "http://u:HUNTER1@a", build: httpProxy: "http://u:HUNTER2@b"`)
	check := func(top, field string) {
		text := fmt.Sprintf(frame, top, field)
		if got := said(t, text); strings.Contains(strings.ToUpper(got), "HUNTER") {
			t.Errorf("%s%s:\n%s", top, field, got)
		}
	}
	for _, top := range tops {
		check(top, "")
	}
	for _, field := range fields {
		check("", field)
	}
	t.Logf("%d manifests", len(tops)+len(fields))
}

// A name that is chosen is no secret, and columns stay what they are.
func TestRedacted(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`families: secret: tag: "demo"`, `families: secret: tag: "demo"`},
		{`labels: {"com.acme.token": "shown", a: "b"}`, `labels: {"com.acme.token": "shown", a: "b"}`},
		{`families: a: {ubuntuPro: env: "NAME", tag: "demo"}`, `families: a: {ubuntuPro: env: "****", tag: "demo"}`},
		{"ubuntuPro: {\n\tenv: \"NÄME\"\n}\ntag: \"demo\"", "ubuntuPro: {\n\tenv: \"*****\"\n}\ntag: \"demo\""},
		{`ubuntuPro?: x & "y", tag: "demo"`, `ubuntuPro?: * & "*", tag: "demo"`},
		{`a: "\(token)x", b: "y"`, `a: "\(token)x", b: "y"`},
		{`token: "a\(b["c"])d" // e`, `token: *****["*"])*******`},
		{`ubuntuPro: "not closed`, `ubuntuPro: ***********`},
		{`build: httpProxy: "http://u:p@h:1", build: noProxy: "a@b"`, `build: httpProxy: "http://***@h:1", build: noProxy: "a@b"`},
		{`sources: "a.b/c": "user@h/x"`, `sources: "a.b/c": "****@h/x"`},
		{`sources: "user:p@h/x": "oci:a"`, `sources: "******@h/x": "oci:a"`},
		{`os: image: {amd64: "user@h/x"}, tag: "a@b"`, `os: image: {amd64: "****@h/x"}, tag: "a@b"`},
		{`tag: "x" // the password is hunter2`, `tag: "x" //************************`},
		{"\x00\xff{[(", "\x00\xff{[("},
	} {
		if got := string(Redacted([]byte(c.text))); got != c.want {
			t.Errorf("%s\nis   %s\nnot  %s", c.text, got, c.want)
		}
	}
}

// Every field of the schema that says where a secret comes from is one.
func TestSchemaSecrets(t *testing.T) {
	found := 0
	names, _ := fs.Glob(schema.FS, "*.cue")
	for _, name := range names {
		b, _ := schema.FS.ReadFile(name)
		f, err := parser.ParseFile(name, b)
		if err != nil {
			t.Fatal(err)
		}
		ast.Walk(f, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok {
				if id, ok := f.Value.(*ast.Ident); ok && id.Name == "#Secret" {
					found++
					if !isSecret("", labelName(f.Label)) {
						t.Errorf("%s is not known as a secret", labelName(f.Label))
					}
				}
			}
			return true
		}, nil)
	}
	if found == 0 {
		t.Error("no secrets in the schema")
	}
}

// Whatever a text is, redacting it ends, and moves nothing.
func FuzzRedacted(f *testing.F) {
	f.Add([]byte(`ubuntuPro: "\(a)"`))
	f.Add([]byte("token: {[(\"\"\"\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Redacted(text)
		if len(got) != len(text) || bytes.Count(got, []byte("\n")) != bytes.Count(text, []byte("\n")) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
