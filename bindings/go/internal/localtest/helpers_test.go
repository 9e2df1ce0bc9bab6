// Package localtest tests the local client from outside.
package localtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// How long anything may take that should happen at once, on a machine that is busy.
const patience = 20 * time.Second

func newClient(t testing.TB) *plasmite.Client {
	t.Helper()
	client, err := plasmite.NewClient(filepath.Join(t.TempDir(), "pools"))
	ok(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func newPool(t testing.TB, size uint64) *plasmite.Pool {
	t.Helper()
	pool, err := newClient(t).Open("pool", plasmite.Create(size))
	ok(t, err)
	t.Cleanup(func() { pool.Close() })
	return pool
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// native gives the library's error, which has to be of that kind.
func native(t testing.TB, err error, kind plasmite.ErrorKind) *plasmite.Error {
	t.Helper()
	var e *plasmite.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one of kind %v", err, kind)
	}
	if e.Kind != kind {
		t.Fatalf("got %v of kind %v, want %v", err, e.Kind, kind)
	}
	return e
}

// needs skips a test where the library is too old for it.
func needs(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	ok(t, err)
}

func ptr[T any](value T) *T { return &value }

func count(t testing.TB, pool *plasmite.Pool, n int, tags ...string) {
	t.Helper()
	for i := 0; i < n; i++ {
		_, err := pool.Append(map[string]int{"i": i}, tags)
		ok(t, err)
	}
}

// overwrite appends until a message is gone.
func overwrite(t testing.TB, pool *plasmite.Pool, seq uint64) {
	t.Helper()
	padding := make([]byte, 4096)
	for i := range padding {
		padding[i] = 'x'
	}
	payload := []byte(fmt.Sprintf(`{"padding":"%s"}`, padding))
	for i := 0; i < 10000; i++ {
		_, err := pool.AppendJSON(payload, nil, plasmite.DurabilityFast)
		ok(t, err)
		if _, err := pool.GetJSON(seq); err != nil {
			native(t, err, plasmite.ErrorNotFound)
			return
		}
	}
	t.Fatalf("message %d is still there", seq)
}

// take receives one value, which has to come.
func take[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value, open := <-from:
		if !open {
			t.Fatal("the channel is closed")
		}
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

// ends waits until a channel is closed, and gives how many values came before.
func ends[T any](t testing.TB, from <-chan T) int {
	t.Helper()
	deadline := time.After(patience)
	for n := 0; ; n++ {
		select {
		case _, open := <-from:
			if !open {
				return n
			}
		case <-deadline:
			t.Fatal("the channel is still open")
		}
	}
}

// eventually waits for a fact.
func eventually(t testing.TB, what string, fact func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !fact() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// noLeak fails a test after which more goroutines run than before.
func noLeak(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "the goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
