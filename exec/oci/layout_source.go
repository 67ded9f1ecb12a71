package oci

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"canvos.dev/compile/plan"
	"canvos.dev/exec/image"
	"canvos.dev/exec/store"
)

// layout is an OCI image layout, in a directory or a tar archive.
type layout struct {
	open  func(name string) (io.ReadCloser, error)
	index index
}

// openLayout reads the list of a layout in a directory.
func openLayout(fsys fs.FS, dir string) (*layout, error) {
	if info, err := fs.Stat(fsys, dir); err != nil {
		return nil, missing(err, "there is no directory "+dir)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; an archive is named as oci-archive:%s", dir, dir)
	}
	return newLayout(func(name string) (io.ReadCloser, error) { return fsys.Open(path.Join(dir, name)) })
}

// openLayoutArchive reads the list of a layout in a tar archive. Its files are
// read where they lie.
func openLayoutArchive(fsys fs.FS, file string) (*layout, error) {
	files, err := indexTar(fsys, file)
	if err != nil {
		return nil, err
	}
	return newLayout(files.open)
}

func newLayout(open func(string) (io.ReadCloser, error)) (*layout, error) {
	l := &layout{open: open}
	r, err := open("index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is no OCI layout: it has no index.json")
	} else if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &l.index); err != nil {
		return nil, fmt.Errorf("its index.json is no JSON: %w", err)
	}
	return l, nil
}

func (l *layout) manifest(_ context.Context, name string) ([]byte, string, error) {
	var d image.Descriptor
	for _, m := range l.index.Manifests {
		if m.Annotations[refName] == name || string(m.Digest) == name {
			d = m
			break
		}
	}
	if d.Digest == "" {
		if !strings.HasPrefix(name, "sha256:") {
			return nil, "", fs.ErrNotExist
		}
		d = image.Descriptor{Digest: plan.Digest(name)} // below an index of the list
	}
	r, err := l.open(blobName(d.Digest))
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err != nil {
		return nil, "", err
	}
	if got := plan.DigestOf(raw); got != d.Digest {
		return nil, "", fmt.Errorf("%w: %s has the digest %s", store.ErrCorrupt, d.Digest, got)
	}
	if d.MediaType == "" {
		var m struct {
			MediaType string          `json:"mediaType"`
			Manifests json.RawMessage `json:"manifests"`
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, "", err
		}
		switch d.MediaType = m.MediaType; {
		case d.MediaType != "":
		case m.Manifests != nil:
			d.MediaType = image.Index
		default:
			d.MediaType = image.Manifest
		}
	}
	return raw, d.MediaType, nil
}

func (l *layout) blob(_ context.Context, d plan.Digest, _ int64) (io.ReadCloser, error) {
	return l.open(blobName(d))
}

func (l *layout) known() []string {
	var names []string
	for _, m := range l.index.Manifests {
		if n := m.Annotations[refName]; n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// blobName is the file of a blob in a layout.
func blobName(d plan.Digest) string {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	return "blobs/" + algorithm + "/" + hex
}

// tarFiles are the files of a tar archive, and where they lie in it.
type tarFiles struct {
	fsys  fs.FS
	file  string
	files map[string]span
}

type span struct{ at, size int64 }

func indexTar(fsys fs.FS, file string) (*tarFiles, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, missing(err, "there is no file "+file)
	}
	defer f.Close()
	s, ok := f.(io.ReadSeeker)
	if !ok {
		return nil, fmt.Errorf("%s cannot be read from any place but its beginning", file)
	}
	t := &tarFiles{fsys: fsys, file: file, files: map[string]span{}}
	links := map[string]string{}
	for tr := tar.NewReader(s); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no tar archive, or a damaged one: %w", err)
		}
		at, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		switch name := path.Clean(h.Name); h.Typeflag {
		case tar.TypeReg:
			t.files[name] = span{at, h.Size}
		case tar.TypeSymlink, tar.TypeLink: // docker save names a layer twice
			links[name] = path.Clean(h.Linkname)
			if h.Typeflag == tar.TypeSymlink {
				links[name] = path.Join(path.Dir(name), h.Linkname)
			}
		}
	}
	for name, target := range links {
		if s, ok := t.files[target]; ok {
			t.files[name] = s
		}
	}
	return t, nil
}

func (t *tarFiles) open(name string) (io.ReadCloser, error) {
	s, ok := t.files[path.Clean(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := t.fsys.Open(t.file)
	if err != nil {
		return nil, err
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		f.Close()
		return nil, fmt.Errorf("%s cannot be read from any place but its beginning", t.file)
	}
	return section{io.NewSectionReader(at, s.at, s.size), f}, nil
}

type section struct {
	io.Reader
	io.Closer
}

// missing words what the system says of a path that is not there.
func missing(err error, text string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s", text)
	}
	return err
}
