package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
)

// Publisher is registries as a target of images. It remembers for its whole life
// which repository has which blob: there is one for a run.
type Publisher struct {
	Client *Client
	// Journal remembers over an interruption; nil: nothing does. It is its opener
	// who closes it.
	Journal *Journal

	blobs *blobs
	slots chan struct{} // one for each blob that is brought

	mu        sync.Mutex
	tags      map[string]*tagList
	manifests map[string]bool // "repository@digest" that are there

	found, absent atomic.Int64 // tags that were asked for
}

var _ image.Target = (*Publisher)(nil)

// NewPublisher makes a publisher. jobs bounds the blobs that are sent at once, and
// so the files that are open; 0 is 16.
func NewPublisher(c *Client, j *Journal, jobs int) *Publisher {
	if jobs <= 0 {
		jobs = 16
	}
	return &Publisher{
		Client: c, Journal: j, blobs: newBlobs(), slots: make(chan struct{}, jobs),
		tags: map[string]*tagList{}, manifests: map[string]bool{},
	}
}

// Published is what is there under a reference: one HEAD if it still has the
// digest known, one GET otherwise, and nothing for a tag that the repository's
// list, which is read once others were absent, does not have.
func (p *Publisher) Published(ctx context.Context, reference string, known plan.Digest) (*image.Published, error) {
	r, ref, err := p.Client.named(reference)
	if err != nil {
		return nil, err
	}
	list := p.tagList(r)
	listFirst := known == "" && p.absent.Load() > p.found.Load()
	absent, done, err := list.lacks(ctx, ref.Identifier(), listFirst)
	if absent || err != nil {
		return nil, err
	}
	defer done()
	if known != "" {
		d, err := p.Client.Head(ctx, reference)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p.absent.Add(1)
			list.missed()
			return nil, nil
		case err != nil:
			return nil, err
		case d.Digest == known:
			p.found.Add(1)
			return &image.Published{Descriptor: d}, nil
		}
	}
	raw, d, err := p.Client.Manifest(ctx, reference)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.absent.Add(1)
		list.missed()
		return nil, nil
	case err != nil:
		return nil, err
	}
	p.found.Add(1)
	return &image.Published{Descriptor: d, Manifest: raw}, nil
}

// Put brings all that an image consists of into its repository: blobs, and the
// manifests of its children by digest. Its own manifest follows with Tag, which
// is one request less for an image that has no family to wait for.
func (p *Publisher) Put(ctx context.Context, img image.Image, progress func(image.Progress)) error {
	r, err := p.Client.repository(img.Reference)
	if err != nil {
		return err
	}
	return p.put(ctx, r, img, &meter{report: progress})
}

func (p *Publisher) put(ctx context.Context, r repository, img image.Image, m *meter) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, child := range img.Children {
		g.Go(func() error {
			if err := p.put(gctx, r, child, m); err != nil {
				return err
			}
			return p.manifest(gctx, r, child)
		})
	}
	seen := map[plan.Digest]bool{}
	for _, b := range img.Blobs {
		if !seen[b.Digest] { // an image may have a layer twice
			seen[b.Digest] = true
			g.Go(func() error { return p.ensure(gctx, r, b, m) })
		}
	}
	return g.Wait()
}

// Tag makes the references of a family stand for its images, which were Put. With
// several, all manifests are there by digest before the first tag moves.
func (p *Publisher) Tag(ctx context.Context, family []image.Image) error {
	var references []string
	repos := make([]repository, len(family))
	for i, img := range family {
		r, err := p.Client.repository(img.Reference)
		if err != nil {
			return err
		}
		repos[i] = r
		references = append(references, img.Reference)
	}
	if len(family) > 1 {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(cap(p.slots))
		for i, img := range family {
			g.Go(func() error { return p.manifest(gctx, repos[i], img) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if err := p.Journal.tag("tag", references); err != nil {
		return err
	}
	// One that fails does not stop the others: the fewer tags lag behind, the
	// better.
	var g errgroup.Group
	g.SetLimit(cap(p.slots))
	for i, img := range family {
		g.Go(func() error {
			_, ref, err := p.Client.named(img.Reference)
			if err != nil {
				return err
			}
			if err := p.putManifest(ctx, repos[i], img, ref.Identifier()); err != nil {
				return err
			}
			p.tagList(repos[i]).moved(ref.Identifier())
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return p.Journal.tag("tagged", references)
}

// manifest puts a manifest by its digest, once.
func (p *Publisher) manifest(ctx context.Context, r repository, img image.Image) error {
	key := r.String() + "@" + string(img.Digest)
	p.mu.Lock()
	there := p.manifests[key]
	p.mu.Unlock()
	if there {
		return nil
	}
	if err := p.putManifest(ctx, r, img, string(img.Digest)); err != nil {
		return err
	}
	p.mu.Lock()
	p.manifests[key] = true
	p.mu.Unlock()
	return p.Journal.manifest(r, img.Digest)
}

// putManifest puts a manifest under a tag or its digest. If the registry misses
// blobs that were thought to be there, they are brought, and it is put again.
func (p *Publisher) putManifest(ctx context.Context, r repository, img image.Image, as string) error {
	err := p.sendManifest(ctx, r, img, as)
	if e := mine(ctx, err); e != nil && e.blobsMissing() {
		p.mu.Lock()
		for _, child := range img.Children {
			delete(p.manifests, r.String()+"@"+string(child.Digest))
		}
		p.mu.Unlock()
		p.blobs.forget(r, img.Blobs)
		if err := p.put(ctx, r, img, &meter{}); err != nil {
			return err
		}
		err = p.sendManifest(ctx, r, img, as)
	}
	return err
}

func (p *Publisher) sendManifest(ctx context.Context, r repository, img image.Image, as string) error {
	sep := ":"
	if strings.Contains(as, ":") {
		sep = "@"
	}
	damaged := 0
	return p.Client.retry(ctx, r.host, "push "+r.String()+sep+as, func() (bool, error) {
		a, err := r.do(ctx, request{
			method: "PUT", url: r.url("manifests/" + as), scopes: r.push(), ok: []int{201, 200, 202, 204},
			header: map[string]string{"Content-Type": img.MediaType},
			body:   func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(img.Manifest)), nil },
			size:   int64(len(img.Manifest)),
		})
		if err != nil {
			if e := mine(ctx, err); e != nil && (e.Code == "DIGEST_INVALID" || e.Code == "MANIFEST_INVALID") {
				damaged++
				e.again = damaged == 1 // it may have been on the way
			}
			return false, err
		}
		if d := a.header.Get("Docker-Content-Digest"); d != "" && d != string(img.Digest) {
			return false, &Error{Kind: Corrupt, Host: r.shown, Message: "it took the manifest for " + line(d, 100)}
		}
		return false, nil
	})
}

// Tags are the references of a repository; none if it does not exist. The list is
// read once.
func (p *Publisher) Tags(ctx context.Context, repo string) ([]string, error) {
	r, err := p.Client.repository(repo)
	if err != nil {
		return nil, err
	}
	tags, err := p.tagList(r).list(ctx)
	references := make([]string, len(tags))
	for i, t := range tags {
		references[i] = repo + ":" + t
	}
	return references, err
}

// Content is a manifest or a blob of a repository; blobs that are larger than any
// config are refused.
func (p *Publisher) Content(ctx context.Context, repo string, d image.Descriptor) ([]byte, error) {
	if strings.Contains(d.MediaType, "manifest") || strings.Contains(d.MediaType, "index") {
		raw, _, err := p.Client.Manifest(ctx, repo+"@"+string(d.Digest))
		return raw, err
	}
	if d.Size <= 0 || d.Size > mostManifest {
		return nil, fmt.Errorf("read %s@%s: it has no size that a config has: %d bytes", repo, d.Digest, d.Size)
	}
	r, err := p.Client.Blob(ctx, repo, d.Digest, d.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
