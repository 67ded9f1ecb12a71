package compile

import (
	"canvos.dev/compile/plan"
)

// kernelHeaders are for modules that hosts build: kubeadm's, and whoever updates
// the kernel. Upstream installs them in the provider stage; they depend on the
// kernel alone.
func (r *recipe) kernelHeaders(c chain) chain {
	os := r.f.OS.Distribution.V
	ubuntu := os == "ubuntu" && r.arch == "amd64"
	kubeadm := r.f.Kubernetes.Distribution.V == "kubeadm" && ubuntu && r.since("v4.4.2")
	update := r.f.UpdateKernel.V && r.since("v4.7.2")
	var s script
	switch {
	case ubuntu && (kubeadm || update) && r.since("v4.9.23"):
		r.fetch(&s, "scripts/install-kernel-headers.sh", "/tmp/install-kernel-headers.sh", "0755")
		s.add("/tmp/install-kernel-headers.sh", "rm -f /tmp/install-kernel-headers.sh")
	case ubuntu && (kubeadm || update):
		s.add(
			newestKernel,
			`if ! ls /usr/src | grep -q "linux-headers-$kernel"; then`,
			"  apt-get update",
			`  apt-get install -y "linux-headers-$kernel"`,
			"fi")
	case update && (os == "opensuse-leap" || os == "sles"):
		s.add(
			newestKernel,
			"version=${kernel%-default}",
			"zypper --non-interactive refresh",
			`if ! zypper --non-interactive install --no-recommends "kernel-default-devel-$version"; then`,
			`  match=$(zypper se -s kernel-default-devel | awk -F'|' -v v="$version" '/kernel-default-devel/ {gsub(/ /, "", $4); if (index($4, v) == 1) print $4}' | sort -Vr | head -n1)`,
			`  zypper --non-interactive install --no-recommends "kernel-default-devel${match:+-$match}" || zypper --non-interactive install --no-recommends kernel-devel || echo "no headers for $kernel"`,
			"fi")
	case update && os == "rhel":
		s.add(
			newestKernel,
			"yum makecache",
			"yum-config-manager --enable ubi-8-baseos-rpms ubi-8-appstream-rpms ubi-8-codeready-builder-rpms",
			"yum install -y https://dl.fedoraproject.org/pub/epel/epel-release-latest-8.noarch.rpm || echo 'no EPEL'",
			`yum install -y "kernel-devel-$kernel" || yum install -y kernel-devel || echo "no headers for $kernel"`)
	}
	return r.ran(c, "kernel headers "+os, r.f.Kubernetes.Distribution.At, &s, plan.Run{Env: noninteractive()})
}

// containerd comes with kubeadm up to v4.7.11 as a luet package without a
// version, so that only luet can say which. Up to v4.4.13 luet is in the base
// image.
func (r *recipe) containerd(c chain) chain {
	name, ok := r.parts.ContainerdPackage(r.f.Kubernetes.Distribution.V)
	if !ok {
		return c
	}
	var s script
	var run plan.Run
	luet := "luet"
	if r.since("v4.5.3") {
		luet = "/run/canvos/luet"
		source, from := r.luet()
		run.Mounts = []plan.Mount{{Source: source, From: from, To: luet}}
		s.add(
			"mkdir -p /etc/luet/repos.conf.d",
			luet+" repo add spectro --type docker --url "+shell(r.parts.LuetRepo[r.arch])+" --priority 1 -y",
			luet+" repo update")
	}
	s.add(luet+" install -y "+name, luet+" cleanup")
	s.addIf(r.since("v4.5.3"), "rm -rf /etc/luet/repos.conf.d/spectro.yaml")
	return r.ran(c, name, r.f.Kubernetes.Distribution.At, &s, run)
}

// etcdctl is downloaded before v4.4.8; after that it comes with the third-party
// programs: see finish. v4.0.2 has none.
func (r *recipe) etcdctl(c chain) chain {
	if !r.downloadsEtcdctl() {
		return c
	}
	dir := "/usr/bin"
	if !r.since("v4.0.5") {
		dir = "/usr/local/bin"
	}
	version := r.parts.EtcdVersion
	archive := "etcd-" + version + "-linux-" + r.arch
	var s script
	s.add(
		"curl -fsSL --retry 5 -o /tmp/etcd.tar.gz "+shell("https://github.com/etcd-io/etcd/releases/download/"+version+"/"+archive+".tar.gz"),
		"tar -xzf /tmp/etcd.tar.gz --no-same-owner --strip-components=1 -C "+dir+" "+shell(archive+"/etcdctl"),
		"chmod 0755 "+dir+"/etcdctl",
		"rm -f /tmp/etcd.tar.gz")
	return r.ran(c, "etcdctl "+version, r.f.Release.At, &s, plan.Run{})
}

func (r *recipe) downloadsEtcdctl() bool { return r.parts.ThirdPartyImage == "" && r.since("v4.0.3") }

// twoNode installs PostgreSQL and kine, which keep the state of two-node
// clusters: from v4.4.4 on (differences postgresql-unit, kine-architecture).
func (r *recipe) twoNode(c chain) chain {
	if !r.f.TwoNode.V || !r.since("v4.4.4") {
		return c
	}
	var s script
	switch os := r.f.OS.Distribution.V; {
	case os == "ubuntu" && r.arch == "amd64":
		s.add(
			"apt-get update",
			"echo 'tzdata tzdata/Areas select Etc' | debconf-set-selections",
			"echo 'tzdata tzdata/Zones/Etc select UTC' | debconf-set-selections",
			"apt-get install -y ca-certificates curl",
			"install -d /usr/share/postgresql-common/pgdg",
			"curl -fsSL -o /usr/share/postgresql-common/pgdg/apt.postgresql.org.asc https://www.postgresql.org/media/keys/ACCC4CF8.asc",
			". /etc/os-release",
			`echo "deb [signed-by=/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc] https://apt.postgresql.org/pub/repos/apt $VERSION_CODENAME-pgdg main" >/etc/apt/sources.list.d/pgdg.list`,
			"apt-get update",
			"apt-get install -y postgresql-16 postgresql-contrib-16 iputils-ping")
	case os == "opensuse-leap" && r.arch == "amd64":
		s.add(
			"zypper --non-interactive --quiet addrepo --refresh -p 90 http://download.opensuse.org/repositories/server:database:postgresql/openSUSE_Tumbleweed/ PostgreSQL",
			"zypper --gpg-auto-import-keys refresh",
			"zypper --non-interactive install postgresql-16 postgresql-server-16 postgresql-contrib iputils")
	}
	perl := "/usr/share/perl/5.34:/usr/share/perl5:/usr/lib/x86_64-linux-gnu/perl/5.34"
	if r.since("v4.4.12") {
		perl = "/usr/share/perl/5.34:/etc/perl:/usr/lib/x86_64-linux-gnu/perl5/5.34:/usr/share/perl5:/usr/lib/x86_64-linux-gnu/perl/5.34:/usr/lib/x86_64-linux-gnu/perl-base"
	}
	s.add(
		"mkdir -p /opt/spectrocloud/bin",
		"curl -fsSL -o /opt/spectrocloud/bin/kine "+shell("https://github.com/k3s-io/kine/releases/download/v"+r.parts.KineVersion+"/kine-"+r.arch),
		"chmod 0755 /opt/spectrocloud/bin/kine",
		`su postgres -c 'echo "export PERL5LIB=`+perl+`" >~/.bash_profile'`)
	s.addIf(r.since("v4.4.12"),
		"unit=/lib/systemd/system/postgresql@.service",
		`if [ -f "$unit" ]; then sed -i 's/After=network.target/After=network-online.target/' "$unit"; fi`,
		"systemctl disable postgresql") // the agent enables it when it is needed
	return r.ran(c, "two-node", r.f.TwoNode.At, &s, plan.Run{Env: noninteractive()})
}

// nodeadm installs what AWS's installer downloads for a Kubernetes version:
// from v4.5.14 on. It is the one command of the provider stage, and runs in the
// finished tree, also on a prepared base: that serves all versions, and cannot
// hold what belongs to one.
func (r *recipe) nodeadm(c chain) chain {
	if r.f.Kubernetes.Distribution.V != "nodeadm" || r.f.OS.Distribution.V != "ubuntu" || !r.since("v4.5.14") {
		return c
	}
	flags := onlyIf(!r.since("v4.9.10"), " --skip validate")
	var s script
	s.add("apt-get update", "apt-get install -y gnupg")
	for _, provider := range []string{"iam-ra", "ssm"} {
		s.add("/opt/nodeadmutil/bin/nodeadm install -p " + provider + " " + r.Version + flags)
	}
	s.add(
		// systemd does not run here, so snap cannot install the agent.
		"find /opt/ssm -type f -name amazon-ssm-agent.deb -exec dpkg -i {} +",
		"apt-get remove -y gnupg",
		"apt-get autoremove -y",
		// A host's /usr/local is a mount that hides the image's.
		"mv /usr/local/bin/aws-iam-authenticator /usr/local/bin/aws_signing_helper /usr/bin/",
		"cp /lib/systemd/system/amazon-ssm-agent.service /etc/systemd/system/snap.amazon-ssm-agent.amazon-ssm-agent.service")
	return r.ran(c, "nodeadm "+r.Version, r.At, &s, plan.Run{Env: noninteractive()})
}
