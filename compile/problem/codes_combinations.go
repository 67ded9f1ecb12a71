package problem

// combinations: options of a family that do not go together.
var combinations = []Entry{
	{
		Code: "CV0201", Severity: Error, Room: "compile", Title: "two-node works with k3s and canonical only",
		Explanation: []string{
			"Two-node clusters keep their state in PostgreSQL through kine, which only these distributions can use instead of etcd. CanvOS builds the image all the same; the cluster then does not come up.",
			"Set kubernetes.distribution to k3s, or twoNode to false.",
		},
		Constraints: []string{"C26"},
		Sources:     []string{"CanvOS documentation, two-node architecture (an older page names k3s only)"},
	},
	{
		Code: "CV0202", Severity: Error, Room: "compile", Title: "two-node works on amd64 with Ubuntu or openSUSE Leap only",
		Explanation: []string{
			"The recipe installs PostgreSQL only there, and downloads the amd64 build of kine whatever the architecture. Elsewhere the build fails late or the image holds a program that cannot run.",
			"Use amd64 and ubuntu for two-node families; put other sites into a family of their own.",
		},
		Constraints: []string{"C27"},
		Sources:     []string{"CanvOS Earthfile v4.4.4 on, +provider-image"},
	},
	{
		Code: "CV0203", Severity: Warning, Room: "compile", Title: "a two-node image should say so in its tag",
		Explanation: []string{
			"A two-node image cannot serve clusters with etcd, and an existing line of images can never be changed from one to the other. Nothing in the image's name tells them apart unless the tag does.",
			"Put two-node, twonode or 2node into the tag as a part of it, for example palette-learn-two-node. Policies for review may deny a new line without it.",
		},
		Constraints: []string{"C29"},
		Sources:     []string{"CanvOS documentation, Build Provider Images and two-node architecture"},
	},
	{
		Code: "CV0204", Severity: Warning, Room: "compile", Title: "two-node was made for Ubuntu 22.04",
		Explanation: []string{
			"The recipe writes a profile for PostgreSQL's tools that points to perl 5.34, which is Ubuntu 22.04's. With another version the tools may not find their modules.",
			"Use os.version \"22.04\", or try the image and acknowledge the warning.",
		},
		Constraints: []string{"C28"},
		Sources:     []string{"CanvOS Earthfile v4.4.4 on, PERL5LIB; read, not run"},
	},
	{
		Code: "CV0205", Severity: Error, Room: "compile", Title: "canonical is a technical preview",
		Explanation: []string{
			"Canonical Kubernetes is a technical preview in CanvOS. Production must not get it by a slip, so a family says that it knows, and stays off the production channel.",
			"Set techPreview: true and channel: \"staging\" or \"development\".",
		},
		Constraints: []string{"C08"},
		Sources:     []string{"CanvOS documentation, architecture (4.6 and 4.7; the label is gone from the newest pages)"},
	},
	{
		Code: "CV0206", Severity: Error, Room: "compile", Title: "canonical runs on Ubuntu and amd64 only",
		Explanation: []string{
			"Canonical Kubernetes is documented on Ubuntu only and does not support arm64.",
			"Use ubuntu and amd64, or another distribution.",
		},
		Constraints: []string{"C07", "C08"},
		Sources:     []string{"CanvOS documentation, architecture"},
	},
	{
		Code: "CV0207", Severity: Error, Room: "compile", Title: "the image must bundle Kubernetes",
		Explanation: []string{
			"From 4.10 on Kubernetes and the provider agent may come as systemd extensions instead of lying in the image. Two-node clusters and UKI images cannot use extensions.",
			"Set bundleKubernetes: true.",
		},
		Constraints: []string{"C25", "C30"},
		Sources:     []string{"CanvOS documentation, systemd extensions"},
	},
	{
		Code: "CV0208", Severity: Error, Room: "compile", Title: "say whether the image bundles Kubernetes",
		Explanation: []string{
			"Whether an image of the 4.10 line holds Kubernetes is decided by BUNDLE_K8S_AND_AGENT_PROVIDER, whose default is false in the release candidates and true in the documentation. A manifest that leaves it out would mean different images for different releases.",
			"Set bundleKubernetes to true or false.",
		},
		Constraints: []string{"C30"},
		Sources:     []string{"CanvOS Earthfile v4.10.0-rc.10", "CanvOS pull request 831", "CanvOS documentation, systemd extensions"},
	},
	{
		Code: "CV0209", Severity: Error, Room: "compile", Title: "Hadron does not go with this",
		Explanation: []string{
			"Hadron, the minimal operating system of the 4.10 line, is not built with UKI, canonical or two-node.",
			"Take another operating system for the family.",
		},
		Constraints: []string{"C25"},
		Sources:     []string{"CanvOS documentation, Build Hadron image"},
	},
	{
		Code: "CV0210", Severity: Error, Room: "compile", Title: "the distribution has no FIPS build",
		Explanation: []string{
			"Only rke2 and kubeadm-fips are built with FIPS-validated cryptography. An image with fips: true and another distribution looks compliant and is not.",
			"Use kubeadm-fips (for kubeadm) or rke2, or set fips to false.",
		},
		Constraints: []string{"C08", "C09"},
		Sources:     []string{"CanvOS documentation, VerteX and FIPS", "CanvOS README"},
	},
	{
		Code: "CV0211", Severity: Error, Room: "compile", Title: "kubeadm-fips needs fips: true",
		Explanation: []string{
			"Without it the FIPS build of Kubernetes is mixed with an agent and tools that are not FIPS.",
			"Set fips: true, or kubernetes.distribution: \"kubeadm\".",
		},
		Constraints: []string{"C10"},
		Sources:     []string{"CanvOS Earthfile v4.0.6 on; read, not run"},
	},
	{
		Code: "CV0212", Severity: Error, Room: "compile", Title: "FIPS needs a base image",
		Explanation: []string{
			"The base image that CanvOS computes is the ordinary Kairos image, without a FIPS kernel and libraries.",
			"Build a FIPS base image as CanvOS documents it, and name it in os.image.",
		},
		Constraints: []string{"C11"},
		Sources:     []string{"CanvOS documentation, VerteX and FIPS"},
	},
	{
		Code: "CV0213", Severity: Error, Room: "compile", Title: "FIPS and updateKernel exclude each other",
		Explanation: []string{
			"An updated kernel is not the validated one, and has been known to purge it. CanvOS itself refuses the two together only from v4.9.10 on.",
			"Set updateKernel to false.",
		},
		Constraints: []string{"C12"},
		Sources:     []string{"CanvOS Earthfile v4.9.10", "CanvOS pull requests 422 and 603"},
	},
	{
		Code: "CV0214", Severity: Warning, Room: "compile", Title: "FIPS and trusted boot",
		Explanation: []string{
			"The FIPS installer does not work with secure boot, which UKI images need.",
			"Use one of the two.",
		},
		Constraints: []string{"C13"},
		Sources:     []string{"CanvOS documentation, VerteX and FIPS"},
	},
	{
		Code: "CV0215", Severity: Warning, Room: "compile", Title: "FIPS mode is switched on by the kernel's command line",
		Explanation: []string{
			"The image alone is not enough: hosts must boot with fips=1 (on RHEL also selinux=0), which is given in the installer's user-data, outside of what canvos sees.",
			"Put it there, and acknowledge the warning with where that is done.",
		},
		Constraints: []string{"C14"},
		Sources:     []string{"CanvOS documentation, VerteX and FIPS", "CanvOS rhel-fips/README"},
	},
	{
		Code: "CV0216", Severity: Warning, Room: "compile", Title: "a STIG image outside of what is documented",
		Explanation: []string{
			"STIG images are documented for RHEL 9 with kubeadm, kubeadm-fips or rke2, and Ubuntu 24.04 with kubeadm-fips or rke2, in clusters connected to Palette.",
			"Use one of these, or acknowledge the warning.",
		},
		Constraints: []string{"C52"},
		Sources:     []string{"CanvOS documentation, Build RHEL STIG image and Build Ubuntu STIG image"},
	},
	{
		Code: "CV0247", Severity: Error, Room: "compile", Title: "two sources of one file",
		Explanation: []string{
			"signingKey writes the edge configuration, and edgeConfig is that file. An image has one.",
			"Put the key into the file, or leave edgeConfig out.",
		},
		Sources: []string{"CanvOS documentation, signed content"},
	},
	{
		Code: "CV0251", Severity: Warning, Room: "compile", Title: "an edge configuration works on air-gapped hosts only",
		Explanation: []string{
			"The public key in the edge configuration is used by hosts that are managed locally, to check content that is brought to them. A host connected to Palette does not read it.",
			"Acknowledge the warning where hosts are air-gapped; leave the field out elsewhere.",
		},
		Constraints: []string{"C50"},
		Sources:     []string{"CanvOS documentation, signed content"},
	},
	{
		Code: "CV0252", Severity: Error, Room: "compile", Title: "an option the release does not have",
		Explanation: []string{
			"The CanvOS argument behind the field is not in this release: it came later, or is gone. CanvOS ignores arguments that it does not know, so the option would silently do nothing.",
			"Take a release that has it, or remove the field. docs/arguments.md lists the releases of each argument.",
		},
		Sources: []string{"the ARG lines of each release's Earthfile"},
	},
}
