package problem

// files: local files that a manifest names.
var files = []Entry{
	{
		Code: "CV0119", Severity: Error, Room: "compile", Title: "a local file is missing",
		Explanation: []string{
			"A file that the manifest names does not exist. CanvOS copies the edge configuration only if it exists, so a wrong name gives an image without the public key, found out when a host refuses signed content. Three spellings of that one name circulate: .edge-custom-config.yaml, .edge_custom_config.yaml and .edge.custom-config.yaml.",
			"Correct the path; it is relative to the manifest's directory.",
		},
		Constraints: []string{"C49"},
		Sources:     []string{"CanvOS Earthfile, EDGE_CUSTOM_CONFIG", "CanvOS documentation, signed content", "CanvOS README"},
	},
	{
		Code: "CV0120", Severity: Error, Room: "compile", Title: "a local file is not what it should be",
		Explanation: []string{
			"The file exists, but is empty, a directory, or no PEM of the kind that is needed: signingKey is a public key, certificates are certificates. A private key is refused: everything named in the family ends in the image.",
			"Of a Dockerfile, RUN, COPY, ADD of local files, ARG, ENV and WORKDIR can be carried out on top of the base image; what changes the image's config cannot.",
			"Name the right file. `openssl pkey -in key.pem -pubout` prints the public half of a key.",
		},
		Constraints: []string{"C49"},
		Sources:     []string{"CanvOS documentation, signed content", "RFC 7468"},
	},
	{
		Code: "CV0121", Severity: Error, Room: "compile", Title: "a path leaves the module",
		Explanation: []string{
			"Local files are read from the module that holds the manifest (the directory with cue.mod, or the manifest's own), so that a checkout of the repository is all that a build needs, and a manifest cannot reach into the machine.",
			"Move or copy the file into the module. Absolute paths are not taken.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0127", Severity: Warning, Room: "compile", Title: "a certificate that Ubuntu would ignore",
		Explanation: []string{
			"update-ca-certificates takes files whose names end in .crt, and passes over all others without a word.",
			"Rename the file to NAME.crt.",
		},
		Constraints: []string{"C43"},
		Sources:     []string{"Debian, update-ca-certificates(8)"},
	},
	{
		Code: "CV0134", Severity: Warning, Room: "compile", Title: "a customisation that will not do what it says",
		Explanation: []string{
			"Commands run without a terminal: one that asks a question ends the build or hangs. And /usr/local is a mount on a running host, which hides what the image holds there.",
			"Use apt-get install -y, and install to /usr or /opt.",
		},
		Constraints: []string{"C54"},
		Sources:     []string{"CanvOS documentation, Build Edge Artifacts (advanced) and Build installer ISO"},
	},
}
