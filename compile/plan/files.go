package plan

// Files changes a root filesystem without running anything in it. Its actions
// are carried out in order on the merged tree of what the step needs; their
// joint effect is one layer.
type Files struct {
	// Epoch is the time of everything that does not keep its own: RFC 3339,
	// UTC, whole seconds.
	Epoch string `json:"epoch"`
	// Compression of the layer: "gzip" or "zstd".
	Compression string   `json:"compression"`
	Actions     []Action `json:"actions"`
}

// Action is one change of files; exactly one field is set. Paths are absolute
// within the image, slash-separated and clean. A link met on the way to a path
// is followed inside the image's root; it never leaves it.
type Action struct {
	Copy   *Copy   `json:"copy,omitempty"`
	Write  *Write  `json:"write,omitempty"`
	Mkdir  *Mkdir  `json:"mkdir,omitempty"`
	Link   *Link   `json:"link,omitempty"`
	Touch  *Touch  `json:"touch,omitempty"`
	Remove *Remove `json:"remove,omitempty"`
	Attr   *Attr   `json:"attr,omitempty"`
	Expect *Expect `json:"expect,omitempty"`
}

// Copy lays a tree or a file of a source over the root filesystem.
//
// If From is a directory its contents are merged into To: a directory that
// exists takes the mode, owner and time of the source's; files and links
// replace files and links. The directory From itself gives its attributes to
// nobody: To keeps its own, or is made 0755 0:0. If From is a file or a link it
// becomes To. What upstream's recipe does in each case, and where it fails, is
// in docs/differences.md.
type Copy struct {
	Source   Digest `json:"source"` // of Plan.Sources
	From     string `json:"from"`
	To       string `json:"to"`
	Optional bool   `json:"optional,omitempty"` // From may be absent
	// Archive: the source is a local tar archive, and From is in it. Otherwise
	// a local file is found under its own name in the root of its source.
	Archive bool `json:"archive,omitempty"`
	// FromWorkdir: From is relative to the source image's working directory.
	FromWorkdir bool `json:"fromWorkdir,omitempty"`
	// Follow: From itself is resolved if it is a link, inside the source.
	Follow bool `json:"follow,omitempty"`
	// EachTop copies every top-level name of From by itself, as COPY ./* does:
	// a link among them is followed, and hard links between them become files.
	EachTop bool `json:"eachTop,omitempty"`
	// KeepTimes keeps modification times, cut to whole seconds.
	KeepTimes bool `json:"keepTimes,omitempty"`
	// Owner, if set, is the owner of everything copied: "0:0". Empty keeps.
	Owner string `json:"owner,omitempty"`
	// Xattrs is "all" (security.capability, user.*) or "capability".
	Xattrs string `json:"xattrs,omitempty"`
}

// Write makes a regular file with the given content, and its missing parents
// 0755 0:0.
type Write struct {
	Path    string `json:"path"`
	Content string `json:"content"`
	Mode    string `json:"mode"` // four octal digits: "0644"
}

// Mkdir makes a directory, and its missing parents 0755 0:0. One that exists
// gets the mode.
type Mkdir struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
}

// Link makes a symbolic link, in place of a file or link that is there.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Touch makes an empty file where there is none, keeps the content of one that
// is there, and sets its mode.
type Touch struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
}

// Remove deletes what the pattern matches, directories with all they hold. The
// last element of Path may hold the wildcards of path.Match. Nothing to delete
// is no error.
type Remove struct {
	Path string `json:"path"`
}

// Attr sets the mode or owner of what is there.
type Attr struct {
	Path     string `json:"path"`
	Mode     string `json:"mode,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Optional bool   `json:"optional,omitempty"` // Path may be absent
}

// Expect changes nothing: one of Paths must be there by now. It is how a plan
// says what a prepared base image has to hold; an engine that finds none of them
// reports an error.
type Expect struct {
	What  string   `json:"what"` // for people: "containerd"
	Paths []string `json:"paths"`
}
