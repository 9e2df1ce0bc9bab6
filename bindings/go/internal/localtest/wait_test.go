package localtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// More than may wait in the library at once: most of them wait for descriptors.
const many = 40

// waits skips a test where the library is too old for it.
func waits(t *testing.T) {
	t.Helper()
	if plasmite.Version() == "" {
		t.Skip("streams of this library cannot be waited for")
	}
}

func threads(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := strings.Cut(string(text), "Threads:")
	n := 0
	_, err = fmt.Sscan(after, &n)
	ok(t, err)
	return n
}

// readers starts goroutines, each of which reads one stream of its own until an error, which it
// sends, and counts what came.
func readers(n int, next func(i int) error, came *sync.WaitGroup) <-chan error {
	errs := make(chan error, n)
	for i := 0; i < n; i++ {
		go func() {
			for {
				if err := next(i); err != nil {
					errs <- err
					return
				}
				came.Done()
			}
		}()
	}
	return errs
}

func openStreams(t *testing.T, pool *plasmite.Pool, n int, timeoutMs *uint64) []api.Stream {
	t.Helper()
	streams := make([]api.Stream, n)
	for i := range streams {
		var err error
		streams[i], err = pool.OpenStream(nil, nil, timeoutMs)
		ok(t, err)
		t.Cleanup(func() { streams[i].Close() })
	}
	return streams
}

// Those who wait hold no thread: hundreds that follow take a few.
func TestFollowersHoldNoThreads(t *testing.T) {
	waits(t)
	noLeak(t)
	const n = 300
	pool := newPool(t, 0)
	ctx, cancel := context.WithCancel(timeout(t))
	before := threads(t)
	var came, all sync.WaitGroup
	all.Add(2 * n)
	follow := func(tail func()) {
		defer all.Done()
		tail()
	}
	for i := 0; i < n; i++ {
		go follow(func() {
			out, errs := pool.Tail(ctx, plasmite.TailOptions{})
			for range out {
				came.Done()
			}
			if err := <-errs; err != context.Canceled {
				t.Error(err)
			}
		})
		go follow(func() {
			out, errs := pool.TailLite3(ctx, plasmite.TailOptions{})
			for range out {
				came.Done()
			}
			if err := <-errs; err != context.Canceled {
				t.Error(err)
			}
		})
	}
	for i := 0; i < 5; i++ {
		came.Add(2 * n)
		count(t, pool, 1)
		came.Wait()
	}
	if more := threads(t) - before; more > n/2 {
		t.Errorf("%d threads for %d that follow", more, 2*n)
	}
	cancel()
	all.Wait()
}

// Nobody misses anything, whatever he waits for when it comes.
func TestManyStreamsHearEverything(t *testing.T) {
	pool := newPool(t, 0)
	streams := openStreams(t, pool, many, nil)
	var came sync.WaitGroup
	errs := readers(many, func(i int) error {
		_, err := streams[i].NextJSON()
		return err
	}, &came)
	for i := 0; i < 200; i++ {
		came.Add(many)
		count(t, pool, 1)
		came.Wait()
	}
	if plasmite.Version() == "" {
		return // its calls cannot be ended
	}
	for _, stream := range streams {
		ok(t, stream.Close())
	}
	for range streams {
		is(t, take(t, errs), plasmite.ErrClosed)
	}
}

// Closing ends a call that waits for good, in both forms.
func TestCloseEndsEveryWait(t *testing.T) {
	waits(t)
	noLeak(t)
	pool := newPool(t, 0)
	streams := openStreams(t, pool, many, nil)
	frames := make([]api.Lite3Stream, many)
	for i := range frames {
		var err error
		frames[i], err = pool.OpenLite3Stream(nil, nil, nil)
		ok(t, err)
	}
	var came sync.WaitGroup
	came.Add(2 * many)
	errs := readers(2*many, func(i int) (err error) {
		if i < many {
			_, err = streams[i].NextJSON()
		} else {
			_, err = frames[i-many].Next()
		}
		return err
	}, &came)
	count(t, pool, 1)
	came.Wait() // all of them read, and wait now or soon
	for i := 0; i < many; i++ {
		go streams[i].Close()
		go frames[i].Close()
		ok(t, streams[i].Close())
		ok(t, frames[i].Close())
	}
	for i := 0; i < 2*many; i++ {
		is(t, take(t, errs), plasmite.ErrClosed)
	}
}

// A stream's time ends whoever waits, and however.
func TestTimeEndsEveryWait(t *testing.T) {
	pool := newPool(t, 0)
	streams := openStreams(t, pool, many, ptr[uint64](150))
	frames := make([]api.Lite3Stream, many)
	for i := range frames {
		var err error
		frames[i], err = pool.OpenLite3Stream(nil, nil, ptr[uint64](150))
		ok(t, err)
		defer frames[i].Close()
	}
	began := time.Now()
	errs := readers(2*many, func(i int) (err error) {
		if i < many {
			_, err = streams[i].NextJSON()
		} else {
			_, err = frames[i-many].Next()
		}
		return err
	}, nil)
	for i := 0; i < 2*many; i++ {
		is(t, take(t, errs), io.EOF)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Fatalf("they waited only %v", took)
	}
	_, err := streams[0].NextJSON()
	is(t, err, io.EOF)
}

// The collector runs while many wait, and while others come and go.
func TestCollectionWhileManyWait(t *testing.T) {
	waits(t)
	pool := newPool(t, 0)
	streams := openStreams(t, pool, many, nil)
	var came sync.WaitGroup
	errs := readers(many, func(i int) error {
		_, err := streams[i].NextJSON()
		return err
	}, &came)
	for i := 0; i < 30; i++ {
		forgotten, err := pool.OpenStream(ptr[uint64](1<<40), nil, ptr[uint64](1))
		ok(t, err)
		_, err = forgotten.NextJSON()
		is(t, err, io.EOF)
		came.Add(many)
		runtime.GC()
		count(t, pool, 1)
		came.Wait()
	}
	for _, stream := range streams {
		stream.Close()
	}
	for range streams {
		is(t, take(t, errs), plasmite.ErrClosed)
	}
}

// A file that is cut off is an error also for those who only wait.
func TestTruncationEndsEveryWait(t *testing.T) {
	waits(t)
	pool := newPool(t, 1<<20)
	path, err := pool.Path()
	ok(t, err)
	streams := openStreams(t, pool, many, nil)
	var came sync.WaitGroup
	came.Add(many)
	errs := readers(many, func(i int) error {
		_, err := streams[i].NextJSON()
		return err
	}, &came)
	count(t, pool, 1)
	came.Wait()
	ok(t, os.Truncate(path, 1<<19))
	for range streams {
		is(t, take(t, errs), plasmite.ErrCorrupt)
	}
}

// The last stream that waits takes everything along: descriptors, and the library's thread.
func TestWaitsLeaveNothing(t *testing.T) {
	waits(t)
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	pool := newPool(t, 0)
	count(t, pool, 1)
	before := -1
	for round := 0; round < 5; round++ {
		ctx, cancel := context.WithCancel(timeout(t))
		ended := make([]<-chan error, many)
		for i := range ended {
			var out <-chan *plasmite.Message
			out, ended[i] = pool.Tail(ctx, plasmite.TailOptions{})
			take(t, out)
		}
		cancel()
		for _, errs := range ended {
			is(t, take(t, errs), context.Canceled)
		}
		if before < 0 {
			before = descriptors() // the runtime has its own by now
		}
	}
	if after := descriptors(); after > before {
		t.Fatalf("%d descriptors, then %d", before, after)
	}
}
