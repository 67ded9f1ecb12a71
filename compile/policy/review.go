// Package policy says what a change of manifests does to images, and judges it:
// by the rules that canvos brings along, by the organisation's own in CUE, and
// by the waivers that let findings pass. It compares what compile made of both
// sides; it reads no repository, no registry and no clock: what those know is
// handed in.
package policy

import "canvos.dev/compile/plan"

// Review is a change, its effect and the verdict on it. It is data; the voice
// writes it as text, Markdown, JSON and what else is asked for.
type Review struct {
	Base, Head Side
	// Changes are those of families, in the order of the manifests and of
	// their families in them; what was removed comes last. Families on which
	// the change has no effect are not among them, but of kind None if their
	// text was touched.
	Changes []Change
	// Findings are sorted: deny, warn, info; then by place and rule.
	Findings []Finding
	Verdict  Verdict
	Waivers  Waivers
	Images   Counts
	Bytes    Bytes
	// Plan is the digest of the head's plan; of several manifests, the digest
	// of theirs in order. Empty if the head has none.
	Plan plan.Digest
}

// Side is one of the two states that are compared.
type Side struct {
	Name   string // as a person named it: "main", "HEAD~1:edge", "the work tree"
	Commit string // full name, if it is one
	// Manifests are the directories or files of the manifests found, sorted.
	Manifests []string
}

// Verdict is what the findings that are not waived come to.
type Verdict string

const (
	Pass Verdict = "pass"
	Warn Verdict = "warn"
	Deny Verdict = "deny"
)

// Severity says what a finding does to the verdict.
type Severity string

const (
	SeverityDeny Severity = "deny"
	SeverityWarn Severity = "warn"
	SeverityInfo Severity = "info"
)

// Kind says what became of a family or of an image.
type Kind string

const (
	Added    Kind = "added"
	Removed  Kind = "removed"
	Renamed  Kind = "renamed" // the same content under another name
	Rebuilt  Kind = "rebuilt"
	Retagged Kind = "retagged" // the same images under other references
	Changed  Kind = "changed"  // images come or go, or it is published otherwise; none is rebuilt
	None     Kind = "none"     // no image is touched
)

// Change is what became of one family.
type Change struct {
	Manifest string // that it is in, as in Side.Manifests
	Family   string // its name at head, of a removed one at base
	Renamed  string // its name at base, if another
	Kind     Kind   // the gravest that holds
	// Before and After are the values that differ, by their path in the
	// family: "os.version": "22.04". One that is absent is not a key.
	Before, After map[string]any
	// Why says the same in words: "os.version 22.04 → 24.04: other base image".
	Why    []string
	Images []ImageChange // sorted by reference; unchanged ones are not listed
	// Unchanged is how many images of the family stay what they are.
	Unchanged int
	// Digest names this change: its images before and after. It does not
	// depend on other families or on commits.
	Digest plan.Digest
	At     plan.Pos // at head; of a removed family at base
}

// ImageChange is what became of one image.
type ImageChange struct {
	Reference string // at head; of a removed image at base
	Was       string // of a retagged image
	Kind      Kind   // Added, Removed, Rebuilt or Retagged
	Why       []string
}

// Finding is what a rule says of a change.
type Finding struct {
	Rule     string
	Severity Severity
	Message  string // what is wrong, with values
	Help     string // how to do it right
	// Manifest is whose it is, as in Side.Manifests; "" if it is of the whole
	// change. Family is one of it, or "".
	Manifest, Family string
	// Reference is of the image, or pattern of the image line, that it is
	// about; may be empty.
	Reference string
	At        plan.Pos
	Also      []plan.Pos
	Owner     string // who to ask
	Link      string // where to read on
	WaivedBy  string // name of the waiver; "" if it counts

	of     *Pair  // the family that it is about; nil if it is about none
	policy string // the rule that is broken; "" if it is none, or all are
}

// Waivers says what became of the waivers.
type Waivers struct {
	Used, Unused, Expired []WaiverUse
}

// WaiverUse is a waiver and why it stands where it does.
type WaiverUse struct {
	Name, Rule, Target string
	Reason, Ticket     string
	Owner              string
	Expires            string // YYYY-MM-DD, the last day on which it holds
	Why                string // of one that is not used: "the effect is another"
	At                 plan.Pos
}

// Counts are the images of the head by what became of them.
type Counts struct {
	Added, Removed, Rebuilt, Retagged, Unchanged int
}

// Bytes are upper bounds: what the images that are added or rebuilt are made
// of, each source once.
type Bytes struct {
	Read int64
}

// Waived says that a finding does not count.
func (f Finding) Waived() bool { return f.WaivedBy != "" }

// VerdictOf is what findings come to.
func VerdictOf(findings []Finding) Verdict {
	v := Pass
	for _, f := range findings {
		switch {
		case f.Waived():
		case f.Severity == SeverityDeny:
			return Deny
		case f.Severity == SeverityWarn:
			v = Warn
		}
	}
	return v
}
