package problem

// values: a field's value cannot be what it is.
var values = []Entry{
	{
		Code: "CV0101", Severity: Error, Room: "load", Title: "unknown field",
		Explanation: []string{
			"The manifest is closed: a field that canvos does not know is an error, because CanvOS itself ignores names it does not know without a word, and then builds something else (K8s_VERSION for K8S_VERSION built eighteen versions instead of one).",
			"Correct the spelling; the message names the nearest field. Hidden fields (_name) and definitions (#Name) are free for your own use.",
		},
		Sources: []string{"Earthly v0.8.15, how .arg is read", "CanvOS documentation, Build Edge Artifacts"},
	},
	{
		Code: "CV0102", Severity: Error, Room: "load", Title: "a required field is missing",
		Explanation: []string{
			"Without the field it is not known what to build, and no default would be right for everybody.",
			"Add it. `canvos init` writes a manifest with every required field.",
		},
		Constraints: []string{"C01"},
		Sources:     []string{"CanvOS Earthfile v4.4.12: the test for an empty K8S_DISTRIBUTION is malformed and works by luck"},
	},
	{
		Code: "CV0103", Severity: Error, Room: "load", Title: "a value of the wrong kind",
		Explanation: []string{
			"The field wants another kind of value: a string, a list, true or false without quotes.",
			"For options it matters more than it seems. CanvOS executes the text of TWO_NODE as a command: \"True\" is not found and means false, an empty text means true, \"yes\" never ends.",
			"Write true or false, without quotes.",
		},
		Constraints: []string{"C34", "C51"},
		Sources:     []string{"CanvOS Earthfile v4.4.12: IF $TWO_NODE", "measured with bash, dash and busybox"},
	},
	{
		Code: "CV0104", Severity: Error, Room: "load", Title: "not a registry",
		Explanation: []string{
			"A registry is a host name (labels of 1 to 63 lower-case letters, digits and hyphens, 253 in all), an optional :port and an optional /namespace. It has no scheme, no underscore in the host and no slash at its end.",
			"An image under another name can be built, but not pushed, and the error then comes after the build.",
			"Write for example docker.io/acme or registry.example.com:5000/edge.",
		},
		Constraints: []string{"C35", "C39"},
		Sources:     []string{"RFC 1123", "OCI distribution specification", "CanvOS documentation, Build Provider Images"},
	},
	{
		Code: "CV0105", Severity: Error, Room: "load", Title: "not a tag",
		Explanation: []string{
			"The custom tag is a part of the image's tag. It is made of lower-case letters, digits, '.', '_' and '-', begins with a letter or digit and ends with one: the upgrade controller stores the tag as a Kubernetes label, and a label's value may not end in '-', '.' or '_'.",
			"Change the tag. Leave the field out for no custom tag.",
		},
		Constraints: []string{"C35", "C36", "C38"},
		Sources:     []string{"OCI distribution specification", "CanvOS pull request 124", "CanvOS documentation, Edge Artifact Builder arguments"},
	},
	{
		Code: "CV0106", Severity: Error, Room: "compile", Title: "unknown CanvOS release",
		Explanation: []string{
			"Not every number is a release: there is no v4.4.0 and no v4.4.3, though documentation uses such numbers in examples. A release decides the agent, the providers and the Kubernetes versions, so a near one will not do.",
			"Take one that exists; `canvos catalog` lists them. For a release newer than this canvos add it in the manifest under catalog, or take a newer canvos.",
		},
		Sources: []string{"the tags of github.com/spectrocloud/CanvOS"},
	},
	{
		Code: "CV0107", Severity: Error, Room: "compile", Title: "the release does not have this Kubernetes version",
		Explanation: []string{
			"Each CanvOS release has a list of Kubernetes versions for each distribution (k8s_version.json), for which packages were published. A version that is not in it, or only in another distribution's list, is found out by CanvOS after the operating system has been built, when the package is not found.",
			"Lists do not only grow: 1.24 and 1.25 are gone from v4.5.3 on. So a list is not carried over from one release to the next.",
			"Take a version the release has, or a release that has the version; the message names the nearest ones. `canvos catalog` shows the lists.",
		},
		Constraints: []string{"C04"},
		Sources:     []string{"CanvOS k8s_version.json (in the Earthfile before v4.4.12)", "CanvOS documentation, Edge Artifact Builder arguments"},
	},
	{
		Code: "CV0108", Severity: Error, Room: "compile", Title: "the release does not have this Kubernetes distribution",
		Explanation: []string{
			"The distributions are k3s, rke2, kubeadm and kubeadm-fips; nodeadm since v4.5.5 and canonical since v4.6.21. With a name it does not know CanvOS builds no image at all and reports success.",
			"Take a distribution the release has, or a release that has the distribution.",
		},
		Constraints: []string{"C02", "C03"},
		Sources:     []string{"CanvOS Earthfile, +build-provider-images", "CanvOS k8s_version.json"},
	},
	{
		Code: "CV0109", Severity: Error, Room: "compile", Title: "not a Kubernetes version or range",
		Explanation: []string{
			"A version is MAJOR.MINOR.PATCH without a v, in quotes: \"1.30.4\". A range is comparisons that all must hold, \">=1.29 <1.31\", or a series, \"1.30.x\". Every version of the family's distribution in the release's list that lies in the range becomes an image.",
			"A version that is cut short stands for its whole series: >=1.29 begins at 1.29.0, >1.29 at 1.30.0, and <=1.30 holds all of 1.30. A series alone is written with an x, since 1.30 could be meant as a version.",
		},
		Constraints: []string{"C04"},
		Sources:     []string{"CanvOS documentation, Edge Artifact Builder arguments", "canvos"},
	},
	{
		Code: "CV0110", Severity: Error, Room: "load", Title: "not an architecture",
		Explanation: []string{
			"An image is built for amd64 or arm64. CanvOS compares the value literally in a dozen places and does nothing where it matches neither.",
			"Write arch: [\"amd64\"], [\"arm64\"], or both for an index of two images.",
		},
		Constraints: []string{"C06"},
		Sources:     []string{"CanvOS Earthfile"},
	},
	{
		Code: "CV0111", Severity: Error, Room: "compile", Title: "not an operating system CanvOS builds on",
		Explanation: []string{
			"CanvOS knows ubuntu, opensuse-leap, rhel and sles. Others have no base image in it and none of its package steps before the 4.10 line, which takes any with an image of its own and documents hadron.",
			"Take one of the four, or a release of the 4.10 line and os.image.",
		},
		Constraints: []string{"C15"},
		Sources:     []string{"CanvOS Earthfile", "CanvOS documentation, Build Hadron image"},
	},
	{
		Code: "CV0112", Severity: Error, Room: "compile", Title: "not a version of this operating system",
		Explanation: []string{
			"The version is part of the base image's name, in the form the release expects. Ubuntu: 20 or 22 up to v4.1.4, then 20.04, 22.04, 24.04 (20 and 22 are still expanded, 24 is not and gives a name that does not exist). openSUSE Leap needs it from v4.2.3 on, for example 15.6; left out, the name is leap--core-….",
			"Write the version as the message says.",
		},
		Constraints: []string{"C18", "C19"},
		Sources:     []string{"CanvOS Earthfile, BASE_IMAGE_TAG", "CanvOS README: suggests 24, which does not work"},
	},
	{
		Code: "CV0113", Severity: Error, Room: "load", Title: "not a repository",
		Explanation: []string{
			"A repository is a path of lower-case letters and digits, joined by '.', '_', '__' or hyphens, its parts by '/'. Left out it is the operating system's name; an empty one would beat that default and give a reference without a repository.",
			"Correct it, or leave the field out.",
		},
		Constraints: []string{"C35", "C41"},
		Sources:     []string{"OCI distribution specification", "CanvOS Earthfile, IMAGE_REPO"},
	},
	{
		Code: "CV0114", Severity: Error, Room: "load", Title: "a value the field does not allow",
		Explanation: []string{
			"The value has the right kind, but is none of those the field allows, or not of its form. Empty texts count: an empty value in CanvOS overrides a default instead of asking for it.",
			"The message says what is allowed. To ask for the default leave the field out.",
		},
		Constraints: []string{"C45", "C51"},
		Sources:     []string{"the schema's comment on the field"},
	},
	{
		Code: "CV0115", Severity: Error, Room: "compile", Title: "not an image reference",
		Explanation: []string{
			"A reference is HOST[:PORT]/PATH with :TAG or @sha256:DIGEST, in lower case but for the tag. Without a host, docker.io is meant.",
			"Write the reference whole.",
		},
		Constraints: []string{"C35"},
		Sources:     []string{"OCI distribution specification"},
	},
	{
		Code: "CV0116", Severity: Error, Room: "compile", Title: "a range that holds no version",
		Explanation: []string{
			"No version of the release's list for this distribution lies in the range, so the family would be no image at all. CanvOS would report success.",
			"Widen the range, or take a release that has such versions; the message names what exists.",
		},
		Constraints: []string{"C02", "C04"},
		Sources:     []string{"CanvOS k8s_version.json", "canvos"},
	},
	{
		Code: "CV0117", Severity: Warning, Room: "compile", Title: "a version asked for twice",
		Explanation: []string{
			"The family lists the version twice, or lists it beside a range that holds it, or allVersions beside a list. It is built once.",
			"Remove one of the two.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0118", Severity: Warning, Room: "compile", Title: "a family of many images",
		Explanation: []string{
			"Every version is an image of 2 to 5 GB. An empty K8S_VERSION in CanvOS means all of them, and full disks that fail silently are the usual result; here it has to be asked for.",
			"allVersions, or a range, is warned of when it stands for more than a dozen. List the versions that your clusters run, or a narrower range. If all are meant, acknowledge the warning.",
		},
		Constraints: []string{"C05"},
		Sources:     []string{"CanvOS Earthfile, +build-provider-images", "CanvOS documentation, Edge Artifact Builder arguments"},
	},
	{
		Code: "CV0122", Severity: Warning, Room: "compile", Title: "the release is a build of another agent",
		Explanation: []string{
			"The agent's version is written in the Earthfile and is what the image's tag carries. For eight releases it is not the release's own number: v4.1.4 has v4.1.2, v4.3.3 v4.3.2, v4.4.5 v4.4.4, v4.7.17 v4.7.16, v4.7.18 v4.7.17, v4.8.b v4.8.8, v4.9.0 v4.9.7, and v4.10.0, which is not the 4.10 line at all, v4.9.21. The profile that earthly.sh prints names the release instead, an image that was not built.",
			"canvos follows the Earthfile, in tags and profiles. Take a release whose agent has its number, or acknowledge the warning.",
		},
		Sources: []string{"CanvOS Earthfile, PE_VERSION, compared with its tags"},
	},
	{
		Code: "CV0123", Severity: Warning, Room: "compile", Title: "a Kubernetes version known to be bad",
		Explanation: []string{
			"K3s 1.27.7 is deprecated: clusters crash. It was in CanvOS's lists up to v4.4.8.",
			"Take another version of 1.27.",
		},
		Constraints: []string{"C53"},
		Sources:     []string{"CanvOS documentation, known issues"},
	},
	{
		Code: "CV0124", Severity: Warning, Room: "compile", Title: "a registry that forgets",
		Explanation: []string{
			"ttl.sh keeps an image for 24 hours at most, and anybody may read it or push over it. It is the default of CanvOS's template, and good for a trial only.",
			"Set registry to one of your own. Families on channel development are not warned.",
		},
		Constraints: []string{"C40"},
		Sources:     []string{"CanvOS README"},
	},
	{
		Code: "CV0125", Severity: Error, Room: "compile", Title: "a registry without host or namespace",
		Explanation: []string{
			"CanvOS's tutorial asks for a bare Docker ID. As a registry that is a host of that name, which does not exist, or after normalisation the library namespace of Docker Hub, where only Docker may push.",
			"Write host and namespace: docker.io/acme. Mirrors need their host too.",
		},
		Constraints: []string{"C39"},
		Sources:     []string{"CanvOS documentation, Build Provider Images", "CanvOS documentation, Edge Artifact Builder arguments"},
	},
	{
		Code: "CV0126", Severity: Warning, Room: "compile", Title: "an image that may lie in the local Docker only",
		Explanation: []string{
			"A name without a host and namespace is docker.io/library/NAME, a name that only Docker's own images have. What was meant is often an image that was built on this machine; builders pull from registries and cannot see it.",
			"Write the reference whole, or say under sources where it lies, for example \"docker-archive:stig.tar\".",
		},
		Constraints: []string{"C17"},
		Sources:     []string{"CanvOS README v4.9.38", "CanvOS documentation, Build RHEL STIG image"},
	},
	{
		Code: "CV0128", Severity: Warning, Room: "compile", Title: "a short Ubuntu version",
		Explanation: []string{
			"20 and 22 are expanded in the base image's name only. The kernel packages are named with the value as it stands: linux-image-generic-hwe-22 does not exist, so with updateKernel false the kernel is not held, and with updateKernel true it cannot be installed.",
			"Write 20.04 or 22.04.",
		},
		Constraints: []string{"C20"},
		Sources:     []string{"CanvOS Earthfile, +base-image (v4.4.2 on; v4.7.16 on)"},
	},
	{
		Code: "CV0129", Severity: Error, Room: "load", Title: "not a family name",
		Explanation: []string{
			"The name of a family is 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit. It is used in file names, reports and on the command line; it is not part of the image.",
			"Rename the family: nothing is rebuilt.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0130", Severity: Error, Room: "compile", Title: "not a warning that can be acknowledged",
		Explanation: []string{
			"acknowledge silences warnings by their code. The code does not exist, or it is an error's: an error cannot be acknowledged.",
			"Correct the code or remove the line.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0131", Severity: Warning, Room: "compile", Title: "an acknowledgement that silences nothing",
		Explanation: []string{
			"The family has no warning with this code any more. Left in place, it would silence the next one.",
			"Remove the line.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0132", Severity: Error, Room: "compile", Title: "a catalog entry that cannot be used",
		Explanation: []string{
			"An entry under catalog adds a release or overrides what the catalog says of one. Its release must be a version (v4.10.3), what it starts from must exist, and its fields must be those of a release.",
			"Correct the entry. `canvos catalog show RELEASE -o json` shows the shape.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0133", Severity: Error, Room: "compile", Title: "a source that cannot be used",
		Explanation: []string{
			"sources maps a reference, or the first parts of one, to a place: oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR, or the name of another registry. dir: holds one image and needs a whole reference. Paths are relative to the manifest and inside the module.",
			"Correct the entry.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0135", Severity: Warning, Room: "compile", Title: "a source that nothing is read from",
		Explanation: []string{
			"No image of the manifest needs a reference that begins with what the entry of sources stands for. Mistyped, it would let the network be asked for what should come from a mirror or a layout.",
			"Correct it or remove it. `canvos lock` shows which references are needed.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0136", Severity: Warning, Room: "compile", Title: "a place of a source that is not there",
		Explanation: []string{
			"An image is read from a layout or archive that is not there. It may be carried in for the build, so where manifests are only looked at it is no error; whoever locks or builds needs it.",
			"Carry it in, or correct the path.",
		},
		Sources: []string{"canvos"},
	},
}
