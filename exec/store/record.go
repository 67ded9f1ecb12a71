package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"

	"canvos.dev/compile/plan"
)

// LayerRecord is all that is needed to put a layer into an image, without
// reading the layer.
type LayerRecord struct {
	DiffID    plan.Digest `json:"diffID"` // of the tar archive
	Digest    plan.Digest `json:"digest"` // of the blob
	Size      int64       `json:"size"`   // of the blob
	RawSize   int64       `json:"rawSize"`
	MediaType string      `json:"mediaType"`
}

// Layer finds the layer that was made for key, if its record is sound and its
// blob is there. An empty record is one too: the step changed nothing.
func (s *Store) Layer(key string) (LayerRecord, bool) {
	var r LayerRecord
	if !s.Record(key, &r) {
		return LayerRecord{}, false
	}
	if r.Digest == "" {
		return r, true
	}
	if !s.Has(r.Digest, r.Size) {
		return LayerRecord{}, false
	}
	file, _ := s.blob(r.Digest)
	used(file)
	return r, true
}

// PutLayer records the layer of key. Its blob must have been committed.
func (s *Store) PutLayer(key string, r LayerRecord) error { return s.PutRecord(key, r) }

// Record reads the value recorded under key into v. A record that is damaged, or
// does not fit v, is as good as absent.
func (s *Store) Record(key string, v any) bool {
	file := s.named("records", key)
	b, ok := readSealed(file)
	if !ok {
		return false
	}
	var r record
	if json.Unmarshal(b, &r) != nil || r.Key != key || json.Unmarshal(r.Value, v) != nil {
		return false
	}
	used(file)
	return true
}

// PutRecord records v, which must survive encoding/json, under key.
func (s *Store) PutRecord(key string, v any) error {
	value, err := json.Marshal(v)
	if err == nil {
		value, err = json.Marshal(record{key, value})
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	if err := s.putSealed(s.named("records", key), value, true); err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	return nil
}

type record struct {
	Key   string          `json:"key"` // for people, and against a collision of names
	Value json.RawMessage `json:"value"`
}

// Contents is the table of contents that was kept for a layer.
func (s *Store) Contents(layer plan.Digest) ([]byte, bool) {
	file, err := s.contents(layer)
	if err != nil {
		return nil, false
	}
	b, ok := readSealed(file)
	if ok {
		used(file)
	}
	return b, ok
}

// PutContents keeps the table of contents of a layer. It may be lost in a power
// cut, since it can be made again.
func (s *Store) PutContents(layer plan.Digest, b []byte) error {
	file, err := s.contents(layer)
	if err != nil {
		return err
	}
	return s.putSealed(file, b, false)
}

// ContentsWriter writes the table of contents of a layer whose digest is not known
// yet. Until Commit it is a temporary file; Abort after Commit does nothing.
type ContentsWriter struct{ sealed }

// CreateContents begins a table of contents.
func (s *Store) CreateContents() (*ContentsWriter, error) {
	f, err := s.createSealed()
	return &ContentsWriter{f}, err
}

// Commit keeps the table, as PutContents does.
func (w *ContentsWriter) Commit(layer plan.Digest) error {
	file, err := w.s.contents(layer)
	if err != nil {
		return err
	}
	return w.commit(file, false)
}

func (s *Store) contents(layer plan.Digest) (string, error) {
	h, err := hexOf(layer)
	return filepath.Join(s.dir, "contents", h), err
}

func (s *Store) named(dir, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, dir, hex.EncodeToString(sum[:]))
}

// sealed writes a file that begins with the SHA-256 of the rest, in hexadecimal, on
// a line of its own.
type sealed struct {
	s    *Store
	f    *os.File
	buf  *bufio.Writer
	hash hash.Hash
	done bool
}

func (s *Store) createSealed() (sealed, error) {
	f, err := s.temp()
	if err != nil {
		return sealed{}, err
	}
	w := sealed{s: s, f: f, buf: bufio.NewWriter(f), hash: sha256.New()}
	w.buf.Write(w.seal()) // which fits; what it says follows
	return w, nil
}

// seal is as long whatever has been written.
func (w *sealed) seal() []byte { return append(hex.AppendEncode(nil, w.hash.Sum(nil)), '\n') }

// Write appends to the file.
func (w *sealed) Write(p []byte) (int, error) {
	w.hash.Write(p)
	n, err := w.buf.Write(p)
	return n, w.s.explain(err)
}

func (w *sealed) commit(dst string, durable bool) error {
	err := w.buf.Flush()
	if err == nil {
		_, err = w.f.WriteAt(w.seal(), 0)
	}
	if err != nil {
		return w.s.explain(err)
	}
	w.done = true
	return w.s.publish(w.f, dst, durable)
}

// Abort throws away what was written.
func (w *sealed) Abort() {
	if !w.done {
		w.done = true
		os.Remove(w.f.Name())
		w.f.Close()
	}
}

func (s *Store) putSealed(dst string, b []byte, durable bool) error {
	w, err := s.createSealed()
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.commit(dst, durable)
}

func readSealed(file string) ([]byte, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	seal, rest, ok := bytes.Cut(b, []byte("\n"))
	sum := sha256.Sum256(rest)
	if !ok || string(seal) != hex.EncodeToString(sum[:]) {
		os.Remove(file)
		return nil, false
	}
	return rest, true
}
