package registry

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
)

// tagList is what is known of a repository's tags. Of hundreds of images that are
// all new, asking for each costs many requests; so the first question about a
// repository goes alone, and once a tag was absent, the list of all is read, and
// only those in it are asked for. Where most tags were absent, in other
// repositories, the list is the first question.
type tagList struct {
	c *Client
	r repository

	gate  chan struct{} // whoever holds it may use what follows
	begun bool
	miss  atomic.Bool // a tag was absent
	read  bool
	names map[string]bool // nil: the list cannot be had, or is too long to read
	all   []string        // names, in the registry's order; nil before the list was wanted
}

// mostPages is the length, in thousands of tags, up to which reading a list is
// cheaper than asking for single tags.
const mostPages = 4

func (p *Publisher) tagList(r repository) *tagList {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tags[r.String()] == nil {
		p.tags[r.String()] = &tagList{c: p.Client, r: r, gate: make(chan struct{}, 1)}
	}
	return p.tags[r.String()]
}

// lacks says whether a tag is certainly absent. If it is not, done is called once
// the registry was asked for it.
func (l *tagList) lacks(ctx context.Context, tag string, listFirst bool) (absent bool, done func(), err error) {
	if strings.Contains(tag, ":") { // a digest
		return false, func() {}, nil
	}
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return false, nil, context.Cause(ctx)
	}
	leave := func() { <-l.gate }
	if !l.begun && !listFirst {
		l.begun = true
		return false, leave, nil
	}
	defer leave()
	if (l.miss.Load() || listFirst) && !l.read {
		if err := l.load(ctx); err != nil {
			return false, nil, err
		}
	}
	return l.names != nil && !l.names[tag], func() {}, nil
}

func (l *tagList) load(ctx context.Context) error {
	tags, all, err := l.c.tags(ctx, l.r.String(), mostPages)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		all = true // there is no repository yet
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	}
	l.read = true
	if all {
		l.keep(tags)
	}
	return nil
}

func (l *tagList) keep(tags []string) {
	l.read, l.all, l.names = true, tags, map[string]bool{}
	for _, t := range tags {
		l.names[t] = true
	}
}

// list is the whole list, however long.
func (l *tagList) list(ctx context.Context) ([]string, error) {
	select {
	case l.gate <- struct{}{}:
		defer func() { <-l.gate }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.names == nil {
		tags, _, err := l.c.tags(ctx, l.r.String(), -1)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the first push makes it
			return nil, err
		}
		l.keep(tags)
	}
	return slices.Clone(l.all), nil
}

// missed says that a tag was absent. It is called before done.
func (l *tagList) missed() { l.miss.Store(true) }

// moved says that a tag is there now.
func (l *tagList) moved(tag string) {
	l.gate <- struct{}{}
	defer func() { <-l.gate }()
	if l.names != nil && !l.names[tag] {
		l.names[tag] = true
		l.all = append(l.all, tag)
	}
}
