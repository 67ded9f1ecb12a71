package canvos

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"canvos.dev/compile/catalog"
)

func TestTableHasEveryArgument(t *testing.T) {
	rows := map[string]bool{}
	for _, a := range Table {
		if rows[a.Name] {
			t.Errorf("%s is there twice", a.Name)
		}
		rows[a.Name] = true
		if a.Effect == Provider && (a.Field == "" || a.Type == "") {
			t.Errorf("%s changes provider images and has no field", a.Name)
		}
	}
	known := map[string]bool{}
	for _, a := range catalog.Arguments() {
		known[a.Name] = true
	}
	if len(known) != 112 {
		t.Errorf("the catalog has %d arguments", len(known))
	}
	for name := range known {
		if !rows[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}

func TestArgumentsOfAnImage(t *testing.T) {
	r, err := catalog.Lookup("v4.4.12")
	if err != nil {
		t.Fatal(err)
	}
	i := Image{
		Release: r, Registry: "docker.io/acme", Repository: "ubuntu", Tag: "two-node",
		OSDistribution: "ubuntu", OSVersion: "22.04", KubernetesDistribution: "k3s", KubernetesVersion: "1.30.4",
		Arch: "amd64", TwoNode: true,
	}
	args, undeclared := Arguments(i)
	want := `ARCH=amd64 CIS_HARDENING=false CUSTOM_TAG=two-node DISABLE_SELINUX=true FIPS_ENABLED=false IMAGE_REGISTRY=docker.io/acme IMAGE_REPO=ubuntu IS_UKI=false K8S_DISTRIBUTION=k3s K8S_VERSION=1.30.4 OS_DISTRIBUTION=ubuntu OS_VERSION=22.04 TWO_NODE=true UPDATE_KERNEL=false`
	if got := line(args); got != want || undeclared != nil {
		t.Errorf("got  %s %v\nwant %s", got, undeclared, want)
	}

	i.MAAS, i.GPU, i.GPUArguments = true, "nvidia", map[string]string{"NVIDIA_DRIVER_BRANCH": "580"}
	i.Certificates = []string{"certs/a.crt"}
	i.Components = catalog.Components{Provider: "v4.4.9", Base: "mirror.example/kairos"}
	args, undeclared = Arguments(i)
	if args["PROXY_CERT_PATH"] != "certs/a.crt" || args["K3S_PROVIDER_VERSION"] != "v4.4.9" || args["RKE2_PROVIDER_VERSION"] != "" ||
		args["KAIROS_BASE_IMAGE_URL"] != "mirror.example/kairos" || args["BASE_IMAGE_URL"] != "" {
		t.Error(line(args))
	}
	if got := strings.Join(undeclared, " "); got != "INSTALL_NVIDIA_GPU_DRIVERS IS_MAAS NVIDIA_DRIVER_BRANCH" {
		t.Errorf("undeclared: %s", got)
	}
}

func line(args map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		words = append(words, name+"="+args[name])
	}
	return strings.Join(words, " ")
}
