package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	library "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/sys/unix"

	"canvos.dev/compile/plan"
)

// run runs another program, and returns what it prints.
func runProgram(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := osexec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// unpack lets umoci make a root filesystem of an image for amd64.
func unpack(t testing.TB, out *Layout, reference string) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	runProgram(t, "umoci", "unpack", "--image", out.Dir+":"+reference, bundle)
	return filepath.Join(bundle, "rootfs")
}

// onDisk lists what a program unpacked: type, mode, owner, time, size, number of
// names, path, and what else there is; of files the first digits of the SHA-256.
func onDisk(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	check(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		mode := st.Mode & 0o7777
		what := map[uint32]string{syscall.S_IFREG: "file", syscall.S_IFDIR: "dir", syscall.S_IFLNK: "link", syscall.S_IFCHR: "char", syscall.S_IFBLK: "block", syscall.S_IFIFO: "fifo"}[st.Mode&syscall.S_IFMT]
		fmt.Fprintf(&b, "%s %04o %d:%d %d", what, mode, st.Uid, st.Gid, st.Mtim.Sec)
		if what != "dir" {
			fmt.Fprintf(&b, " %d names", st.Nlink)
		}
		fmt.Fprintf(&b, " /%s", strings.TrimPrefix(name, root+"/"))
		switch what {
		case "link":
			to, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", to)
		case "char", "block":
			fmt.Fprintf(&b, " %d,%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		case "file":
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			fmt.Fprintf(&b, " %d %s", len(content), hex.EncodeToString(sum[:4]))
		}
		if what == "file" || what == "dir" {
			for _, x := range xattrs(t, name) {
				fmt.Fprintf(&b, " %s", x)
			}
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}

func xattrs(t testing.TB, name string) []string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(name, buf)
	check(t, err)
	var all []string
	for key := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if key == "security.capability" || strings.HasPrefix(key, "user.") && !strings.HasPrefix(key, "user.umoci") && !strings.HasPrefix(key, "user.rootlesscontainers") {
			value := make([]byte, 4096)
			n, err := unix.Lgetxattr(name, key, value)
			check(t, err)
			all = append(all, fmt.Sprintf("%s=%q", key, value[:n]))
		}
	}
	slices.Sort(all)
	return all
}

// valid lets go-containerregistry check all that is in a layout: digests, sizes,
// contents of layers against the config.
func valid(t testing.TB, out *Layout) {
	t.Helper()
	index, err := library.ImageIndexFromPath(out.Dir)
	check(t, err)
	check(t, validate.Index(index))
}

// holds are the files of a layout, sorted, without the names of blobs.
func holds(t testing.TB, out *Layout) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	if _, err := os.Stat(out.Dir); errors.Is(err, fs.ErrNotExist) {
		return files // nothing was published yet
	}
	check(t, filepath.WalkDir(out.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode() != 0o644 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		short, _ := filepath.Rel(out.Dir, name)
		files[short], err = os.ReadFile(name)
		return err
	}))
	return files
}

// sound checks that a layout is whole: no blob is another than its name says,
// nothing is left over, and everything that is named is there.
func sound(t testing.TB, out *Layout) {
	t.Helper()
	files := holds(t, out)
	for name, content := range files {
		switch hex, ok := strings.CutPrefix(name, "blobs/sha256/"); {
		case ok && plan.DigestOf(content) != plan.Digest("sha256:"+hex):
			t.Errorf("%s holds %s", name, plan.DigestOf(content))
		case !ok && name != "index.json" && name != "oci-layout":
			t.Errorf("%s is left in the layout", name)
		}
	}
	if _, ok := files["index.json"]; ok {
		valid(t, out)
	}
}

// tagsIn are the names in a layout's list, in its order.
func tagsIn(t testing.TB, out *Layout) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(out.Dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	check(t, err)
	var l index
	check(t, json.Unmarshal(b, &l))
	var names []string
	for _, m := range l.Manifests {
		names = append(names, m.Annotations[refName])
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
