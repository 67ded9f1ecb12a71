package compile

import (
	"path"
	"strings"

	"canvos.dev/compile/plan"
)

// osStage is upstream's base image stage, and what of the provider stage has to
// run something but does not depend on the Kubernetes version (difference
// commands-first): certificates and the family's own commands, the system's
// packages and kernel, then what the Kubernetes distribution and two-node
// clusters need.
func (r *recipe) osStage(c chain) chain {
	c = r.certificates(c)
	c = r.customise(c)
	c = r.system(c)
	c = r.kernelHeaders(c)
	c = r.containerd(c)
	c = r.etcdctl(c)
	return r.twoNode(c)
}

// certificates go into the trust store, as upstream puts them there from
// v4.5.11 on (difference certificates).
func (r *recipe) certificates(c chain) chain {
	if len(r.f.Certificates) == 0 {
		return c
	}
	dir := trustDirs(r.f.OS.Distribution.V)[0]
	var s script
	var run plan.Run
	s.add("mkdir -p " + dir)
	for _, cert := range r.f.Certificates {
		in := r.in.local(cert.V, r.certificate(cert))
		at := "/run/canvos/certificates/" + path.Base(in.name)
		run.Mounts = append(run.Mounts, plan.Mount{Source: in.digest, From: in.from(), To: at})
		s.add("install -m 0644 " + shell(at) + " " + dir + "/")
	}
	if r.f.OS.Distribution.V == "rhel" {
		s.add("update-ca-trust")
	} else {
		s.add("update-ca-certificates")
	}
	return r.ran(c, "certificates", r.f.Certificates[0].At, &s, run)
}

// customise runs what upstream's Dockerfile has a place for.
func (r *recipe) customise(c chain) chain {
	var s script
	at := r.f.At
	if len(r.f.Packages) > 0 {
		at = r.f.Packages[0].At
		var names []string
		for _, p := range r.f.Packages {
			names = append(names, shell(p.V))
		}
		list := strings.Join(names, " ")
		switch r.f.OS.Distribution.V {
		case "opensuse-leap", "sles":
			s.add("zypper --non-interactive refresh", "zypper --non-interactive install "+list)
		case "rhel":
			s.add("yum install -y " + list)
		default:
			s.add("apt-get update", "apt-get install -y "+list)
		}
	}
	for i, command := range r.f.Run {
		if i == 0 && len(r.f.Packages) == 0 {
			at = command.At
		}
		// By a shell of its own, so that none can cut off those that follow.
		s.add("sh -ec " + shell(strings.TrimRight(command.V, "\n")))
	}
	c = r.ran(c, "packages and commands", at, &s, plan.Run{Env: noninteractive()})
	return r.dockerfile(c)
}

// system is upstream's +base-image.
func (r *recipe) system(c chain) chain {
	var s script
	run := plan.Run{Env: noninteractive()}
	r.hostFiles(&s)
	r.luetRepository(&s)
	switch os := r.f.OS.Distribution.V; {
	case os == "ubuntu" && r.arch == "amd64":
		r.ubuntu(&s)
		if hasUbuntuPro(r.f) {
			run.Secrets = []plan.Secret{{Name: "UBUNTU_PRO_KEY", Env: r.f.UbuntuPro.Env.V, File: r.f.UbuntuPro.File.V}}
		}
	case os == "opensuse-leap" && r.arch == "amd64":
		r.opensuse(&s)
	}
	r.apparmor(&s)
	if r.f.OS.Distribution.V == "rhel" && r.since("v4.3.2") {
		s.add("yum install -y openssl" + onlyIf(r.since("v4.4.8"), " rsyslog logrotate"))
	}
	// elemental was taken from its own image for two releases.
	if tag := r.release.Tag; tag == "v4.1.4" || tag == "v4.2.3" {
		run.Mounts = append(run.Mounts, plan.Mount{
			Source: r.component("quay.io/kairos/packages:elemental-cli-system-0.3.1", "elemental", "canvos", r.f.Release.At),
			From:   "/usr/bin/elemental", To: "/run/canvos/elemental",
		})
		s.add("install -m 0755 /run/canvos/elemental /usr/bin/elemental")
	}
	r.names(&s)
	r.tidy(&s)
	r.bootArguments(&s)
	return r.ran(c, "os "+r.osName(), r.f.OS.At, &s, run)
}

func (r *recipe) osName() string {
	return strings.TrimSpace(r.f.OS.Distribution.V + " " + r.f.OS.Version.V)
}

// noninteractive keeps packages from asking (difference no-questions).
func noninteractive() map[string]string {
	return map[string]string{"DEBIAN_FRONTEND": "noninteractive"}
}

// hostFiles are files of the checkout for kinds of hosts.
func (r *recipe) hostFiles(s *script) {
	dir := "/system/oem"
	if r.since("v4.8.8") {
		dir = "/etc/kairos"
	}
	reference, _, _ := r.baseImage()
	if strings.Contains(reference, "nvidia-jetson-agx-orin") {
		name := "mount.yaml"
		if r.since("v4.4.2") {
			name = "cloudconfigs/mount.yaml"
		}
		r.fetch(s, name, dir+"/mount.yaml", "0644")
	}
	if r.f.UKI.V {
		r.fetch(s, "cloudconfigs/80_stylus_uki.yaml", dir+"/80_stylus_uki.yaml", "0644")
	}
	if r.f.MAAS.V {
		r.fetch(s, "cloudconfigs/80_stylus_maas.yaml", "/system/oem/80_stylus_maas.yaml", "0644")
	}
}

// luetRepository is in base images up to v4.4.13; credentials for it never are
// (difference luet-credentials).
func (r *recipe) luetRepository(s *script) {
	if r.since("v4.5.3") {
		return
	}
	s.add(
		"mkdir -p /etc/luet/repos.conf.d",
		"luet repo add spectro --type docker --url "+shell(r.parts.LuetRepo[r.arch])+" --priority 1 -y",
		"luet repo update")
}

// newestKernel is in the order of versions, where some releases took that of
// texts (difference kernel-order).
const newestKernel = `kernel=$(ls /lib/modules | sort -V | tail -n1)`

func (r *recipe) ubuntu(s *script) {
	if hasUbuntuPro(r.f) {
		// The token is in a file for a moment, so that no process shows it
		// (difference ubuntu-pro).
		s.add(
			`sed -i '/^[[:space:]]*$/d' /etc/os-release`,
			"apt-get update", "apt-get install -y snapd",
			`(umask 077; printf 'token: %s\n' "$UBUNTU_PRO_KEY" >/tmp/pro.yaml)`,
			"pro attach --attach-config /tmp/pro.yaml",
			"rm -f /tmp/pro.yaml")
	}
	packages := "zstd vim"
	packages += onlyIf(r.since("v4.2.3"), " iputils-ping bridge-utils curl tcpdump ethtool")
	packages += onlyIf(r.since("v4.4.2"), " kbd")
	packages += onlyIf(r.since("v4.4.8"), " rsyslog logrotate")
	s.add("apt-get update", "apt-get install -y --no-install-recommends "+packages)

	update := r.f.UpdateKernel.V
	hwe := "generic-hwe-" + r.ubuntuVersion()
	switch {
	case !update && r.since("v4.4.2"):
		s.add(
			"if dpkg -l linux-image-"+hwe+" >/dev/null 2>&1; then apt-mark hold linux-image-"+hwe+" linux-headers-"+hwe+" linux-"+hwe+"; fi",
			"if dpkg -l linux-image-generic >/dev/null 2>&1; then apt-mark hold linux-image-generic linux-headers-generic linux-generic; fi")
	case !update && r.since("v4.0.3"):
		for _, v := range []string{"20.04", "22.04"} {
			s.add("if dpkg -l linux-image-generic-hwe-" + v + " >/dev/null 2>&1; then apt-mark hold linux-image-generic-hwe-" + v + "; fi")
		}
		s.add("if dpkg -l linux-image-generic >/dev/null 2>&1; then apt-mark hold linux-image-generic linux-headers-generic linux-generic; fi")
	case update && r.since("v4.7.16"):
		s.add("apt-get install -y linux-image-" + hwe)
	}
	if !r.f.UKI.V {
		r.ubuntuKernel(s, update)
	}
	r.gpu(s)
	if r.f.CISHardening.V && r.since("v4.4.2") {
		r.fetch(s, "cis-harden/harden.sh", "/tmp/harden.sh", "0755")
		s.add("/tmp/harden.sh", "rm /tmp/harden.sh")
	}
	if hasUbuntuPro(r.f) {
		s.add(
			"pro detach --assume-yes",
			"find /var/log -maxdepth 3 -name 'ubuntu-advantage*' -type f -exec truncate -s 0 {} +",
			"rm -rf /var/lib/ubuntu-advantage/private")
	}
}

// ubuntuVersion is what package names have: 22.04, also of 22 (difference
// short-version).
func (r *recipe) ubuntuVersion() string {
	v := r.f.OS.Version.V
	if v == "20" || v == "22" {
		return v + ".04"
	}
	return v
}

// ubuntuKernel upgrades the system and makes its newest kernel the one that is
// booted.
func (r *recipe) ubuntuKernel(s *script, update bool) {
	flags := ""
	if !r.since("v4.4.2") && r.since("v4.3.2") {
		flags = " --no-install-recommends"
	}
	flags += onlyIf(update && r.since("v4.6.16"), " --with-new-pkgs")
	s.add("apt-get update", "apt-get upgrade -y"+flags)
	s.addIf(r.since("v4.7.3"), "apt-get install -y --no-install-recommends util-linux parted cloud-guest-utils gawk fdisk gdisk e2fsprogs dosfstools rsync cryptsetup-bin udev")
	if r.since("v4.6.16") {
		r.purgeKernels(s)
	}
	s.add(
		`image=$(ls /boot/vmlinuz-* | sort -V | tail -n1)`,
		`ln -sf "${image#/boot/}" /boot/vmlinuz`,
		newestKernel)
	// The FIPS images of v4.7.17, and of all from v4.8.1 on, bring an initrd
	// that dracut must not make anew.
	own := r.f.FIPS.V && (r.release.Tag == "v4.7.17" || r.since("v4.8.1"))
	s.addIf(!own, `dracut -f "/boot/initrd-$kernel" "$kernel"`, `ln -sf "initrd-$kernel" /boot/initrd`)
	s.add(`depmod -a "$kernel"`)
	s.addIf(r.since("v4.2.3"), "if [ ! -f /usr/bin/grub2-editenv ]; then ln -sf /usr/sbin/grub-editenv /usr/bin/grub2-editenv; fi")
	s.add("apt-get clean", "rm -rf /var/lib/apt/lists/*")
}

// purgeKernels removes all kernels but the newest, with the packages that are
// named after its ABI (difference kernel-purge). In FIPS images nothing whose
// name says fips is removed, and what is held is released first, as apt stops
// at packages that are held.
func (r *recipe) purgeKernels(s *script) {
	states, keep := "^ii", ""
	if r.f.FIPS.V && r.since("v4.7.3") {
		keep = " | grep -v fips"
		if r.since("v4.7.13") {
			states = "^.i"
		}
	}
	s.add(
		newestKernel,
		`abi=$(echo "$kernel" | awk -F- '{print $1 "-" $2}')`,
		`old=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 'linux-image*' 'linux-headers*' 'linux-modules*' | sed -n 's/`+states+` *//p' | { grep -vF "$abi"`+keep+` || true; })`)
	s.addIf(states == "^.i", `for package in $old; do apt-mark unhold "$package" || true; done`)
	s.add(`apt-get purge -y $old`, "apt-get autoremove -y")
}

func (r *recipe) opensuse(s *script) {
	s.addIf(!r.f.UpdateKernel.V && r.since("v4.0.3"), "zypper --non-interactive addlock 'kernel-de*'")
	s.add(
		"zypper --non-interactive refresh",
		"zypper --non-interactive update",
		"if [ -e /usr/bin/dracut ]; then",
		"  "+newestKernel,
		`  depmod -a "$kernel"`,
		`  dracut -f "/boot/initrd-$kernel" "$kernel"`,
		`  ln -sf "initrd-$kernel" /boot/initrd`,
		"fi",
		"zypper --non-interactive install zstd vim"+onlyIf(r.since("v4.2.3"), " iputils bridge-utils curl ethtool tcpdump"),
		"zypper clean")
}

// apparmor is for openSUSE on any architecture, and later SLES.
func (r *recipe) apparmor(s *script) {
	os := r.f.OS.Distribution.V
	if os == "opensuse-leap" && r.since("v4.0.4") || os == "sles" && r.since("v4.9.0") {
		s.add("zypper --non-interactive install apparmor-parser apparmor-profiles"+onlyIf(r.since("v4.4.8"), " rsyslog logrotate"), "zypper clean")
	}
	if os == "opensuse-leap" && r.since("v4.0.6") || os == "sles" && r.since("v4.2.3") {
		s.add("if [ ! -e /usr/bin/apparmor_parser ]; then cp /sbin/apparmor_parser /usr/bin/apparmor_parser; fi")
	}
}

// names writes what the system calls itself: in /etc/os-release up to v4.7.11,
// from the base image's own template, and in /etc/kairos-release after that.
func (r *recipe) names(s *script) {
	os, version := r.f.OS.Distribution.V, r.f.OS.Version.V
	if !r.since("v4.7.13") {
		s.addIf(!r.since("v4.2.3"), `sed -i '/KAIROS_/d' /etc/os-release`)
		kairos := shell(r.parts.KairosVersion)
		name := "kairos-core-" + os
		env := "OS_ID=" + os + " OS_VERSION=" + kairos + " OS_LABEL=latest VARIANT=" + os + " FLAVOR=" + os +
			" BUG_REPORT_URL=https://github.com/spectrocloud/CanvOS/issues HOME_URL=https://github.com/spectrocloud/CanvOS" +
			" OS_REPO=spectrocloud/CanvOS OS_NAME=" + name
		env += onlyIf(r.since("v4.2.3"), " ARTIFACT="+name+"-"+kairos)
		env += onlyIf(r.since("v4.4.2"), " KAIROS_RELEASE="+kairos)
		s.add(env + " envsubst </usr/lib/os-release.tmpl >>/etc/os-release")
		return
	}
	s.add(
		`line='KAIROS_NAME="kairos-core-`+os+"-"+version+`"'`,
		`if [ -f /etc/kairos-release ]; then sed -i "s|^KAIROS_NAME=.*|$line|" /etc/kairos-release; else echo "$line" >/etc/kairos-release; fi`)
	if r.since("v4.8.8") {
		name := version
		if os == "ubuntu" {
			name = r.ubuntuVersion()
		}
		name += "-standard-" + r.arch + "-generic" + onlyIf(r.f.MAAS.V, "-maas")
		s.add(
			"sed -i '/^KAIROS_IMAGE_LABEL=/d' /etc/kairos-release",
			`echo 'KAIROS_IMAGE_LABEL="`+name+`"' >>/etc/kairos-release`)
	}
}

// tidy empties caches, and what every host must have of its own.
func (r *recipe) tidy(s *script) {
	if r.since("v4.9.0") {
		s.add("find /var/cache -mindepth 1 -maxdepth 1 ! -name cracklib -exec rm -rf {} +")
	} else {
		s.add("rm -rf /var/cache/*")
	}
	s.add(
		"journalctl --vacuum-size=1K",
		"rm -f /etc/machine-id /var/lib/dbus/machine-id",
		"touch /etc/machine-id",
		"chmod 0444 /etc/machine-id",
		"rm -rf /tmp/*")
}

// bootArguments edits the kernel's command line.
func (r *recipe) bootArguments(s *script) {
	const file = "/etc/cos/bootargs.cfg"
	off := !r.f.DisableSELinux.Set || r.f.DisableSELinux.V
	if (off || !r.since("v4.3.2")) && r.since("v4.0.3") && (!r.f.UKI.V || !r.since("v4.9.10")) {
		s.add("if [ -f " + file + " ]; then sed -i -e 's/security=selinux //g' -e 's/selinux=1/selinux=0/g' " + file + "; fi")
	}
	s.addIf(r.since("v4.9.10"),
		"if [ -f "+file+" ] && ! grep -Fq systemd.unified_cgroup_hierarchy=1 "+file+"; then",
		`  sed -i 's|\(set baseCmd="[^"]*\)"|\1 systemd.unified_cgroup_hierarchy=1"|' `+file,
		"fi")
}

// gpu installs drivers for the kernel that the image boots: the 4.10 line.
func (r *recipe) gpu(s *script) {
	vendor := map[string]string{"nvidia": "nvidia", "amd": "amdgpu"}[r.f.GPU.Vendor.V]
	if vendor == "" || !r.since("v4.10.0") {
		return
	}
	r.fetch(s, "scripts/install-kernel-headers.sh", "/tmp/install-kernel-headers.sh", "0755")
	r.fetch(s, "scripts/install-"+vendor+"-drivers.sh", "/tmp/install-"+vendor+"-drivers.sh", "0755")
	var env strings.Builder
	for _, p := range r.f.GPU.Arguments {
		env.WriteString(p.Key + "=" + shell(p.Value.V) + " ")
	}
	s.add(env.String()+"/tmp/install-"+vendor+"-drivers.sh", "rm -f /tmp/install-"+vendor+"-drivers.sh /tmp/install-kernel-headers.sh")
}

func onlyIf(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}
