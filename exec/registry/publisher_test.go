package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	library "github.com/google/go-containerregistry/pkg/registry"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// registries are the ones that everything has to work with.
func registries(t *testing.T, f func(t *testing.T, host string)) {
	t.Run("docker-registry", func(t *testing.T) { f(t, startRegistry(t, nil)) })
	t.Run("in process", func(t *testing.T) {
		s := httptest.NewServer(library.New(library.Logger(log.New(discard{}, "", 0))))
		t.Cleanup(s.Close)
		f(t, strings.TrimPrefix(s.URL, "http://"))
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestPush(t *testing.T) {
	registries(t, func(t *testing.T, host string) {
		ctx := context.Background()
		shared := blobOf(image.Gzip, noise(100<<10))
		big := blobOf(image.Gzip, noise(20<<20))
		images := []image.Image{
			imageOf(t, host+"/acme/one:a", "one", "amd64", shared, big),
			imageOf(t, host+"/acme/one:b", "one", "amd64", shared, blobOf(image.Gzip, noise(10)), shared),
			indexOf(t, host+"/acme/two:a", "two",
				imageOf(t, "", "", "amd64", shared),
				imageOf(t, "", "", "arm64", shared, blobOf(image.Gzip, nil))),
		}
		var sum image.Progress
		p := NewPublisher(quick(), nil, 0)
		results, err := p.Push(ctx, images, PushOptions{Progress: summed(&sum)})
		if err != nil {
			t.Fatal(err)
		}
		for i, img := range images {
			if results[i].Err != nil || results[i].Unchanged || results[i].Digest != img.Digest || results[i].Reference != img.Reference {
				t.Errorf("result %+v", results[i])
			}
			wantThere(t, img)
		}
		all, distinct := bytesOf(images)
		if sum.Uploaded != distinct || sum.Uploaded+sum.Mounted != all {
			t.Errorf("uploaded %d and mounted %d of %d bytes, %d distinct", sum.Uploaded, sum.Mounted, all, distinct)
		}

		results, err = NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if !r.Unchanged || r.Err != nil {
				t.Errorf("again: %+v", r)
			}
		}
		tags, err := quick().Tags(ctx, host+"/acme/one")
		slices.Sort(tags)
		if err != nil || !slices.Equal(tags, []string{"a", "b"}) {
			t.Errorf("tags %q, %v", tags, err)
		}
		for _, img := range images {
			if out, err := exec.Command("skopeo", "inspect", "--tls-verify=false", "--raw", "docker://"+img.Reference).CombinedOutput(); err != nil || string(out) != string(img.Manifest) {
				t.Errorf("skopeo inspect %s: %v\n%s", img.Reference, err, out)
			}
		}
	})
}

// bytesOf is what images consist of: each blob of each image, and each distinct.
func bytesOf(images []image.Image) (all, distinct int64) {
	seen := map[string]bool{}
	for _, img := range images {
		leaves := append([]image.Image{img}, img.Children...)
		for _, l := range leaves {
			here := map[string]bool{}
			for _, b := range l.Blobs {
				if !here[string(b.Digest)] {
					here[string(b.Digest)] = true
					all += b.Size
				}
				if !seen[string(b.Digest)] {
					seen[string(b.Digest)] = true
					distinct += b.Size
				}
			}
		}
	}
	return all, distinct
}

func TestPublished(t *testing.T) {
	registries(t, func(t *testing.T, host string) {
		ctx := context.Background()
		px := startProxy(t, host)
		img := imageOf(t, px.host+"/acme/x:one", "x", "amd64", blobOf(image.Gzip, noise(100)))
		p := NewPublisher(quick(), nil, 0)
		for _, tag := range []string{"one", "two", "three"} {
			got, err := p.Published(ctx, px.host+"/acme/x:"+tag, "")
			if got != nil || err != nil {
				t.Fatalf("%s before it is pushed: %+v, %v", tag, got, err)
			}
		}
		if total, _ := px.sums(); total != 2 { // one tag, and the list
			t.Errorf("%d requests for three absent tags: %v", total, px.counts)
		}
		if err := p.Put(ctx, img, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Tag(ctx, []image.Image{img}); err != nil {
			t.Fatal(err)
		}
		px.reset()
		got, err := p.Published(ctx, img.Reference, img.Digest)
		if err != nil || got == nil || got.Digest != img.Digest || got.Manifest != nil {
			t.Errorf("known: %+v, %v", got, err)
		}
		got, err = p.Published(ctx, img.Reference, "")
		if err != nil || got == nil || got.Digest != img.Digest || string(got.Manifest) != string(img.Manifest) || got.MediaType != image.Manifest {
			t.Errorf("not known: %+v, %v", got, err)
		}
		if total, _ := px.sums(); total != 2 || px.counts["HEAD manifest"] != 1 || px.counts["GET manifest"] != 1 {
			t.Errorf("requests: %v", px.counts)
		}
		got, err = p.Published(ctx, img.Reference, plan.Digest(fmt.Sprintf("sha256:%064d", 0)))
		if err != nil || got == nil || got.Manifest == nil {
			t.Errorf("another digest: %+v, %v", got, err)
		}
	})
}

func TestFamiliesMoveTogether(t *testing.T) {
	host := startRegistry(t, nil)
	px := startProxy(t, host)
	ctx := context.Background()
	broken := blobOf(image.Gzip, noise(1000))
	boom := errors.New("the disk is on fire")
	broken.Open = failingOpen(boom)
	images := []image.Image{
		imageOf(t, px.host+"/acme/bad:a", "bad", "amd64", blobOf(image.Gzip, noise(1000))),
		imageOf(t, px.host+"/acme/bad:b", "bad", "amd64", broken),
		imageOf(t, px.host+"/acme/good:a", "good", "amd64", blobOf(image.Gzip, noise(1000))),
		imageOf(t, px.host+"/acme/good:b", "good", "amd64", blobOf(image.Gzip, noise(1000))),
	}
	results, err := NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{KeepGoing: true})
	if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "publish bad: ") {
		t.Errorf("error %v", err)
	}
	if !errors.Is(results[0].Err, ErrSkipped) || !errors.Is(results[1].Err, boom) || results[2].Err != nil || results[3].Err != nil {
		t.Errorf("results %+v", results)
	}
	for _, img := range images[:2] {
		if _, err := quick().Head(ctx, img.Reference); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, though its family failed", img.Reference, err)
		}
	}
	wantThere(t, images[2])
	wantThere(t, images[3])
}

// TestManifestsBeforeTags checks the order: no tag of a family moves before all
// its manifests are there by digest.
func TestManifestsBeforeTags(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	ctx := context.Background()
	var images []image.Image
	for i := range 5 {
		images = append(images, imageOf(t, fmt.Sprintf("%s/acme/f:v%d", px.host, i), "f", "amd64", blobOf(image.Gzip, noise(1000))))
	}
	p := NewPublisher(quick(), nil, 0)
	for _, img := range images {
		if err := p.Put(ctx, img, nil); err != nil {
			t.Fatal(err)
		}
	}
	px.reset()
	px.hurt("PUT manifest", 5, func(p *proxy, w httpWriter, r *httpRequest) {
		if !strings.Contains(r.URL.Path, "/manifests/sha256:") {
			t.Errorf("%s among the first five", r.URL.Path)
		}
		p.pass(w, r)
	})
	if err := p.Tag(ctx, images); err != nil {
		t.Fatal(err)
	}
	if n := px.count("PUT manifest"); n != 10 {
		t.Errorf("%d manifests put", n)
	}
}
