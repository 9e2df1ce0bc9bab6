package examples

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// The recipes of the cookbook, as they are printed there. They follow for ever, so each runs in a
// process of its own with a context that ends; then log.Fatal says so.

func produceWork(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.Pool(plasmite.PoolRefName("work"), 0)
	msg, _ := p.Append(
		map[string]any{"task": "resize", "id": 1},
		nil,
		plasmite.WithDurability(plasmite.DurabilityFast),
	)
	fmt.Println(msg.Seq, msg.Tags(), string(msg.Data))
	p.Close()
	c.Close()
}

func consumeWork(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.OpenPool(plasmite.PoolRefName("work"))
	out, errs := p.Tail(ctx, plasmite.TailOptions{Timeout: 5 * time.Second})
	for msg := range out {
		fmt.Println(msg.Seq, msg.Tags(), string(msg.Data))
	}
	if err := <-errs; err != nil {
		log.Fatal(err)
	}
	p.Close()
	c.Close()
}

func writeBuild(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.Pool(plasmite.PoolRefName("build"), 0)
	for _, s := range [][2]any{{"compile", 0}, {"compile", 100}, {"test", 0}, {"test", 100}} {
		p.Append(map[string]any{"step": s[0], "pct": s[1]}, nil, plasmite.WithDurability(plasmite.DurabilityFast))
	}
	p.Append(map[string]any{"step": "finished", "ok": true}, []string{"done"}, plasmite.WithDurability(plasmite.DurabilityFast))
	p.Close()
	c.Close()
}

func consumeBuild(ctx context.Context) {
	client, _ := plasmite.NewDefaultClient()
	defer client.Close()

	pool, _ := client.OpenPool(plasmite.PoolRefName("build"))
	defer pool.Close()

	out, errs := pool.Tail(ctx, plasmite.TailOptions{Timeout: 5 * time.Second})
	for msg := range out {
		fmt.Println(msg.Seq, msg.Tags(), string(msg.Data))
	}
	if err := <-errs; err != nil {
		log.Fatal(err)
	}
}

func waitForGreen(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.OpenPool(plasmite.PoolRefName("ci"))
	out, errs := p.Tail(ctx, plasmite.TailOptions{Timeout: 30 * time.Second})
	for msg := range out {
		var d map[string]any
		json.Unmarshal(msg.Data, &d)
		if d["status"] == "green" {
			fmt.Printf("commit %s passed — deploying\n", d["commit"])
			break
		}
	}
	if err := <-errs; err != nil {
		log.Fatal(err)
	}
	p.Close()
	c.Close()
}

func writeEvents(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.Pool(plasmite.PoolRefName("telemetry"), 0)
	p.Append(map[string]any{"sensor": "temp", "value": 42100}, []string{"sensor"}, plasmite.WithDurability(plasmite.DurabilityFast))
	p.Append(map[string]any{"service": "api", "sha": "f4e5d6c"}, []string{"deploy"}, plasmite.WithDurability(plasmite.DurabilityFast))
	p.Append(map[string]any{"service": "api", "msg": "latency spike"}, []string{"alert"}, plasmite.WithDurability(plasmite.DurabilityFast))
	p.Close()
	c.Close()
}

func filterByTag(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.OpenPool(plasmite.PoolRefName("telemetry"))
	out, errs := p.Tail(ctx, plasmite.TailOptions{Tags: []string{"alert"}, Timeout: 5 * time.Second})
	for msg := range out {
		fmt.Println(msg.Seq, msg.Tags(), string(msg.Data))
	}
	if err := <-errs; err != nil {
		log.Fatal(err)
	}
	p.Close()
	c.Close()
}

func feedCI(ctx context.Context) {
	c, _ := plasmite.NewDefaultClient()
	p, _ := c.Pool(plasmite.PoolRefName("ci"), 0)
	p.Append(map[string]any{"status": "red", "commit": "aa"}, nil)
	p.Append(map[string]any{"status": "green", "commit": "bb"}, nil)
	p.Close()
	c.Close()
}

var recipes = []struct {
	name    string
	run     func(context.Context)
	prints  string
	follows bool
}{
	{"produceWork", produceWork, "1 [] {\"id\":1,\"task\":\"resize\"}\n", false},
	{"consumeWork", consumeWork, "1 [] {\"id\":1,\"task\":\"resize\"}\n", true},
	{"writeBuild", writeBuild, "", false},
	{"consumeBuild", consumeBuild, "1 [] {\"pct\":0,\"step\":\"compile\"}\n2 [] {\"pct\":100,\"step\":\"compile\"}\n" +
		"3 [] {\"pct\":0,\"step\":\"test\"}\n4 [] {\"pct\":100,\"step\":\"test\"}\n" +
		"5 [done] {\"ok\":true,\"step\":\"finished\"}\n", true},
	{"feedCI", feedCI, "", false},
	{"waitForGreen", waitForGreen, "commit bb passed — deploying\n", true},
	{"writeEvents", writeEvents, "", false},
	{"filterByTag", filterByTag, "3 [alert] {\"msg\":\"latency spike\",\"service\":\"api\"}\n", true},
}

const recipeVariable = "PLASMITE_GO_RECIPE"

func TestMain(m *testing.M) {
	wanted := os.Getenv(recipeVariable)
	if wanted == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, recipe := range recipes {
		if recipe.name == wanted {
			recipe.run(ctx)
		}
	}
}

func TestCookbook(t *testing.T) {
	home := t.TempDir()
	for _, recipe := range recipes {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), "HOME="+home, recipeVariable+"="+recipe.name)
		var stderr strings.Builder
		command.Stderr = &stderr
		stdout, err := command.Output()
		if string(stdout) != recipe.prints {
			t.Errorf("%s printed %q, not %q", recipe.name, stdout, recipe.prints)
		}
		ended := strings.Contains(stderr.String(), context.DeadlineExceeded.Error())
		if (err != nil) != recipe.follows || ended != recipe.follows {
			t.Errorf("%s: %v: %s", recipe.name, err, &stderr)
		}
	}
}
