package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// diagnosis finds everything that is wrong with a manifest's values. CUE's own
// list of errors is not complete: missing and unknown fields vanish from it as
// soon as there is a conflict anywhere. So each field is judged by itself. It
// runs only when something is wrong.
type diagnosis struct {
	index    index
	problems []*problem.Problem
	said     map[string]bool // paths of which there is a problem already
}

// all judges raw, the manifest by itself, against def, the schema.
func (d *diagnosis) all(raw, def cue.Value) {
	d.said = map[string]bool{}
	for _, p := range evaluation(raw.Validate()) {
		d.add(p)
	}
	d.walk("", raw, def)
}

func (d *diagnosis) add(p *problem.Problem) {
	if d.said[p.Path] && p.Path != "" {
		return
	}
	d.said[p.Path] = true
	if p.At == (plan.Pos{}) {
		p.At = d.near(p.Path)
	}
	if rest, ok := strings.CutPrefix(p.Path, "families."); ok {
		p.Family = firstLabel(rest)
	}
	d.problems = append(d.problems, p)
}

// near is where a field, or what encloses it, is named.
func (d *diagnosis) near(path string) plan.Pos {
	for path != "" {
		if at, ok := d.index[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return plan.Pos{}
}

// evaluation words the errors of CUE that need no schema: of expressions, and of
// values that exclude each other.
func evaluation(err error) []*problem.Problem {
	var ps []*problem.Problem
	for _, e := range cueerrors.Errors(err) {
		path := pathOf(e.Path())
		text := message(e)
		if strings.Contains(path, "_rules") || strings.Contains(text, "errors in empty disjunction") {
			continue // Check says the first; of the second the causes follow
		}
		p := problem.Problem{Code: "CV0006", Message: text, Path: path}
		code, rest := coded(text)
		switch {
		case code != "":
			p.Code, p.Message = code, rest
		case strings.HasPrefix(text, "conflicting values "):
			p.Code, p.Message = "CV0007", "two values for one field: "+strings.TrimPrefix(text, "conflicting values ")
			p.Help = "keep one of them; a value that families may override is shared as a default: *false | bool"
		case strings.Contains(text, "field not allowed"):
			name := lastLabel(path)
			p.Code, p.Message = "CV0101", "unknown field "+quoted(name)
		}
		q := newProblem(nil, p)
		q.At, q.Also = places(e)
		ps = append(ps, q)
	}
	return ps
}

// walk judges the fields of raw, each by itself.
func (d *diagnosis) walk(path string, raw, def cue.Value) {
	if d.said[path] && path != "" {
		return
	}
	kind := raw.IncompleteKind()
	if kind == cue.BottomKind && holdsFields(raw) {
		def = branch(def, cue.StructKind)
	} else {
		def = branch(def, kind)
	}
	want := def.IncompleteKind()
	switch {
	case kind == cue.BottomKind && !holdsFields(raw):
		d.broken(path, raw)
	case kind == cue.BottomKind && want == cue.StructKind:
		d.fields(path, raw, def)
	case kind == cue.StructKind && want == cue.StructKind:
		d.fields(path, raw, def)
	case kind == cue.ListKind && want == cue.ListKind:
		element := def.LookupPath(cue.MakePath(cue.AnyIndex))
		it, err := raw.List()
		for i := 0; err == nil && it.Next(); i++ {
			d.walk(fmt.Sprintf("%s[%d]", path, i), it.Value(), element)
		}
	default:
		d.leaf(path, raw, def)
	}
}

// branch is what a definition that takes a struct or something else says of a
// value of one kind: a value is judged by what it seems to be.
func branch(def cue.Value, kind cue.Kind) cue.Value {
	all := def.IncompleteKind()
	if all&cue.StructKind == 0 || all == cue.StructKind || all == cue.TopKind {
		return def
	}
	op, parts := def.Expr()
	if op != cue.OrOp {
		return def
	}
	parts = slices.DeleteFunc(parts, func(p cue.Value) bool { return p.IncompleteKind()&kind == 0 })
	if len(parts) != 1 {
		return def
	}
	return parts[0]
}

// holdsFields tells a struct in which something is an error from an error.
func holdsFields(v cue.Value) bool {
	for range fieldsOf(v) {
		return true
	}
	return false
}

// broken is a value that is an error by itself, of which CUE's list said nothing.
func (d *diagnosis) broken(path string, raw cue.Value) {
	for _, p := range evaluation(raw.Err()) {
		p.Path = path
		if p.At == (plan.Pos{}) {
			p.At = valuePos(raw)
		}
		d.add(p)
	}
}

func (d *diagnosis) fields(path string, raw, def cue.Value) {
	var names []string
	it, err := def.Fields(cue.Optional(true))
	for err == nil && it.Next() {
		name := it.Selector().Unquoted()
		names = append(names, name)
		required := it.FieldType()&cue.RequiredConstraint != 0
		if required && !raw.LookupPath(cue.MakePath(cue.Str(name))).Exists() {
			d.missing(path, name)
		}
	}
	for name, v := range fieldsOf(raw) {
		sel := cue.Str(name)
		if isUnvalued(path, name) {
			continue
		}
		if !def.Allows(sel) {
			d.unknown(path, name, names)
			if path == "families" { // what it holds is judged under any name
				d.fields(joined(path, name), v, def.LookupPath(cue.MakePath(cue.Str("family").Optional())))
			}
			continue
		}
		sub := def.LookupPath(cue.MakePath(sel.Optional()))
		if !sub.Exists() {
			sub = def.LookupPath(cue.MakePath(sel))
		}
		if sub.Exists() {
			d.walk(joined(path, name), v, sub)
		}
	}
}

func (d *diagnosis) missing(path, name string) {
	p := newProblem(nil, problem.Problem{
		Code:    "CV0102",
		Message: container(path) + " has no " + name,
		Path:    joined(path, name),
		Help:    "add " + example(path, name),
	})
	p.At = d.near(path)
	d.add(p)
}

// container is the word for what a field is missing in.
func container(path string) string {
	rest, family := strings.CutPrefix(path, "families.")
	switch {
	case path == "":
		return "the manifest"
	case family && rest == label(firstLabel(rest)):
		return "family " + quoted(firstLabel(rest))
	}
	return lastLabel(path)
}

// example is what a required field may look like.
func example(path, name string) string {
	switch name {
	case "canvos":
		return `canvos: "v4.9.38"`
	case "registry":
		return `registry: "docker.io/acme"`
	case "families":
		return `families: schema.#Families & {…}`
	case "os":
		return `os: {distribution: "ubuntu", version: "22.04"}`
	case "kubernetes":
		return `kubernetes: {distribution: "k3s", versions: ["1.30.4"]}`
	case "distribution":
		if strings.HasSuffix(path, ".os") {
			return `distribution: "ubuntu"`
		}
		return `distribution: "k3s"`
	case "vendor":
		return `vendor: "nvidia"`
	}
	return name + ": …"
}

// unknown is a field that the schema does not have, or a name that is not one.
func (d *diagnosis) unknown(path, name string, names []string) {
	p := problem.Problem{Code: "CV0101", Message: "unknown field " + quoted(name), Path: joined(path, name)}
	last := lastLabel(path)
	switch {
	case path == "families":
		p.Code, p.Message = "CV0129", quoted(name)+" is not a family name"
		p.Notes = []string{"it is 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"}
		if m := mended(name); familyName.MatchString(m) {
			p.Help = "rename it: " + quoted(m) + "; no image changes"
		}
	case len(names) == 0 && last == "overlay":
		p.Code, p.Message, p.Help = "CV0114", "overlay: "+quoted(name)+" is not an absolute path in the image", quoted("/"+strings.TrimLeft(name, "./"))
	case len(names) == 0 && last == "image":
		p.Code, p.Message, p.Notes = "CV0110", quoted(name)+" is not an architecture", []string{`arch is "amd64" or "arm64"`}
		if meant := archAliases[name]; meant != "" {
			p.Help = "write " + quoted(meant)
		}
	case len(names) == 0 && last == "acknowledge":
		p.Code, p.Message, p.Help = "CV0130", quoted(name)+" is not the code of a problem", `codes are written "CV0203"; canvos explain lists them`
	case len(names) == 0 && last == "labels":
		p.Code, p.Message = "CV0114", "labels: "+quoted(name)+" cannot be a label"
		p.Help = `a key is such as "com.acme.owner"; dev.canvos.* is canvos's own`
	case len(names) == 0 && last == "arguments":
		p.Code, p.Message, p.Help = "CV0114", "gpu: "+quoted(name)+" is not an argument of a driver", "they begin with NVIDIA_ or AMDGPU_"
	case len(names) == 0:
		p.Code, p.Message = "CV0114", last+": "+quoted(name)+" is not a name it takes"
	default:
		if near := did(name, names); near != "" {
			p.Help = "did you mean " + near + "?"
		} else {
			p.Help = container(path) + " has " + some(sortedNames(names), 12)
		}
	}
	d.add(newProblem(nil, p))
}

var familyName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func sortedNames(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

// leaf judges a value that has no fields of its own.
func (d *diagnosis) leaf(path string, raw, def cue.Value) {
	err := def.Unify(raw).Validate(cue.Concrete(true))
	if err == nil {
		return
	}
	name := lastLabel(path)
	if i := strings.LastIndexByte(path, '['); i >= 0 && strings.HasSuffix(path, "]") {
		name += path[i:] // which of a list
	}
	p := problem.Problem{Code: "CV0114", Path: path, At: valuePos(raw)}
	shown := written(raw)
	_, secret := secretPath(path)
	if secret {
		shown = "the token itself" // or what may be it: not repeated
	}
	value, _ := raw.Default()
	code, text := "", ""
	for _, e := range cueerrors.Errors(err) {
		if c, t := coded(message(e)); c != "" {
			code, text = c, t
		}
	}
	entry, _ := problem.Lookup(code)
	reference, _ := raw.String()
	why, help, notes := misnamed(reference)
	named := raw.IncompleteKind() == cue.StringKind && why != ""
	switch {
	case raw.IncompleteKind() != cue.BottomKind && !value.IsConcrete():
		p.Code, p.Message = "CV0008", name+" has no value"
		if !secret {
			p.Message += ": it is " + shown
		}
		p.Help = "say which value is meant"
	case def.IncompleteKind() == cue.StructKind && raw.IncompleteKind() != cue.BottomKind:
		// CUE's text is that of the whole definition.
		p.Code, p.Message = "CV0103", name+" is "+kindText(cue.StructKind)+", not "+shown
	case code == "CV0115" && named:
		p.Code, p.Message, p.Help, p.Notes = code, why, help, notes
	case code != "" && strings.HasPrefix(entry.Title, "not a"):
		p.Code, p.Message, p.Notes = code, shown+" is "+entry.Title, []string{text}
	case code != "":
		p.Code, p.Message = code, strings.Replace(text, "this is", name+" is", 1)+", not "+shown
	case raw.IncompleteKind()&def.IncompleteKind() == 0:
		p.Code, p.Message = "CV0103", name+" is "+kindText(def.IncompleteKind())+", not "+shown
	default:
		p.Message = name + " cannot be " + shown
	}
	if secret {
		p.Help = secretHelp
	} else if m := d.mend(raw, def); m != "" {
		p.Help = m
	} else if p.Code == "CV0109" {
		p.Help = "canvos catalog show RELEASE lists the versions of a release"
	}
	q := newProblem(nil, p)
	if q.At == (plan.Pos{}) {
		q.At = d.near(path)
	}
	d.add(q)
}

// mend is a value close to the one written that the schema takes.
func (d *diagnosis) mend(raw, def cue.Value) string {
	var tries []string
	text, err := raw.String()
	if err != nil {
		if raw.IncompleteKind()&cue.NumberKind == 0 {
			return ""
		}
		text = written(raw)
		tries = append(tries, quoted(text), quoted(text+".x"))
	} else {
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			tries = append(tries, "true")
		case "false", "no", "off", "0", "":
			tries = append(tries, "false")
		}
		if strings.TrimSpace(text) != "" {
			plain, _, _ := strings.Cut(strings.TrimPrefix(text, "v"), "+")
			tries = append(tries, quoted(archAliases[text]), quoted(mended(text)), quoted(plain), quoted("v"+text), quoted(text+".x"))
			if hostAndPort.MatchString(text) {
				tries = append(tries, quoted("http://"+text))
			}
		}
	}
	if l := lastTexts(def); l != nil && text != "" {
		if near := did(text, l); near != "" {
			tries = append(tries, quoted(near))
		}
		for _, t := range l {
			if strings.HasPrefix(t, text) {
				tries = append(tries, quoted(t))
			}
		}
	}
	ctx := cuecontext.New()
	for _, t := range tries {
		if v := ctx.CompileString(t); v.Err() == nil && !emptyText(v) && def.Unify(v).Validate(cue.Concrete(true)) == nil {
			return "write " + t
		}
	}
	return ""
}

// hostAndPort is an address that lacks its scheme.
var hostAndPort = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?/?$`)

// archAliases are what other tools call the architectures.
var archAliases = map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "arm64v8": "arm64"}

func emptyText(v cue.Value) bool {
	s, err := v.String()
	return err == nil && s == ""
}

// lastTexts are the texts that a definition lists.
func lastTexts(def cue.Value) []string {
	op, parts := def.Expr()
	if op != cue.OrOp {
		return nil
	}
	var texts []string
	for _, p := range parts {
		if s, err := p.String(); err == nil {
			texts = append(texts, s)
		}
	}
	return texts
}

// mended is a text as names in registries are written.
func mended(s string) string {
	s = strings.ToLower(withoutCredentials(strings.TrimSpace(s)))
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '+' {
			return '-'
		}
		return r
	}, s)
	return strings.Trim(s, "-./")
}

// written is a value as the person wrote it.
func written(v cue.Value) string {
	if lit, ok := v.Source().(*ast.BasicLit); ok {
		return lit.Value
	}
	return fmt.Sprint(v)
}

func kindText(k cue.Kind) string {
	switch {
	case k == cue.BoolKind:
		return "true or false, without quotes"
	case k == cue.StringKind:
		return "a text in quotes"
	case k == cue.ListKind:
		return "a list, […]"
	case k == cue.StructKind:
		return "a struct, {…}"
	case k&cue.NumberKind != 0 && k&^cue.NumberKind == 0:
		return "a number"
	case k == cue.StringKind|cue.StructKind:
		return "a text in quotes or a struct"
	}
	return k.String()
}

var codePrefix = regexp.MustCompile(`(CV[0-9]{4}): `)

// coded divides a text of the schema into its problem code and the rest.
func coded(text string) (code, rest string) {
	m := codePrefix.FindStringSubmatchIndex(text)
	if m == nil {
		return "", text
	}
	return text[m[2]:m[3]], text[m[1]:]
}

// message is the text of an error of CUE, without its path.
func message(e cueerrors.Error) string {
	format, args := e.Msg()
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}

// pathOf writes a path of CUE's errors.
func pathOf(elements []string) string {
	path := ""
	for _, e := range elements {
		if e != "" && strings.Trim(e, "0123456789") == "" {
			path += "[" + e + "]"
			continue
		}
		path = joined(path, strings.Trim(e, `"`))
	}
	return path
}

func firstLabel(path string) string {
	if rest, ok := strings.CutPrefix(path, `"`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return path
}

// lastLabel is the name of the field at the end of a path; of an element of a
// list that of the list.
func lastLabel(path string) string {
	if i := strings.LastIndexByte(path, '['); i >= 0 && strings.HasSuffix(path, "]") {
		path = path[:i]
	}
	if strings.HasSuffix(path, `"`) {
		i := strings.LastIndexByte(path[:len(path)-1], '"')
		return path[i+1 : len(path)-1]
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}
