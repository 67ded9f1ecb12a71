// Package git reads revisions of a repository, and what git knows of its work
// tree, through the git program, as file trees. It touches neither work tree nor
// index, writes nothing, and fetches nothing: what a shallow or partial clone lacks
// is an error that says so.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// Repo is a repository, bare or not.
type Repo struct {
	dir string // where git is run
	// Root is the absolute path of the work tree; empty in a bare repository.
	Root string
	// Prefix is the slash-separated path from Root to the directory that Open
	// was given; "" at the root.
	Prefix string

	mu    sync.Mutex
	there map[string]checkedOut // nil until it is known
}

// Open finds the repository that dir lies in.
func Open(ctx context.Context, dir string) (*Repo, error) {
	r := &Repo{dir: dir}
	bare, err := r.run(ctx, "rev-parse", "--is-bare-repository")
	if err != nil {
		return nil, err
	}
	if bare == "true" {
		return r, nil
	}
	if r.Root, err = r.run(ctx, "rev-parse", "--show-toplevel"); err != nil {
		return nil, err
	}
	prefix, err := r.run(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, err
	}
	r.Prefix = strings.TrimSuffix(prefix, "/")
	return r, nil
}

// Commit resolves a revision to the full name of its commit. An unknown one in
// a shallow clone is a *HistoryError.
func (r *Repo) Commit(ctx context.Context, rev string) (string, error) {
	// A name that begins with "-" would be an option; --end-of-options is not
	// understood by every version's rev-parse --verify.
	if strings.HasPrefix(rev, "-") {
		return "", fmt.Errorf("%q is no revision", rev)
	}
	id, err := r.run(ctx, "rev-parse", "--verify", "--quiet", rev+"^{commit}")
	if err == nil {
		return id, nil
	}
	if errors.Is(err, exec.ErrNotFound) || ctx.Err() != nil {
		return "", err
	}
	if r.shallow(ctx) {
		return "", &HistoryError{Rev: rev}
	}
	return "", fmt.Errorf("unknown revision %q", rev)
}

// MergeBase is the newest commit that a and b both come from.
func (r *Repo) MergeBase(ctx context.Context, a, b string) (string, error) {
	for _, rev := range []string{a, b} {
		if _, err := r.Commit(ctx, rev); err != nil {
			return "", err
		}
	}
	id, err := r.run(ctx, "merge-base", a, b)
	if err == nil {
		return id, nil
	}
	if r.shallow(ctx) {
		return "", &HistoryError{Rev: a + "..." + b}
	}
	return "", fmt.Errorf("%s and %s have no common history", a, b)
}

// Upstream is the branch that the current one will be merged into, as far as that
// can be told: the one it follows, such as "origin/main"; else the remote's default
// branch, or its main or master; "" if there is none. A remote branch of the
// current one's name is its own copy, and nothing is merged into that.
func (r *Repo) Upstream(ctx context.Context) string {
	current, err := r.run(ctx, "symbolic-ref", "--quiet", "--short", "HEAD")
	detached := err != nil
	for _, rev := range []string{"@{upstream}", "refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master"} {
		name, err := r.run(ctx, "rev-parse", "--verify", "--quiet", "--abbrev-ref", rev)
		if err != nil || name == "" || rev == "@{upstream}" && !detached && strings.HasSuffix(name, "/"+current) {
			continue
		}
		return name
	}
	return ""
}

// Renames lists the files that git takes for renamed between two commits: old
// path to new path.
func (r *Repo) Renames(ctx context.Context, from, to string) (map[string]string, error) {
	out, err := r.raw(ctx, "diff-tree", "-r", "-z", "-M", "--diff-filter=R", "--name-status", "--no-commit-id", from, to)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	renames := map[string]string{}
	for i := 0; i+2 < len(fields); i += 3 {
		renames[fields[i+1]] = fields[i+2]
	}
	return renames, nil
}

// HistoryError says that a revision is not in a clone that lacks history.
type HistoryError struct{ Rev string }

func (e *HistoryError) Error() string {
	return fmt.Sprintf("%s is not in this shallow clone: fetch it first (git fetch --unshallow, or fetch-depth: 0 in actions/checkout, GIT_DEPTH: 0 in GitLab)", e.Rev)
}

func (r *Repo) shallow(ctx context.Context) bool {
	s, err := r.run(ctx, "rev-parse", "--is-shallow-repository")
	return err == nil && s == "true"
}

func (r *Repo) run(ctx context.Context, args ...string) (string, error) {
	out, err := r.raw(ctx, args...)
	return strings.TrimRight(string(out), "\n"), err
}

func (r *Repo) raw(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("git is needed to read revisions: %w", err)
	}
	if err != nil {
		text := strings.TrimPrefix(strings.TrimSpace(errText.String()), "fatal: ")
		if text == "" {
			text = err.Error()
		}
		return nil, fmt.Errorf("git %s: %s", args[0], text)
	}
	return out, nil
}

func (r *Repo) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.dir, "--no-replace-objects", "--literal-pathspecs"}, args...)...)
	// No lock is taken for the sake of an index that is not written, nothing is
	// fetched into a partial clone (by protocol where git is older than 2.44),
	// messages are the untranslated ones.
	cmd.Env = append(cmd.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "LC_ALL=C")
	return cmd
}
