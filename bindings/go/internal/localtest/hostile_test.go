package localtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// mappings counts how often this process has files of that folder mapped.
func mappings(t *testing.T, folder string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	return strings.Count(string(text), folder)
}

// What nobody closed is closed when nobody can reach it any more.
func TestForgottenHandlesAreClosed(t *testing.T) {
	client := newClient(t)
	func() {
		for i := 0; i < 50; i++ {
			pool, err := client.Open("pool", plasmite.Create(0))
			ok(t, err)
			count(t, pool, 1)
			stream, err := pool.OpenStream(nil, nil, nil)
			ok(t, err)
			_, err = stream.NextJSON()
			ok(t, err)
			_, err = pool.OpenLite3Stream(nil, nil, nil)
			ok(t, err)
		}
	}()
	if mappings(t, client.Dir()) == 0 {
		t.Fatal("nothing is mapped")
	}
	eventually(t, "all is closed", func() bool {
		runtime.GC()
		return mappings(t, client.Dir()) == 0
	})
}

// The collector runs while calls wait: nothing that is in use is closed.
func TestCollectionWhileWaiting(t *testing.T) {
	client := newClient(t)
	writer, err := client.Open("pool", plasmite.Create(0))
	ok(t, err)
	defer writer.Close()
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			pool, err := client.Open("pool")
			if err != nil {
				t.Error(err)
				return
			}
			stream, err := pool.OpenStream(nil, ptr[uint64](50), nil)
			if err != nil {
				t.Error(err)
				return
			}
			for j := 0; j < 50; j++ {
				if _, err := stream.NextJSON(); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for i := 0; i < 50; i++ {
		runtime.GC()
		count(t, writer, 1)
	}
	all.Wait()
}

// Many write through one handle: each message has a seq of its own, and all are there.
func TestManyWritersOnOneHandle(t *testing.T) {
	const writers, each = 8, 500
	pool := newPool(t, 4<<20)
	var all sync.WaitGroup
	for w := 0; w < writers; w++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < each; i++ {
				if _, err := pool.Append(map[string]int{"w": w, "i": i}, []string{fmt.Sprint(w)}); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	all.Wait()
	next := [writers]int{}
	out, errs := pool.Tail(timeout(t), plasmite.TailOptions{MaxMessages: ptr[uint64](writers * each)})
	seq := uint64(0)
	for message := range out {
		seq++
		equal(t, message.Seq, seq)
		value, err := plasmite.Decode[struct{ W, I int }](message)
		ok(t, err)
		equal(t, value.I, next[value.W])
		next[value.W]++
	}
	ok(t, <-errs)
	equal(t, seq, writers*each)
}

// Far more tails than cores, all ended by one context.
func TestManyTails(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	ctx, cancel := context.WithCancel(timeout(t))
	var all, delivered sync.WaitGroup
	for i := 0; i < 100; i++ {
		out, errs := pool.Tail(ctx, plasmite.TailOptions{})
		all.Add(1)
		delivered.Add(3)
		go func() {
			defer all.Done()
			for range out {
				delivered.Done()
			}
			if err := <-errs; err != context.Canceled {
				t.Error(err)
			}
		}()
	}
	count(t, pool, 3)
	delivered.Wait()
	cancel()
	all.Wait()
}

// A pool that is cut off under its users is an error to them, and nothing to others.
func TestGuardSurvivesACutFile(t *testing.T) {
	if err := plasmite.InstallGuard(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else {
		ok(t, err)
	}
	client := newClient(t)
	pool, err := client.Open("cut", plasmite.Create(65536))
	ok(t, err)
	defer pool.Close()
	other, err := client.Open("other", plasmite.Create(0))
	ok(t, err)
	defer other.Close()
	count(t, pool, 3)
	ok(t, os.Truncate(filepath.Join(client.Dir(), "cut.plasmite"), 0))
	if _, err := pool.GetJSON(1); !errors.Is(err, plasmite.ErrCorrupt) {
		t.Fatal("a message of a file that is gone:", err)
	}
	if _, err := pool.AppendJSON([]byte("{}"), nil, plasmite.DurabilityFast); !errors.Is(err, plasmite.ErrCorrupt) {
		t.Fatal("an append to a file that is gone:", err)
	}
	count(t, other, 3)
}
