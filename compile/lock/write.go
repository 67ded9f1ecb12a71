package lock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"canvos.dev/compile/plan"
)

// Write is the text of a lock: JSON, keys sorted, an entry a line, so that a
// diff shows what moved and nothing else.
func (f *File) Write() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"version\": %d,\n  \"recipe\": %d,\n  \"format\": %d", f.Version, f.Recipe, f.Format)
	for _, write := range []func() error{
		func() error { return section(&b, "sources", f.Sources) },
		func() error { return section(&b, "versions", f.Versions) },
		func() error { return section(&b, "catalog", f.Catalog) },
		func() error { return section(&b, "refresh", f.Refresh) },
		func() error { return section(&b, "facts", f.Facts) },
	} {
		if err := write(); err != nil {
			return nil, fmt.Errorf("write %s: %w", Name, err)
		}
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func section[T any](b *bytes.Buffer, name string, entries map[string]T) error {
	fmt.Fprintf(b, ",\n  %q: {", name)
	separator := "\n    "
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		k, err := plan.Canonical(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(entries[key])
		if err != nil {
			return err
		}
		b.WriteString(separator)
		b.Write(k)
		b.WriteString(": ")
		spaced(b, v)
		separator = ",\n    "
	}
	if len(entries) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteByte('}')
	return nil
}

// spaced writes JSON on one line with a blank after each colon and comma, as
// people write it.
func spaced(b *bytes.Buffer, v []byte) {
	inside := false
	for i, c := range v {
		b.WriteByte(c)
		switch {
		case c == '"' && !escaped(v[:i]):
			inside = !inside
		case (c == ':' || c == ',') && !inside:
			b.WriteByte(' ')
		}
	}
}

// escaped says whether what follows v in a JSON text is escaped.
func escaped(v []byte) bool {
	n := 0
	for n < len(v) && v[len(v)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}
