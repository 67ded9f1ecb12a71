package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"canvos.dev/compile/plan"
	"canvos.dev/exec"
	"canvos.dev/exec/image"
)

// A real root filesystem with a real program copied into it: what the engine
// makes of them is what another tool unpacks, and the program runs there.
func TestRealRootFilesystem(t *testing.T) {
	work := t.TempDir()
	root := filepath.Join(work, "root.tar")
	runProgram(t, "mmdebstrap", "--quiet", "--variant=minbase", "bookworm", root)
	b, err := os.ReadFile(root)
	check(t, err)

	// A program, statically linked, and one that wants the base's libraries.
	program := filepath.Join(work, "program")
	check(t, os.Mkdir(program, 0o755))
	check(t, os.WriteFile(filepath.Join(program, "main.go"), []byte("package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tb, err := os.ReadFile(\"/etc/debian_version\")\n\tfmt.Printf(\"on %s%v\\n\", b, err)\n}\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(program, "go.mod"), []byte("module program\n\ngo 1.26\n"), 0o644))
	build1 := osexec.Command("go", "build", "-o", "k3s", ".")
	build1.Dir, build1.Env = program, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build1.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k3s, err := os.ReadFile(filepath.Join(program, "k3s"))
	check(t, err)

	l := newLab(t, Rule{baseImage, "oci:base"}, Rule{tool, "docker-archive:tool.tar"})
	l.writeAll("base", layoutOf(t, map[string]built{baseImage: build(t, amd64, how{}, zip(t, b))}))
	l.write("tool.tar", dockerSave(t, map[string]built{"acme/tool:1": build(t, amd64, how{}, tarOf(t, dir("usr"), dir("usr/bin"), file("usr/bin/k3s", string(k3s)).mode(0o755), sym("usr/bin/kubectl", "k3s")))}))
	l.write("etc/motd", []byte("hello\n"))

	d := draw(t)
	top := d.files(d.base(d.source(l, baseImage, amd64), amd64),
		plan.Action{Copy: &plan.Copy{Source: d.source(l, tool, amd64), From: "/", To: "/", EachTop: true, Owner: "0:0", Xattrs: "capability"}},
		plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:etc", ""), From: "/", To: "/etc"}})
	top = d.files(top, plan.Action{Remove: &plan.Remove{Path: "/usr/share/doc/*"}}, plan.Action{Touch: &plan.Touch{Path: "/etc/machine-id", Mode: "0444"}})
	d.image(published, "demo", plan.ImageOp{}, top)

	var events int
	out := &Layout{Dir: filepath.Join(work, "out"), Store: l.sources.Store}
	_, err = (&Engine{Sources: l.sources, Target: out, Jobs: 2}).Run(t.Context(), d.Plan, func(exec.Event) { events++ })
	check(t, err)
	if events == 0 {
		t.Error("nothing was said")
	}

	rootfs := unpack(t, out, published)

	// File by file: what the base had, but for what the plan says.
	reference := filepath.Join(work, "reference")
	check(t, os.Mkdir(reference, 0o755))
	runProgram(t, "tar", "-C", reference, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", root)
	want := map[string]bool{}
	for line := range strings.Lines(onDisk(t, reference)) {
		want[line] = true
	}
	var more, gone []string
	for line := range strings.Lines(onDisk(t, rootfs)) {
		if !want[line] {
			more = append(more, line)
		}
		delete(want, line)
	}
	for line := range want {
		if !strings.Contains(line, " /usr/share/doc/") {
			gone = append(gone, line)
		}
	}
	// Changed: directories that something was put into, /usr and the motd.
	if len(more) > 12 || len(more) < 6 {
		t.Errorf("more:\n%s", strings.Join(more, ""))
	}
	for _, line := range append(more, gone...) {
		fields := strings.Fields(line)
		name := ""
		for _, f := range fields {
			if strings.HasPrefix(f, "/") {
				name = f
				break
			}
		}
		switch name {
		case "/etc", "/usr", "/usr/bin", "/usr/bin/k3s", "/usr/bin/kubectl", "/usr/share/doc", "/etc/motd", "/etc/machine-id":
		default:
			t.Errorf("changed: %s", line)
		}
	}

	for program, want := range map[string]string{
		"/usr/bin/kubectl": "on 12",
		"/bin/sh":          "hello",
	} {
		args := []string{rootfs, program}
		if program == "/bin/sh" {
			args = append(args, "-c", "cat /etc/motd && dpkg --audit && test ! -s /etc/machine-id")
		}
		if got := runProgram(t, "chroot", args...); !strings.HasPrefix(got, want) {
			t.Errorf("%s prints %q", program, got)
		}
	}
}

// Sparse files of archives are as long as they say, with their holes as zeros.
func TestSparseFiles(t *testing.T) {
	work := t.TempDir()
	f, err := os.Create(filepath.Join(work, "sparse"))
	check(t, err)
	_, err = f.WriteAt([]byte("end"), 5<<20)
	check(t, err)
	check(t, f.Close())
	for _, format := range []string{"gnu", "pax"} {
		archive := filepath.Join(work, format+".tar")
		runProgram(t, "tar", "-C", work, "--format="+format, "--sparse", "-cf", archive, "sparse")
		info, err := os.Stat(archive)
		check(t, err)
		if info.Size() > 1<<20 {
			t.Fatalf("%s: tar wrote the holes", format)
		}
		b, err := os.ReadFile(archive)
		check(t, err)
		l := newLab(t, Rule{"docker.io", "oci:images"})
		l.write("a.tar", b)
		l.writeAll("images", layoutOf(t, map[string]built{baseImage: plainImage(t, amd64, dir("etc")), tool: build(t, amd64, how{}, zip(t, b))}))
		d := draw(t)
		top := d.files(d.base(d.source(l, baseImage, amd64), amd64),
			plan.Action{Copy: &plan.Copy{Source: d.source(l, "file:a.tar", ""), Archive: true, From: "/sparse", To: "/from-archive"}},
			plan.Action{Copy: &plan.Copy{Source: d.source(l, tool, amd64), From: "/sparse", To: "/from-image"}})
		d.image(published, "demo", plan.ImageOp{}, top)
		out, _ := l.apply(d)
		sound(t, out)
		rootfs := unpack(t, out, published)
		for _, name := range []string{"from-archive", "from-image"} {
			b, err := os.ReadFile(filepath.Join(rootfs, name))
			if err != nil || len(b) != 5<<20+3 || string(b[5<<20:]) != "end" || strings.Trim(string(b[:5<<20]), "\x00") != "" {
				t.Errorf("%s, %s: %d bytes, %v", format, name, len(b), err)
			}
		}
	}
}

// What bombs promise is not believed before it arrives.
func TestSizesThatLie(t *testing.T) {
	var archive strings.Builder
	tw := tar.NewWriter(&archive)
	check(t, tw.WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644, Size: 1 << 50}))
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{tool: build(t, amd64, how{}, zip(t, []byte(archive.String())))}))
	_, _, err := l.read(tool, amd64, "")
	if err == nil || !strings.Contains(err.Error(), "claims to be 1125899906842624 bytes long") {
		t.Error(err)
	}
	short := tarOf(t, file("f", strings.Repeat("x", 10000)))[:5000]
	l = newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{tool: build(t, amd64, how{}, zip(t, short))}))
	if _, _, err = l.read(tool, amd64, ""); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// A full disk is said in so many words, and leaves all as sound as it was.
func TestFullDisk(t *testing.T) {
	for _, full := range []string{"store", "layout"} {
		work := t.TempDir()
		small := filepath.Join(work, "small")
		check(t, os.Mkdir(small, 0o755))
		runProgram(t, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small)
		t.Cleanup(func() { runProgram(t, "umount", small) })
		out, st, want := filepath.Join(small, "out"), filepath.Join(work, "store"), "no space left on device"
		if full == "store" {
			out, st, want = filepath.Join(work, "out"), filepath.Join(small, "store"), "no space left for the store in "+filepath.Join(small, "store")
		}
		printed, err := quietly(child(t, "large", out, "OCI_TEST_STORE="+st)).CombinedOutput()
		if err == nil || !strings.Contains(string(printed), want) {
			t.Errorf("%s: %v\n%s", full, err, printed)
		}
		sound(t, &Layout{Dir: out})
		// With room again, the same store and layout serve.
		runProgram(t, "mount", "-o", "remount,size=64m", small)
		printed, err = quietly(child(t, "large", out, "OCI_TEST_STORE="+st)).CombinedOutput()
		if err != nil || strings.Count(images(string(printed)), "built sha256:") != 4 {
			t.Errorf("%s, with room: %v\n%s", full, err, printed)
		}
		sound(t, &Layout{Dir: out})
	}
}

// quietly keeps what a child complains of for who reads its output.
func quietly(cmd *osexec.Cmd) *osexec.Cmd {
	cmd.Stderr = nil
	return cmd
}

// umoci and the library that validates layouts know no layers of zstd, so zstd
// itself unpacks them, and skopeo checks their digests.
func TestZstdByOtherTools(t *testing.T) {
	l := newLab(t, Rule{"docker.io", "oci:images"})
	l.writeAll("images", layoutOf(t, map[string]built{baseImage: build(t, amd64, how{}, zst(t, tarOf(t, dir("etc"))))}))
	d := draw(t)
	top := d.step("zstd", plan.Op{Files: &plan.Files{Epoch: epoch, Compression: "zstd", Actions: []plan.Action{write("/etc/made", strings.Repeat("made ", 1000))}}}, d.base(d.source(l, baseImage, amd64), amd64))
	d.image(published, "demo", plan.ImageOp{}, top)
	out, r := l.apply(d)
	runProgram(t, "skopeo", "copy", "oci:"+out.Dir+":"+published, "dir:"+filepath.Join(t.TempDir(), "copy"))

	raw, err := os.ReadFile(out.file(r.Images[0].Digest))
	check(t, err)
	var m manifest
	check(t, json.Unmarshal(raw, &m))
	var config struct {
		Rootfs struct {
			DiffIDs []plan.Digest `json:"diff_ids"`
		}
	}
	raw, err = os.ReadFile(out.file(m.Config.Digest))
	check(t, err)
	check(t, json.Unmarshal(raw, &config))
	if len(m.Layers) != 2 {
		t.Fatalf("%d layers", len(m.Layers))
	}
	for i, layer := range m.Layers {
		plain := runProgram(t, "zstd", "-dcq", out.file(layer.Digest))
		if layer.MediaType != image.Zstd || plan.DigestOf([]byte(plain)) != config.Rootfs.DiffIDs[i] {
			t.Errorf("layer %d, %s, is %s", i, layer.MediaType, plan.DigestOf([]byte(plain)))
		}
		if want := "  0 0644 0:0 1587038400 etc/made 5000 "; i == 1 && !strings.Contains(listTar(t, strings.NewReader(plain)), want) {
			t.Error(listTar(t, strings.NewReader(plain)))
		}
	}
}
