package view

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"canvos.dev/compile/plan"
)

// What is shown comes from manifests, of strangers among them: a name or message
// could move the cursor, begin a line of its own, turn the direction of reading, or
// be taken for a command by the system that keeps the log. Every function of this
// package therefore begins with safe, safeLine or safeText of what it is given;
// machine formats hold what they are given, with the same characters escaped.

// safeLine is a text that should be one line, as it can be shown: what controls a
// terminal, ends a line or turns the direction is written as an escape.
func safeLine(s string) string { return tame(escape(s, false)) }

// safeText is the same of a text that may have lines of its own.
func safeText(s string) string {
	if !unsafe(s) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = tame(escape(strings.TrimSuffix(l, "\r"), true))
	}
	return strings.Join(lines, "\n")
}

// unsafe tells whether a text cannot be shown as it is.
func unsafe(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' || s[i] == '#' || s[i] == ':' {
			return escape(s, false) != s || tame(s) != s
		}
	}
	return false
}

// escape writes control characters as escapes.
func escape(s string, tabs bool) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if text := escapeOf(r, n, s[i]); text != "" && (r != '\t' || !tabs) {
			b.WriteString(s[done:i])
			b.WriteString(text)
			done = i + n
		}
		i += n
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// escapeOf is how a character of so many bytes is written; "" if as it is.
func escapeOf(r rune, n int, first byte) string {
	switch {
	case r == utf8.RuneError && n == 1:
		return fmt.Sprintf(`\x%02x`, first)
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case !hidden(r):
		return ""
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// hidden are characters that act instead of being seen.
func hidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// tame breaks what continuous integration takes for a command in a log: "::word"
// where a line begins (GitHub), "##word[" anywhere (GitHub, Azure Pipelines,
// TeamCity).
func tame(s string) string {
	if strings.Contains(s, "##") {
		s = logCommand.ReplaceAllString(s, `#\x23$1`)
	}
	if rest := strings.TrimLeft(s, " \t"); strings.HasPrefix(rest, "::") {
		s = s[:len(s)-len(rest)] + `\x3a` + rest[1:]
	}
	return s
}

var logCommand = regexp.MustCompile(`##([\w-]*\[)`)

// safe is a copy of any data, with safeLine of every text in it; what needs none
// is the same data. Operations of a plan are left: they are content, not names.
func safe[T any](v T) T {
	at := reflect.ValueOf(&v).Elem()
	if soiled(at) {
		clean(at)
	}
	return v
}

var (
	errorType = reflect.TypeFor[error]()
	opType    = reflect.TypeFor[plan.Op]()
)

// opaque data is not looked into.
func opaque(t reflect.Type) bool {
	return t == opType || t.Kind() == reflect.Interface && t.Implements(errorType) || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// soiled tells whether there is a text in v that cannot be shown as it is.
func soiled(v reflect.Value) bool {
	if !v.IsValid() || opaque(v.Type()) {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return unsafe(v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if seen(v.Type().Field(i)) && soiled(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if soiled(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			if soiled(i.Key()) || soiled(i.Value()) {
				return true
			}
		}
	case reflect.Pointer, reflect.Interface:
		return soiled(v.Elem())
	}
	return false
}

// clean writes safeLine over every text in v. What v refers to is copied first.
func clean(v reflect.Value) {
	if opaque(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(safeLine(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if seen(v.Type().Field(i)) {
				clean(v.Field(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Slice:
		if !v.IsNil() {
			was := v.Len()
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, was), v))
			for i := range was {
				clean(v.Index(i))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			all := reflect.MakeMapWithSize(v.Type(), v.Len())
			for i := v.MapRange(); i.Next(); {
				all.SetMapIndex(cleaned(i.Key()), cleaned(i.Value()))
			}
			v.Set(all)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(cleaned(v.Elem()))
			v.Set(own)
		}
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(cleaned(v.Elem()))
		}
	}
}

// cleaned is a copy, cleaned.
func cleaned(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	clean(own)
	return own
}

// seen tells whether others than its package can see a field, or what is in it.
func seen(f reflect.StructField) bool {
	return f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct
}

// safeJSON writes JSON with the same characters escaped, as JSON escapes them: the
// data stays what it is. Each Write must be whole values.
type safeJSON struct{ w io.Writer }

func (j safeJSON) Write(p []byte) (int, error) {
	s := string(p)
	if strings.Contains(s, "##") {
		s = logCommand.ReplaceAllString(s, `#\u0023$1`)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x7f && hidden(r) }) {
		var b strings.Builder
		for _, r := range s {
			if r >= 0x7f && hidden(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
				continue
			}
			b.WriteRune(r)
		}
		s = b.String()
	}
	if _, err := io.WriteString(j.w, s); err != nil {
		return 0, err
	}
	return len(p), nil
}
