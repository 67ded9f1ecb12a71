// Package schema holds the words a manifest may use, as CUE files: the same for
// the binary, for plain cue vet and for the editor.
package schema

import "embed"

// FS holds every file of CUE package canvos.dev/schema.
//
//go:embed *.cue
var FS embed.FS

// ImportPath is what a manifest imports.
const ImportPath = "canvos.dev/schema"

// ModulePath is the CUE module that ImportPath lies in.
const ModulePath = "canvos.dev@v0"
