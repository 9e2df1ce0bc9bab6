// Command cookbook-smoke-fixture does what the first page of the cookbook shows, in a directory
// that it removes and makes anew, and prints the message that it appended.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cookbook-smoke-fixture <directory>")
		os.Exit(1)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cookbook-smoke-fixture:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	client, err := plasmite.NewClient(dir)
	if err != nil {
		return err
	}
	defer client.Close()
	pool, err := client.Pool(plasmite.PoolRefName("cookbook-smoke"), 0)
	if err != nil {
		return err
	}
	defer pool.Close()

	message, err := pool.Append(map[string]any{"task": "resize", "id": 1}, []string{"cookbook"})
	if err != nil {
		return err
	}
	if err := check(message); err != nil {
		return err
	}
	_, err = client.OpenPool(plasmite.PoolRefName("missing-cookbook-smoke-pool"))
	if !errors.Is(err, plasmite.ErrNotFound) {
		return fmt.Errorf("a pool that is missing should be NotFound, not: %v", err)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seq": message.Seq, "tags": message.Tags(), "data": message.Data,
	})
}

func check(message *plasmite.Message) error {
	data, err := plasmite.Decode[map[string]any](message)
	if err != nil {
		return err
	}
	want := map[string]any{"task": "resize", "id": 1.0}
	switch {
	case message.Seq < 1:
		return fmt.Errorf("the seq is %d", message.Seq)
	case !reflect.DeepEqual(message.Tags(), []string{"cookbook"}):
		return fmt.Errorf("the tags are %q", message.Tags())
	case !reflect.DeepEqual(data, want):
		return fmt.Errorf("the data are %s", message.Data)
	}
	return nil
}
