package examples

import (
	"os"
	"strings"
	"testing"
)

// The first example of the README is the one that Example runs, and is short.
func TestReadmeShowsWhatRuns(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "```go\n")
	shown, _, found := strings.Cut(after, "```")
	if !found || strings.Count(shown, "\n") >= 10 {
		t.Fatal(shown)
	}
	for _, line := range strings.Split(strings.TrimSpace(shown), "\n") {
		if !strings.Contains(string(source), "\t"+line+"\n") {
			t.Errorf("Example has no line %q", line)
		}
	}
}
