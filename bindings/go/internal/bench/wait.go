//go:build go1.23

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

var stamp = []byte(`{"n":1}`)

func quantiles(times []time.Duration) map[string]float64 {
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))].Nanoseconds())
	}
	return map[string]float64{"p50": at(0.5), "p99": at(0.99)}
}

// follow starts a reader of what comes from now on, which says when each message came.
func follow(ctx context.Context, pool *plasmite.Pool, came func(time.Time), all *sync.WaitGroup) {
	info, err := pool.Info()
	must(err)
	all.Add(1)
	go func() {
		defer all.Done()
		for _, err := range pool.Lines(ctx, plasmite.TailOptions{SinceSeq: &info.NextSeq, ErrorOnGap: true}) {
			if ctx.Err() != nil {
				return
			}
			must(err)
			came(time.Now())
		}
	}()
}

// measureWake: how long after an append began its reader has the message; gap_us: how long
// nothing happens before the next one.
func measureWake() map[string]float64 {
	pool := openPool("wake")
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	arrivals := make(chan time.Time)
	follow(ctx, pool, func(at time.Time) { arrivals <- at }, &all)
	gap := time.Duration(number("gap_us", 0)) * time.Microsecond
	var times []time.Duration
	for begin := time.Now(); time.Since(begin) < duration(); {
		time.Sleep(gap)
		began := time.Now()
		_, err := pool.AppendJSON(stamp, nil, plasmite.DurabilityFast)
		must(err)
		times = append(times, (<-arrivals).Sub(began))
	}
	cancel()
	all.Wait()
	return quantiles(times)
}

// measureFollowers: n readers of one pool: how long until an append has reached all of them, how
// many threads there are, and what share of one core they take while nothing happens.
func measureFollowers() map[string]float64 {
	pool, n := openPool("followers"), number("n", 200)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	arrivals := make(chan time.Time, n)
	before := threads()
	for i := 0; i < n; i++ {
		follow(ctx, pool, func(at time.Time) { arrivals <- at }, &all)
	}
	var times []time.Duration
	round := func() {
		began := time.Now()
		_, err := pool.AppendJSON(stamp, nil, plasmite.DurabilityFast)
		must(err)
		for i := 0; i < n; i++ {
			<-arrivals
		}
		times = append(times, time.Since(began))
	}
	round() // all of them follow now
	times = nil
	for begin := time.Now(); time.Since(begin) < duration(); {
		time.Sleep(5 * time.Millisecond)
		round()
	}
	result := quantiles(times)
	time.Sleep(100 * time.Millisecond)
	cpu, idle := processorTime(), time.Now()
	time.Sleep(time.Second)
	result["idle_share"] = float64(processorTime()-cpu) / float64(time.Since(idle))
	result["threads"] = float64(threads() - before)
	cancel()
	all.Wait()
	return result
}

func threads() int {
	text, err := os.ReadFile("/proc/self/status")
	must(err)
	_, after, _ := strings.Cut(string(text), "Threads:")
	n := 0
	_, err = fmt.Sscan(after, &n)
	must(err)
	return n
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
