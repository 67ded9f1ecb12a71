package plan

// Run changes a root filesystem by running a script in it. The embedded engine
// cannot; it says so before anything is done.
type Run struct {
	Platform string            `json:"platform"`
	Script   string            `json:"script"`           // for /bin/sh -e
	Env      map[string]string `json:"env,omitempty"`    // for the script only, never in the image
	Network  bool              `json:"network"`          // whether it reaches out
	Mounts   []Mount           `json:"mounts,omitempty"` // what it sees besides the root filesystem
	Secrets  []Secret          `json:"secrets,omitempty"`
	// Refresh is raised, in the lock, to run the same script again for newer
	// packages.
	Refresh int `json:"refresh,omitempty"`
}

// Mount shows a source, or what another step made, read-only, to a script. That
// step is needed after the one whose root filesystem the script runs in.
type Mount struct {
	Source Digest `json:"source,omitempty"`
	Step   Digest `json:"step,omitempty"`
	From   string `json:"from"`
	To     string `json:"to"`
}

// Secret is shown to a script as an environment variable. Only its name is part
// of a plan.
type Secret struct {
	Name string `json:"name"`           // of the variable the script reads
	Env  string `json:"env,omitempty"`  // where the value comes from: a variable,
	File string `json:"file,omitempty"` // or a file
}
