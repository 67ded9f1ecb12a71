package compile

import (
	"canvos.dev/compile/plan"
)

// In an image for trusted boot the running system is one signed file, and
// Kubernetes lies beside it, at /k8s, to be found at /opt/k8s on the host. So
// three root filesystems are made: the ordinary one, with links in place of
// Kubernetes; osbuilder's, in which the first is made into a signed image; and
// the one that is published, which carries both (upstream's
// +uki-provider-image, from v4.4.2 on).

// kubernetesLinks puts a link to /opt/k8s where each file of the package would
// be, and makes the directories they lie in. What is there already is an error,
// as it is upstream.
func (r *recipe) kubernetesLinks(c chain, source plan.Digest) chain {
	const from = "/run/canvos/kubernetes"
	var s script
	s.add(
		"cd "+from,
		"find . ! -type d -exec sh -efc '",
		"  IFS=/",
		"  for f; do",
		`    d=`,
		`    for part in $(dirname "${f#./}"); do`,
		`      [ "$part" = . ] && break`,
		`      d="$d/$part"`,
		`      [ -d "$d" ] || mkdir -m "$(stat -c %a ".$d" | tail -c 4)" "$d"`,
		"    done",
		`    ln -s "/opt/k8s/${f#./}" "/${f#./}"`,
		"  done",
		"' sh {} +",
		"ln -sf /opt/spectrocloud/bin/agent-provider-stylus /usr/local/bin/agent-provider-stylus")
	return r.ran(c, "kubernetes links "+r.Version, r.At, &s, plan.Run{Mounts: []plan.Mount{{Source: source, From: "/", To: from}}})
}

// trustedBoot is the image that is published (difference uki-keys). The keys that sign are none of
// the plan's: who runs it shows them to the script at /run/canvos/keys.
func (r *recipe) trustedBoot(system chain, pkg plan.Digest) chain {
	at := r.f.UKI.At
	base := func(c chain, reference, what string) chain {
		return append(c[:len(c):len(c)], r.step(what+" "+r.platform, at, nil, plan.Op{Base: &plan.Base{
			Source: r.component(reference, what, "uki", at), Platform: r.platform,
		}}))
	}
	luet, luetFrom := r.luet()

	signed := base(system, r.parts.OsbuilderImage, "osbuilder")
	signed = r.mounting(signed, "sign "+r.platform, at, plan.Run{
		Platform: r.platform,
		Script: "/entrypoint.sh build-uki dir:/run/canvos/system -t container -d /output -k /run/canvos/keys" +
			" --boot-branding " + shell("Palette eXtended Kubernetes Edge") + "\n",
		Mounts: []plan.Mount{{Step: system.top(), From: "/", To: "/run/canvos/system"}},
	})

	out := base(signed, r.ubuntuImage(), "carrier")
	var s script
	s.add("apt-get update", "apt-get install -y rsync")
	out = r.ran(out, "rsync", at, &s, plan.Run{Env: noninteractive()})
	out = r.then(out, "carrier files "+r.platform, at, plan.Op{Files: r.files(r.carrierFiles(luet, luetFrom, pkg)...)})
	return r.mounting(out, "signed system "+r.platform, at, plan.Run{
		Platform: r.platform,
		Script:   `luet util unpack "file:/$(find /run/canvos/signed -type f -name '*.tar' | head -n 1)" /trusted-boot` + "\n",
		Mounts:   []plan.Mount{{Step: signed.top(), From: "/output", To: "/run/canvos/signed"}},
	})
}

// mounting adds a Run that mounts what another step made.
func (r *recipe) mounting(c chain, name string, at plan.Pos, run plan.Run) chain {
	needs := []plan.Digest{c.top(), run.Mounts[0].Step}
	return append(c[:len(c):len(c)], r.step(name, at, needs, plan.Op{Run: &run}))
}

func (r *recipe) carrierFiles(luet plan.Digest, luetFrom string, pkg plan.Digest) []plan.Action {
	var as []plan.Action
	if r.since("v4.4.8") {
		for _, o := range r.f.Overlay {
			as = append(as, r.overlay(o)...)
		}
		as = append(as, logRotation())
	}
	reference, by, _ := r.baseImage()
	as = append(as,
		copied(plan.Copy{Source: luet, From: luetFrom, To: "/usr/bin/luet", Follow: true}),
		copied(plan.Copy{Source: r.in.image(reference, r.platform, by), From: "/usr/bin/kairos-agent", To: "/usr/bin/kairos-agent", Follow: true}),
		copied(plan.Copy{Source: pkg, From: "/", To: "/k8s", KeepTimes: r.since("v4.7.2")}))
	as = append(as, r.edgeConfig()...)
	if r.since("v4.7.13") {
		as = append(as, r.stylusConfig())
	}
	return as
}

// luet is the package manager's image, and where it is in it.
func (r *recipe) luet() (plan.Digest, string) {
	if r.parts.ThirdPartyImage == "" {
		return r.component("quay.io/luet/base:latest", "luet", "uki", r.f.UKI.At), "/usr/bin/luet"
	}
	return r.thirdParty(), "/binaries/luet/latest/" + r.binaries() + "/" + r.arch + "/luet"
}

func (r *recipe) ubuntuImage() string {
	if r.f.FIPS.V {
		registry := r.parts.Registries["SPECTRO_PUB_REPO_fips"]
		if registry == "" {
			registry = r.parts.Registries["SPECTRO_PUB_REPO"]
		}
		return registry + "/third-party/ubuntu-fips:22.04"
	}
	return r.parts.Registries["SPECTRO_PUB_REPO"] + "/third-party/ubuntu:22.04"
}
