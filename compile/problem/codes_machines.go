package problem

// machines: operating systems, architectures and hardware.
var machines = []Entry{
	{
		Code: "CV0220", Severity: Error, Room: "compile", Title: "a base image is missing",
		Explanation: []string{
			"CanvOS has base images of its own for ubuntu and opensuse-leap only. For rhel and sles (and any other, in the 4.10 line) nothing would be built upon.",
			"Images that are named for each architecture are named for all of them: that another one would be built on CanvOS's own image, unprepared, is never meant by os.image: {amd64: …}.",
			"Name one in os.image.",
		},
		Constraints: []string{"C15"},
		Sources:     []string{"CanvOS Earthfile, BASE_IMAGE"},
	},
	{
		Code: "CV0221", Severity: Warning, Room: "compile", Title: "the base image's name says something else",
		Explanation: []string{
			"The name of the base image tells of another operating system, version or architecture than the family. The image would be built with steps meant for another one.",
			"Correct os.image or the fields beside it. If only the name misleads, acknowledge the warning.",
		},
		Constraints: []string{"C16"},
		Sources:     []string{"CanvOS README v4.9.38", "CanvOS Earthfile, BASE_IMAGE_TAG"},
	},
	{
		Code: "CV0222", Severity: Warning, Room: "compile", Title: "the base image that CanvOS chooses anyway",
		Explanation: []string{
			"os.image names a Kairos core image, which the release computes by itself from os.version, the architecture and its Kairos version. Written out, it stays behind when the release moves on.",
			"Leave os.image out. For a mirror set mirrors or sources, for another Kairos version components.",
		},
		Constraints: []string{"C16"},
		Sources:     []string{"CanvOS README v4.9.38"},
	},
	{
		Code: "CV0223", Severity: Warning, Room: "compile", Title: "a Jetson image needs arm64",
		Explanation: []string{
			"A base image for NVIDIA Jetson is an arm64 image, and the recipe adds a mount file when its name contains nvidia-jetson-agx-orin (before v4.2.3 ubuntu-20-lts-arm-nvidia-jetson-agx-orin, then 20.04-arm64-nvidia-jetson-agx-orin up to v4.3.3).",
			"Set arch: [\"arm64\"].",
		},
		Constraints: []string{"C47"},
		Sources:     []string{"CanvOS Earthfile, IS_JETSON", "CanvOS README"},
	},
	{
		Code: "CV0224", Severity: Warning, Room: "compile", Title: "the base image is not prepared",
		Explanation: []string{
			"os.prepare: false says that the base image holds already all that the OS stage would do: packages, kernel, hardening. The image that CanvOS chooses when os.image is left out does not: it is the bare Kairos system.",
			"Name an image in os.image that went through the OS stage, or remove os.prepare.",
		},
		Sources: []string{"CanvOS Earthfile, +base-image"},
	},
	{
		Code: "CV0230", Severity: Error, Room: "compile", Title: "UKI needs Ubuntu 24.04",
		Explanation: []string{
			"Trusted boot is documented for Ubuntu 24.04 (23.10 in the 4.4 documentation). With a short version (20, 22) or opensuse-leap CanvOS takes a base image that is not made for UKI, without a word.",
			"Set os: {distribution: \"ubuntu\", version: \"24.04\"}, or uki to false.",
		},
		Constraints: []string{"C21", "C22"},
		Sources:     []string{"CanvOS documentation, Build trusted provider image", "CanvOS Earthfile, BASE_IMAGE_TAG"},
	},
	{
		Code: "CV0231", Severity: Error, Room: "compile", Title: "UKI is built for amd64 only",
		Explanation: []string{
			"The unified kernel image is made and signed for amd64.",
			"Set arch: [\"amd64\"].",
		},
		Constraints: []string{"C23"},
		Sources:     []string{"CanvOS documentation, Build trusted provider image"},
	},
	{
		Code: "CV0232", Severity: Warning, Room: "compile", Title: "UKI is documented with rke2 only",
		Explanation: []string{
			"The documentation of trusted boot names rke2 as its only distribution, and clusters connected to Palette as its only use.",
			"Use rke2, or acknowledge the warning.",
		},
		Constraints: []string{"C24"},
		Sources:     []string{"CanvOS documentation, Build trusted provider image and Build trusted ISO"},
	},
	{
		Code: "CV0240", Severity: Warning, Room: "compile", Title: "kubeadm from 1.32 on refuses RHEL 8's kernel",
		Explanation: []string{
			"kubeadm checks the kernel's version from Kubernetes 1.32 on, and RHEL 8 has 4.18. The image builds; the node does not join.",
			"Use RHEL 9, or Kubernetes before 1.32.",
		},
		Constraints: []string{"C31"},
		Sources:     []string{"CanvOS documentation, edge troubleshooting and Build Provider Images"},
	},
	{
		Code: "CV0241", Severity: Warning, Room: "compile", Title: "Kubernetes from 1.35 on refuses cgroup v1",
		Explanation: []string{
			"The kubelet of Kubernetes 1.35 does not start on cgroup v1, and images switch to cgroup v2 by themselves only from CanvOS v4.9.10 on.",
			"Use a release from v4.9.10 on, or set systemd.unified_cgroup_hierarchy=1 on the kernel's command line and acknowledge the warning.",
		},
		Constraints: []string{"C32"},
		Sources:     []string{"CanvOS README v4.9.38", "CanvOS Earthfile v4.9.10"},
	},
	{
		Code: "CV0242", Severity: Warning, Room: "compile", Title: "updateKernel takes RHEL 8's packages",
		Explanation: []string{
			"On rhel the recipe enables the repositories of RHEL 8 and EPEL 8 whatever the version of the image.",
			"Leave updateKernel out on other versions, and update the kernel in the base image.",
		},
		Constraints: []string{"C33"},
		Sources:     []string{"CanvOS Earthfile v4.7.2 on, +provider-image"},
	},
	{
		Code: "CV0243", Severity: Warning, Room: "compile", Title: "an option that does nothing on this system",
		Explanation: []string{
			"With os.prepare: false the OS stage does not run, so what it alone looks at does nothing: packages, run, dockerfile, updateKernel, cisHardening, disableSELinux, ubuntuPro, gpu, maas.",
			"Versions and registries of components do nothing where another field names the whole image (os.image, mirrors.thirdParty), where the release fixes them (Kairos of UKI images in v4.9), or where the images have no such part: kine is for two-node images, osbuilder, alpine and golang for UKI images, drbd for a dockerfile.",
			"cisHardening and Ubuntu Pro act on Ubuntu and amd64 only. updateKernel acts on ubuntu and opensuse-leap for amd64, and on rhel and sles. CanvOS ignores them elsewhere without a word.",
			"Remove the option, or do its work in the base image. In a family of several architectures the image for amd64 would have it and the other not; two families say so openly.",
		},
		Constraints: []string{"C48"},
		Sources:     []string{"CanvOS Earthfile, +base-image and +provider-image"},
	},
	{
		Code: "CV0244", Severity: Warning, Room: "compile", Title: "arm64 is verified on Jetson Orin only",
		Explanation: []string{
			"CanvOS's documentation lists arm64 as verified on NVIDIA Jetson Orin. For other boards the image builds, but no package step runs in it, so it may lack what the board needs.",
			"Use a base image made for the board (os.image), or try it and acknowledge the warning.",
		},
		Constraints: []string{"C07"},
		Sources:     []string{"CanvOS documentation, architecture"},
	},
	{
		Code: "CV0245", Severity: Error, Room: "compile", Title: "GPU drivers are for Ubuntu on amd64",
		Explanation: []string{
			"The drivers are installed on Ubuntu and amd64 only, NVIDIA's on 22.04 and 24.04. Elsewhere CanvOS ignores the option or fails.",
			"Use such a system, or install the drivers in the base image.",
		},
		Constraints: []string{"C46", "C48"},
		Sources:     []string{"CanvOS docs/nvidia-gpu-airgapped.md", "CanvOS earthly.sh v4.10.0-rc.10"},
	},
	{
		Code: "CV0250", Severity: Error, Room: "compile", Title: "certificates the release does not install",
		Explanation: []string{
			"Up to v4.5.10 CanvOS takes one certificate (PROXY_CERT_PATH), on ubuntu and opensuse-leap. From v4.5.11 on it takes all files of certs/, on rhel too; its documentation says from 4.5.15, its code from 4.5.11. On sles no release installs any.",
			"Name one certificate, join several into one file, or take a later release.",
		},
		Constraints: []string{"C42"},
		Sources:     []string{"CanvOS Dockerfile and Earthfile v4.5.11", "CanvOS documentation, Build Provider Images"},
	},
	{
		Code: "CV0254", Severity: Error, Room: "compile", Title: "MAAS images are Ubuntu's",
		Explanation: []string{
			"CanvOS makes images for MAAS from ubuntu only.",
			"Set os.distribution to ubuntu, or maas to false.",
		},
		Constraints: []string{"C56"},
		Sources:     []string{"CanvOS earthly.sh v4.8.8"},
	},
}
