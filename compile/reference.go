package compile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Reference is a complete image name, taken apart.
type Reference struct {
	Host, Path  string // "docker.io", "acme/ubuntu"
	Tag, Digest string // either or both may be empty
}

// String is the reference as everything in canvos spells it: with its host.
func (r Reference) String() string {
	s := r.Repository()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Repository is the reference without tag and digest.
func (r Reference) Repository() string { return r.Host + "/" + r.Path }

// The grammar of the OCI distribution specification. The tag's length is looked
// at apart from it, since a tag that is too long deserves its own words.
var (
	hostForm   = regexp.MustCompile(`^(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*)(:[0-9]{1,5})?$`)
	pathForm   = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ParseReference takes a reference apart as Docker does: without a host
// docker.io is meant, and there without a namespace library. It adds no tag.
func ParseReference(s string) (Reference, error) {
	var r Reference
	rest := s
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest, r.Digest = rest[:i], rest[i+1:]
		if !digestForm.MatchString(r.Digest) {
			return r, fmt.Errorf("%q is not a digest: sha256: and 64 hexadecimal digits", r.Digest)
		}
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, r.Tag = rest[:i], rest[i+1:]
		if len(r.Tag) > longestTag {
			return r, fmt.Errorf("its tag has %d characters, a registry takes %d", len(r.Tag), longestTag)
		}
		if !tagForm.MatchString(r.Tag) {
			return r, fmt.Errorf("%q is not a tag", r.Tag)
		}
	}
	r.Host, r.Path = splitHost(rest)
	switch {
	case strings.Contains(s, "://"):
		return r, fmt.Errorf("%q has a scheme", s)
	case !hostForm.MatchString(r.Host):
		return r, fmt.Errorf("%q is not a registry host", r.Host)
	case !pathForm.MatchString(r.Path):
		return r, fmt.Errorf("%q is not a repository", r.Path)
	}
	return r, nil
}

// NormalReference spells a reference with its host.
func NormalReference(s string) (string, error) {
	r, err := ParseReference(s)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// splitHost divides a name into host and path. Docker Hub has three host names
// for one registry, and 443 is the port that is meant without one.
func splitHost(name string) (host, path string) {
	first, rest, more := strings.Cut(name, "/")
	if !more || !isHost(first) {
		first, rest = "docker.io", name
	}
	if bare := strings.TrimSuffix(first, ":443"); isHost(bare) && !isLoopback(bare) {
		first = bare
	}
	if first == "index.docker.io" || first == "registry-1.docker.io" {
		first = "docker.io"
	}
	if first == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return first, rest
}

// isHost tells a host from the first part of a path.
func isHost(s string) bool {
	return strings.ContainsAny(s, ".:") || s == "localhost"
}

// isLoopback tells hosts of this machine, which speak plain HTTP: there no port is
// another port than 443.
func isLoopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasPrefix(host, "127.") || host == "[::1]"
}

// NormalName spells a registry, a line or the beginning of references with the
// host as references have it.
func NormalName(s string) string {
	first, rest, more := strings.Cut(s, "/")
	host, _ := splitHost(first + "/any/name")
	if !isHost(first) {
		host = first
	}
	if !more {
		return host
	}
	return host + "/" + rest
}

// repositoryOf is REGISTRY/REPOSITORY of a family's images.
func repositoryOf(f *Family) string {
	repository := f.Repository.V
	if repository == "" {
		repository = f.OS.Distribution.V
	}
	host, path := splitHost(f.Registry.V + "/" + repository)
	return host + "/" + path
}

// referenceOf is the complete reference of a family's image: CanvOS's
// IMAGE_PATH, with canvos's revision at its end.
func referenceOf(f *Family, version, agent string) string {
	return repositoryOf(f) + ":" + tagOf(f, version, agent)
}

func tagOf(f *Family, version, agent string) string {
	tag := f.Kubernetes.Distribution.V + "-" + version + "-" + agent
	if f.Tag.V != "" {
		tag += "-" + f.Tag.V
	}
	if f.Revision.V > 1 {
		tag += "-r" + strconv.Itoa(f.Revision.V)
	}
	return tag
}

// lineOf names the line that a family's images belong to: what clusters follow,
// over all versions, releases and revisions.
func lineOf(f *Family) string {
	line := repositoryOf(f) + ":" + f.Kubernetes.Distribution.V + "-*"
	if f.Tag.V != "" {
		line += "-" + f.Tag.V
	}
	return line
}
