package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
)

// Error says why a lock cannot be read, and where.
type Error struct {
	Line int    // from 1
	Text string // without the line
	// Other says that the file is well formed, but of a version, recipe or
	// format that this program does not have.
	Other bool
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", Name, e.Line, e.Text) }

// Read reads a lock. An error is an *Error: about the first thing that is
// wrong. Whatever is not in a lock's shape is an error, also a key that appears
// twice, since such a lock was merged by hand.
func Read(text []byte) (*File, error) {
	r := reader{text: text, tokens: json.NewDecoder(bytes.NewReader(text))}
	f := New()
	f.Version, f.Recipe, f.Format = 0, 0, 0
	if line := conflict(text); line > 0 {
		return nil, &Error{Line: line, Text: "this is a merge conflict"}
	}
	err := r.object(map[string]func() error{
		"version":  func() error { return r.number(&f.Version, Version) },
		"recipe":   func() error { return r.number(&f.Recipe, plan.Recipe) },
		"format":   func() error { return r.number(&f.Format, plan.Format) },
		"sources":  func() error { return entries(&r, f.Sources, validKey, r.source) },
		"versions": func() error { return entries(&r, f.Versions, validRange, r.versions) },
		"catalog":  func() error { return entries(&r, f.Catalog, validName, r.digest) },
		"refresh":  func() error { return entries(&r, f.Refresh, validName, r.refresh) },
		"facts":    func() error { return entries(&r, f.Facts, validName, r.facts) },
	}, "version", "recipe", "format")
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, r.located(err)
	}
	return f, nil
}

// conflict is the line of a merge conflict's mark, or 0.
func conflict(text []byte) int {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		for _, mark := range []string{"<<<<<<< ", "=======\n", ">>>>>>> "} {
			if bytes.HasPrefix(line, []byte(mark)) {
				return n
			}
		}
	}
	return 0
}

// reader reads the file token by token, so that errors have a place.
type reader struct {
	text   []byte
	tokens *json.Decoder
	at     int64 // where what is being judged ends
}

// located gives an error the line that was being read.
func (r *reader) located(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	offset := r.at
	text := err.Error()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset, text = syntax.Offset, "not JSON: "+text
	case errors.As(err, &kind):
		text = fmt.Sprintf("a JSON %s where %s belongs", kind.Value, kindName(kind))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		offset, text = int64(len(r.text)), "the file ends too early"
	}
	offset = min(max(offset, 0), int64(len(r.text)))
	return &Error{Line: 1 + bytes.Count(r.text[:offset], []byte("\n")), Text: text}
}

func kindName(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	}
	return "a whole number"
}

// token reads one token.
func (r *reader) token() (json.Token, error) {
	t, err := r.tokens.Token()
	r.at = r.tokens.InputOffset()
	return t, err
}

// value decodes a whole value.
func (r *reader) value(into any) error {
	err := r.tokens.Decode(into)
	r.at = r.tokens.InputOffset()
	return err
}

// each reads an object and calls field for each of its keys.
func (r *reader) each(field func(key string) error) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%v where an object belongs", t)
	}
	seen := map[string]bool{}
	for r.tokens.More() {
		t, err := r.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v where a key belongs", t)
		}
		if seen[key] {
			return fmt.Errorf("%q is there twice", key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	_, err = r.token()
	return err
}

// object reads an object of known fields.
func (r *reader) object(fields map[string]func() error, required ...string) error {
	var seen []string
	err := r.each(func(key string) error {
		read, ok := fields[key]
		if !ok {
			return fmt.Errorf("unknown field %q", key)
		}
		seen = append(seen, key)
		return read()
	})
	if err != nil {
		return err
	}
	for _, key := range required {
		if !slices.Contains(seen, key) {
			return fmt.Errorf("no %q", key)
		}
	}
	return nil
}

// entries reads a map.
func entries[T any](r *reader, into map[string]T, valid func(string) error, read func() (T, error)) error {
	return r.each(func(key string) error {
		if err := valid(key); err != nil {
			return err
		}
		v, err := read()
		if err != nil {
			return err
		}
		into[key] = v
		return nil
	})
}

// end makes sure that nothing follows.
func (r *reader) end() error {
	t, err := r.token()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%v after the end", t)
}

// number reads a version from 1 to the newest that is known.
func (r *reader) number(into *int, newest int) error {
	if err := r.value(into); err != nil {
		return err
	}
	if *into < 1 || *into > newest {
		e := r.located(fmt.Errorf("%d is not known here (newest: %d)", *into, newest)).(*Error)
		e.Other = *into > newest
		return e
	}
	return nil
}

func (r *reader) digest() (plan.Digest, error) {
	var d plan.Digest
	if err := r.value(&d); err != nil {
		return "", err
	}
	if !digestForm.MatchString(string(d)) {
		return "", fmt.Errorf("%q is not a digest: sha256: and 64 hexadecimal digits", d)
	}
	return d, nil
}

func (r *reader) source() (Source, error) {
	var s Source
	err := r.object(map[string]func() error{
		"digest": func() (err error) { s.Digest, err = r.digest(); return err },
		"size": func() error {
			if err := r.value(&s.Size); err != nil {
				return err
			}
			if s.Size < 0 {
				return fmt.Errorf("a size of %d bytes", s.Size)
			}
			return nil
		},
	}, "digest", "size")
	return s, err
}

func (r *reader) versions() ([]string, error) {
	versions := []string{}
	if err := r.value(&versions); err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("a range that stands for nothing")
	}
	for _, v := range versions {
		if !versionForm.MatchString(v) {
			return nil, fmt.Errorf("%q is not a version", v)
		}
	}
	return versions, nil
}

func (r *reader) refresh() (int, error) {
	var n int
	if err := r.value(&n); err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("refreshed %d times", n)
	}
	return n, nil
}

func (r *reader) facts() (LineFacts, error) {
	var f LineFacts
	err := r.object(map[string]func() error{
		"twoNode":        func() error { return r.value(&f.TwoNode) },
		"fips":           func() error { return r.value(&f.FIPS) },
		"uki":            func() error { return r.value(&f.UKI) },
		"osDistribution": func() error { return r.value(&f.OSDistribution) },
		"platforms": func() error {
			if err := r.value(&f.Platforms); err != nil {
				return err
			}
			for _, p := range f.Platforms {
				if !platformForm.MatchString(p) {
					return fmt.Errorf("%q is not a platform", p)
				}
			}
			return nil
		},
	}, "twoNode", "fips", "uki", "osDistribution", "platforms")
	return f, err
}

var (
	digestForm   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	versionForm  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)
	platformForm = regexp.MustCompile(`^linux/[a-z0-9]+$`)
)

func validName(key string) error {
	if key == "" {
		return errors.New("an empty key")
	}
	return nil
}

// validKey wants "REFERENCE PLATFORM" or "file:PATH".
func validKey(key string) error {
	reference, platform := SplitKey(key)
	switch {
	case IsLocal(key) && len(key) > len("file:"):
		return nil
	case reference == "" || !platformForm.MatchString(platform):
		return fmt.Errorf("%q is neither a reference and a platform, nor file: and a path", key)
	}
	return nil
}

// validRange wants "RELEASE DISTRIBUTION RANGE".
func validRange(key string) error {
	if len(strings.SplitN(key, " ", 3)) < 3 {
		return fmt.Errorf("%q is not a release, a distribution and a range", key)
	}
	return nil
}
