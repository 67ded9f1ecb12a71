package compile

import (
	"bytes"
	"encoding/base64"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"canvos.dev/compile/catalog"
	"canvos.dev/compile/plan"
)

// family is one of a release, with its first Kubernetes version.
func family(t testing.TB, tag, os, osVersion, distribution string) Family {
	t.Helper()
	r, err := catalog.Lookup(tag)
	if err != nil {
		t.Fatal(err)
	}
	versions := r.Versions(distribution)
	if len(versions) == 0 {
		t.Fatalf("%s has no %s", tag, distribution)
	}
	f := k3sFamily(tag+"-"+distribution, 10, versions[0])
	f.Release = value(tag, 3)
	f.OS.Distribution, f.OS.Version = value(os, 11), value(osVersion, 11)
	f.Kubernetes.Distribution = value(distribution, 12)
	if _, ok := r.BaseImage(os, osVersion, "amd64", false, false); !ok {
		f.OS.Image = value("registry.example/base/"+os+":1", 11)
	}
	return f
}

func scripts(p plan.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		if s.Op.Run != nil {
			b.WriteString("## " + s.Name + "\n" + s.Op.Run.Script)
		}
	}
	return b.String()
}

// Every release, distribution and operating system can be lowered, its scripts
// are a shell's, and nothing in them is left empty or unpinned.
func TestEveryReleaseCanBeLowered(t *testing.T) {
	seen := map[string]bool{}
	for _, tag := range catalog.Tags() {
		r, err := catalog.Lookup(tag)
		if err != nil {
			t.Fatal(err)
		}
		m := &Manifest{FS: files("ca.crt"), Dir: "."}
		for _, distribution := range r.Distributions() {
			for _, os := range []string{"ubuntu 22.04", "opensuse-leap 15.5", "rhel 9", "sles 5.4"} {
				name, version, _ := strings.Cut(os, " ")
				for _, all := range []bool{false, true} {
					f := family(t, tag, name, version, distribution)
					f.Name += "-" + name
					f.Tag = value(name, 13)
					f.Repository = value("r"+yesno(all), 13)
					f.Arch = []Field[string]{value("amd64", 1), value("arm64", 1)}
					if f.OS.Image.V == "" {
						if _, ok := r.BaseImage(name, version, "arm64", false, false); !ok {
							f.OS.Image = value("registry.example/base/x:1", 1)
						}
					}
					if all {
						f.UpdateKernel, f.CISHardening, f.FIPS, f.MAAS = value(true, 1), value(true, 1), value(true, 1), value(true, 1)
						f.TwoNode, f.DisableSELinux = value(true, 1), value(false, 1)
						f.Certificates = []Field[string]{value("ca.crt", 1)}
						f.Packages, f.Run = []Field[string]{value("nginx", 1)}, []Field[string]{value("echo it's >/etc/x", 1)}
						f.UbuntuPro.Env = value("TOKEN", 1)
					}
					m.Families = append(m.Families, f)
				}
			}
		}
		p := lowered(t, m)
		if want := len(m.Families); len(p.Images) != want {
			t.Errorf("%s: %d images of %d families", tag, len(p.Images), want)
		}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
		for _, s := range p.Steps {
			if s.Op.Run == nil || seen[s.Op.Run.Script] {
				continue
			}
			seen[s.Op.Run.Script] = true
			judgeScript(t, tag+" "+s.Name, s.Op.Run)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d scripts", len(seen))
	}
}

var (
	emptyArgument = regexp.MustCompile(`--url +--|/v/|/download/+etcd|=""|--\s*$|-hwe-( |$)`)
	fetched       = regexp.MustCompile(`(?m)^curl .* -o (\S+) https://raw\.githubusercontent\.com/.*\n(.*)$`)
)

func judgeScript(t *testing.T, name string, run *plan.Run) {
	t.Helper()
	check := osexec.Command("sh", "-n")
	check.Stdin = strings.NewReader(run.Script)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%s: %s\n%s", name, out, run.Script)
	}
	if bad := emptyArgument.FindString(run.Script); bad != "" {
		t.Errorf("%s: %q in\n%s", name, bad, run.Script)
	}
	if strings.Contains(run.Script, "TOKEN") {
		t.Errorf("%s names the secret's source", name)
	}
	for _, m := range fetched.FindAllStringSubmatch(run.Script, -1) {
		if !strings.HasSuffix(m[2], "  "+m[1]+"' | sha256sum -c -") {
			t.Errorf("%s: what is fetched to %s is not checked:\n%s", name, m[1], m[2])
		}
	}
}

// Rules that came, or ended, with a release: what one has and the one before it
// does not.
func TestRulesByRelease(t *testing.T) {
	plain := func(*Family) {}
	for _, c := range []struct {
		name, without, with      string
		os, version, distrbution string
		change                   func(*Family)
		text                     string
	}{
		{"etcdctl at all", "v4.0.2", "v4.0.3", "ubuntu", "22", "k3s", plain, "-C /usr/local/bin etcd-"},
		{"etcdctl in /usr/bin", "v4.0.4", "v4.0.5", "ubuntu", "22", "k3s", plain, "-C /usr/bin etcd-"},
		{"etcdctl of the third-party image", "v4.4.6", "v4.4.8", "ubuntu", "22.04", "k3s", plain, "/binaries/etcdctl/latest/palette/amd64/etcdctl"},
		{"stylus settings", "v4.1.4", "v4.2.3", "ubuntu", "22", "k3s", plain, "/oem/stylus_config.yaml"},
		{"no elemental settings", "v4.2.3", "v4.1.4", "ubuntu", "22", "k3s", plain, "copy /etc/elemental/config.yaml"},
		{"80_stylus in /system/oem", "v4.7.11", "v4.7.13", "ubuntu", "22.04", "k3s", plain, "/system/oem/80_stylus.yaml"},
		{"80_stylus in /etc/kairos", "v4.8.5", "v4.8.8", "ubuntu", "22.04", "k3s", plain, "/etc/kairos/80_stylus.yaml"},
		{"packages each name by itself", "v4.6.21", "v4.6.20", "ubuntu", "22.04", "k3s", plain, "k3s1 to /, each name by itself"},
		{"packages with times", "v4.6.24", "v4.7.2", "ubuntu", "22.04", "k3s", plain, "k3s1 to /, with times"},
		{"hold of the HWE kernel", "v4.3.3", "v4.4.2", "ubuntu", "22.04", "k3s", plain, "linux-headers-generic-hwe-22.04"},
		{"no luet in the image", "v4.5.3", "v4.4.13", "ubuntu", "22.04", "k3s", plain, "luet repo add"},
		{"kernels purged", "v4.6.12", "v4.6.16", "ubuntu", "22.04", "k3s", plain, "apt-get purge"},
		{"partition tools", "v4.7.2", "v4.7.3", "ubuntu", "22.04", "k3s", plain, "cloud-guest-utils"},
		{"HWE kernel asked for", "v4.7.13", "v4.7.16", "ubuntu", "22.04", "k3s", func(f *Family) { f.UpdateKernel = value(true, 1) }, "install -y linux-image-generic-hwe-22.04"},
		{"os-release", "v4.7.13", "v4.7.11", "ubuntu", "22.04", "k3s", plain, "envsubst"},
		{"kairos-release", "v4.7.11", "v4.7.13", "ubuntu", "22.04", "k3s", plain, `KAIROS_NAME="kairos-core-ubuntu-22.04"`},
		{"image label", "v4.8.5", "v4.8.8", "ubuntu", "22", "k3s", plain, `KAIROS_IMAGE_LABEL="22.04-standard-amd64-generic"`},
		{"cracklib's cache", "v4.8.26", "v4.9.4", "ubuntu", "22.04", "k3s", plain, "! -name cracklib"},
		{"cgroup v2", "v4.9.7", "v4.9.10", "ubuntu", "22.04", "k3s", plain, "systemd.unified_cgroup_hierarchy=1"},
		{"SELinux off", "v4.0.2", "v4.0.3", "ubuntu", "22", "k3s", plain, "selinux=0"},
		{"SELinux left", "v4.3.2", "v4.2.3", "ubuntu", "22.04", "k3s", func(f *Family) { f.DisableSELinux = value(false, 1) }, "selinux=0"},
		{"headers for kubeadm", "v4.3.3", "v4.4.2", "ubuntu", "22.04", "kubeadm", plain, "linux-headers-$kernel"},
		{"header script", "v4.9.22", "v4.9.23", "ubuntu", "22.04", "kubeadm", plain, "install-kernel-headers.sh"},
		{"containerd for kubeadm", "v4.7.13", "v4.7.11", "ubuntu", "22.04", "kubeadm", plain, "install -y container-runtime/containerd\n"},
		{"luet for containerd", "v4.4.13", "v4.5.3", "ubuntu", "22.04", "kubeadm-fips", func(f *Family) { f.FIPS = value(true, 1) }, "/binaries/luet/latest/vertex/amd64/luet"},
		{"two-node", "v4.4.2", "v4.4.4", "ubuntu", "22.04", "k3s", func(f *Family) { f.TwoNode = value(true, 1) }, "kine/releases/download/v0.11.4/kine-amd64"},
		{"two-node waits for the network", "v4.4.8", "v4.4.12", "ubuntu", "22.04", "k3s", func(f *Family) { f.TwoNode = value(true, 1) }, "network-online.target"},
		{"nodeadm installs", "v4.5.11", "v4.5.14", "ubuntu", "22.04", "nodeadm", plain, "nodeadm install -p ssm"},
		{"nodeadm validates", "v4.9.10", "v4.9.7", "ubuntu", "22.04", "nodeadm", plain, "--skip validate"},
		{"apparmor on SLES", "v4.8.26", "v4.9.0", "sles", "5.4", "rke2", plain, "install apparmor-parser"},
		{"openssl on RHEL", "v4.2.3", "v4.3.2", "rhel", "9", "k3s", plain, "yum install -y openssl"},
		{"no initrd for FIPS", "v4.8.1", "v4.7.18", "ubuntu", "22.04", "rke2", func(f *Family) { f.FIPS = value(true, 1) }, "dracut"},
		{"hardening", "v4.3.3", "v4.4.2", "ubuntu", "22.04", "k3s", func(f *Family) { f.CISHardening = value(true, 1) }, "CanvOS/v4.4.2/cis-harden/harden.sh"},
		{"MAAS", "v4.8.5", "v4.8.8", "ubuntu", "22.04", "k3s", func(f *Family) { f.MAAS = value(true, 1) }, "/system/oem/80_stylus_maas.yaml"},
		{"elemental", "v4.1.2", "v4.1.4", "ubuntu", "22", "k3s", plain, "/run/canvos/elemental"},
		{"no elemental any more", "v4.3.2", "v4.2.3", "ubuntu", "22.04", "k3s", plain, "/run/canvos/elemental"},
	} {
		text := func(tag string) string {
			f := family(t, tag, c.os, c.version, c.distrbution)
			c.change(&f)
			return lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{f}}).Text()
		}
		if strings.Contains(text(c.without), c.text) {
			t.Errorf("%s: %s has %q", c.name, c.without, c.text)
		}
		if got := text(c.with); !strings.Contains(got, c.text) {
			t.Errorf("%s: %s has no %q\n%s", c.name, c.with, c.text, got)
		}
	}
}

func TestUKI(t *testing.T) {
	for _, tag := range []string{"v4.4.2", "v4.4.12", "v4.7.13", "v4.9.38"} {
		f := family(t, tag, "ubuntu", "24.04", "rke2")
		f.UKI, f.FIPS = value(true, 14), value(tag == "v4.9.38", 15)
		f.EdgeConfig = value("edge.yaml", 16)
		p := lowered(t, &Manifest{FS: files("edge.yaml"), Dir: ".", Families: []Family{f}})
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
		var bases []string
		for _, s := range p.Steps {
			if s.Op.Base != nil {
				bases = append(bases, s.Name)
			}
			if s.Op.Run != nil {
				judgeScript(t, tag+" "+s.Name, s.Op.Run)
			}
		}
		if len(bases) != 3 || !strings.HasSuffix(bases[0], "-uki linux/amd64") {
			t.Errorf("%s: bases %v", tag, bases)
		}
		last := p.Steps[len(p.Steps)-2]
		if last.Name != "signed system linux/amd64" || p.Steps[len(p.Steps)-1].Needs[0] != last.ID || !p.Images[0].Facts.UKI {
			t.Errorf("%s: the image is made of %s", tag, last.Name)
		}
	}
}

// The links of a package, in a root of its own.
func TestKubernetesLinks(t *testing.T) {
	f := family(t, "v4.9.38", "ubuntu", "24.04", "rke2")
	f.UKI = value(true, 14)
	p := lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{f}})
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return strings.HasPrefix(s.Name, "kubernetes links") })
	dir := t.TempDir()
	pkg, root := dir+"/pkg", dir+"/root"
	script := strings.NewReplacer(
		"/run/canvos/kubernetes", pkg,
		"    d=\n", "    d="+root+"\n", `".$d"`, `".${d#`+root+`}"`,
		` "/${f#./}"`, ` "`+root+`/${f#./}"`,
		"agent-provider-stylus /usr/local", "agent-provider-stylus "+root+"/usr/local",
	).Replace(p.Steps[i].Op.Run.Script)
	prepare := "mkdir -p " + root + "/usr/bin " + root + "/usr/local/bin " + pkg + "/usr/bin " + pkg + "/opt/x/y\\ y " + pkg + "/empty\n" +
		"chmod 2750 " + pkg + "/opt/x\ntouch " + pkg + "/usr/bin/k " + pkg + "'/opt/x/y y/a b'\nln -s k " + pkg + "/usr/bin/l\n"
	list := "\ncd " + root + "\nfind . -type l -printf '%p %l\\n' -o -type d -printf '%p %m\\n' | sort\n"
	out, err := osexec.Command("sh", "-ec", prepare+script+list).CombinedOutput()
	want := `. 755
./opt 755
./opt/x 750
./opt/x/y y 755
./opt/x/y y/a b /opt/k8s/opt/x/y y/a b
./usr 755
./usr/bin 755
./usr/bin/k /opt/k8s/usr/bin/k
./usr/bin/l /opt/k8s/usr/bin/l
./usr/local 755
./usr/local/bin 755
./usr/local/bin/agent-provider-stylus /opt/spectrocloud/bin/agent-provider-stylus
`
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\n%s", err, out, script)
	}
}

// A prepared base has all that the OS stage would run, whatever the family asks.
// What cannot be done without is expected of it; what belongs to one version of
// Kubernetes is run all the same.
func TestPrepared(t *testing.T) {
	f := prepared("a", 10, "1.30.4")
	f.TwoNode, f.UpdateKernel, f.CISHardening = value(true, 1), value(true, 1), value(true, 1)
	k := family(t, "v4.4.12", "ubuntu", "22.04", "kubeadm")
	k.OS.Image, k.OS.Prepare = value("registry.example/prepared:1", 1), value(false, 1)
	f.Certificates = []Field[string]{value("ca.crt", 1)}
	p := lowered(t, &Manifest{FS: files("ca.crt"), Dir: ".", Families: []Family{f, k}})
	if s := scripts(p); s != "" {
		t.Error(s)
	}
	text := p.Text()
	for _, to := range []string{"/usr/local/share/ca-certificates/ca.crt", "/etc/ssl/certs/ca.crt"} {
		if !strings.Contains(text, "copy /ca.crt of file:ca.crt to "+to) {
			t.Errorf("the certificate is not at %s", to)
		}
	}
	for _, c := range []struct {
		tag, distribution, expects string
		runs                       bool
	}{
		{"v4.0.2", "k3s", "", false},
		{"v4.4.4", "k3s", "etcdctl", false},
		{"v4.4.6", "kubeadm", "containerd etcdctl", false},
		{"v4.4.12", "k3s", "", false},
		{"v4.4.12", "kubeadm", "containerd", false},
		{"v4.7.11", "kubeadm-fips", "containerd", false},
		{"v4.7.13", "kubeadm", "", false},
		{"v4.5.5", "nodeadm", "", false},
		{"v4.9.38", "nodeadm", "", true},
	} {
		f := family(t, c.tag, "ubuntu", "22.04", c.distribution)
		f.OS.Image, f.OS.Prepare, f.FIPS = value("registry.example/prepared:1", 1), value(false, 1), value(strings.HasSuffix(c.distribution, "fips"), 1)
		p := lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{f}})
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		var expected []string
		runs := false
		for _, s := range p.Steps {
			runs = runs || s.Op.Run != nil
			if s.Op.Files == nil {
				continue
			}
			for _, a := range s.Op.Files.Actions {
				if a.Expect != nil {
					expected = append(expected, a.Expect.What)
				}
			}
		}
		if got := strings.Join(expected, " "); got != c.expects || runs != c.runs {
			t.Errorf("%s %s: expects %q, runs %v", c.tag, c.distribution, got, runs)
		}
		// Of a base that is not prepared nothing is expected: it is made so.
		f.OS.Prepare.V = true
		if text := lowered(t, &Manifest{FS: files(), Dir: ".", Families: []Family{f}}).Text(); strings.Contains(text, "\n  expect") {
			t.Errorf("%s %s, to be prepared:\n%s", c.tag, c.distribution, text)
		}
	}
}

func TestOwnFiles(t *testing.T) {
	f := prepared("a", 10, "1.30.4")
	f.SigningKey, f.HardwareDB = value("keys/key.pem", 14), value("specs.json", 15)
	f.Compression = value("zstd", 1)
	f.Overlay = []Overlay{
		{Target: "/etc/", Path: value("etc", 16), Modes: []Pair{{Key: "sudoers.d/x", Value: value("0440", 17)}}},
		{Target: "/etc/motd", Path: value("motd", 18)},
		{Target: "/opt", Path: value("opt.tar.gz", 19)},
	}
	fsys := files("m/keys/key.pem", "m/specs.json", "m/etc/sudoers.d/x", "m/motd", "m/opt.tar.gz")
	p := lowered(t, &Manifest{FS: fsys, Dir: "m", Families: []Family{f}})
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return strings.HasPrefix(s.Name, "components") })
	var got bytes.Buffer
	for _, line := range strings.Split(plan.Plan{Sources: p.Sources, Steps: p.Steps[i : i+1]}.Text(), "\n") {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "  =") && !strings.HasPrefix(line, "  sha256") {
			got.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	key := base64.StdEncoding.EncodeToString([]byte("content of m/keys/key.pem\n"))
	want := `files zstd 2020-04-16T12:00:00Z
copy /specs.json of file:m/specs.json to /etc/spectrocloud/custom-hardware-specs-lookup.json, owner 0:0, xattrs capability
copy / of file:m/etc to /etc, owner 0:0, xattrs capability
attr /etc/sudoers.d/x 0440
copy /motd of file:m/motd to /etc/motd, owner 0:0, xattrs capability
copy / of file:m/opt.tar.gz to /opt, out of the archive, with times, xattrs all
attr /etc/logrotate.d/stylus.conf 0644, if there
copy . of gcr.io/spectro-images-public/kairos-io/provider-k3s:v4.4.2 to /, from the working directory, each name by itself, owner 0:0, xattrs capability
copy /etc/kairos/branding of gcr.io/spectro-images-public/stylus-framework-linux-amd64:v4.4.12 to /etc/kairos/branding, owner 0:0, xattrs capability
copy /oem/stylus_config.yaml of gcr.io/spectro-images-public/stylus-framework-linux-amd64:v4.4.12 to /etc/kairos/branding/stylus_config.yaml, following a link, owner 0:0, xattrs capability
copy /etc/elemental/config.yaml of gcr.io/spectro-images-public/stylus-framework-linux-amd64:v4.4.12 to /etc/elemental/config.yaml, following a link, owner 0:0, xattrs capability
write /oem/.edge_custom_config.yaml 0644 "content:\n  signing:\n    publicKey:\n      base64EncodedValue: \"` + key + `\"\n      description: \"checks the signatures of content and cluster configuration\"\n"
`
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
	if !slices.ContainsFunc(p.Sources, func(s plan.Source) bool { return s.Reference == "file:m/keys/key.pem" }) {
		t.Error("the key is no source")
	}
}

func TestDockerfile(t *testing.T) {
	f := k3sFamily("a", 10, "1.30.4")
	f.Dockerfile = value("docker/Dockerfile", 15)
	f.Components.DRBD = value("9.2.13", 16)
	fsys := files("docker/files/a", "docker/x.conf", "docker/y.conf")
	fsys["docker/Dockerfile"] = fsys["docker/x.conf"]
	m := &Manifest{FS: fsys, Dir: ".", Families: []Family{f}}
	for _, c := range []struct{ text, want, problem string }{
		{"ARG BASE\nFROM $BASE\n# note\nRUN apt-get update && \\\n    # inside\n    apt-get install -y \\\n    nginx\n", "sh -ec 'apt-get update &&      apt-get install -y      nginx'\n", ""},
		{`RUN ["/bin/a", "b c", "it's"]`, "sh -ec " + shell(`/bin/a 'b c' 'it'\''s'`) + "\n", ""},
		{"workdir /srv\nENV A=\"b c\"\nENV X y\nARG V=1\nARG W\n", "mkdir -p /srv\ncd /srv\nexport A\nA=\"b c\"\nexport X\nX=y\nexport V\n: ${V:=1}\n", ""},
		{"COPY [\"files\", \"/etc/my app\"]\nCOPY x.conf y.conf /etc/\n", "mkdir -p '/etc/my app'\ncp -a /run/canvos/copy/1/. '/etc/my app'/\n" +
			"mkdir -p /etc/\ncp -a /run/canvos/copy/2/x.conf /etc/\nmkdir -p /etc/\ncp -a /run/canvos/copy/3/y.conf /etc/\n", ""},
		{"RUN true\nEXPOSE 80\n", "", "docker/Dockerfile:2: EXPOSE cannot be carried out"},
		{"COPY --from=x a b", "", "docker/Dockerfile:1: COPY --from cannot be carried out"},
		{"FROM debian", "", "docker/Dockerfile:1: FROM names another image: the base image is the family's"},
		{"ADD https://x.example/y /y", "", "docker/Dockerfile:1: ADD takes only local files"},
		{"RUN <<EOF\ntrue\nEOF\n", "", "docker/Dockerfile:1: RUN with a here-document"},
	} {
		file := *fsys["docker/x.conf"]
		file.Data = []byte(c.text)
		fsys["docker/Dockerfile"] = &file
		p, ps := Lower(m, locked(t, m))
		if c.problem != "" {
			if len(ps) == 0 || ps[0].Code != "CV0120" || !strings.Contains(ps[0].Message, c.problem) || ps[0].At.Line != 15 {
				t.Errorf("%q: %v", c.text, ps)
			}
			continue
		}
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return strings.HasPrefix(s.Name, "dockerfile") })
		if len(ps) > 0 || i < 0 {
			t.Errorf("%q: %v", c.text, ps)
			continue
		}
		run := p.Steps[i].Op.Run
		if run.Script != c.want || run.Env["DRBD_VERSION"] != "9.2.13" {
			t.Errorf("%q became\n%s", c.text, run.Script)
		}
		judgeScript(t, c.text, run)
	}
}

// The 4.10 line, which a manifest's own catalog adds: Kubernetes in the image or
// beside it, and drivers.
func TestNewerLine(t *testing.T) {
	entry := CatalogEntry{Release: "v4.10.3", From: value("v4.9.38", 4), JSON: []byte(`{}`)}
	text := func(change func(*Family)) string {
		f := family(t, "v4.9.38", "ubuntu", "24.04", "k3s")
		f.Release = value("v4.10.3", 3)
		change(&f)
		return lowered(t, &Manifest{FS: files(), Dir: ".", Catalog: []CatalogEntry{entry}, Families: []Family{f}}).Text()
	}
	bundled := text(func(f *Family) { f.BundleKubernetes = value(true, 14) })
	for _, want := range []string{
		"copy /usr/local/system/providers of us-docker.pkg.dev/palette-images/edge/kairos-io/provider-k3s:v4.9.7 to /system/providers, if there",
		"remove /usr/local/system/providers/agent-provider-*", "write /etc/spectro-sysext/k8s-and-agent-provider-bundled 0644",
		"stylus-framework-linux-amd64:v4.10.3",
	} {
		if !strings.Contains(bundled, want) {
			t.Errorf("bundled: no %q in\n%s", want, bundled)
		}
	}
	beside := text(func(f *Family) { f.BundleKubernetes = value(false, 14) })
	if strings.Contains(beside, "copy . of") || strings.Contains(beside, "step 4 kubernetes") || !strings.Contains(beside, "/etc/kairos/branding") {
		t.Errorf("not bundled\n%s", beside)
	}
	drivers := text(func(f *Family) {
		f.GPU.Vendor = value("nvidia", 15)
		f.GPU.Arguments = []Pair{{Key: "NVIDIA_DRIVER_BRANCH", Value: value("580", 16)}}
	})
	if want := "| NVIDIA_DRIVER_BRANCH=580 /tmp/install-nvidia-drivers.sh\n"; !strings.Contains(drivers, want) {
		t.Errorf("no %q in\n%s", want, drivers)
	}
	if other := text(func(f *Family) { f.GPU.Vendor = value("amd", 15) }); !strings.Contains(other, "/scripts/install-amdgpu-drivers.sh") {
		t.Errorf("no AMD drivers in\n%s", other)
	}
}

// What the OS stage writes into files, run on files: as it was seen in images
// that upstream's recipe made.
func TestTextEdits(t *testing.T) {
	const bootargs = "set img=\"/cOS/active.img\"\nset baseCmd=\"console=tty1 security=selinux selinux=1 quiet\"\nset other=\"security=selinux selinux=1\"\n"
	for _, c := range []struct {
		name, tag, os, version string
		change                 func(*Family)
		before, after          map[string]string
	}{
		{"names", "v4.9.38", "ubuntu", "22", func(*Family) {},
			map[string]string{"etc/kairos-release": "KAIROS_IMAGE_LABEL=\"old\"\nKAIROS_NAME=\"old\"\nKAIROS_X=\"y\"\n", "etc/cos/bootargs.cfg": bootargs},
			map[string]string{
				"etc/kairos-release":   "KAIROS_NAME=\"kairos-core-ubuntu-22\"\nKAIROS_X=\"y\"\nKAIROS_IMAGE_LABEL=\"22.04-standard-amd64-generic\"\n",
				"etc/cos/bootargs.cfg": "set img=\"/cOS/active.img\"\nset baseCmd=\"console=tty1 selinux=0 quiet systemd.unified_cgroup_hierarchy=1\"\nset other=\"selinux=0\"\n",
			}},
		{"no version, SELinux kept", "v4.9.38", "rhel", "", func(f *Family) { f.DisableSELinux = value(false, 1) },
			map[string]string{"etc/cos/bootargs.cfg": bootargs},
			map[string]string{
				"etc/kairos-release":   "KAIROS_NAME=\"kairos-core-rhel-\"\nKAIROS_IMAGE_LABEL=\"-standard-amd64-generic\"\n",
				"etc/cos/bootargs.cfg": strings.Replace(bootargs, "selinux=1 quiet", "selinux=1 quiet systemd.unified_cgroup_hierarchy=1", 1),
			}},
		{"MAAS, cgroup there", "v4.9.38", "ubuntu", "24.04", func(f *Family) { f.MAAS = value(true, 1) },
			map[string]string{"etc/cos/bootargs.cfg": "set baseCmd=\"systemd.unified_cgroup_hierarchy=1\"\n"},
			map[string]string{
				"etc/kairos-release":   "KAIROS_NAME=\"kairos-core-ubuntu-24.04\"\nKAIROS_IMAGE_LABEL=\"24.04-standard-amd64-generic-maas\"\n",
				"etc/cos/bootargs.cfg": "set baseCmd=\"systemd.unified_cgroup_hierarchy=1\"\n",
			}},
		{"before cgroup v2", "v4.4.12", "ubuntu", "22.04", func(*Family) {},
			map[string]string{"etc/cos/bootargs.cfg": bootargs, "etc/os-release": "ID=ubuntu\nKAIROS_OLD=1\n", "usr/lib/os-release.tmpl": "KAIROS_NAME=\"${OS_NAME}\"\nKAIROS_VERSION=\"${OS_VERSION}\"\n"},
			map[string]string{
				"etc/os-release":       "ID=ubuntu\nKAIROS_OLD=1\nKAIROS_NAME=\"kairos-core-ubuntu\"\nKAIROS_VERSION=\"v3.0.14\"\n",
				"etc/cos/bootargs.cfg": "set img=\"/cOS/active.img\"\nset baseCmd=\"console=tty1 selinux=0 quiet\"\nset other=\"selinux=0\"\n",
			}},
	} {
		root := t.TempDir()
		for _, dir := range []string{"etc/cos", "usr/lib"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range c.before {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f := family(t, c.tag, "ubuntu", "22.04", "k3s")
		f.OS.Distribution, f.OS.Version = value(c.os, 1), value(c.version, 1)
		c.change(&f)
		m := &Manifest{FS: files(), Dir: "."}
		w := &walk{m: m, releases: releasesOf(m), families: map[*Family]*kitchen{}}
		r := &recipe{walk: w, kitchen: w.kitchen(&f), f: &f, platform: "linux/amd64", arch: "amd64"}
		var s script
		r.names(&s)
		r.bootArguments(&s)
		text := strings.NewReplacer("/etc/", root+"/etc/", "/usr/lib/", root+"/usr/lib/").Replace(s.b.String())
		// envsubst is the image's; here this one stands for it.
		const envsubst = "envsubst() { sed -e \"s|[$]{OS_NAME}|$OS_NAME|\" -e \"s|[$]{OS_VERSION}|$OS_VERSION|\"; }\n"
		if out, err := osexec.Command("sh", "-ec", envsubst+text).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", c.name, err, out, text)
		}
		for name, want := range c.after {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
				t.Errorf("%s: %s is\n%s\nnot\n%s (%v)", c.name, name, got, want, err)
			}
		}
	}
}

func TestRefreshIsPartOfTheOSStage(t *testing.T) {
	m := &Manifest{FS: files(), Dir: ".", Families: []Family{k3sFamily("a", 10, "1.30.4")}}
	lk := locked(t, m)
	one, _ := Lower(m, lk)
	lk.Refresh["a"] = 1
	two, _ := Lower(m, lk)
	if one.Steps[0].ID != two.Steps[0].ID || one.Steps[1].ID == two.Steps[1].ID {
		t.Error("a refresh has to run the OS stage again, and leave the base alone")
	}
}
