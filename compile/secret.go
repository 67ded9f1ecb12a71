package compile

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// No secret reaches a message or a line that is shown. Two kinds are told apart:
//
//   - what a field holds that is named as a secret: ubuntuPro of the schema, what
//     people write instead of it, and what is called a token or a password
//     anywhere. Nothing of its value is repeated, whatever is wrong with it.
//   - user and password of an address, wherever one is written: problem.Text.
//
// Problems are cleaned where they are made (newProblem, withhold), lines where
// they are read (Redacted).

// secretName are the fields of the first kind.
var secretName = regexp.MustCompile(`(?i)^ubuntu[-_]?pro([-_]?(key|token))?$|(token|passwd|password|secret|credentials?|api[-_]?key)$`)

// chosenNames are structs whose fields a person names: a family may be called
// "secret".
var chosenNames = []string{"families", "sources", "labels", "catalog", "overlay", "modes", "acknowledge", "policies", "waivers"}

func isSecret(parent, name string) bool {
	return secretName.MatchString(name) && !slices.Contains(chosenNames, parent)
}

// addressed are paths of fields where all before an @ is a credential: names of
// registries and images.
var addressed = regexp.MustCompile(`(^|\.)(registry|mirrors|image|sources)(\.|$)`)

// secretPath says whether a path leads to or into a secret, and where that
// begins.
func secretPath(path string) (above string, ok bool) {
	parent, at := "", ""
	for _, name := range elements(path) {
		at = joined(at, name)
		if isSecret(parent, name) {
			return at, true
		}
		parent = name
	}
	return "", false
}

// elements takes a path of labels apart.
func elements(path string) []string {
	var names []string
	for path != "" {
		if q, err := strconv.QuotedPrefix(path); err == nil {
			name, _ := strconv.Unquote(q) // it is quoted
			names = append(names, name)
			path = path[len(q):]
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			names = append(names, path[:end])
			path = path[end:]
		}
		if rest, ok := strings.CutPrefix(path, "["); ok { // an element of a list
			_, path, _ = strings.Cut(rest, "]")
		}
		path = strings.TrimPrefix(path, ".")
	}
	return names
}

func hasCredentials(s string) bool {
	_, _, ok := problem.Credentials(s, false)
	return ok
}

// withoutCredentials is an address without user and password.
func withoutCredentials(s string) string {
	if from, to, ok := problem.Credentials(s, false); ok {
		return s[:from] + s[to+1:]
	}
	return s
}

// extent is from one place of a file to another.
type extent struct{ from, to plan.Pos }

// secretsIn are where the values of secrets are written.
func secretsIn(files []*ast.File) []extent {
	var extents []extent
	var walk func(n ast.Node, parent string)
	walk = func(n ast.Node, parent string) {
		ast.Walk(n, func(m ast.Node) bool {
			f, ok := m.(*ast.Field)
			if !ok || m == n {
				return true
			}
			name := labelName(f.Label)
			if isSecret(parent, name) {
				extents = append(extents, extent{posOf(f.Value.Pos()), posOf(f.Value.End())})
				return false
			}
			walk(f.Value, name)
			return false
		}, nil)
	}
	for _, f := range files {
		walk(f, "")
	}
	return extents
}

func (e extent) holds(at plan.Pos) bool {
	before := func(a, b plan.Pos) bool { return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column }
	return at.File == e.from.File && at.File != "" && !before(at, e.from) && before(at, e.to)
}

// withhold takes out of problems whatever may be a secret: CUE and the schema
// speak of values. It is the last thing that is done to them.
func withhold(ps []*problem.Problem, files []*ast.File) []*problem.Problem {
	secrets := secretsIn(files)
	for _, p := range ps {
		p.Path = problem.Text(p.Path, addressed.MatchString(p.Path))
		above, secret := secretPath(p.Path)
		if !secret && !slices.ContainsFunc(append(p.Also, p.At), func(at plan.Pos) bool {
			return slices.ContainsFunc(secrets, func(e extent) bool { return e.holds(at) })
		}) {
			continue
		}
		p.Hide = true
		switch name := lastLabel(above); {
		case p.Code == "CV0007":
			p.Message = "two values for one field; they are not repeated, as one may be a secret"
		case p.Code == "CV0101" && above != p.Path:
			// Somebody may have written the secret as a name.
			p.Message, p.Path, p.Help = "unknown field in "+name, above, secretHelp
		case p.Code == "CV0006", p.Code == "CV0101" && !secret:
			p.Message = "this has no value; it is not repeated, as it may be a secret"
		}
	}
	return ps
}

const secretHelp = `write ubuntuPro: env: "UBUNTU_PRO_TOKEN", the name of a variable, and take the token out of the history`

// Redacted is the text of a CUE file as it may be shown: an asterisk for every
// byte of a secret, so that columns stay what they are. It need not be correct
// CUE.
func Redacted(text []byte) []byte {
	r := redaction{text: slices.Clone(text)}
	file := token.NewFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, func(token.Pos, string, []any) {}, scanner.ScanComments)
	var open []int // parentheses of interpolations, and how deep they are
	depth := 0
	for {
		pos, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			r.close()
			return r.text
		case token.LPAREN:
			depth++
		case token.INTERPOLATION:
			depth++
			open = append(open, depth)
		case token.RPAREN:
			if n := len(open); n > 0 && open[n-1] == depth {
				open = open[:n-1]
				lit = s.ResumeInterpolation()
				if strings.HasSuffix(lit, "(") {
					open = append(open, depth)
				} else {
					depth--
				}
				r.add(lexeme{token.STRING, lit, pos.Offset(), true})
				continue
			}
			depth--
		}
		r.add(lexeme{tok, lit, pos.Offset(), false})
	}
}

type lexeme struct {
	tok  token.Token
	lit  string
	at   int
	rest bool // of an interpolation: no label
}

// redaction goes through the tokens of a file and knows which fields they
// belong to.
type redaction struct {
	text   []byte
	masked int      // the end of what was masked last
	last   []lexeme // not yet known to be a label or a value: at most one, and what marks it optional
	inside
	open []inside // for each bracket that is open, what it is the value of
}

// inside is the field whose value is being read.
type inside struct {
	field  string
	secret bool
	names  bool // of images and registries
}

func (r *redaction) add(l lexeme) {
	if l.tok == token.COMMENT {
		beside := r.masked > 0 && !bytes.Contains(r.text[r.masked:l.at], []byte("\n"))
		if beside || words.MatchString(l.lit) {
			r.mask(l.at+2, l.at+len(l.lit))
		}
		r.address(l)
		return
	}
	if n := len(r.last); n > 0 {
		switch l.tok {
		case token.OPTION, token.NOT:
			r.last = append(r.last, l)
			return
		case token.COLON:
			r.label(r.last[0])
			r.last = nil
			return
		}
		r.close()
	}
	switch l.tok {
	case token.IDENT, token.STRING:
		if !l.rest {
			r.last = []lexeme{l}
			return
		}
		r.value(l)
	case token.LBRACE, token.LBRACK, token.LPAREN:
		r.open = append(r.open, r.inside)
	case token.RBRACE, token.RBRACK, token.RPAREN:
		if n := len(r.open); n > 0 {
			r.inside, r.open = r.open[n-1], r.open[:n-1]
		}
	case token.COMMA:
		r.inside = inside{}
		if n := len(r.open); n > 0 {
			r.inside = r.open[n-1]
		}
	default:
		r.value(l)
	}
}

// words tell that a comment speaks of a secret.
var words = regexp.MustCompile(`(?i)token|passw|secret|credential|api[-_]?key`)

// label begins the value of a field, which may be one of another: a: b: 1.
func (r *redaction) label(l lexeme) {
	name := l.lit
	if s, err := strconv.Unquote(name); err == nil {
		name = s
	}
	switch {
	case r.secret && name != "env" && name != "file": // somebody may have written it as a name
		r.value(l)
	case l.tok == token.STRING:
		r.address(l)
	}
	r.inside = inside{name, r.secret || isSecret(r.field, name), r.names || addressed.MatchString(name)}
}

// close says that what was read last is a value.
func (r *redaction) close() {
	for _, l := range r.last {
		r.value(l)
	}
	r.last = nil
}

func (r *redaction) value(l lexeme) {
	switch {
	case r.secret && l.lit != "":
		from, to := l.at, l.at+len(l.lit)
		if quotes := strings.Trim(l.lit[:1], `"'`) == "" && len(l.lit) > 1 && l.lit[len(l.lit)-1] == l.lit[0]; quotes {
			from, to = from+1, to-1
		}
		r.mask(from, to)
	case l.tok == token.STRING || l.tok == token.INTERPOLATION:
		r.address(l)
	}
}

// address masks user and password of an address.
func (r *redaction) address(l lexeme) {
	if from, to, ok := problem.Credentials(l.lit, r.names && l.tok != token.COMMENT); ok {
		if l.lit[from] == '"' {
			from++
		}
		r.mask(l.at+from, l.at+to)
	}
}

func (r *redaction) mask(from, to int) {
	r.masked = max(r.masked, min(to, len(r.text)))
	for i := from; i < min(to, len(r.text)); i++ {
		if r.text[i] != '\n' && r.text[i] != '\r' {
			r.text[i] = '*'
		}
	}
}
