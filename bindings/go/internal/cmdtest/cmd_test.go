// Package cmdtest runs the module's programs.
package cmdtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var programs string // the folder they were built into

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "plasmite-go-")
	if err != nil {
		panic(err)
	}
	programs = folder
	build := exec.Command("go", "build", "-o", folder, "../../cmd/...")
	build.Stderr = os.Stderr
	code := 1
	if build.Run() == nil {
		code = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

// run gives a program's exit code and what it wrote.
func run(t *testing.T, name string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	command := exec.Command(filepath.Join(programs, name), arguments...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), errs.String()
}

func needsProgram(t *testing.T) {
	if os.Getenv("PLASMITE_BIN") == "" {
		t.Skip("PLASMITE_BIN is not set")
	}
}

// manifest writes one and runs it.
func manifest(t *testing.T, text string) (code int, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "plasmite-conformance", path)
	if stdout != "" {
		t.Errorf("stdout: %s", stdout)
	}
	return code, stderr
}

func TestManifestsOfTheRepository(t *testing.T) {
	needsProgram(t)
	paths, _ := filepath.Glob("../../../../conformance/*.json")
	if len(paths) == 0 {
		t.Skip("there are none")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// A copy, so that its working directory is not made in the repository.
			copied := filepath.Join(t.TempDir(), filepath.Base(path))
			if err := os.WriteFile(copied, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := run(t, "plasmite-conformance", copied); code != 0 || stderr != "" {
				t.Fatalf("%d: %s", code, stderr)
			}
		})
	}
}

func TestManifest(t *testing.T) {
	code, stderr := manifest(t, `{"conformance_version": 0, "name": "n", "steps": [
		{"op": "create_pool", "pool": "p", "expect": {"created": true}},
		{"op": "create_pool", "pool": "p", "expect": {"error": {"kind": "AlreadyExists", "has_path": true}}},
		{"op": "append", "pool": "p", "input": {"data": {"b": [1, 2.5], "a": null}, "tags": ["x"]}, "expect": {"seq": 1}},
		{"op": "append", "pool": "p", "input": {"data": {"n": 1e2}}, "expect": {"seq": 2}},
		{"op": "append", "pool": "p", "input": {"data": "text"}, "expect": {"error": {"kind": "Usage", "message_contains": "object", "has_seq": false, "has_offset": false}}},
		{"op": "get", "pool": "p", "input": {"seq": 1}, "expect": {"data": {"a": null, "b": [1.0, 2.5]}, "tags": ["x"]}},
		{"op": "fetch", "pool": "p", "input": {"seq": 2}, "expect": {"data": {"n": 100}, "tags": []}},
		{"op": "get", "pool": "p", "input": {"seq": 3}, "expect": {"error": {"kind": "NotFound", "has_seq": true, "has_path": false}}},
		{"op": "tail", "pool": "p", "input": {"since_seq": 1, "max": 2}, "expect": {"messages": [{"data": {"a": null, "b": [1, 2.5]}, "tags": ["x"]}, {"data": {"n": 100}}]}},
		{"op": "tail", "pool": "p", "input": {}, "expect": {"messages_unordered": [{"data": {"n": 100}}, {"data": {"b": [1, 2.5], "a": null}}]}},
		{"op": "list_pools", "expect": {"names": ["p"]}},
		{"op": "retention_gap", "pool": "gap"},
		{"op": "corrupt_pool_header", "pool": "p"},
		{"op": "append", "pool": "p", "input": {"data": "text"}, "expect": {"error": {"kind": "Corrupt", "has_path": true}}},
		{"op": "delete_pool", "pool": "p"},
		{"op": "delete_pool", "pool": "p", "expect": {"error": {"kind": "NotFound", "has_path": true}}},
		{"op": "list_pools", "expect": {"names": ["gap-established", "gap-stale"]}}
	]}`)
	if code != 0 || stderr != "" {
		t.Fatalf("%d: %s", code, stderr)
	}
}

// Each runs until its last step, which does not meet what is expected.
func TestManifestsThatFail(t *testing.T) {
	const begin = `{"conformance_version": 0, "steps": [
		{"op": "create_pool", "pool": "p"}, {"op": "append", "pool": "p", "input": {"data": {"k": 1}, "tags": ["t"]}},`
	for step, want := range map[string]string{
		`{"op": "nothing", "id": "here"}`:                                                                                            "step 2 (here): unknown op: nothing",
		`{"op": "append", "pool": "p", "input": {"data": {}}, "expect": {"seq": 9}}`:                                                 "step 2: expected seq 9, got 2",
		`{"op": "append", "pool": "p"}`:                                                                                              "step 2: input.data is required",
		`{"op": "append", "pool": "p", "expect": {"error": {"kind": "Usage"}}}`:                                                      "step 2: input.data is required",
		`{"op": "append", "pool": "missing", "input": {"data": {}}}`:                                                                 "step 2: plasmite: not found",
		`{"op": "get", "pool": "p"}`:                                                                                                 "step 2: input.seq is required",
		`{"op": "get", "pool": "p", "input": {"seq": 1}, "expect": {"data": {"k": "1"}}}`:                                            "step 2: expected data",
		`{"op": "get", "pool": "p", "input": {"seq": 1}, "expect": {"tags": []}}`:                                                    "step 2: expected tags",
		`{"op": "get", "pool": "p", "input": {"seq": 1}, "expect": {"error": {"kind": "NotFound"}}}`:                                 "but it succeeded",
		`{"op": "get", "pool": "p", "input": {"seq": 9}, "expect": {"error": {"kind": "Io"}}}`:                                       "expected error of kind Io, got NotFound",
		`{"op": "get", "pool": "p", "input": {"seq": 9}, "expect": {"error": {"kind": "NotFound", "has_path": true}}}`:               "expected has_path true",
		`{"op": "get", "pool": "p", "input": {"seq": 9}, "expect": {"error": {"kind": "NotFound", "message_contains": "elephant"}}}`: "elephant",
		`{"op": "tail", "pool": "p", "expect": {}}`:                                                                                  "expected exactly one of",
		`{"op": "tail", "pool": "p", "expect": {"messages": [], "messages_unordered": []}}`:                                          "expected exactly one of",
		`{"op": "tail", "pool": "p", "input": {"max": 1}, "expect": {"messages": []}}`:                                               "expected 0 messages, got 1",
		`{"op": "tail", "pool": "p", "expect": {"messages": [{"data": {"k": 2}}]}}`:                                                  "message 0 is not what was expected",
		`{"op": "tail", "pool": "p", "expect": {"messages_unordered": [{"data": {"k": 1}, "tags": []}]}}`:                            "was not expected",
		`{"op": "list_pools", "expect": {"names": []}}`:                                                                              "expected pools",
		`{"op": "chmod_path", "input": {"path": "x", "mode": "rw"}}`:                                                                 "not an octal number",
		`{"op": "chmod_path", "input": {"path": "/nonexistent/x", "mode": "600"}}`:                                                   "no such file",
	} {
		code, stderr := manifest(t, begin+step+"]}")
		if code != 1 || !strings.HasPrefix(stderr, "step 2") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s\n%d: %s", step, code, stderr)
		}
	}
	for text, want := range map[string]string{
		`{"conformance_version": 1, "steps": []}`: "unsupported conformance_version: 1",
		`{"steps": []}`:              "unsupported conformance_version",
		`{"conformance_version": 0}`: "no steps",
		`nonsense`:                   "m.json",
	} {
		if code, stderr := manifest(t, text); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s\n%d: %s", text, code, stderr)
		}
	}
	for _, arguments := range [][]string{nil, {"a", "b"}, {"/nonexistent.json"}} {
		if code, _, stderr := run(t, "plasmite-conformance", arguments...); code != 1 || stderr == "" {
			t.Errorf("%q: %d %s", arguments, code, stderr)
		}
	}
}

// Whatever a manifest names, what it did not make stays as it is.
func TestManifestsStayInTheirFolder(t *testing.T) {
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious.plasmite")
	keep := func() {
		t.Helper()
		if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
			t.Fatalf("%s: %q, %v", precious, text, err)
		}
		if info, err := os.Stat(precious); err != nil || info.Mode().Perm() != 0o640 {
			t.Fatal(info.Mode(), err)
		}
	}
	if err := os.WriteFile(precious, []byte("precious"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, workdir := range []string{"", ".", "..", "a/../..", "a/./b", "./a", "a//b", "a/", outside} {
		name, _ := json.Marshal(workdir)
		code, stderr := manifest(t, `{"conformance_version": 0, "workdir": `+string(name)+`, "steps": []}`)
		if code != 1 || stderr != "workdir has to lie below the manifest's folder: "+workdir+"\n" {
			t.Errorf("%q: %d: %s", workdir, code, stderr)
		}
		keep()
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, precious)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{precious, relative, link + "/precious.plasmite", link + "/../" + filepath.Base(outside) + "/precious.plasmite"} {
		name, _ := json.Marshal(path)
		for _, step := range []string{
			`{"op": "delete_pool", "pool": ` + string(name) + `}`,
			`{"op": "corrupt_pool_header", "pool": ` + string(name) + `}`,
			`{"op": "chmod_path", "input": {"mode": "777", "path": ` + string(name) + `}}`,
			`{"op": "delete_pool", "pool": ` + string(name) + `, "expect": {"error": {"kind": "NotFound"}}}`,
		} {
			code, stderr := manifest(t, `{"conformance_version": 0, "steps": [`+step+`]}`)
			if code != 1 || !strings.Contains(stderr, "step 0: ") {
				t.Errorf("%s: %d: %s", step, code, stderr)
			}
			keep()
		}
	}
	fresh := filepath.Join(outside, "fresh.plasmite")
	name, _ := json.Marshal(fresh)
	code, stderr := manifest(t, `{"conformance_version": 0, "steps": [
		{"op": "delete_pool", "pool": `+string(name)+`, "expect": {"error": {"kind": "NotFound"}}},
		{"op": "corrupt_pool_header", "pool": `+string(name)+`}]}`)
	if _, err := os.Stat(fresh); code != 1 || !strings.Contains(stderr, "step 1: ") || err == nil {
		t.Fatalf("%d: %s", code, stderr)
	}
	// A pool may be anywhere, and what a manifest made it may destroy.
	own, _ := json.Marshal(filepath.Join(outside, "deep", "own.ring"))
	code, stderr = manifest(t, `{"conformance_version": 0, "steps": [
		{"op": "create_pool", "pool": `+string(own)+`},
		{"op": "append", "pool": `+string(own)+`, "input": {"data": {}}, "expect": {"seq": 1}},
		{"op": "chmod_path", "input": {"mode": "600", "path": `+string(own)+`}},
		{"op": "corrupt_pool_header", "pool": `+string(own)+`},
		{"op": "get", "pool": `+string(own)+`, "input": {"seq": 1}, "expect": {"error": {"kind": "Corrupt"}}},
		{"op": "delete_pool", "pool": `+string(own)+`},
		{"op": "delete_pool", "pool": `+string(own)+`, "expect": {"error": {"kind": "NotFound", "has_path": true}}}
	]}`)
	if code != 0 {
		t.Fatal(stderr)
	}
	keep()
}

func TestManifestWithProcesses(t *testing.T) {
	needsProgram(t)
	code, stderr := manifest(t, `{"conformance_version": 0, "workdir": "w", "steps": [
		{"op": "create_pool", "pool": "p", "input": {"size_bytes": 1048576}},
		{"op": "pool_info", "pool": "p", "expect": {"file_size": 1048576, "bounds": {"oldest": null, "newest": null}}},
		{"op": "pool_info", "pool": "missing", "expect": {"error": {"kind": "NotFound", "has_path": true}}},
		{"op": "get", "pool": "p", "input": {"seq": 1}, "expect": {"error": {"kind": "NotFound"}}}
	]}`)
	if code != 0 {
		t.Fatal(stderr)
	}
	code, stderr = manifest(t, `{"conformance_version": 0, "steps": [
		{"op": "spawn_poke", "pool": "missing", "input": {"messages": [{"data": {}}]}}]}`)
	if code != 1 || !strings.Contains(stderr, "step 0: ") {
		t.Fatalf("%d: %s", code, stderr)
	}
	t.Setenv("PLASMITE_BIN", "")
	code, stderr = manifest(t, `{"conformance_version": 0, "steps": [{"op": "pool_info", "pool": "p"}]}`)
	if code != 1 || !strings.Contains(stderr, "PLASMITE_BIN") {
		t.Fatalf("%d: %s", code, stderr)
	}
}

func TestCookbookFixture(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pools")
	for i := 0; i < 2; i++ { // it begins anew each time
		code, stdout, stderr := run(t, "cookbook-smoke-fixture", folder)
		if code != 0 {
			t.Fatal(stderr)
		}
		var printed struct {
			Seq  uint64
			Tags []string
			Data map[string]any
		}
		if err := json.Unmarshal([]byte(stdout), &printed); err != nil || strings.Count(stdout, "\n") != 1 {
			t.Fatal(stdout, err)
		}
		if printed.Seq != 1 || printed.Tags[0] != "cookbook" || printed.Data["task"] != "resize" {
			t.Fatal(stdout)
		}
	}
	if code, _, stderr := run(t, "cookbook-smoke-fixture"); code == 0 || stderr == "" {
		t.Fatal("no directory")
	}
	if code, _, stderr := run(t, "cookbook-smoke-fixture", "/proc/nothing"); code == 0 || stderr == "" {
		t.Fatal("no such directory")
	}
}
