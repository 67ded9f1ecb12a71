// Package image is what engines make and targets take: images that are ready to
// be published, as plain data, and what is published already.
//
// It moves no bytes itself and knows no registries or files.
package image

import (
	"context"
	"io"

	"canvos.dev/compile/plan"
)

// Media types, as the OCI image specification names them.
const (
	Index    = "application/vnd.oci.image.index.v1+json"
	Manifest = "application/vnd.oci.image.manifest.v1+json"
	Config   = "application/vnd.oci.image.config.v1+json"
	Layer    = "application/vnd.oci.image.layer.v1.tar"
	Gzip     = "application/vnd.oci.image.layer.v1.tar+gzip"
	Zstd     = "application/vnd.oci.image.layer.v1.tar+zstd"
)

// Descriptor names content, as in manifests and indexes.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      plan.Digest       `json:"digest"`
	Size        int64             `json:"size"` // bytes
	Platform    *Platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Platform is what an image runs on.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

// Blob is content that an image refers to: its config or a layer.
type Blob struct {
	Descriptor
	// Open reads the content from its beginning; it may be called several times,
	// also at once. The reader fails, at the last byte at the latest, if the
	// content is not what Digest names.
	Open func(context.Context) (io.ReadCloser, error)
	// From are repositories that hold the content, such as
	// "docker.io/library/debian": a target in the same registry mounts it from
	// there without reading it.
	From []string
}

// Image is an image or index that is ready to be published.
type Image struct {
	Reference  string // complete: "docker.io/acme/ubuntu:k3s-1.30.4-v4.4.12-demo"; "" for Children
	Family     string // whose tags move together; "" for Children
	Descriptor        // of Manifest
	Manifest   []byte // of the image, or the index
	Blobs      []Blob // of an image: config first, then layers, lowest first; none of an index
	Children   []Image
}

// Published is what a target has under a reference.
type Published struct {
	Descriptor
	// Manifest is the image's or index's manifest; nil if only its digest was
	// asked for.
	Manifest []byte
}

// Target is where images are published. Its methods may be called at once from
// several goroutines.
type Target interface {
	// Published is what is there under a complete reference; nil if nothing is.
	// If it still has the digest known, which may be "", the manifest need not be
	// read.
	Published(ctx context.Context, reference string, known plan.Digest) (*Published, error)
	// Put makes all that an image consists of part of the target, without moving
	// its tag: blobs, then the manifests of Children by digest. Its own manifest may
	// wait for Tag. What is there already is not sent again. Progress is told by one
	// goroutine at a time, and may be negative: what was lost on the way is sent
	// again.
	Put(ctx context.Context, img Image, progress func(Progress)) error
	// Tag makes the references of images, all of one family, stand for what was
	// Put, together and as late as possible: manifests by digest first, if there are
	// several.
	Tag(ctx context.Context, family []Image) error
}

// Ahead is a target that a blob can be sent to while it is made, so that it is there
// when its image is Put.
type Ahead interface {
	// Ahead begins to send a blob into the repository of a reference, and closes b when
	// it needs it no more. nil: the target would rather have the blob once it is whole,
	// and b is the caller's.
	Ahead(ctx context.Context, reference string, b Unfinished) Sending
}

// Unfinished is a blob that is being made. Its content is not checked.
type Unfinished interface {
	// Wait waits until n bytes are made, and says how many there are. If they are
	// fewer, it is the whole blob.
	Wait(ctx context.Context, n int64) (size int64, err error)
	// ReadAt reads what is made.
	io.ReaderAt
	io.Closer
}

// Sending is a blob that is sent while it is made.
type Sending interface {
	// Finish says what the blob is, once it is whole. It does not wait for it to arrive:
	// a Put that needs the blob does, and sends it if it must.
	Finish(Blob)
	// End waits until the sending is over; of a blob that is not finished, it is given
	// up. It says what no Put has reported, since none needed the blob.
	End() Progress
}

// Progress is what a Put did since it last said so, in bytes.
type Progress struct {
	Uploaded int64 // sent
	Mounted  int64 // found there, or mounted from another repository
}
