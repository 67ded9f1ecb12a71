package rootfs

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

const (
	gzipBlock  = 1 << 20
	gzipLevel  = 6
	gzipTail   = 16 << 10
	gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" // deflate; no name, no time, no system
)

// gzipWriter writes one gzip stream (RFC 1952) whose blocks each know the end of
// the one before. Its bytes are those of github.com/klauspost/pgzip, which needs
// half as much memory again.
type gzipWriter struct {
	blockWriter
	crc  uint32
	size uint32
}

func newGzipWriter() *gzipWriter {
	return &gzipWriter{blockWriter: blockWriter{size: gzipBlock, tail: gzipTail}}
}

func (g *gzipWriter) begin(w io.Writer, size int64, cores int) error {
	g.crc, g.size = 0, 0
	if _, err := io.WriteString(w, gzipHeader); err != nil {
		return err
	}
	return g.blockWriter.begin(w, size, cores, newDeflater)
}

func (g *gzipWriter) Write(p []byte) (int, error) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, p)
	g.size += uint32(len(p))
	return g.blockWriter.Write(p)
}

// Close ends the stream, and all that works for it.
func (g *gzipWriter) Close() error {
	w := g.w
	if err := g.end(); err != nil {
		return err
	}
	_, err := w.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, g.crc), g.size))
	return err
}

type deflater struct{ z *flate.Writer }

func newDeflater() (blockCompressor, error) {
	z, err := flate.NewWriterDict(io.Discard, gzipLevel, nil)
	return deflater{z}, err
}

func (d deflater) compress(b *block) error {
	d.z.ResetDict(&b.out, b.tail)
	if _, err := d.z.Write(b.in); err != nil {
		return err
	}
	if err := d.z.Flush(); err != nil || !b.last {
		return err
	}
	return d.z.Close()
}
