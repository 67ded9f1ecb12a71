package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"canvos.dev/compile/catalog"
)

// encode is the files of the data directory, by name.
func encode(rs []*catalog.Release, args []catalog.Argument) (map[string][]byte, error) {
	files := map[string][]byte{
		"releases.txt":  releasesTable(rs),
		"versions.txt":  versionsTable(rs),
		"arguments.txt": argumentsTable(rs, args),
	}
	bases := map[string]layer{} // line, "v4.4" → its first release
	for _, r := range rs {
		entry, err := rest(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Tag, err)
		}
		line := r.Tag[:strings.LastIndexByte(r.Tag, '.')]
		if base, ok := bases[line]; ok {
			entry = difference(base.whole, entry)
			entry["from"] = base.tag
		} else {
			bases[line] = layer{r.Tag, entry}
		}
		if files["releases/"+r.Tag+".json"], err = indented(entry); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Tag, err)
		}
	}
	return files, nil
}

// layer is a release that others are laid over.
type layer struct {
	tag   string
	whole map[string]any
}

// rest is what of a release is in no table.
func rest(r *catalog.Release) (map[string]any, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	for _, tabled := range []string{"tag", "aliases", "date", "agentVersion", "kubernetes", "arguments"} {
		delete(m, tabled)
	}
	return m, nil
}

// difference is what has to be laid over base to make it m: RFC 7386.
func difference(base, m map[string]any) map[string]any {
	d := map[string]any{}
	for k, v := range m {
		sub, isMap := v.(map[string]any)
		baseSub, baseIsMap := base[k].(map[string]any)
		switch {
		case isMap && baseIsMap:
			if dd := difference(baseSub, sub); len(dd) > 0 {
				d[k] = dd
			}
		case !reflect.DeepEqual(base[k], v):
			d[k] = v
		}
	}
	for k := range base {
		if _, ok := m[k]; !ok {
			d[k] = nil
		}
	}
	return d
}

func indented(m map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(m)
	return b.Bytes(), err
}

func releasesTable(rs []*catalog.Release) []byte {
	var b bytes.Buffer
	for _, r := range rs {
		fmt.Fprintln(&b, strings.Join(append([]string{r.Tag, r.AgentVersion, r.Date}, r.Aliases...), " "))
	}
	return b.Bytes()
}

func versionsTable(rs []*catalog.Release) []byte {
	having := map[string]map[string][]string{} // distribution → version → tags
	for _, r := range rs {
		for dist, versions := range r.Kubernetes {
			if having[dist] == nil {
				having[dist] = map[string][]string{}
			}
			for _, v := range versions {
				having[dist][v] = append(having[dist][v], r.Tag)
			}
		}
	}
	var b bytes.Buffer
	for _, dist := range slices.Sorted(maps.Keys(having)) {
		for _, v := range slices.SortedFunc(maps.Keys(having[dist]), catalog.CompareVersions) {
			fmt.Fprintln(&b, dist, v, strings.Join(spans(rs, having[dist][v]), " "))
		}
	}
	return b.Bytes()
}

func argumentsTable(rs []*catalog.Release, args []catalog.Argument) []byte {
	var b bytes.Buffer
	for i := 0; i < len(args); {
		a := args[i]
		var tags []string
		same := a
		for ; i < len(args); i++ {
			same.First, same.Last = args[i].First, args[i].Last
			if same != args[i] {
				break
			}
			tags = append(tags, between(rs, args[i].First, args[i].Last)...)
		}
		for _, span := range spans(rs, tags) {
			fmt.Fprint(&b, a.Name, " ", a.Scope, " ", kind(a), " ", span)
			if a.HasDefault {
				fmt.Fprint(&b, " ", a.Default)
			}
			fmt.Fprintln(&b)
		}
	}
	return b.Bytes()
}

func kind(a catalog.Argument) string {
	k := "arg"
	if a.Let {
		k = "let"
	}
	if a.Conditional {
		k += "?"
	}
	return k
}

// between is the tags from first to last.
func between(rs []*catalog.Release, first, last string) []string {
	var tags []string
	for _, r := range rs {
		if catalog.CompareVersions(first, r.Tag) <= 0 && catalog.CompareVersions(r.Tag, last) <= 0 {
			tags = append(tags, r.Tag)
		}
	}
	return tags
}

// spans writes tags, which are in order, as "first..last" without gaps.
func spans(rs []*catalog.Release, tags []string) []string {
	at := map[string]int{}
	for i, r := range rs {
		at[r.Tag] = i
	}
	var out []string
	for i := 0; i < len(tags); {
		j := i
		for j+1 < len(tags) && at[tags[j+1]] == at[tags[j]]+1 {
			j++
		}
		if i == j {
			out = append(out, tags[i])
		} else {
			out = append(out, tags[i]+".."+tags[j])
		}
		i = j + 1
	}
	return out
}
