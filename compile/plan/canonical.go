package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Canonical is the one JSON form of a value: keys of maps sorted, struct fields
// in their order, no HTML escapes, no spaces, no newline at the end.
func Canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write canonical JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DigestOf is the SHA-256 of b.
func DigestOf(b []byte) Digest {
	h := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(h[:]))
}

// Identify sets the ID of a step: the digest of the canonical JSON of recipe
// version, format version, needs and operation, in that order.
func (s *Step) Identify(recipe, format int) error {
	b, err := Canonical(struct {
		Recipe int      `json:"recipe"`
		Format int      `json:"format"`
		Needs  []Digest `json:"needs"`
		Op     Op       `json:"op"`
	}{recipe, format, s.Needs, s.Op})
	if err != nil {
		return fmt.Errorf("identify step %s: %w", s.Name, err)
	}
	s.ID = DigestOf(b)
	return nil
}

// Seal sets the plan's digest. It covers sources, the steps' operations and
// needs, and of each image its reference, platforms, facts and step. Names of
// families and steps, places and CanvOS arguments are outside it.
func (p *Plan) Seal() error {
	type step struct {
		ID    Digest   `json:"id"`
		Needs []Digest `json:"needs"`
		Op    Op       `json:"op"`
	}
	type image struct {
		Reference string   `json:"reference"`
		Platforms []string `json:"platforms"`
		Facts     Facts    `json:"facts"`
		Step      Digest   `json:"step"`
	}
	sealed := struct {
		Version int      `json:"version"`
		Recipe  int      `json:"recipe"`
		Format  int      `json:"format"`
		Sources []Source `json:"sources"`
		Steps   []step   `json:"steps"`
		Images  []image  `json:"images"`
	}{p.Version, p.Recipe, p.Format, append([]Source{}, p.Sources...), []step{}, []image{}}
	for _, s := range p.Steps {
		sealed.Steps = append(sealed.Steps, step{s.ID, s.Needs, s.Op})
	}
	for _, i := range p.Images {
		sealed.Images = append(sealed.Images, image{i.Reference, i.Platforms, i.Facts, i.Step})
	}
	b, err := Canonical(sealed)
	if err != nil {
		return fmt.Errorf("seal plan: %w", err)
	}
	p.Digest = DigestOf(b)
	return nil
}
