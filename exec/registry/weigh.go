package registry

import (
	"context"

	"canvos.dev/exec/image"
)

// Weigh is how many bytes of a blob Put would send into a repository. sure is
// false if it may come to less or more: what another repository of the registry
// has is mounted from there, if the registry does that; and one that gives no
// answer may have the blob all the same.
func (p *Publisher) Weigh(ctx context.Context, repo string, b image.Blob) (send int64, sure bool, err error) {
	r, err := p.Client.repository(repo)
	if err != nil {
		return 0, false, err
	}
	for _, from := range b.From {
		if o, err := p.Client.repository(from); err == nil && o.name == r.name {
			return 0, o.path == r.path, nil
		}
	}
	if b.Size < small {
		return b.Size, true, nil // sent without a question
	}
	found, sure := false, true
	err = p.Client.retry(ctx, r.host, "ask for blob "+string(b.Digest)+" in "+r.String(), func() (bool, error) {
		var err error
		found, err = r.hasFor(ctx, b.Digest, r.pull())
		return false, err
	})
	switch {
	case ctx.Err() != nil:
		return 0, false, context.Cause(ctx)
	case err != nil:
		sure = false
	}
	if found {
		return 0, sure, nil
	}
	return b.Size, sure, nil
}
