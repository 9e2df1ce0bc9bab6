package localtest

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// Nothing where something belongs is an error, or the default; never a crash.
func TestNilArguments(t *testing.T) {
	pool := newPool(t, 0)
	_, err := pool.Append(nil, nil, nil)
	native(t, err, plasmite.ErrorUsage)
	_, err = pool.Append((*struct{})(nil), nil)
	native(t, err, plasmite.ErrorUsage)
	_, err = pool.AppendBatch(nil)
	if !errors.Is(err, plasmite.ErrInvalidArgument) && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	_, err = pool.AppendBatch([]plasmite.Input{{}})
	is(t, err, plasmite.ErrInvalidArgument)
	_, n, err := pool.AppendMany(nil, nil, nil)
	ok(t, err)
	equal(t, n, 0)
	_, n, err = pool.AppendMany([][]byte{nil}, nil)
	is(t, err, plasmite.ErrInvalidArgument)
	equal(t, n, 0)
	_, err = plasmite.Decode[int](nil)
	is(t, err, plasmite.ErrInvalidArgument)
	var none *api.Message
	equal(t, len(none.Tags()), 0)

	message, err := pool.Append(struct{}{}, nil, nil, plasmite.WithDurability(plasmite.DurabilityFast))
	ok(t, err)
	equal(t, message.Seq, 1)
	frames, errs := pool.TailLite3(nil, plasmite.TailOptions{MaxMessages: ptr[uint64](1)}) //nolint:staticcheck
	equal(t, ends(t, frames), 1)
	equal(t, ends(t, errs), 0)
	out, errs := pool.Replay(nil, plasmite.ReplayOptions{Timeout: time.Millisecond}) //nolint:staticcheck
	equal(t, ends(t, out), 1)
	equal(t, ends(t, errs), 0)
}

// Numbers at the ends of their types mean what they say, or are refused.
func TestExtremeNumbers(t *testing.T) {
	pool := newPool(t, 0)
	count(t, pool, 3)
	for _, seq := range []uint64{0, 4, math.MaxUint64} {
		_, err := pool.Get(seq)
		equal(t, *native(t, err, plasmite.ErrorNotFound).Seq, seq)
		_, err = pool.GetLite3(seq)
		equal(t, *native(t, err, plasmite.ErrorNotFound).Seq, seq)
	}
	stream, err := pool.OpenStream(ptr[uint64](0), ptr[uint64](math.MaxUint64), ptr[uint64](math.MaxUint64))
	ok(t, err)
	defer stream.Close()
	for i := 0; i < 3; i++ {
		_, err = stream.NextJSON()
		ok(t, err)
	}
	for _, buffer := range []int{math.MinInt, math.MaxInt} {
		out, errs := pool.Tail(context.Background(), plasmite.TailOptions{Buffer: buffer, MaxMessages: ptr[uint64](3)})
		equal(t, ends(t, out), 3)
		equal(t, ends(t, errs), 0)
	}
	for _, speed := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -1} {
		out, errs := pool.Replay(context.Background(), plasmite.ReplayOptions{Speed: speed, Timeout: time.Millisecond})
		equal(t, ends(t, out), 3)
		equal(t, ends(t, errs), 0)
	}
	ctx, cancel := context.WithCancel(timeout(t))
	out, errs := pool.Replay(ctx, plasmite.ReplayOptions{Speed: math.SmallestNonzeroFloat64, Timeout: time.Millisecond})
	equal(t, take(t, out).Seq, 1)
	cancel() // the second one would come in some centuries
	is(t, take(t, errs), context.Canceled)
	equal(t, ends(t, out), 0)
}

func TestExtremeTimes(t *testing.T) {
	pool := newPool(t, 0)
	last := time.Date(2554, 7, 1, 1, 2, 3, 999999999, time.UTC)
	for _, bad := range []time.Time{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), last.AddDate(1, 0, 0), last.AddDate(90000, 0, 0)} {
		_, err := pool.AppendBatch([]plasmite.Input{{JSON: []byte(`{}`), Time: bad}})
		is(t, err, plasmite.ErrInvalidArgument)
	}
	_, err := pool.AppendBatch([]plasmite.Input{{JSON: []byte(`{}`), Time: last}})
	needs(t, err)
	message, err := pool.Get(1)
	ok(t, err)
	equal(t, message.Time, last)
	frame, err := pool.GetLite3(1)
	ok(t, err)
	equal(t, frame.Time(), last)
}

const exitVariable = "PLASMITE_GO_EXIT"

// A process ends when its main function does, or when it says so, whoever waits in it.
func TestExitWhileFollowing(t *testing.T) {
	if folder := os.Getenv(exitVariable); folder != "" {
		client, err := plasmite.NewClient(folder)
		ok(t, err)
		pool, err := client.Open("pool", plasmite.Create(0))
		ok(t, err)
		count(t, pool, 1)
		for i := 0; i < many; i++ {
			out, _ := pool.Tail(context.Background(), plasmite.TailOptions{})
			take(t, out)
			frames, _ := pool.TailLite3(context.Background(), plasmite.TailOptions{})
			take(t, frames)
		}
		os.Exit(7)
	}
	command := exec.Command(os.Args[0], "-test.run=^TestExitWhileFollowing$")
	command.Env = append(os.Environ(), exitVariable+"="+t.TempDir())
	text, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("%v: %s", err, text)
	}
}
