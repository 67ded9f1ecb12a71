package problem

// images: references and image lines.
var images = []Entry{
	{
		Code: "CV0301", Severity: Error, Room: "compile", Title: "two images, one reference",
		Explanation: []string{
			"An image's reference is REGISTRY/REPOSITORY:DISTRIBUTION-VERSION-AGENT[-TAG]. It does not carry the architecture, the version of the operating system, two-node, FIPS or any other option. Two families that differ in nothing else publish to one place, and the later push wins.",
			"Give one of them another tag or repository. Two architectures of the same thing are one family with arch: [\"amd64\", \"arm64\"].",
		},
		Sources: []string{"CanvOS Earthfile, IMAGE_PATH"},
	},
	{
		Code: "CV0302", Severity: Error, Room: "compile", Title: "a fact of an image line may not change",
		Explanation: []string{
			"A line is what clusters follow: registry, repository, distribution and custom tag, over all versions and releases. Whether it is two-node, FIPS, UKI, and which operating system it has, is fixed when it is first declared, since a cluster cannot be upgraded across such a change. Platforms may be added, not dropped.",
			"Make a new line with another tag. If the line was declared by mistake and nothing follows it, `canvos lock --forget LINE` removes it, as a line in the diff that somebody reviews.",
		},
		Sources: []string{"CanvOS documentation, two-node architecture", "canvos"},
	},
	{
		Code: "CV0303", Severity: Error, Room: "compile", Title: "two families say different things of one line",
		Explanation: []string{
			"Two families have the same registry, repository, distribution and custom tag, so their images are one line for the clusters that follow it, but differ in what may not change within a line: two-node, FIPS, UKI or operating system.",
			"Give one of them another tag or repository.",
		},
		Sources: []string{"CanvOS documentation, two-node architecture", "canvos"},
	},
	{
		Code: "CV0304", Severity: Error, Room: "compile", Title: "the reference is not valid",
		Explanation: []string{
			"The whole tag, with distribution, versions, agent, custom tag and revision, must be at most 128 characters of A-Z, a-z, 0-9, '_', '.' and '-', must not begin with '.' or '-', and must not end with '-', '.' or '_'; a repository's name is at most 255. Registries refuse anything else, after the build.",
			"Shorten or change the custom tag or the repository.",
		},
		Constraints: []string{"C35", "C36"},
		Sources:     []string{"OCI distribution specification", "CanvOS pull request 124"},
	},
	{
		Code: "CV0305", Severity: Warning, Room: "compile", Title: "the tag is longer than a Kubernetes label",
		Explanation: []string{
			"The upgrade controller stores the whole tag as the value of a label, which has at most 63 characters. kubeadm-fips-1.32.13-v4.9.38- leaves 34 for the custom tag.",
			"Shorten the custom tag.",
		},
		Constraints: []string{"C37"},
		Sources:     []string{"CanvOS pull request 124", "Kubernetes documentation, labels and selectors"},
	},
	{
		Code: "CV0306", Severity: Error, Room: "compile", Title: "the tag ends like a revision",
		Explanation: []string{
			"revision: 2 ends the tag with -r2, and a revision belongs to the same line. A family with tag \"demo-r2\" would publish under the references that tag \"demo\" with revision: 2 has, and clusters that follow the line demo would be offered its images; whose an image is can be told by its name alone.",
			"Write revision: 2 if that is what is meant. Else take a tag that does not end in -r and digits: \"demo-2\".",
		},
		Sources: []string{"canvos"},
	},
}
