package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	h, err := hexOf(layer)
	if err != nil {
		return nil, false
	}
	file := filepath.Join(s.dir, "contents", h)
	b, ok := readSealed(file)
	if ok {
		used(file)
	}
	return b, ok
}

// PutContents keeps the table of contents of a layer. It may be lost in a power
// cut, since it can be made again.
func (s *Store) PutContents(layer plan.Digest, b []byte) error {
	h, err := hexOf(layer)
	if err != nil {
		return err
	}
	return s.putSealed(filepath.Join(s.dir, "contents", h), b, false)
}

func (s *Store) named(dir, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, dir, hex.EncodeToString(sum[:]))
}

// A sealed file begins with the SHA-256 of the rest, in hexadecimal, on a line
// of its own.
func (s *Store) putSealed(dst string, b []byte, durable bool) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	if _, err = f.Write(append(hex.AppendEncode(nil, sum[:]), '\n')); err == nil {
		_, err = f.Write(b)
	}
	if err != nil {
		os.Remove(f.Name())
		f.Close()
		return s.explain(err)
	}
	return s.publish(f, dst, durable)
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
