package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"canvos.dev/exec/image"
)

// TestMain lets tests start themselves as another process.
func TestMain(m *testing.M) {
	if role := os.Getenv("REGISTRY_TEST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

var roles = map[string]func() error{
	// head says what a reference stands for.
	"head": func() error {
		d, err := quick().Head(context.Background(), os.Getenv("REGISTRY_TEST_REFERENCE"))
		fmt.Println(d.Digest)
		return err
	},
	// push publishes the images of families with a journal, and kills itself once
	// so many lines are written.
	"push": func() error {
		j, err := OpenJournal(os.Getenv("REGISTRY_TEST_JOURNAL"))
		if err != nil {
			return err
		}
		if n, err := strconv.ParseInt(os.Getenv("REGISTRY_TEST_LINES"), 10, 64); err == nil {
			var written atomic.Int64
			j.tell = func(entry) {
				if written.Add(1) == n {
					syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
			}
		}
		var t errorTB
		size, err := strconv.Atoi(os.Getenv("REGISTRY_TEST_SIZE"))
		if err != nil {
			return err
		}
		images := families(&t, os.Getenv("REGISTRY_TEST_REFERENCE"), size)
		if _, err := NewPublisher(quick(), j, 0).Push(context.Background(), images, PushOptions{}); err != nil {
			return err
		}
		return j.Done()
	},
}

// errorTB lets another process use what tests make images with.
type errorTB struct{ testing.TB }

func (*errorTB) Helper()           {}
func (*errorTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// families are the same images in every process: two families of two images, one of
// which is an index, that share a layer.
func families(t testing.TB, prefix string, size int) []image.Image {
	t.Helper()
	same := func(seed uint64, n int) image.Blob {
		b := make([]byte, n)
		rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
		return blobOf(image.Gzip, append(b, prefix...)) // another content for each prefix
	}
	shared := same(1, size)
	return []image.Image{
		imageOf(t, prefix+"/one:a", "one", "amd64", shared, same(2, 100<<10)),
		imageOf(t, prefix+"/one:b", "one", "amd64", shared, same(3, 500)),
		imageOf(t, prefix+"/two:a", "two", "amd64", shared, same(4, 500)),
		indexOf(t, prefix+"/two:b", "two",
			imageOf(t, prefix+"/two:b-amd64", "", "amd64", shared, same(5, 500)),
			imageOf(t, prefix+"/two:b-arm64", "", "arm64", shared, same(6, 70<<10))),
	}
}

// start runs another process that pushes. lines is where it kills itself; 0 is
// nowhere.
func start(t *testing.T, prefix, journal string, size, lines int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REGISTRY_TEST_ROLE=push", "REGISTRY_TEST_REFERENCE="+prefix, "REGISTRY_TEST_JOURNAL="+journal, fmt.Sprintf("REGISTRY_TEST_SIZE=%d", size))
	if lines > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("REGISTRY_TEST_LINES=%d", lines))
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestKilledAtEachLine kills a run after each line of its journal.
func TestKilledAtEachLine(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	for lines := 1; ; lines++ {
		prefix := fmt.Sprintf("%s/l%d", px.host, lines)
		journal := filepath.Join(t.TempDir(), "journal")
		if err := start(t, prefix, journal, 1<<20, lines).Wait(); err == nil {
			if lines < 20 {
				t.Errorf("a run has only %d lines", lines)
			}
			return
		}
		wantResumed(t, px, prefix, journal, 1<<20)
	}
}

// TestKilledAtRequests kills a run when the registry is asked, and before and after
// it answers.
func TestKilledAtRequests(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	for at := 1; ; at += 5 {
		prefix := fmt.Sprintf("%s/r%d", px.host, at)
		journal := filepath.Join(t.TempDir(), "journal")
		var asked atomic.Int64
		running := make(chan *os.Process, 1)
		px.guarded(func(w http.ResponseWriter, r *http.Request) bool {
			if asked.Add(1) != int64(at) {
				return true
			}
			if at%2 == 0 { // it is done, and nobody will hear of it
				px.pass(httptest.NewRecorder(), r)
			}
			p := <-running
			p.Kill()
			return at%2 != 0
		})
		cmd := start(t, prefix, journal, large, 0)
		running <- cmd.Process
		err := cmd.Wait()
		px.guarded(nil)
		if err == nil {
			if at < 40 {
				t.Errorf("a run has only %d requests", at)
			}
			return
		}
		wantResumed(t, px, prefix, journal, large)
	}
}

// wantResumed checks what a killed run has left, and that the next one finishes it
// without sending again what was finished.
func wantResumed(t *testing.T, px *proxy, prefix, journal string, size int) {
	t.Helper()
	images := families(t, prefix, size)
	moved := map[string]bool{}
	for _, img := range images {
		if _, err := quick().Head(context.Background(), img.Reference); err == nil {
			moved[img.Family] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, img := range images {
		if moved[img.Family] { // so all of it must be there, if not by its tag
			r, err := quick().repository(img.Reference)
			if err != nil {
				t.Fatal(err)
			}
			wantWhole(t, quick(), r.String()+"@"+string(img.Digest), img)
		}
	}
	raw, err := os.ReadFile(journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // Done has removed it
		t.Fatal(err)
	}
	var finished []string
	for l := range strings.Lines(string(raw)) {
		var e entry
		if json.Unmarshal([]byte(l), &e) == nil && e.Did == "blob" {
			finished = append(finished, string(e.Digest))
		}
	}
	px.reset()
	if err := start(t, prefix, journal, size, 0).Wait(); err != nil {
		t.Fatalf("the second run: %v", err)
	}
	for _, d := range finished {
		if px.sentAgain(d) {
			t.Errorf("%s was sent again", d)
		}
	}
	for _, img := range images {
		wantThere(t, img)
	}
	if _, err := os.Stat(journal); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the journal of a run that is done is still there")
	}
}

func TestJournal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(file)
	if err != nil {
		t.Fatal(err)
	}
	if j.resumed() {
		t.Error("a new journal has a past")
	}
	if _, err := OpenJournal(file); !errors.Is(err, ErrJournalHeld) {
		t.Errorf("opened twice: %v", err)
	}
	r, err := quick().repository("localhost:5000/acme/x:a")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.blob(r, "sha256:one"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"did":"blob","repository":"localhost:5000/acme/x","digest":"sha256:tw`) // a torn line
	f.Close()
	for range 2 {
		if j, err = OpenJournal(file); err != nil {
			t.Fatal(err)
		}
		if !j.resumed() || !slices.Equal(j.where("sha256:one"), []string{r.String()}) || j.where("sha256:tw") != nil {
			t.Errorf("read %v", j.blobs)
		}
		if err := j.blob(r, "sha256:three"); err != nil {
			t.Fatal(err)
		}
		j.Close()
	}
	raw, err := os.ReadFile(file)
	if err != nil || strings.Count(string(raw), "\n") != 3 || strings.Contains(string(raw), "sha256:tw\"") {
		t.Errorf("%s %v", raw, err)
	}
}
