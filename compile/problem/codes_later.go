package problem

// later: what only a target, a lock or an engine can refuse.
var later = []Entry{
	{
		Code: "CV0401", Severity: Error, Room: "plan", Title: "published with other content",
		Explanation: []string{
			"The reference is in the registry with an image made by another step. Nodes that pull it again would get something else under the same name, so canvos does not move it by itself.",
			"The image carries the digest of its step, not what was in it. Which inputs changed is said by a machine whose store knows the published step, because it made it or has seen it unchanged. `canvos review` tells it anywhere, by comparing the manifests.",
			"revision: 2 makes a new tag. publish: \"replace\" (the default on channel development), --replace PATTERN or a saved plan consents to moving this one.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0402", Severity: Error, Room: "plan", Title: "a tag that canvos did not make",
		Explanation: []string{
			"The registry has an image under this reference without canvos's annotations, or one that was changed since by another tool.",
			"Look at it. --adopt takes it over; another tag leaves it alone.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0403", Severity: Error, Room: "plan", Title: "published images of the line say otherwise",
		Explanation: []string{
			"An image of the same line in the registry has another fact that may not change (two-node, FIPS, UKI, operating system), or is for a platform that shall have none any more. The lock does not know of it, perhaps because the line was declared elsewhere.",
			"An image says what it is in annotations and labels, and its index or config what it runs on. Of one that is new, or from which another tool has taken both, the other images of the line are asked, the newest first, at most 32 of them, until one says it. No flag overrides the answer, --adopt neither.",
			"Take another tag, or build for the platform again.",
		},
		Sources: []string{"CanvOS documentation, two-node architecture", "canvos"},
	},
	{
		Code: "CV0501", Severity: Error, Room: "lock", Title: "the lock lacks an entry",
		Explanation: []string{
			"canvos.lock says what each reference, local file and version range stands for, so that every run builds the same. An entry that the manifest needs is not in it. In CI and with --locked it is never completed silently.",
			"Run `canvos lock` and commit the result.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0502", Severity: Error, Room: "lock", Title: "the lock is out of date",
		Explanation: []string{
			"An entry of canvos.lock does not match what it speaks of: a local file has changed, or a catalog entry, or what a range stands for. `canvos lock --check` also minds an entry that nothing needs any more.",
			"Run `canvos lock` and commit the result; the diff shows what moved.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0503", Severity: Error, Room: "lock", Title: "the lock cannot be read",
		Explanation: []string{
			"canvos.lock is not the JSON that canvos wrote. The usual cause is a merge conflict that was committed.",
			"Take one side of the conflict and run `canvos lock`.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0504", Severity: Error, Room: "lock", Title: "the lock is of another version",
		Explanation: []string{
			"The lock was written by a newer canvos, or names a recipe or layer format that this one does not have.",
			"Take a canvos that knows it, or `canvos lock --update recipe`, which rebuilds images.",
		},
		Sources: []string{"canvos"},
	},
	{
		Code: "CV0601", Severity: Error, Room: "engine", Title: "the engine cannot run commands",
		Explanation: []string{
			"Preparing an operating system installs packages, which means running programs in the image. The embedded engine only moves files.",
			"Use BuildKit (--buildkit or BUILDKIT_HOST), or a base image that is prepared already, with os.prepare: false.",
			"nodeadm's installer runs for each version of Kubernetes (from v4.5.14 on, on Ubuntu), after the components are in the image: no base image can hold what it makes, prepared or not.",
		},
		Sources: []string{"CanvOS Earthfile, +base-image"},
	},
	{
		Code: "CV0602", Severity: Error, Room: "engine", Title: "the engine cannot make UKI images",
		Explanation: []string{
			"A UKI image is built and signed by osbuilder with private keys (secure-boot/enrollment, secure-boot/private-keys/db.key and tpm2-pcr-private.pem). The embedded engine cannot do that.",
			"Build it with CanvOS; `canvos plan -o json` has the arguments of each image.",
		},
		Constraints: []string{"C23"},
		Sources:     []string{"CanvOS Earthfile, +uki-provider-image"},
	},
	{
		Code: "CV0603", Severity: Error, Room: "engine", Title: "the engine cannot make MAAS images",
		Explanation: []string{
			"A MAAS image is a disk image made from the provider image.",
			"Build it with CanvOS; `canvos plan -o json` has the arguments of each image.",
		},
		Sources: []string{"CanvOS Earthfile v4.8.8"},
	},
	{
		Code: "CV0604", Severity: Error, Room: "engine", Title: "the engine cannot install GPU drivers",
		Explanation: []string{
			"Drivers are compiled or installed for the image's kernel, by programs in the image.",
			"Use BuildKit, or a base image that holds them, with os.prepare: false.",
		},
		Constraints: []string{"C46"},
		Sources:     []string{"CanvOS Earthfile v4.10.0-rc.10"},
	},
	{
		Code: "CV0605", Severity: Error, Room: "engine", Title: "the base image is not prepared",
		Explanation: []string{
			"os.prepare: false says that the image holds already all that the OS stage would do. It does not: an identity in /etc/machine-id would be shared by all hosts, a two-node image needs kine and PostgreSQL, kubeadm up to v4.7.11 needs containerd, and releases from v4.0.3 to v4.4.6 need etcdctl.",
			"CanvOS's own +base-image stage makes neither of the last two: its provider stage does. An overlay may bring them as well.",
			"Prepare the image, name another one, or leave os.prepare out and use an engine that runs commands.",
		},
		Sources: []string{"CanvOS Earthfile, +base-image and +provider-image"},
	},
	{
		Code: "CV0610", Severity: Error, Room: "engine", Title: "a source was not found",
		Explanation: []string{
			"A component image or local source that the plan needs is not where it was looked for. A registry that cannot be reached or does not answer as it should is reported likewise, but is no fault of the manifest: if that is all, the exit code is 1 instead of 3.",
			"The message names the place. sources in the manifest says where references are read from.",
		},
		Constraints: []string{"C17"},
		Sources:     []string{"canvos"},
	},
	{
		Code: "CV0611", Severity: Error, Room: "engine", Title: "a source is for another platform",
		Explanation: []string{
			"The image's config names another architecture or operating system than the one it is to be used for.",
			"Give os.image per architecture: {amd64: …, arm64: …}.",
		},
		Sources: []string{"OCI image specification"},
	},
	{
		Code: "CV0612", Severity: Error, Room: "engine", Title: "a source is corrupt",
		Explanation: []string{
			"What was read does not have the digest that it is named by, or is no valid image.",
			"Fetch it again; if it stays so, the place that serves it is broken.",
		},
		Sources: []string{"OCI image specification"},
	},
}
