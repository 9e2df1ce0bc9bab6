package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

const suffix = ".plasmite"

// path is the file that a step's pool is.
func (r *runner) path(pool string) string {
	if strings.Contains(pool, "/") {
		return pool
	}
	return filepath.Join(r.workdir, strings.TrimSuffix(pool, suffix)+suffix)
}

func (r *runner) listPools(s *step) error {
	entries, err := os.ReadDir(r.workdir)
	if err != nil {
		return err
	}
	names := []string{}
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), suffix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if s.Expect.Names == nil {
		return nil
	}
	want := slices.Clone(*s.Expect.Names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		return unmetf("expected pools %q, got %q", want, names)
	}
	return nil
}

func (r *runner) deletePool(s *step) error {
	path := r.path(s.Pool)
	if isThere(path) {
		if err := r.mayHarm(path, r.workdir); err != nil {
			return err
		}
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &plasmite.Error{Kind: plasmite.ErrorNotFound, Message: "not found", Path: path}
	}
	if errors.Is(err, fs.ErrPermission) {
		return &plasmite.Error{Kind: plasmite.ErrorPermission, Message: err.Error(), Path: path}
	}
	return err
}

// corruptPoolHeader writes into the same file, as somebody else might have it mapped.
func (r *runner) corruptPoolHeader(s *step) error {
	path := r.path(s.Pool)
	if err := r.mayHarm(path, r.workdir); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("NOPE"), 0o600)
}

func (r *runner) chmodPath(s *step) error {
	mode, err := strconv.ParseUint(s.Input.Mode, 8, 32)
	if err != nil {
		return unmetf("input.mode is not an octal number: %q", s.Input.Mode)
	}
	if isThere(s.Input.Path) {
		if err := r.mayHarm(s.Input.Path, r.folder); err != nil {
			return err
		}
	}
	return os.Chmod(s.Input.Path, fs.FileMode(mode))
}

// program finds the command line.
func (r *runner) program() (string, error) {
	if path := os.Getenv("PLASMITE_BIN"); path != "" {
		return path, nil
	}
	path := filepath.Join(filepath.Dir(r.folder), "target", "debug", "plasmite")
	if _, err := os.Stat(path); err != nil {
		return "", unmetf("plasmite was not found: set PLASMITE_BIN")
	}
	return path, nil
}

// spawnPoke starts one process for each message, all of them before it waits for any.
func (r *runner) spawnPoke(s *step) error {
	program, err := r.program()
	if err != nil {
		return err
	}
	var started []*exec.Cmd
	for _, message := range s.Input.Messages {
		arguments := []string{"--dir", r.workdir, "feed", s.Pool, string(message.Data)}
		if message.Tags != nil {
			for _, tag := range *message.Tags {
				arguments = append(arguments, "--tag", tag)
			}
		}
		command := exec.Command(program, arguments...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err = command.Start(); err != nil {
			break
		}
		started = append(started, command)
	}
	for _, command := range started {
		if failure := command.Wait(); failure != nil && err == nil {
			err = fmt.Errorf("%s: %w", strings.Join(command.Args, " "), failure)
		}
	}
	return err
}

type poolInfo struct {
	FileSize *uint64        `json:"file_size"`
	RingSize *uint64        `json:"ring_size"`
	Bounds   map[string]any `json:"bounds"`
}

// poolInfo asks the command line.
func (r *runner) poolInfo(s *step) error {
	program, err := r.program()
	if err != nil {
		return err
	}
	command := exec.Command(program, "--dir", r.workdir, "pool", "info", s.Pool, "--json")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return r.programError(s, stderr.Bytes(), err)
	}
	var info poolInfo
	if err := json.Unmarshal(stdout.Bytes(), &info); err != nil {
		return fmt.Errorf("pool info: %w", err)
	}
	if info.FileSize == nil || info.RingSize == nil {
		return errors.New("pool info: file_size or ring_size is missing")
	}
	if want := s.Expect.FileSize; want != nil && *want != *info.FileSize {
		return unmetf("expected file_size %d, got %d", *want, *info.FileSize)
	}
	if want := s.Expect.RingSize; want != nil && *want != *info.RingSize {
		return unmetf("expected ring_size %d, got %d", *want, *info.RingSize)
	}
	for _, bound := range []string{"oldest", "newest"} {
		if want, ok := s.Expect.Bounds[bound]; ok && want != info.Bounds[bound] {
			return unmetf("expected bounds.%s %v, got %v", bound, want, info.Bounds[bound])
		}
	}
	return nil
}

// programError reads what the command line says on stderr when it fails.
func (r *runner) programError(s *step, stderr []byte, failure error) error {
	var report struct {
		Error *struct {
			Kind, Message, Path string
			Seq, Offset         *uint64
		}
	}
	if err := json.Unmarshal(stderr, &report); err != nil || report.Error == nil {
		return fmt.Errorf("pool info: %w: %s", failure, stderr)
	}
	kind, ok := api.ParseErrorKind(report.Error.Kind)
	if !ok {
		return fmt.Errorf("pool info: unknown kind %q", report.Error.Kind)
	}
	e := &plasmite.Error{
		Kind: kind, Message: report.Error.Message, Path: report.Error.Path,
		Seq: report.Error.Seq, Offset: report.Error.Offset,
	}
	if e.Kind == plasmite.ErrorNotFound && e.Path == "" {
		e.Path = r.path(s.Pool)
	}
	return e
}
