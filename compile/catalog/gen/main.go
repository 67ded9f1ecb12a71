// Command gen turns releases.json, facts taken from the files of CanvOS's own
// tags, into the data that package catalog embeds. It is run by hand when there
// are new releases:
//
//	CANVOS_RELEASES=/path/to/releases.json go generate ./compile/catalog
//
// Its output depends on its input alone.
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	log.SetFlags(0)
	releases := flag.String("releases", "", "the `file` to read")
	dir := flag.String("dir", "data", "the `directory` to write")
	flag.Parse()
	if err := run(*releases, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(from, dir string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	rs, args, err := read(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	files, err := encode(rs, args)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o666); err != nil {
			return err
		}
	}
	return nil
}
