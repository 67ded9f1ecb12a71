package compile

import (
	"errors"
	"io/fs"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/compile/problem"
)

// checkManifest judges what is said once for all families.
func checkManifest(m *Manifest, rel *releases, files *localFiles) []*problem.Problem {
	problems := checkCatalog(m, rel)
	report := func(code, path string, at plan.Pos, message, help string) {
		problems = append(problems, newProblem(nil, problem.Problem{Code: code, Path: path, At: at, Message: message, Help: help}))
	}
	if m.Epoch.Set && m.Epoch.V != "" {
		if why := badEpoch(m.Epoch.V); why != "" {
			report("CV0114", "epoch", m.Epoch.At, quoted(m.Epoch.V)+" "+why, `write a time such as "2020-04-16T12:00:00Z"`)
		}
	}
	for i, c := range m.Build.Certificates {
		path := "build.certificates[" + itoa(i) + "]"
		found := files.find(c.V)
		if p := unlocated(files, found, c, aFile); p != nil {
			report(p.Code, path, c.At, p.Message, p.Help)
			continue
		}
		text, err := files.text(found.name)
		if err != nil {
			report("CV0009", path, c.At, "the file "+quoted(c.V)+" cannot be read: "+cause(err), "look at the file's permissions")
		} else if why := misfit(text, certificates); why != "" {
			report("CV0120", path, c.At, quoted(c.V)+" "+why, "name a PEM file with certificates alone")
		}
	}
	for _, rule := range m.Sources {
		path := "sources." + label(rule.Reference)
		if why, help := badReference(rule); why != "" {
			report("CV0133", path, rule.Place.At, why, help)
		}
		if why, help := badPlace(rule, files); why != "" {
			report("CV0133", path, rule.Place.At, why, help)
		}
	}
	return problems
}

// badReference says what is wrong with what a source stands for: a reference
// with its host, or its first parts.
func badReference(rule SourceRule) (why, help string) {
	ref := rule.Reference
	first, rest, _ := strings.Cut(ref, "/")
	host := first
	if rest == "" {
		host, _, _ = strings.Cut(first, "@")
	}
	switch {
	case strings.Contains(ref, "://"):
		_, rest, _ := strings.Cut(withoutCredentials(ref), "://")
		return quoted(ref) + " has a scheme", "write the reference without it: " + quoted(rest)
	case strings.HasSuffix(ref, "/"):
		return quoted(ref) + " ends with a slash", "write " + quoted(strings.TrimRight(ref, "/"))
	case !isHost(host):
		return quoted(ref) + " has no host, so no reference begins with it", "write " + quoted("docker.io/"+ref)
	case !hostForm.MatchString(host):
		return quoted(host) + " is not a registry host", "write the first parts of a reference, for example \"docker.io/acme\""
	case rest == "":
		return "", ""
	}
	if _, err := ParseReference(ref); err != nil {
		return quoted(ref) + " is not the beginning of a reference: " + err.Error(), "write the first parts of a reference, for example \"docker.io/acme\""
	}
	return "", ""
}

// schemes are the kinds of places, and whether each is a directory.
var schemes = map[string]bool{"oci": true, "dir": true, "oci-archive": false, "docker-archive": false}

// badPlace says what is wrong with the place of a source. A layout or archive
// may be carried in for the build: see checkSources.
func badPlace(rule SourceRule, files *localFiles) (why, help string) {
	place := rule.Place.V
	scheme, name, local := strings.Cut(place, ":")
	tree, known := schemes[scheme]
	switch {
	case strings.Contains(place, "://"):
		_, rest, _ := strings.Cut(withoutCredentials(place), "://")
		return quoted(place) + " has a scheme", "write the registry without it: " + quoted(rest)
	case !known && hasCredentials(place):
		return quoted(place) + " holds credentials", "write " + quoted(withoutCredentials(place))
	case !local || !known:
		return badRegistryPlace(place, scheme, local)
	case name == "":
		return quoted(place) + " names nothing", "write " + quoted(scheme+":PATH")
	}
	if scheme == "dir" {
		if ref, err := ParseReference(rule.Reference); err != nil || ref.Tag == "" && ref.Digest == "" {
			return quoted(rule.Reference) + " is not a whole reference, and dir: holds one image", "write the reference with its tag, or take oci:DIR"
		}
	}
	found := files.find(name)
	var leaves *leavesError
	switch {
	case errors.As(found.err, &leaves):
		return quoted(place) + " leaves the module: " + leaves.why, "move or copy it into the module"
	case errors.Is(found.err, fs.ErrNotExist):
		if scheme != "dir" {
			return "", ""
		}
		help := "correct the path: it is relative to the manifest's directory"
		if meant := files.nearest(name); meant != "" {
			help = "write " + quoted(scheme+":"+meant)
		}
		return "there is no directory " + quoted(name), help
	case found.err != nil:
		return quoted(place) + " cannot be read: " + cause(found.err), "look at the file's permissions"
	case tree && !found.info.IsDir():
		return quoted(name) + " is a file, and " + scheme + ": wants a directory", "write " + quoted(archiveOf(scheme)+":"+name) + " for an archive"
	case !tree && found.info.IsDir():
		return quoted(name) + " is a directory, and " + scheme + ": wants a file", "write " + quoted("oci:"+name) + " for a layout"
	}
	return "", ""
}

func archiveOf(scheme string) string {
	if scheme == "oci" {
		return "oci-archive"
	}
	return "docker-archive"
}

// badRegistryPlace judges a place that is a registry, or its first parts.
func badRegistryPlace(place, scheme string, local bool) (why, help string) {
	first, _, _ := strings.Cut(place, "/")
	if local && !strings.Contains(scheme, ".") && scheme != "localhost" && !strings.Contains(scheme, "/") {
		if port, _, _ := strings.Cut(place[len(scheme)+1:], "/"); !isNumber(port) {
			help := "write oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR, or a registry"
			if meant := did(scheme, []string{"oci", "dir", "oci-archive", "docker-archive"}); meant != "" {
				help = "write " + quoted(meant+place[len(scheme):])
			}
			return quoted(scheme+":") + " is not a kind of place", help
		}
	}
	switch {
	case strings.HasSuffix(place, "/"):
		return quoted(place) + " ends with a slash", "write " + quoted(strings.TrimRight(place, "/"))
	case !isHost(first):
		return quoted(place) + " has no host", "write a registry, " + quoted("docker.io/"+place) + ", or a local place, " + quoted("oci:"+place)
	case !hostForm.MatchString(first) && !hostForm.MatchString(strings.SplitN(first, "@", 2)[0]):
		return quoted(first) + " is not a registry host", "write a registry, for example \"registry.example.com/mirror\""
	case first == place:
		return "", ""
	}
	if _, err := ParseReference(place); err != nil {
		return quoted(place) + " is not a registry: " + err.Error(), "write a registry, for example \"registry.example.com/mirror\""
	}
	return "", ""
}
