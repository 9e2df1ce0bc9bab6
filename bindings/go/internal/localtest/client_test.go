package localtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func TestClientNeedsADirectory(t *testing.T) {
	_, err := plasmite.NewClient("")
	is(t, err, plasmite.ErrInvalidArgument)
	_, err = plasmite.NewClient("a\x00b")
	is(t, err, plasmite.ErrInvalidArgument)
}

func TestDefaultPoolDirFollowsHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	equal(t, plasmite.DefaultPoolDir(), filepath.Join(home, ".plasmite", "pools"))
	client, err := plasmite.NewDefaultClient()
	ok(t, err)
	defer client.Close()
	pool, err := client.Pool("work", 0)
	ok(t, err)
	defer pool.Close()
	info, err := os.Stat(filepath.Join(home, ".plasmite", "pools", "work.plasmite"))
	ok(t, err)
	equal(t, info.Size(), int64(plasmite.DefaultPoolSizeBytes))

	t.Setenv("HOME", "")
	equal(t, plasmite.DefaultPoolDir(), filepath.Join(os.TempDir(), "plasmite", "pools"))
}

func TestPoolReferences(t *testing.T) {
	client := newClient(t)
	for _, open := range []func(api.PoolRef) (api.Pool, error){
		client.OpenPool,
		func(ref api.PoolRef) (api.Pool, error) { return client.CreatePool(ref, 0) },
		func(ref api.PoolRef) (api.Pool, error) { return client.Pool(ref, 0) },
	} {
		pool, err := open("")
		is(t, err, plasmite.ErrInvalidArgument)
		if pool != nil {
			t.Fatal("a pool beside an error")
		}
		_, err = open("a\x00b")
		is(t, err, plasmite.ErrInvalidArgument)
		_, err = open(plasmite.PoolRefURI("http://host/pool"))
		native(t, err, plasmite.ErrorUsage)
		is(t, err, plasmite.ErrUsage)
	}

	path := filepath.Join(t.TempDir(), "deep", "file.ring")
	pool, err := client.CreatePool(plasmite.PoolRefPath(path), 65536)
	ok(t, err)
	ok(t, pool.Close())
	info, err := os.Stat(path)
	ok(t, err)
	equal(t, info.Size(), int64(65536))
}

func TestMissingAndExistingPools(t *testing.T) {
	client := newClient(t)
	_, err := client.OpenPool(plasmite.PoolRefName("missing"))
	e := native(t, err, plasmite.ErrorNotFound)
	if !strings.HasSuffix(e.Path, "missing.plasmite") || !strings.Contains(e.Message, "not found") {
		t.Fatalf("%+v", e)
	}
	equal(t, err.Error(), "plasmite: "+e.Message+" ("+e.Path+")")
	if e.Seq != nil || e.Offset != nil {
		t.Fatalf("%+v", e)
	}

	pool, err := client.CreatePool("once", 0)
	ok(t, err)
	defer pool.Close()
	_, err = client.CreatePool("once", 0)
	native(t, err, plasmite.ErrorAlreadyExists)
	is(t, err, plasmite.ErrAlreadyExists)
	if errors.Is(err, plasmite.ErrNotFound) {
		t.Fatal("of two kinds")
	}
	_, err = client.CreatePool("small", 16)
	native(t, err, plasmite.ErrorUsage)
	again, err := client.Pool("once", 1<<24) // the size counts only where it is made
	ok(t, err)
	ok(t, again.Close())
}

func TestCorruptPool(t *testing.T) {
	client := newClient(t)
	ok(t, os.MkdirAll(client.Dir(), 0o700))
	ok(t, os.WriteFile(filepath.Join(client.Dir(), "bad.plasmite"), []byte("NOPE"), 0o600))
	_, err := client.OpenPool("bad")
	if e := native(t, err, plasmite.ErrorCorrupt); !strings.HasSuffix(e.Path, "bad.plasmite") {
		t.Fatalf("%+v", e)
	}
	_, err = client.Pool("bad", 0)
	is(t, err, plasmite.ErrCorrupt)
}

func TestClosedAndNilHandles(t *testing.T) {
	client := newClient(t)
	pool, err := client.Open("pool", plasmite.Create(0))
	ok(t, err)
	stream, err := pool.OpenStream(nil, nil, nil)
	ok(t, err)
	for i := 0; i < 2; i++ {
		ok(t, client.Close())
		ok(t, pool.Close())
		ok(t, stream.Close())
	}
	var noClient *plasmite.Client
	var noPool *plasmite.Pool
	var noStream *plasmite.Stream
	var noLite3 *plasmite.Lite3Stream
	ok(t, noClient.Close())
	ok(t, noPool.Close())
	ok(t, noStream.Close())
	ok(t, noLite3.Close())

	for _, c := range []*plasmite.Client{client, noClient, {}} {
		_, err = c.OpenPool("") // closed is found before what else is wrong
		is(t, err, plasmite.ErrClosed)
		_, err = c.CreatePool("x", 0)
		is(t, err, plasmite.ErrClosed)
		_, err = c.Pool("x", 0)
		is(t, err, plasmite.ErrClosed)
		_, err = c.List()
		is(t, err, plasmite.ErrClosed)
		is(t, c.Delete("x"), plasmite.ErrClosed)
	}
	for _, p := range []*plasmite.Pool{pool, noPool, {}} {
		for name, err := range usePool(t, p) {
			if !errors.Is(err, plasmite.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, s := range []api.Stream{stream, noStream, &plasmite.Stream{}} {
		_, err = s.NextJSON()
		is(t, err, plasmite.ErrClosed)
	}
	for _, s := range []api.Lite3Stream{noLite3, &plasmite.Lite3Stream{}} {
		_, err = s.Next()
		is(t, err, plasmite.ErrClosed)
	}
}

// usePool calls all that a pool can do.
func usePool(t *testing.T, p *plasmite.Pool) map[string]error {
	errs := map[string]error{}
	_, errs["AppendJSON"] = p.AppendJSON(nil, nil, plasmite.DurabilityFast)
	_, errs["Append"] = p.Append(make(chan int), nil)
	_, errs["AppendLite3"] = p.AppendLite3(nil, plasmite.DurabilityFast)
	_, errs["AppendBatch"] = p.AppendBatch([]plasmite.Input{{JSON: []byte(`{}`)}})
	_, _, errs["AppendMany"] = p.AppendMany([][]byte{[]byte(`{}`)}, nil)
	_, errs["GetJSON"] = p.GetJSON(1)
	_, errs["Get"] = p.Get(1)
	_, errs["GetLite3"] = p.GetLite3(1)
	_, errs["OpenStream"] = p.OpenStream(nil, nil, nil)
	_, errs["OpenLite3Stream"] = p.OpenLite3Stream(nil, nil, nil)
	_, errs["Info"] = p.Info()
	_, errs["Verify"] = p.Verify()
	_, errs["Path"] = p.Path()
	errs["Flush"] = p.Flush()
	ctx := timeout(t)
	_, tail := p.Tail(ctx, plasmite.TailOptions{})
	errs["Tail"] = <-tail
	_, tail = p.TailLite3(ctx, plasmite.TailOptions{})
	errs["TailLite3"] = <-tail
	_, tail = p.Replay(ctx, plasmite.ReplayOptions{})
	errs["Replay"] = <-tail
	return errs
}

func TestPoolsOutliveTheirClient(t *testing.T) {
	client := newClient(t)
	pool, err := client.Open("pool", plasmite.Create(0))
	ok(t, err)
	stream, err := pool.OpenStream(nil, nil, nil)
	ok(t, err)
	ok(t, client.Close())
	count(t, pool, 1)
	ok(t, pool.Close())
	_, err = stream.NextJSON()
	ok(t, err)
	ok(t, stream.Close())
}

func TestListAndDelete(t *testing.T) {
	client := newClient(t)
	names, err := client.List()
	needs(t, err)
	equal(t, len(names), 0)
	for _, name := range []api.PoolRef{"beta", "alpha"} {
		pool, err := client.CreatePool(name, 0)
		ok(t, err)
		ok(t, pool.Close())
	}
	names, err = client.List()
	ok(t, err)
	if !reflect.DeepEqual(names, []string{"alpha", "beta"}) {
		t.Fatal(names)
	}
	ok(t, client.Delete("beta"))
	is(t, client.Delete("beta"), plasmite.ErrNotFound)
	is(t, client.Delete(""), plasmite.ErrInvalidArgument)
	names, err = client.List()
	ok(t, err)
	equal(t, fmt.Sprint(names), "[alpha]")
}

func TestOpenOptions(t *testing.T) {
	client := newClient(t)
	_, err := client.Open("pool")
	is(t, err, plasmite.ErrNotFound)
	pool, err := client.Open("pool", plasmite.Create(1<<20), plasmite.IndexCapacity(64),
		plasmite.BusyTimeout(time.Second), nil)
	needs(t, err)
	defer pool.Close()
	info, err := pool.Info()
	ok(t, err)
	equal(t, info.IndexCapacity, 64)
	count(t, pool, 1)

	reader, err := client.Open("pool", plasmite.ReadOnly())
	ok(t, err)
	defer reader.Close()
	_, err = reader.Get(1)
	ok(t, err)
	_, err = reader.Append(map[string]int{}, nil)
	is(t, err, plasmite.ErrUsage)
}

// Many who open a pool that does not exist all get the same one.
func TestOpenOrCreateRace(t *testing.T) {
	client := newClient(t)
	for round := 0; round < 20; round++ {
		name := plasmite.PoolRefName(fmt.Sprintf("pool%d", round))
		var all sync.WaitGroup
		for i := 0; i < 8; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				pool, err := client.Pool(name, 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer pool.Close()
				if _, err := pool.Append(map[string]int{}, nil); err != nil {
					t.Error(err)
				}
			}()
		}
		all.Wait()
		pool, err := client.OpenPool(name)
		ok(t, err)
		_, err = pool.Get(8)
		ok(t, err)
		ok(t, pool.Close())
	}
}
