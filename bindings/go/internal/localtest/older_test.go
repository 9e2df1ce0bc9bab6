package localtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

const olderVariable = "PLASMITE_GO_OLDER"

// What libraries of level 0.8 show.
const olderSymbols = `{ global:
	plsm_buf_free; plsm_client_free; plsm_client_new; plsm_error_free; plsm_lite3_frame_free;
	plsm_lite3_stream_free; plsm_lite3_stream_next; plsm_lite3_stream_open;
	plsm_lite3_stream_open_ex; plsm_pool_append_json; plsm_pool_append_lite3; plsm_pool_create;
	plsm_pool_free; plsm_pool_get_json; plsm_pool_get_lite3; plsm_pool_open; plsm_stream_free;
	plsm_stream_next; plsm_stream_open; plsm_stream_open_ex;
local: *; };
`

// All these tests again, in a process whose library has no additions.
func TestOlderLibrary(t *testing.T) {
	if os.Getenv(olderVariable) != "" {
		if plasmite.Version() != "" {
			t.Fatal("the library has additions")
		}
		return
	}
	archive := filepath.Join(os.Getenv("PLASMITE_LIB_DIR"), "libplasmite.a")
	if _, err := os.Stat(archive); err != nil || os.Getenv("PLASMITE_LIB_DIR") == "" {
		t.Skip("PLASMITE_LIB_DIR has no libplasmite.a")
	}
	folder := t.TempDir()
	script := filepath.Join(folder, "older.map")
	ok(t, os.WriteFile(script, []byte(olderSymbols), 0o600))
	link := exec.Command("cc", "-shared", "-o", filepath.Join(folder, "libplasmite.so"),
		"-Wl,-soname,libplasmite.so", "-Wl,--version-script="+script,
		"-Wl,--whole-archive", archive, "-Wl,--no-whole-archive", "-lpthread", "-ldl", "-lm")
	if text, err := link.CombinedOutput(); err != nil {
		t.Skipf("cc: %v: %s", err, text)
	}
	again := exec.Command(os.Args[0], "-test.v", "-test.timeout=200s")
	again.Env = append(os.Environ(), olderVariable+"=1", "LD_LIBRARY_PATH="+folder)
	text, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "--- PASS: TestOlderLibrary") {
		t.Fatalf("%v: %s", err, text)
	}
}
