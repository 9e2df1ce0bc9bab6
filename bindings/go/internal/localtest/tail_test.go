package localtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

const window = 50 * time.Millisecond

func TestTailMaxMessages(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 5)
	for _, buffer := range []int{-1, 0, 1, 2, 1000} {
		out, errs := pool.Tail(context.Background(), plasmite.TailOptions{
			SinceSeq: ptr[uint64](2), MaxMessages: ptr[uint64](3), Buffer: buffer, Timeout: window,
		})
		for seq := uint64(2); seq <= 4; seq++ {
			equal(t, take(t, out).Seq, seq)
		}
		equal(t, ends(t, out), 0)
		equal(t, ends(t, errs), 0)
	}
	out, errs := pool.Tail(context.Background(), plasmite.TailOptions{MaxMessages: ptr[uint64](0)})
	equal(t, ends(t, out), 0)
	equal(t, ends(t, errs), 0)
}

// Neither repeated nor left out: whatever the windows and the buffer are.
func TestTailFollows(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 3)
	ctx, cancel := context.WithCancel(timeout(t))
	defer cancel()
	out, errs := pool.Tail(ctx, plasmite.TailOptions{Timeout: time.Millisecond, Buffer: 3})
	for seq := uint64(1); seq <= 3; seq++ {
		equal(t, take(t, out).Seq, seq)
	}
	for seq := uint64(4); seq < 300; seq++ {
		if seq%7 == 0 {
			time.Sleep(2 * time.Millisecond) // so that windows end with nothing
		}
		message, err := pool.Append(map[string]uint64{"n": seq}, nil)
		ok(t, err)
		equal(t, message.Seq, seq)
		equal(t, string(take(t, out).Raw), string(message.Raw))
	}
	cancel()
	is(t, take(t, errs), context.Canceled)
	ends(t, out)
}

func TestTailCancelWhileWaiting(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	out, errs := pool.Tail(ctx, plasmite.TailOptions{Timeout: time.Hour})
	cancel()
	is(t, take(t, errs), context.Canceled)
	equal(t, ends(t, errs), 0)
	equal(t, ends(t, out), 0)

	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, errs = pool.Tail(ctx, plasmite.TailOptions{})
	is(t, take(t, errs), context.DeadlineExceeded)
	_, errs = pool.Tail(ctx, plasmite.TailOptions{}) // ended before it began
	is(t, take(t, errs), context.DeadlineExceeded)
}

// Nobody takes the messages: the context still ends it.
func TestTailCancelWhileFull(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 200)
	ctx, cancel := context.WithCancel(context.Background())
	out, errs := pool.Tail(ctx, plasmite.TailOptions{Buffer: 8})
	eventually(t, "the buffer is full", func() bool { return len(out) == 7 })
	cancel()
	is(t, take(t, errs), context.Canceled)
	equal(t, ends(t, out), 7)
}

func TestTailNilContext(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 1)
	out, errs := pool.Tail(nil, plasmite.TailOptions{MaxMessages: ptr[uint64](1)}) //nolint:staticcheck
	take(t, out)
	equal(t, ends(t, errs), 0)
}

func TestTailTags(t *testing.T) {
	pool := newPool(t, 0)
	for i := 0; i < 10; i++ {
		count(t, pool, 1, "noise")
		count(t, pool, 1, "a", fmt.Sprint(i), "b")
	}
	ctx := timeout(t)
	out, errs := pool.Tail(ctx, plasmite.TailOptions{Tags: []string{"b", "a"}, MaxMessages: ptr[uint64](4), Timeout: window})
	for i := uint64(1); i <= 4; i++ {
		equal(t, take(t, out).Seq, 2*i)
	}
	equal(t, ends(t, out), 0)
	equal(t, ends(t, errs), 0)

	out, errs = pool.Tail(ctx, plasmite.TailOptions{Tags: []string{"A"}, Timeout: window})
	count(t, pool, 1, "A", "b")
	equal(t, take(t, out).Seq, 21)
	ok(t, pool.Close())
	is(t, take(t, errs), plasmite.ErrClosed)
}

func TestTailWithBadTags(t *testing.T) {
	pool := newPool(t, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, errs := pool.Tail(ctx, plasmite.TailOptions{Tags: []string{"a\x00b"}})
	if take(t, errs) == nil { // an older library finds no such message
		t.Fatal("no error")
	}
}

// A tag filter hides no gap.
func TestTailGapWithTags(t *testing.T) {
	pool := newPool(t, 65536)
	count(t, pool, 1)
	overwrite(t, pool, 1)
	out, errs := pool.Tail(timeout(t), plasmite.TailOptions{
		SinceSeq: ptr[uint64](1), Tags: []string{"never"}, ErrorOnGap: true, Timeout: window,
	})
	err := take(t, errs)
	e := native(t, err, plasmite.ErrorRetentionGap)
	is(t, err, plasmite.ErrRetentionGap)
	if e.Seq == nil || *e.Seq != 1 || e.Path != "" {
		t.Fatalf("%+v", e)
	}
	equal(t, ends(t, out), 0)

	out, errs = pool.Tail(timeout(t), plasmite.TailOptions{SinceSeq: ptr[uint64](1), MaxMessages: ptr[uint64](1)})
	if seq := take(t, out).Seq; seq <= 1 {
		t.Fatal(seq)
	}
	equal(t, ends(t, errs), 0)
}

// What was there when a tail began is not lost because whoever took the first message is quick to
// overwrite the second one.
func TestTailHasTheSecondMessageWithTheFirst(t *testing.T) {
	waits(t) // an older library gives one message a call
	for i := 0; i < 300; i++ {
		pool := newPool(t, 65536)
		count(t, pool, 2)
		ctx, cancel := context.WithCancel(timeout(t))
		out, errs := pool.Tail(ctx, plasmite.TailOptions{
			SinceSeq: ptr[uint64](1), Timeout: window, Buffer: 1, ErrorOnGap: true,
		})
		equal(t, take(t, out).Seq, 1)
		overwrite(t, pool, 2)
		select {
		case message := <-out:
			equal(t, message.Seq, 2)
		case err := <-errs:
			t.Fatalf("round %d: %v", i, err)
		}
		cancel()
		pool.Close()
	}
}

// No more than Buffer messages are read before they are taken: what is overwritten behind them
// is missing.
func TestTailReadsAheadNoMoreThanBuffer(t *testing.T) {
	for _, buffer := range []int{1, 2, 5} {
		pool := newPool(t, 1<<20)
		count(t, pool, 20)
		ctx, cancel := context.WithCancel(timeout(t))
		out, errs := pool.Tail(ctx, plasmite.TailOptions{
			SinceSeq: ptr[uint64](1), Timeout: window, Buffer: buffer, ErrorOnGap: true,
		})
		equal(t, take(t, out).Seq, 1)
		eventually(t, "it is full", func() bool { return len(out) == buffer-1 })
		overwrite(t, pool, 20)
		var err error
		last := uint64(1)
		for err == nil {
			select {
			case message := <-out:
				if message == nil {
					t.Fatal("the end of the messages came before the error")
				}
				equal(t, message.Seq, last+1)
				last = message.Seq
			case err = <-errs:
			}
		}
		if last > uint64(buffer)+1 {
			t.Fatalf("buffer %d: %d were read", buffer, last)
		}
		equal(t, *native(t, err, plasmite.ErrorRetentionGap).Seq, last+1)
		cancel()
	}
}

// Who selects from both channels sees the error, never the end of the messages before it.
func TestTailErrorComesFirst(t *testing.T) {
	pool := newPool(t, 65536)
	count(t, pool, 1)
	overwrite(t, pool, 1)
	for i := 0; i < 100; i++ {
		out, errs := pool.Tail(timeout(t), plasmite.TailOptions{SinceSeq: ptr[uint64](1), ErrorOnGap: true})
		select {
		case message := <-out:
			t.Fatalf("round %d: %v", i, message)
		case err := <-errs:
			native(t, err, plasmite.ErrorRetentionGap)
		}
	}
}

// Who ranges over the messages and asks for the error afterwards gets it.
func TestTailRangeThenError(t *testing.T) {
	pool := newPool(t, 65536)
	count(t, pool, 1)
	overwrite(t, pool, 1)
	out, errs := pool.Tail(timeout(t), plasmite.TailOptions{SinceSeq: ptr[uint64](1), ErrorOnGap: true})
	for message := range out {
		t.Fatal(message)
	}
	native(t, <-errs, plasmite.ErrorRetentionGap)
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

func TestPoolCloseEndsTails(t *testing.T) {
	noLeak(t)
	for i := 0; i < 30; i++ {
		pool := newPool(t, 0)
		count(t, pool, i)
		out, errs := pool.Tail(context.Background(), plasmite.TailOptions{Buffer: 4, Timeout: window})
		_, frames := pool.TailLite3(context.Background(), plasmite.TailOptions{Timeout: window, SinceSeq: ptr[uint64](999)})
		ok(t, pool.Close())
		is(t, take(t, errs), plasmite.ErrClosed)
		is(t, take(t, frames), plasmite.ErrClosed)
		ends(t, out)
	}
}

func TestReplay(t *testing.T) {
	pool := newPool(t, 0)
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	var inputs []plasmite.Input
	for _, ms := range []int{0, 0, 200, 400} {
		inputs = append(inputs, plasmite.Input{JSON: []byte(`{}`), Time: start.Add(time.Duration(ms) * time.Millisecond)})
	}
	_, err := pool.AppendBatch(inputs)
	needs(t, err)
	for _, speed := range []float64{0, 1, 4} {
		factor := max(speed, 1)
		out, errs := pool.Replay(timeout(t), plasmite.ReplayOptions{Speed: speed, Timeout: 10 * time.Millisecond})
		take(t, out)
		began := time.Now()
		equal(t, take(t, out).Seq, 2)
		equal(t, take(t, out).Seq, 3)
		equal(t, take(t, out).Seq, 4)
		if took := time.Since(began); took < time.Duration(float64(390*time.Millisecond)/factor) {
			t.Fatalf("speed %v: took %v", speed, took)
		}
		equal(t, ends(t, out), 0)
		equal(t, ends(t, errs), 0)
	}
	out, errs := pool.Replay(timeout(t), plasmite.ReplayOptions{
		Speed: 1e9, SinceSeq: ptr[uint64](2), MaxMessages: ptr[uint64](2), Timeout: time.Hour,
	})
	equal(t, take(t, out).Seq, 2)
	equal(t, take(t, out).Seq, 3)
	equal(t, ends(t, out), 0)
	equal(t, ends(t, errs), 0)
}

func TestReplayEnds(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	start := time.Now().Add(-1000 * time.Hour)
	_, err := pool.AppendBatch([]plasmite.Input{{JSON: []byte(`{}`), Time: start}, {JSON: []byte(`{}`)}})
	needs(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	out, errs := pool.Replay(ctx, plasmite.ReplayOptions{Timeout: 10 * time.Millisecond})
	take(t, out)
	cancel() // in the middle of a pause
	is(t, take(t, errs), context.Canceled)

	out, errs = pool.Replay(context.Background(), plasmite.ReplayOptions{Timeout: 10 * time.Millisecond})
	take(t, out)
	ok(t, pool.Close())
	is(t, take(t, errs), plasmite.ErrClosed)
	ends(t, out)
}

// Appends, reads, tails and Close from all sides: each ends well, or with ErrClosed.
func TestCloseWhileInUse(t *testing.T) {
	noLeak(t)
	for round := 0; round < 20; round++ {
		pool := newPool(t, 65536)
		var all sync.WaitGroup
		use := func(call func() error) {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					err := call()
					if errors.Is(err, plasmite.ErrClosed) {
						return
					}
					if err != nil && !errors.Is(err, plasmite.ErrNotFound) {
						t.Error(err)
						return
					}
				}
			}()
		}
		for i := 0; i < 3; i++ {
			use(func() error { _, err := pool.Append(map[string]int{}, []string{"t"}); return err })
			use(func() error { _, err := pool.Get(1); return err })
			use(func() error {
				out, errs := pool.Tail(context.Background(), plasmite.TailOptions{Timeout: window})
				for range out {
				}
				return <-errs
			})
			use(func() error {
				stream, err := pool.OpenStream(nil, nil, ptr[uint64](10)) // it outlives the pool
				if err != nil {
					return err
				}
				defer stream.Close()
				if _, err = stream.NextJSON(); errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			})
		}
		time.Sleep(time.Duration(round) * time.Millisecond)
		for i := 0; i < 3; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				if err := pool.Close(); err != nil {
					t.Error(err)
				}
			}()
		}
		all.Wait()
	}
}
