package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"canvos.dev/exec/image"
)

// fleet is many images over one base, which the registry has in a repository of
// its own, and one layer that they share, each with a small layer of its own.
func fleet(t testing.TB, px *proxy, n int, reference func(i int) (reference, family string)) (base image.Image, images []image.Image) {
	t.Helper()
	bottom := blobOf(image.Gzip, noise(6<<20))
	base = imageOf(t, px.host+"/library/base:1", "base", "amd64", bottom)
	bottom.From = []string{px.host + "/library/base"}
	bottom.Open = failingOpen(fmt.Errorf("the base was read"))
	component := blobOf(image.Gzip, noise(1<<20))
	for i := range n {
		ref, family := reference(i)
		images = append(images, imageOf(t, ref, family, "amd64", bottom, component, blobOf(image.Gzip, noise(300))))
	}
	return base, images
}

const shared = 2 // layers of a fleet

func fleets(host string) map[string]func(i int) (string, string) {
	return map[string]func(i int) (string, string){
		"a repository each": func(i int) (string, string) { return fmt.Sprintf("%s/each/r%d:a", host, i), fmt.Sprint(i) },
		"one repository":    func(i int) (string, string) { return fmt.Sprintf("%s/one/r:v%d", host, i), "all" },
	}
}

// TestRequests counts what 200 images cost: nothing is asked that need not be, and
// each distinct blob is sent once.
func TestRequests(t *testing.T) {
	const n = 200
	px := startProxy(t, startRegistry(t, nil))
	ctx := context.Background()
	for name, reference := range fleets(px.host) {
		t.Run(name, func(t *testing.T) {
			base, images := fleet(t, px, n, reference)
			if _, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{base}, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			px.reset()
			if _, err := NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			total, up := px.sums()
			// A question about the tag, two requests for the config and for its own
			// layer, one for the manifest; a mount for each shared layer, or the
			// manifest by its digest first. The layer that is new to the registry
			// costs two more, once: is it there, and the upload in place of a mount.
			most := 6.1
			if name != "one repository" {
				most = 6 + shared + 2.0/n
			}
			_, distinct := bytesOf(images)
			distinct -= base.Blobs[1].Size // which the registry has
			for _, img := range images {
				distinct += int64(len(img.Manifest))
			}
			t.Logf("%.3f requests per image, %.3f of the distinct bytes sent", float64(total)/n, float64(up)/float64(distinct))
			if float64(total)/n > most {
				t.Errorf("%.3f requests per image: %v", float64(total)/n, px.counts)
			}
			if name == "one repository" {
				distinct *= 2 // manifests go by digest and by tag
			}
			if float64(up) > 1.05*float64(distinct) {
				t.Errorf("%d bytes sent of %d", up, distinct)
			}
			wantThere(t, image.Image{Reference: images[n-1].Reference, Descriptor: images[n-1].Descriptor, Manifest: images[n-1].Manifest})

			px.reset()
			begun := time.Now()
			if _, err := NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			total, up = px.sums()
			t.Logf("nothing to do: %.3f requests per image, %d bytes, %s", float64(total)/n, up, time.Since(begun))
			if float64(total)/n > 1.05 || up != 0 {
				t.Errorf("nothing to do: %v, %d bytes", px.counts, up)
			}
		})
	}
}

// TestRequestsOfNewLines is the same as plan and apply do it: they know of no
// digest, and look for other tags of the line of an image that is new.
func TestRequestsOfNewLines(t *testing.T) {
	const n = 200
	px := startProxy(t, startRegistry(t, nil))
	base, images := fleet(t, px, n, fleets(px.host)["a repository each"])
	ctx := context.Background()
	if _, err := NewPublisher(quick(), nil, 0).Push(ctx, []image.Image{base}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	px.reset()
	p := NewPublisher(quick(), nil, 0)
	g := errgroup.Group{}
	g.SetLimit(8)
	for _, img := range images {
		g.Go(func() error {
			if pub, err := p.Published(ctx, img.Reference, ""); err != nil || pub != nil {
				return fmt.Errorf("%s: %v, %w", img.Reference, pub, err)
			}
			repo, _, _ := strings.Cut(img.Reference, ":a")
			if tags, err := p.Tags(ctx, repo); err != nil || len(tags) != 0 {
				return fmt.Errorf("%s: %q, %w", repo, tags, err)
			}
			if err := p.Put(ctx, img, nil); err != nil {
				return err
			}
			if err := p.Tag(ctx, []image.Image{img}); err != nil {
				return err
			}
			if tags, err := p.Tags(ctx, repo); err != nil || !slices.Equal(tags, []string{img.Reference}) {
				return fmt.Errorf("%s: %q, %w", repo, tags, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	total, _ := px.sums()
	t.Logf("%.3f requests per image", float64(total)/n)
	if float64(total)/n > 6+shared+0.1 {
		t.Errorf("%.3f requests per image: %v", float64(total)/n, px.counts)
	}
	px.reset()
	p = NewPublisher(quick(), nil, 0)
	for _, img := range images { // from another machine, which knows nothing
		if pub, err := p.Published(ctx, img.Reference, ""); err != nil || pub == nil || pub.Digest != img.Digest {
			t.Fatalf("%s: %v, %v", img.Reference, pub, err)
		}
	}
	if total, _ := px.sums(); total != n {
		t.Errorf("%d requests for %d images that are there", total, n)
	}
}

// TestBusyRegistry is one that serves three at once and turns all others away.
func TestBusyRegistry(t *testing.T) {
	px := startProxy(t, startRegistry(t, nil))
	var now, away atomic.Int64
	px.guard = func(w http.ResponseWriter, r *http.Request) bool {
		defer now.Add(-1)
		if now.Add(1) > 3 {
			away.Add(1)
			w.WriteHeader(429)
			return false
		}
		px.pass(w, r)
		return false
	}
	base, images := fleet(t, px, 60, fleets(px.host)["a repository each"])
	c := quick()
	c.Limits.Pause = 20 * time.Millisecond
	for _, list := range [][]image.Image{{base}, images} {
		if _, err := NewPublisher(c, nil, 0).Push(context.Background(), list, PushOptions{Jobs: 60}); err != nil {
			t.Fatal(err)
		}
	}
	total, _ := px.sums()
	t.Logf("%d of %d turned away", away.Load(), total)
	if away.Load() == 0 || away.Load() > int64(total)/3 {
		t.Errorf("%d of %d requests were turned away", away.Load(), total)
	}
}

// BenchmarkPush compares a fleet of 50 with what go-containerregistry makes of it,
// in one registry. Below 1 is better.
func BenchmarkPush(b *testing.B) {
	const n = 50
	px := startProxy(b, startRegistry(b, nil))
	ctx := context.Background()
	var took, requests, sent [2]float64
	round := 0
	for b.Loop() {
		round++
		for who := range 2 {
			_, images := fleet(b, px, n, func(i int) (string, string) {
				return fmt.Sprintf("%s/bench%d-%d/r%d:a", px.host, round, who, i), fmt.Sprint(i)
			})
			bottom := noise(6 << 20)
			for i := range images {
				images[i].Blobs[1] = blobOf(image.Gzip, bottom)
				l := images[i].Blobs[1:]
				images[i] = imageOf(b, images[i].Reference, images[i].Family, "amd64", l...)
			}
			px.reset()
			begun := time.Now()
			var err error
			if who == 0 {
				_, err = NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{})
			} else {
				err = libraryPush(ctx, images)
			}
			if err != nil {
				b.Fatal(err)
			}
			total, up := px.sums()
			took[who] += time.Since(begun).Seconds()
			requests[who] += float64(total)
			sent[who] += float64(up)
		}
	}
	b.ReportMetric(took[0]/took[1], "time-ratio")
	b.ReportMetric(requests[0]/requests[1], "request-ratio")
	b.ReportMetric(sent[0]/sent[1], "byte-ratio")
}

// BenchmarkUnchanged is a fleet that is published already: ratio to as many bare
// HEADs over one connection each.
func BenchmarkUnchanged(b *testing.B) {
	const n = 200
	px := startProxy(b, startRegistry(b, nil))
	ctx := context.Background()
	_, images := fleet(b, px, n, fleets(px.host)["one repository"])
	for i := range images {
		images[i] = imageOf(b, images[i].Reference, "all", "amd64", images[i].Blobs[2:]...)
	}
	if _, err := NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{}); err != nil {
		b.Fatal(err)
	}
	var ours, bare time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := NewPublisher(quick(), nil, 0).Push(ctx, images, PushOptions{}); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begun)
		begun = time.Now()
		for _, img := range images {
			repo, tag, _ := strings.Cut(strings.TrimPrefix(img.Reference, px.host), ":")
			resp, err := http.Head(px.URL + "/v2" + repo + "/manifests/" + tag)
			if err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
		bare += time.Since(begun)
	}
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "time-ratio")
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/200-images")
}

// BenchmarkBigBlob compares the upload of one blob with the three requests that it
// takes, by net/http alone.
func BenchmarkBigBlob(b *testing.B) {
	host := startRegistry(b, nil)
	ctx := context.Background()
	var ours, bare time.Duration
	seed := byte(0)
	for b.Loop() {
		seed += 2
		one, other := stream(seed, 256<<20), stream(seed+1, 256<<20)
		begun := time.Now()
		if err := NewPublisher(quick(), nil, 0).Put(ctx, image.Image{Reference: host + "/acme/ours:a", Blobs: []image.Blob{one}}, nil); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begun)
		begun = time.Now()
		at := "http://" + host + "/v2/acme/bare/blobs/uploads/"
		for _, method := range []string{"POST", "PATCH", "PUT"} {
			var body io.Reader
			if method == "PATCH" {
				body, _ = other.Open(ctx)
			} else if method == "PUT" {
				at += "&digest=" + string(other.Digest)
			}
			req, err := http.NewRequestWithContext(ctx, method, at, body)
			if err != nil {
				b.Fatal(err)
			}
			if body != nil {
				req.ContentLength = other.Size
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil || resp.StatusCode > 299 {
				b.Fatal(resp, err)
			}
			resp.Body.Close()
			at = resp.Header.Get("Location")
		}
		bare += time.Since(begun)
	}
	b.SetBytes(256 << 20)
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "time-ratio")
}

// libraryPush is the same by go-containerregistry's Pusher.
func libraryPush(ctx context.Context, images []image.Image) error {
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithJobs(8))
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, img := range images {
		g.Go(func() error {
			ref, err := name.ParseReference(img.Reference)
			if err != nil {
				return err
			}
			for _, b := range img.Blobs {
				r, err := b.Open(ctx)
				if err != nil {
					return err
				}
				raw, err := io.ReadAll(r)
				if err != nil {
					return err
				}
				if err := pusher.Upload(ctx, ref.Context(), static.NewLayer(raw, types.OCILayer)); err != nil {
					return err
				}
			}
			return pusher.Push(ctx, ref, rawManifest{img})
		})
	}
	return g.Wait()
}

type rawManifest struct{ img image.Image }

func (m rawManifest) RawManifest() ([]byte, error) { return m.img.Manifest, nil }
func (m rawManifest) MediaType() (types.MediaType, error) {
	return types.MediaType(m.img.MediaType), nil
}
func (m rawManifest) Digest() (v1.Hash, error) { return v1.NewHash(string(m.img.Digest)) }
func (m rawManifest) Size() (int64, error)     { return m.img.Size, nil }
