package compile

import (
	"regexp"
	"strings"

	"canvos.dev/compile/plan"
)

// A script grows line by line, for /bin/sh -e.
type script struct{ b strings.Builder }

func (s *script) add(lines ...string) {
	for _, line := range lines {
		s.b.WriteString(line)
		s.b.WriteByte('\n')
	}
}

func (s *script) addIf(condition bool, lines ...string) {
	if condition {
		s.add(lines...)
	}
}

// ran makes a step out of a script; nil if there is nothing to run.
func (r *recipe) ran(c chain, name string, at plan.Pos, s *script, run plan.Run) chain {
	if s.b.Len() == 0 {
		return c
	}
	run.Platform, run.Script, run.Network = r.platform, s.b.String(), true
	run.Refresh = r.lk.Refresh[r.f.Name]
	return r.then(c, name+" "+r.platform, at, plan.Op{Run: &run})
}

// checkoutFile is a file of a CanvOS checkout, by its content. From is the
// first release that has it so.
type checkoutFile struct{ name, from, sum string }

// checkoutFiles are what scripts fetch, as the releases of the catalog have
// them; of one name, the newest first.
var checkoutFiles = []checkoutFile{
	{"cis-harden/harden.sh", "v4.8.18", "7757e42cb0a5f7d128b72697c81df167f0c8894ecbb491e7af83dd87f6e4ae09"},
	{"cis-harden/harden.sh", "v4.8.10", "8a18e4be1ef677e00253c8e3917d838ede4c19259cdeab12b5867c7f375f9bdf"},
	{"cis-harden/harden.sh", "v4.5.14", "43038e2b782532eebbe5ad77d87d4b308ee40ebc5008f83b23a68cb6f39d8851"},
	{"cis-harden/harden.sh", "v4.5.11", "b7659dc1f935f44f0a57f3485a4c0c349fe548735789a6f5648f0bf307348eb9"},
	{"cis-harden/harden.sh", "v4.4.12", "71aece0603db5cc9acf5d46de432b1796c5cec08ef8ff16ba18e1d82126050fc"},
	{"cis-harden/harden.sh", "v4.4.2", "bc2199df09edcf9d1cc97ada5d2ac4c09c4f27c10775d0751592e33493de3e2b"},
	{"cloudconfigs/80_stylus_maas.yaml", "v4.8.8", "0b34b1fc7f71cd3cc972c46a6b0c26191daa05918955dcf1c2e9fd6ab97899fa"},
	{"cloudconfigs/80_stylus_uki.yaml", "v4.7.13", "8ff0d15ed4176d142fc30dd1f94236b2a68730ef6885265f9e498e2fe08a7629"},
	{"cloudconfigs/80_stylus_uki.yaml", "v4.4.2", "d4ff035a124d89a08d7670292d9dc0220e45ffbe9b963df63050b7d6b658ca47"},
	{"cloudconfigs/mount.yaml", "v4.4.2", "ef980c63aefce9fa2f3a86df35990f897e91b22e0b94b5459112685af3a87a1e"},
	{"mount.yaml", "v4.0.2", "ef980c63aefce9fa2f3a86df35990f897e91b22e0b94b5459112685af3a87a1e"},
	{"scripts/install-amdgpu-drivers.sh", "v4.10.0-rc.10", "91c076b91e2026539841b55bc27be8e103d861dbf9d3e83d076114c2af44a134"},
	{"scripts/install-kernel-headers.sh", "v4.9.23", "dbe1f53990968c1207231f5f8c4036322292e56fa2436c363bb9565af2af73ce"},
	{"scripts/install-nvidia-drivers.sh", "v4.10.0-rc.10", "8fc8a637e6f4206da05fa0eff5460a06e33570f699cf42ef747504a267170ea0"},
}

// fetch downloads a file of the release's checkout (difference checkout-scripts). The checksum makes it the
// one that was looked at when the recipe was written; a release after those of
// the table gets the newest of them.
func (r *recipe) fetch(s *script, name, to, mode string) {
	for _, f := range checkoutFiles {
		if f.name == name && r.since(f.from) {
			s.add(
				"mkdir -p "+to[:strings.LastIndexByte(to, '/')],
				"curl -fsSL --retry 5 -o "+to+" https://raw.githubusercontent.com/spectrocloud/CanvOS/"+f.from+"/"+name,
				"echo '"+f.sum+"  "+to+"' | sha256sum -c -",
				"chmod "+mode+" "+to)
			return
		}
	}
}

// plainWord needs no quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+:,./-]+$`)

// shell writes a word for a script, in quotes if it needs them.
func shell(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
