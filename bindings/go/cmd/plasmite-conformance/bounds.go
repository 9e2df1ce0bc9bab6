package main

import (
	"os"
	"path/filepath"
	"strings"
)

// isBelow says whether a name leads down from where it begins, and nowhere else.
func isBelow(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// real is a path without links. What does not exist yet has the name that it would get; "" is
// for what could not be made either.
func real(path string) string {
	if !filepath.IsAbs(path) {
		folder, err := os.Getwd()
		if err != nil {
			return ""
		}
		path = folder + "/" + path // not cleaned: `..` behind a link is somewhere else
	}
	to, err := filepath.EvalSymlinks(path)
	if err == nil {
		return to
	}
	cut := strings.LastIndexByte(path, '/')
	folder, err := filepath.EvalSymlinks(path[:cut+1])
	if _, there := os.Lstat(path); err != nil || there == nil {
		return "" // there == nil: a link to nowhere
	}
	return filepath.Join(folder, path[cut+1:])
}

// mayHarm refuses a path that is neither in that folder nor a pool that this manifest made: a
// manifest may name any file as a pool, but is not to destroy what it found.
func (r *runner) mayHarm(path, folder string) error {
	to, from := real(path), real(folder)
	if to != "" && (to == from || strings.HasPrefix(to, from+"/") || r.created[to]) {
		return nil
	}
	return unmetf("%s is not in %s", path, folder)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
