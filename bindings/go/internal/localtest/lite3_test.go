package localtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func TestLite3RoundTrip(t *testing.T) {
	pool := newPool(t, 0)
	message, err := pool.Append(map[string]any{"k": []int{1, 2}}, []string{"tag"})
	ok(t, err)
	frame, err := pool.GetLite3(1)
	ok(t, err)
	equal(t, frame.Seq, 1)
	equal(t, frame.Flags, 0)
	equal(t, frame.Time(), message.Time)

	seq, err := pool.AppendLite3(frame.Payload, plasmite.DurabilityFlush)
	ok(t, err)
	equal(t, seq, 2)
	again, err := pool.GetLite3(2)
	ok(t, err)
	if !bytes.Equal(again.Payload, frame.Payload) {
		t.Fatal("other bytes")
	}
	copied, err := pool.Get(2)
	ok(t, err)
	equal(t, string(copied.Data), string(message.Data))
	equal(t, copied.Tags()[0], "tag")

	_, err = pool.GetLite3(3)
	equal(t, *native(t, err, plasmite.ErrorNotFound).Seq, 3)
}

func TestLite3Refusals(t *testing.T) {
	pool := newPool(t, 0)
	for _, bad := range [][]byte{{1}, {1, 2, 3}, []byte(`{"a":1}`), make([]byte, 500)} {
		_, err := pool.AppendLite3(bad, plasmite.DurabilityFast)
		if !errors.Is(err, plasmite.ErrCorrupt) && !errors.Is(err, plasmite.ErrUsage) {
			t.Fatal(err)
		}
	}
	_, err := pool.AppendLite3([]byte{1}, 99)
	is(t, err, plasmite.ErrUsage)
}

func TestLite3Stream(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 4)
	stream, err := pool.OpenLite3Stream(ptr[uint64](2), ptr[uint64](2), nil)
	ok(t, err)
	for seq := uint64(2); seq <= 3; seq++ {
		frame, err := stream.Next()
		ok(t, err)
		equal(t, frame.Seq, seq)
	}
	_, err = stream.Next()
	is(t, err, io.EOF)
	ok(t, stream.Close())
	ok(t, stream.Close())
	_, err = stream.Next()
	is(t, err, plasmite.ErrClosed)

	stream, err = pool.OpenLite3Stream(ptr[uint64](99), nil, ptr[uint64](10))
	ok(t, err)
	defer stream.Close()
	_, err = stream.Next()
	is(t, err, io.EOF)
}

func TestTailLite3(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 3)
	ctx, cancel := context.WithCancel(timeout(t))
	frames, errs := pool.TailLite3(ctx, plasmite.TailOptions{Timeout: window, Tags: []string{"ignored"}})
	for seq := uint64(1); seq <= 10; seq++ {
		if seq > 3 {
			count(t, pool, 1)
		}
		equal(t, take(t, frames).Seq, seq)
	}
	cancel()
	is(t, take(t, errs), context.Canceled)

	frames, errs = pool.TailLite3(context.Background(), plasmite.TailOptions{MaxMessages: ptr[uint64](2)})
	equal(t, ends(t, frames), 2)
	equal(t, ends(t, errs), 0)
}

func TestTailLite3Gap(t *testing.T) {
	pool := newPool(t, 65536)
	count(t, pool, 1)
	overwrite(t, pool, 1)
	_, errs := pool.TailLite3(timeout(t), plasmite.TailOptions{SinceSeq: ptr[uint64](1), ErrorOnGap: true})
	equal(t, *native(t, take(t, errs), plasmite.ErrorRetentionGap).Seq, 1)
}
