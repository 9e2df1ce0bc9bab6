//go:build go1.23

package localtest

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func TestAll(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	const n = 1000 // more than one batch
	count(t, pool, n)
	next := uint64(3)
	for message, err := range pool.All(timeout(t), plasmite.TailOptions{SinceSeq: &next, MaxMessages: ptr[uint64](n - 3)}) {
		ok(t, err)
		equal(t, message.Seq, next)
		equal(t, string(message.Data), fmt.Sprintf(`{"i":%d}`, next-1))
		next++
	}
	equal(t, next, n)
	for range pool.All(timeout(t), plasmite.TailOptions{MaxMessages: ptr[uint64](0)}) {
		t.Fatal("none was asked for")
	}
}

// A message that is kept does not change when the iteration goes on; a line may.
func TestAllMessagesAreOwn(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 600)
	var kept []*plasmite.Message
	for message, err := range pool.All(timeout(t), plasmite.TailOptions{MaxMessages: ptr[uint64](600)}) {
		ok(t, err)
		kept = append(kept, message)
	}
	for i, message := range kept {
		stored, err := pool.GetJSON(uint64(i) + 1)
		ok(t, err)
		equal(t, string(message.Raw), string(stored))
	}
}

func TestAllBreakFreesEverything(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 3)
	all := pool.All(context.Background(), plasmite.TailOptions{})
	for i := 0; i < 20; i++ { // each loop begins anew
		for message, err := range all {
			ok(t, err)
			equal(t, message.Seq, 1)
			break
		}
	}
}

func TestAllCancelWhileWaiting(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for message, err := range pool.All(ctx, plasmite.TailOptions{}) {
		if last = err; err != nil {
			if message != nil {
				t.Fatal("a message beside an error")
			}
			continue
		}
		n++
		time.AfterFunc(10*time.Millisecond, cancel)
	}
	equal(t, n, 1)
	is(t, last, context.Canceled)
}

func TestAllEndsWithItsPool(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 1)
	var last error
	for _, err := range pool.All(context.Background(), plasmite.TailOptions{}) {
		if last = err; err == nil {
			time.AfterFunc(10*time.Millisecond, func() { pool.Close() })
		}
	}
	is(t, last, plasmite.ErrClosed)
	var noPool *plasmite.Pool
	for _, err := range noPool.All(context.Background(), plasmite.TailOptions{}) {
		is(t, err, plasmite.ErrClosed)
	}
}

func TestAllTagsAndGaps(t *testing.T) {
	pool := newPool(t, 65536)
	count(t, pool, 4, "x")
	count(t, pool, 4, "x", "y")
	seqs := ""
	for message, err := range pool.All(timeout(t), plasmite.TailOptions{Tags: []string{"y"}, MaxMessages: ptr[uint64](2)}) {
		ok(t, err)
		seqs += fmt.Sprint(message.Seq, " ")
	}
	for line, err := range pool.Lines(timeout(t), plasmite.TailOptions{Tags: []string{"y"}, MaxMessages: ptr[uint64](2)}) {
		ok(t, err)
		seqs += string(line[:9])
	}
	equal(t, seqs, `5 6 {"seq":5,{"seq":6,`)
	overwrite(t, pool, 1)
	var last error
	for _, last = range pool.All(timeout(t), plasmite.TailOptions{SinceSeq: ptr[uint64](1), ErrorOnGap: true}) {
	}
	is(t, last, plasmite.ErrRetentionGap)
}

func TestLines(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 700)
	big := make([]byte, 50<<10)
	for i := range big {
		big[i] = 'x'
	}
	_, err := pool.Append(map[string]string{"big": string(big)}, nil)
	ok(t, err)
	count(t, pool, 700)
	seq := uint64(0)
	for line, err := range pool.Lines(timeout(t), plasmite.TailOptions{MaxMessages: ptr[uint64](1401)}) {
		ok(t, err)
		seq++
		stored, err := pool.GetJSON(seq)
		ok(t, err)
		equal(t, string(line), string(stored))
	}
	equal(t, seq, 1401)
}

// seqsOf lists what an iterator gives of the messages that are there.
func seqsOf(t *testing.T, pool *plasmite.Pool, options ...plasmite.IterOption) string {
	t.Helper()
	seqs := ""
	for message, err := range pool.All(timeout(t), plasmite.TailOptions{}, append(options, plasmite.Retained())...) {
		needs(t, err)
		seqs += fmt.Sprint(message.Seq, " ")
	}
	return seqs
}

func TestIterOptions(t *testing.T) {
	pool := newPool(t, 0)
	equal(t, seqsOf(t, pool), "")
	at := time.Date(2020, 5, 5, 0, 0, 0, 0, time.UTC)
	var inputs []plasmite.Input
	for i := 0; i < 6; i++ {
		inputs = append(inputs, plasmite.Input{JSON: []byte(fmt.Sprintf(`{"n":%d}`, i)), Time: at.Add(time.Duration(i) * time.Hour)})
	}
	_, err := pool.AppendBatch(inputs)
	ok(t, err)
	equal(t, seqsOf(t, pool, nil), "1 2 3 4 5 6 ")
	equal(t, seqsOf(t, pool, plasmite.FromLast(2)), "5 6 ")
	equal(t, seqsOf(t, pool, plasmite.FromLast(0)), "")
	equal(t, seqsOf(t, pool, plasmite.FromLast(1000)), "1 2 3 4 5 6 ")
	equal(t, seqsOf(t, pool, plasmite.FromTime(at.Add(3*time.Hour))), "4 5 6 ")
	equal(t, seqsOf(t, pool, plasmite.FromTime(time.Time{})), "1 2 3 4 5 6 ")
	equal(t, seqsOf(t, pool, plasmite.FromTime(at.AddDate(5000, 0, 0))), "")
	equal(t, seqsOf(t, pool, plasmite.Where(".data.n > 1"), plasmite.Where(".data.n < 4")), "3 4 ")
	for _, err := range pool.All(timeout(t), plasmite.TailOptions{}, plasmite.Where("][")) {
		is(t, err, plasmite.ErrUsage)
	}
	for _, err := range pool.All(timeout(t), plasmite.TailOptions{}, plasmite.Where("\x00")) {
		is(t, err, plasmite.ErrInvalidArgument)
	}
}

// However a loop is left, nothing of it stays behind.
func TestLeavingTheLoop(t *testing.T) {
	noLeak(t)
	client := newClient(t)
	pool, err := client.Open("pool", plasmite.Create(0))
	ok(t, err)
	count(t, pool, 600)
	loop := func(body func()) {
		for _, err := range pool.All(context.Background(), plasmite.TailOptions{}) {
			ok(t, err)
			body()
		}
	}
	ways := map[string]func(){
		"panic":  func() { panic("mine") },
		"goexit": func() { runtime.Goexit() },
	}
	for name, way := range ways {
		for i := 0; i < 20; i++ {
			ended := make(chan any, 1)
			go func() {
				defer func() { ended <- recover() }()
				loop(way)
			}()
			if got := take(t, ended); name == "panic" && got != "mine" {
				t.Fatal(got)
			}
		}
	}
	func() {
		for range pool.Lines(context.Background(), plasmite.TailOptions{}) {
			return
		}
	}()
	ok(t, pool.Close())
	equal(t, mappings(t, client.Dir()), 0) // that of the last stream is gone as well
}

// A loop may use its pool, and even close it.
func TestUsingThePoolInsideTheLoop(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 1)
	n := 0
	var last error
	for message, err := range pool.All(timeout(t), plasmite.TailOptions{}) {
		if last = err; err != nil {
			break
		}
		n++
		_, err = pool.Get(message.Seq)
		ok(t, err)
		if n < 300 {
			count(t, pool, 1)
		} else {
			ok(t, pool.Close())
		}
	}
	equal(t, n, 300)
	is(t, last, plasmite.ErrClosed)
}

// Iterators may be pulled from, one value at a time, and left at any place.
func TestPulling(t *testing.T) {
	noLeak(t)
	pool := newPool(t, 0)
	count(t, pool, 2)
	next, stop := iter.Pull2(pool.All(timeout(t), plasmite.TailOptions{}))
	for seq := uint64(1); seq <= 2; seq++ {
		message, err, there := next()
		ok(t, err)
		equal(t, there, true)
		equal(t, message.Seq, seq)
	}
	stop()
	stop()
	_, _, there := next()
	equal(t, there, false)
}
