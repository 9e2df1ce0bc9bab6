package localtest

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func TestStreamSinceAndMax(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 5)
	stream, err := pool.OpenStream(ptr[uint64](2), ptr[uint64](3), nil)
	ok(t, err)
	defer stream.Close()
	for seq := uint64(2); seq <= 4; seq++ {
		raw, err := stream.NextJSON()
		ok(t, err)
		message, err := api.DecodeMessage(raw)
		ok(t, err)
		equal(t, message.Seq, seq)
	}
	for i := 0; i < 2; i++ {
		_, err = stream.NextJSON()
		is(t, err, io.EOF)
	}
	ok(t, stream.Close())
	_, err = stream.NextJSON()
	is(t, err, plasmite.ErrClosed)
}

func TestStreamTimeout(t *testing.T) {
	pool := newPool(t, 0)
	stream, err := pool.OpenStream(ptr[uint64](9999), ptr[uint64](1), ptr[uint64](10))
	ok(t, err)
	defer stream.Close()
	_, err = stream.NextJSON()
	is(t, err, io.EOF)
}

// What was read stays as it is when the stream goes on.
func TestStreamMessagesAreOwn(t *testing.T) {
	pool := newPool(t, 0)
	big := make([]byte, 100<<10)
	for i := range big {
		big[i] = 'x'
	}
	for _, text := range []string{"one", string(big), "two"} {
		_, err := pool.Append(map[string]string{"x": text}, nil)
		ok(t, err)
	}
	stream, err := pool.OpenStream(nil, nil, nil)
	ok(t, err)
	defer stream.Close()
	var raws [3][]byte
	for i := range raws {
		raws[i], err = stream.NextJSON()
		ok(t, err)
	}
	for i, raw := range raws {
		stored, err := pool.GetJSON(uint64(i) + 1)
		ok(t, err)
		equal(t, string(raw), string(stored))
	}
}

func TestStreamIsWokenByAnAppend(t *testing.T) {
	pool := newPool(t, 0)
	stream, err := pool.OpenStream(nil, nil, ptr[uint64](uint64(patience/time.Millisecond)))
	ok(t, err)
	defer stream.Close()
	got := make(chan error, 1)
	go func() {
		_, err := stream.NextJSON()
		got <- err
	}()
	count(t, pool, 1)
	ok(t, take(t, got))
}

// Closing a stream ends the call that waits in it.
func TestStreamCloseWhileBlocked(t *testing.T) {
	pool := newPool(t, 0)
	for i := 0; i < 50; i++ {
		stream, err := pool.OpenStream(nil, nil, ptr[uint64](50))
		ok(t, err)
		got := make(chan error, 1)
		go func() {
			_, err := stream.NextJSON()
			got <- err
		}()
		ok(t, stream.Close())
		is(t, take(t, got), plasmite.ErrClosed)
	}
}

// One stream read by many gives each message once.
func TestStreamSharedByMany(t *testing.T) {
	const n = 2000
	pool := newPool(t, 0)
	count(t, pool, n)
	stream, err := pool.OpenStream(nil, ptr[uint64](n), nil)
	ok(t, err)
	defer stream.Close()
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				raw, err := stream.NextJSON()
				if errors.Is(err, io.EOF) {
					return
				}
				message, err2 := api.DecodeMessage(raw)
				if err != nil || err2 != nil {
					t.Error(err, err2)
					return
				}
				mu.Lock()
				if seen[message.Seq] {
					t.Error("twice:", message.Seq)
				}
				seen[message.Seq] = true
				mu.Unlock()
			}
		}()
	}
	all.Wait()
	equal(t, len(seen), n)
}
