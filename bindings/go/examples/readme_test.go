//go:build go1.23

// Package examples holds what the documents show, so that the tests run it.
package examples

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// inFreshHome gives an example a home of its own.
func inFreshHome() (leave func()) {
	before := os.Getenv("HOME")
	home, err := os.MkdirTemp("", "plasmite-home-")
	if err != nil {
		panic(err)
	}
	os.Setenv("HOME", home)
	return func() {
		os.Setenv("HOME", before)
		os.RemoveAll(home)
	}
}

func Example() {
	defer inFreshHome()()
	ctx := context.Background()

	client, _ := plasmite.NewDefaultClient()
	pool, _ := client.Open("work", plasmite.Create(0))
	pool.Append(map[string]any{"task": "resize", "id": 1}, []string{"img"})
	for message, err := range pool.All(ctx, plasmite.TailOptions{}) {
		fmt.Println(message.Seq, message.Tags(), string(message.Data), err)
		break
	}
	// Output: 1 [img] {"id":1,"task":"resize"} <nil>
}

func Example_decode() {
	defer inFreshHome()()
	client, _ := plasmite.NewDefaultClient()
	defer client.Close()
	pool, _ := client.Pool("work", 0)
	defer pool.Close()
	type job struct {
		Task string `json:"task"`
		ID   int    `json:"id"`
	}
	message, _ := pool.Append(job{"resize", 7}, nil)
	back, err := plasmite.Decode[job](message)
	fmt.Println(back.Task, back.ID, err)
	// Output: resize 7 <nil>
}

func Example_slog() {
	defer inFreshHome()()
	client, _ := plasmite.NewDefaultClient()
	pool, _ := client.Pool("log", 0)
	logger := slog.New(api.NewLogHandler(pool, nil))
	logger.With("service", "api").Warn("latency spike", "ms", 250)
	message, _ := pool.Get(1)
	line, _ := plasmite.Decode[map[string]any](message)
	fmt.Println(message.Tags(), line["msg"], line["service"], line["ms"])
	// Output: [warn] latency spike api 250
}
