package compile

import (
	"fmt"
	"reflect"
	"strings"
)

// shown lists every value that a manifest sets, with its place.
func shown(m *Manifest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "files: %s\n", strings.Join(m.Files, " "))
	copied := *m
	copied.FS, copied.Files = nil, nil
	show(&b, "", reflect.ValueOf(copied))
	return b.String()
}

func show(b *strings.Builder, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if r, ok := v.Interface().(Rules); ok {
			if r.CUE != nil {
				fmt.Fprintf(b, "%s = %s %s\n", path, r.CUE, place(v.FieldByName("At")))
			}
			return
		}
		if set := v.FieldByName("Set"); set.IsValid() {
			if set.Bool() {
				fmt.Fprintf(b, "%s = %v %s\n", path, v.FieldByName("V").Interface(), place(v.FieldByName("At")))
			}
			return
		}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "At" && v.Field(i).IsZero() {
				continue
			}
			if name == "At" {
				fmt.Fprintf(b, "%s %s\n", path, place(v.Field(i)))
				continue
			}
			show(b, strings.TrimPrefix(path+"."+name, "."), v.Field(i))
		}
	case reflect.Slice:
		if raw, ok := v.Interface().([]byte); ok {
			fmt.Fprintf(b, "%s = %s\n", path, raw)
			return
		}
		for i := range v.Len() {
			show(b, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.String:
		if v.String() != "" {
			fmt.Fprintf(b, "%s: %s\n", path, v.String())
		}
	}
}

func place(v reflect.Value) string {
	file := v.FieldByName("File").String()
	if file == "" {
		return "(nowhere)"
	}
	return fmt.Sprintf("(%s:%d:%d)", file, v.FieldByName("Line").Int(), v.FieldByName("Column").Int())
}
