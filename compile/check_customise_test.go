package compile

import (
	"fmt"
	"strings"
	"testing"
)

func TestTroubles(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"apt-get install vim", "apt-get"},
		{"apt-get install -y vim", ""},
		{"apt-get -qy install vim", ""},
		{"DEBIAN_FRONTEND=noninteractive apt-get install vim", "apt-get"},
		{"apt-get -o APT::Get::Assume-Yes=true install vim", ""},
		{"apt-get update", ""},
		{"apt-get update && apt install --yes vim", ""},
		{"/usr/bin/apt-get upgrade", "/usr/bin/apt-get"},
		{"dnf install vim; yum -y install less", "dnf"},
		{"zypper --non-interactive in vim", ""},
		{"zypper -n in vim", ""},
		{"zypper in vim", "zypper"},
		{"cp tool /usr/local/bin/", "/usr/local/bin/"},
		{"cp /usr/local/bin/tool /usr/bin/tool", ""},
		{"install -m 0755 tool /usr/local/bin/tool", "/usr/local/bin/tool"},
		{"rm -rf /usr/local/share/doc", ""},
		{"ls /usr/local > /root/list", ""},
		{"echo x > /usr/local/etc/x", "/usr/local/etc/x"},
		{"echo x >/usr/local/etc/x", "/usr/local/etc/x"},
		{"./configure --prefix=/usr/local/acme && make", "/usr/local/acme"},
		{"tar -C /usr/local -xzf x.tgz", "/usr/local"},
		{"/usr/local/bin/setup --all", ""},
		{"touch /usr/locale", ""},
		{"curl -o /opt/tool https://example.com/usr/local/tool", ""},
		{"dpkg-reconfigure tzdata", "dpkg-reconfigure"},
		{"dpkg-reconfigure -f noninteractive tzdata", ""},
		{"", ""},
		{"&& || ;", ""},
	} {
		var got []string
		for _, why := range troubles(c.line) {
			what, _, _ := strings.Cut(why.what, " ")
			got = append(got, what)
			if why.help == "" {
				t.Errorf("%q: no help", c.line)
			}
		}
		want := []string{}
		if c.want != "" {
			want = append(want, lastPartOf(c.want))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", c.line, got, want)
		}
	}
}

// lastPartOf is a command as it is spoken of: without its directory.
func lastPartOf(want string) string {
	if strings.HasPrefix(want, "/usr/bin/") {
		return lastPart(want)
	}
	return want
}

func TestInstructions(t *testing.T) {
	got := fmt.Sprint(instructions("# syntax\n\nFROM x\nrun a && \\\n  # why\n  b \\\n  c\n\nCOPY [\"a b\", \"/usr/local/\"]\n"))
	if want := "[{3 FROM x} {4 RUN a &&    b    c} {9 COPY [\"a b\", \"/usr/local/\"]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if why := instructions("COPY [\"a b\", \"/usr/local/\"]")[0].troubles(); len(why) != 1 {
		t.Errorf("%v", why)
	}
}
