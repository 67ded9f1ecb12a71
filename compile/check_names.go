package compile

import (
	"regexp"
	"strconv"
	"strings"

	"canvos.dev/compile/plan"
)

// Limits of a reference: the OCI distribution specification's of a tag, the
// common one of registries for a repository's name, and Kubernetes' of a label.
const (
	longestTag        = 128
	longestLabel      = 63
	longestRepository = 255
)

// namespaced are registries whose repositories all lie in a namespace.
var namespaced = map[string]bool{"docker.io": true, "ghcr.io": true, "quay.io": true, "gcr.io": true}

// checkRegistry judges where the images go.
func (s *subject) checkRegistry() {
	registry := s.Registry.V
	first, rest, _ := strings.Cut(registry, "/")
	host, _ := splitHost(registry + "/x")
	switch {
	case !isHost(first):
		p := s.report("CV0125", "registry", s.Registry.At, "the registry "+quoted(registry)+" has no host",
			"set registry: "+quoted("docker.io/"+registry), "a bare Docker ID, as CanvOS's tutorial asks for, is taken for a host by some tools and for a namespace by others")
		s.shared(p, s.Registry, s.m.Registry, "registry")
	case rest == "" && namespaced[host] && !strings.Contains(s.Repository.V, "/"):
		p := s.report("CV0125", "registry", s.Registry.At, "the registry "+quoted(registry)+" has no namespace",
			"set registry: "+quoted(host+"/NAMESPACE"), "only the registry's owner may push to "+host+" without one")
		s.shared(p, s.Registry, s.m.Registry, "registry")
	}
	for _, mirror := range []struct {
		path  string
		value Field[string]
	}{{"mirrors.images", s.Mirrors.Images}, {"mirrors.base", s.Mirrors.Base}, {"mirrors.packages", s.Mirrors.Packages}} {
		if host, _, _ := strings.Cut(mirror.value.V, "/"); host != "" && !isHost(host) {
			s.report("CV0125", mirror.path, mirror.value.At, mirror.path+" "+quoted(mirror.value.V)+" has no host",
				"write "+quoted("docker.io/"+mirror.value.V)+", or the mirror's host before it")
		}
	}
	if name, _, _ := strings.Cut(first, ":"); name == "ttl.sh" && channelOf(s.Family) != "development" {
		p := s.report("CV0124", "registry", s.Registry.At, "the registry ttl.sh forgets images after 24 hours at most, and anybody may replace them",
			`set registry to one of your own, or channel: "development" for a trial`)
		s.shared(p, s.Registry, s.m.Registry, "registry")
	}
}

// checkTag judges the whole tag and name, for the version that makes it
// longest.
func (s *subject) checkTag() {
	if s.release == nil || len(s.versions) == 0 {
		return
	}
	tag := ""
	for _, v := range s.versions {
		if t := tagOf(s.Family, v.version, agentOf(s.Family, s.release)); len(t) > len(tag) {
			tag = t
		}
	}
	where, custom := orFamily(s.Tag.At, s.Family), len(s.Tag.V)
	switch {
	case len(tag) > longestTag:
		s.report("CV0304", "tag", where, "the tag "+quoted(tag)+" has "+itoa(len(tag))+" characters, a registry takes "+itoa(longestTag),
			"shorten tag to "+atMost(custom-(len(tag)-longestLabel)))
	case !agentForm(agentOf(s.Family, s.release)):
		s.report("CV0304", "components.agent", firstAt(s.Components.Agent.At, s.Release.At), "the agent "+quoted(agentOf(s.Family, s.release))+" cannot be a part of a tag",
			"write letters, digits, \".\", \"_\" and \"-\"", "the whole tag would be "+quoted(tag))
	case !tagForm.MatchString(tag) || strings.HasSuffix(tag, "-") || strings.HasSuffix(tag, ".") || strings.HasSuffix(tag, "_"):
		s.report("CV0304", "tag", where, quoted(tag)+" is not a tag",
			"its parts are lower-case letters, digits, \".\", \"_\" and \"-\", and it ends with a letter or digit",
			"it is made of the distribution, the version, the agent "+quoted(agentOf(s.Family, s.release))+" and tag "+quoted(s.Tag.V))
	case len(tag) > longestLabel:
		s.report("CV0305", "tag", where, "the tag "+quoted(tag)+" has "+itoa(len(tag))+" characters, a Kubernetes label "+itoa(longestLabel),
			"shorten tag to "+atMost(custom-(len(tag)-longestLabel)), "the upgrade controller keeps the whole tag in a label")
	}
	name := repositoryOf(s.Family)
	if len(name) > longestRepository {
		s.report("CV0304", "repository", orFamily(s.Repository.At, s.Family),
			"the repository "+quoted(name)+" has "+itoa(len(name))+" characters, a registry takes "+itoa(longestRepository), "shorten registry or repository")
	}
}

// revised is a tag that ends like a revision.
var revised = regexp.MustCompile(`^(?:(.*)-)?r([0-9]+)$`)

// checkRevision judges whether the end of the tag could be a revision: the line
// of an image is told by its name alone.
func (s *subject) checkRevision() {
	parts := revised.FindStringSubmatch(s.Tag.V)
	if parts == nil {
		return
	}
	rest, number := parts[1], parts[2]
	end := "take another end, for example " + quoted(strings.TrimPrefix(rest+"-"+number, "-"))
	help := end
	if n, err := strconv.Atoi(number); err == nil && strconv.Itoa(n) == number && n > 1 && n <= mostRevisions && s.Revision.V <= 1 {
		help = "leave tag out, and write revision: " + number
		if rest != "" {
			help = "write tag: " + quoted(rest) + ", revision: " + number
		}
		help += ", which gives the same references; or " + end
	}
	s.report("CV0306", "tag", s.Tag.At, "the tag "+quoted(s.Tag.V)+" ends like a revision",
		help, "what follows the last -r is taken for the revision, so its images would count to another line")
}

// mostRevisions is the largest revision that the schema takes.
const mostRevisions = 9999

// agentForm says whether an agent's version can stand in a tag.
func agentForm(agent string) bool { return tagForm.MatchString("x" + agent) }

func atMost(n int) string {
	if n < 1 {
		return "nothing, and the agent's version too"
	}
	return itoa(n) + " characters"
}

// marked is a tag with a part that says two-node.
var marked = regexp.MustCompile(`(^|[._-])(two-?node|2node)([._-]|$)`)

// checkTwoNode judges where two-node can work, and whether the tag says so.
func (s *subject) checkTwoNode() {
	if !s.TwoNode.V {
		return
	}
	if !s.is("k3s", "canonical") {
		s.report("CV0201", "twoNode", s.TwoNode.At, "two-node works with k3s and canonical only, not with "+quoted(s.Kubernetes.Distribution.V),
			`set kubernetes.distribution to "k3s"`+at(s.Kubernetes.Distribution.At)+", or twoNode to false")
	}
	if !s.runs("ubuntu", "opensuse-leap", "hadron") { // of hadron CV0209 is said
		s.report("CV0202", "twoNode", s.TwoNode.At, "two-node works on ubuntu and opensuse-leap only, not on "+quoted(s.OS.Distribution.V),
			`set os.distribution to "ubuntu"`+at(s.OS.Distribution.At)+", or twoNode to false")
	}
	if s.on("arm64") {
		s.report("CV0202", "twoNode", s.TwoNode.At, `two-node works on amd64 only, not on "arm64"`,
			`set arch: ["amd64"]`+at(s.ArchSet.At)+", and make a family without twoNode for arm64",
			"CanvOS downloads the amd64 build of kine for every architecture")
	}
	if s.runs("ubuntu") && s.OS.Version.V != "" && fullUbuntu(s.OS.Version.V) != "22.04" {
		s.report("CV0204", "os.version", s.OS.Version.At, "two-node was made for Ubuntu 22.04, not "+quoted(s.OS.Version.V),
			`set os.version: "22.04", or try the image and acknowledge CV0204`, "the recipe points PostgreSQL's tools to perl 5.34")
	}
	if !marked.MatchString(s.Tag.V) {
		tag := "two-node"
		if s.Tag.V != "" {
			tag = s.Tag.V + "-two-node"
		}
		s.report("CV0203", "tag", orFamily(s.Tag.At, s.Family), "two-node images should say so in their tag",
			"tag: "+quoted(tag), "a two-node image cannot serve etcd clusters, and this cannot be changed later")
	}
}

// checkReference judges a reference to an image that is pulled.
func (s *subject) checkReference(f Field[string], path string) (Reference, bool) {
	ref, _ := ParseReference(f.V)
	if why, help, notes := misnamed(f.V); why != "" {
		s.report("CV0115", path, f.At, why, help, notes...)
		return ref, false
	}
	return ref, true
}

// misnamed says why a text is not the reference of one image, or "".
func misnamed(s string) (why, help string, notes []string) {
	ref, err := ParseReference(s)
	switch {
	case err != nil:
		return quoted(s) + " is not an image reference: " + err.Error(), "write HOST/PATH:TAG or HOST/PATH@sha256:DIGEST, in lower case but for the tag", nil
	case ref.Tag == "" && ref.Digest == "":
		return "the reference " + quoted(s) + " has neither tag nor digest", "write " + quoted(s+":TAG") + ", or its digest",
			[]string{"latest is not assumed: it names something else every day"}
	}
	return "", "", nil
}

// checkLocalOnly finds an image that may lie in the local Docker alone.
func (s *subject) checkLocalOnly(f Field[string], path string, ref Reference) {
	library := ref.Host == "docker.io" && strings.HasPrefix(ref.Path, "library/") && !strings.Contains(f.V, "/")
	if !library && ref.Host != "localhost" || s.m.sourceOf(ref.String()) != nil {
		return
	}
	s.report("CV0126", path, f.At, quoted(f.V)+" is "+ref.String()+", which may lie in the local Docker only",
		"write the reference with its registry, or say where it lies: sources: "+quoted(ref.String())+`: "docker-archive:FILE"`,
		"builders pull from registries, and do not see what was built on this machine")
}

// firstAt is the first of some places that is one.
func firstAt(at ...plan.Pos) plan.Pos {
	for _, p := range at {
		if p != (plan.Pos{}) {
			return p
		}
	}
	return plan.Pos{}
}
