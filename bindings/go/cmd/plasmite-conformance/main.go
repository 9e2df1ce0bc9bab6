// Command plasmite-conformance runs a manifest: a script of pool operations with what is expected
// of each. The first one that is not met ends the run with exit code 1 and a line on stderr.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: plasmite-conformance <path/to/manifest.json>")
		os.Exit(1)
	}
	if err := runManifest(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type manifest struct {
	Version *json.Number `json:"conformance_version"`
	Workdir *string      `json:"workdir"`
	Steps   []step       `json:"steps"`
}

type step struct {
	Op     string `json:"op"`
	ID     string `json:"id"`
	Pool   string `json:"pool"`
	Input  input  `json:"input"`
	Expect expect `json:"expect"`
}

type input struct {
	SizeBytes *uint64         `json:"size_bytes"`
	Data      json.RawMessage `json:"data"`
	Tags      []string        `json:"tags"`
	Seq       *uint64         `json:"seq"`
	SinceSeq  *uint64         `json:"since_seq"`
	Max       *uint64         `json:"max"`
	Messages  []item          `json:"messages"`
	Path      string          `json:"path"`
	Mode      string          `json:"mode"`
}

type item struct {
	Data json.RawMessage `json:"data"`
	Tags *[]string       `json:"tags"`
}

type expect struct {
	Seq               *uint64         `json:"seq"`
	Data              json.RawMessage `json:"data"`
	Tags              *[]string       `json:"tags"`
	Messages          *[]item         `json:"messages"`
	MessagesUnordered *[]item         `json:"messages_unordered"`
	Names             *[]string       `json:"names"`
	FileSize          *uint64         `json:"file_size"`
	RingSize          *uint64         `json:"ring_size"`
	Bounds            map[string]any  `json:"bounds"`
	Error             *expectedError  `json:"error"`
}

type expectedError struct {
	Kind            string  `json:"kind"`
	MessageContains *string `json:"message_contains"`
	HasPath         *bool   `json:"has_path"`
	HasSeq          *bool   `json:"has_seq"`
	HasOffset       *bool   `json:"has_offset"`
}

func runManifest(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if m.Version == nil || m.Version.String() != "0" {
		version := "null"
		if m.Version != nil {
			version = m.Version.String()
		}
		return fmt.Errorf("unsupported conformance_version: %s", version)
	}
	if m.Steps == nil {
		return errors.New("the manifest has no steps")
	}
	workdir := "work"
	if m.Workdir != nil {
		workdir = *m.Workdir
	}
	r, err := newRunner(path, workdir)
	if err != nil {
		return err
	}
	defer r.client.Close()
	for i := range m.Steps {
		if err := r.run(&m.Steps[i]); err != nil {
			return describe(i, &m.Steps[i], err)
		}
	}
	return nil
}

func describe(index int, s *step, err error) error {
	if s.ID == "" {
		return fmt.Errorf("step %d: %w", index, err)
	}
	return fmt.Errorf("step %d (%s): %w", index, s.ID, err)
}

// runner has what the steps of one manifest share.
type runner struct {
	folder  string // of the manifest
	workdir string
	client  *plasmite.Client
	created map[string]bool // the files of the pools that its steps made
}

func newRunner(path, workdir string) (*runner, error) {
	if !isBelow(workdir) { // everything in it will be deleted
		return nil, fmt.Errorf("workdir has to lie below the manifest's folder: %s", workdir)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	r := &runner{folder: folder, workdir: filepath.Join(folder, workdir), created: map[string]bool{}}
	if err := os.RemoveAll(r.workdir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.workdir, 0o700); err != nil {
		return nil, err
	}
	r.client, err = plasmite.NewClient(r.workdir)
	return r, err
}

// An operation does its step and checks what it brought.
var operations = map[string]func(*runner, *step) error{
	"create_pool":         (*runner).createPool,
	"append":              (*runner).append,
	"get":                 (*runner).get,
	"fetch":               (*runner).get,
	"tail":                (*runner).tail,
	"retention_gap":       (*runner).retentionGap,
	"list_pools":          (*runner).listPools,
	"pool_info":           (*runner).poolInfo,
	"delete_pool":         (*runner).deletePool,
	"spawn_poke":          (*runner).spawnPoke,
	"corrupt_pool_header": (*runner).corruptPoolHeader,
	"chmod_path":          (*runner).chmodPath,
}

func (r *runner) run(s *step) error {
	operation, ok := operations[s.Op]
	if !ok {
		return fmt.Errorf("unknown op: %s", s.Op)
	}
	err := operation(r, s)
	if s.Expect.Error == nil {
		return err
	}
	return s.Expect.Error.check(err)
}

// unmet is an expectation that was not met: never the failure that a step expects.
type unmet struct{ error }

func unmetf(format string, arguments ...any) error {
	return unmet{fmt.Errorf(format, arguments...)}
}
