//go:build go1.23

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

const variants = 64

// payloads are different messages of 256 bytes each.
func payloads() [][]byte {
	all := make([][]byte, variants)
	for i := range all {
		head := fmt.Sprintf(`{"id":%d,"writer":0,"level":"info","ok":true,"ratio":-0.%d25,`+
			`"user":{"name":"Ann Lee","roles":["ops","dev"]},"msg":"`, 1000+i, i)
		filler := strings.Repeat(`payment accepted after the second \"attempt\", café; `, 6)
		for len(head)+len(filler)+2 > 256 {
			filler = filler[:len(filler)-1]
		}
		filler = strings.TrimRight(strings.ToValidUTF8(filler, ""), `\`)
		all[i] = []byte(head + filler + strings.Repeat(".", 256-2-len(head)-len(filler)) + `"}`)
	}
	return all
}

func openPool(name string) *plasmite.Pool {
	path := filepath.Join(text("dir", os.TempDir()), name)
	must(os.RemoveAll(path))
	client, err := plasmite.NewClient(filepath.Dir(path))
	must(err)
	pool, err := client.Open(plasmite.PoolRefPath(path), plasmite.Create(uint64(number("pool_mib", 64))<<20))
	must(err)
	return pool
}

// fill writes as many bytes as the pool's file has, so that every page was touched once.
func fill(pool *plasmite.Pool, messages [][]byte) {
	for n := number("pool_mib", 64) << 20; n > 0; n -= 256 * len(messages) {
		_, _, err := pool.AppendMany(messages, nil)
		must(err)
	}
}

func duration() time.Duration { return time.Duration(number("ms", 200)) * time.Millisecond }

func rate(n int, elapsed time.Duration) map[string]float64 {
	return map[string]float64{"rate": float64(n) / elapsed.Seconds()}
}

// check reads back what is still there of n messages, of which the newest has that seq.
func check(pool *plasmite.Pool, messages [][]byte, n int, newest uint64) {
	info, err := pool.Info()
	must(err)
	if info.NewestSeq != newest {
		fail("the newest message is %d, not %d", info.NewestSeq, newest)
	}
	left := min(uint64(n), info.Messages)
	since := newest - left + 1
	i := n - int(left)
	for message, err := range pool.All(context.Background(), plasmite.TailOptions{
		SinceSeq: &since, MaxMessages: &left, ErrorOnGap: true,
	}) {
		must(err)
		if !bytes.Equal(message.Data, messages[i%variants]) {
			fail("message %d is not what was appended", message.Seq)
		}
		i++
	}
}

// measureAppend: batches of ready JSON.
func measureAppend() map[string]float64 {
	pool, messages := openPool("append"), payloads()
	fill(pool, messages)
	batch := number("batch", variants)
	many := make([][]byte, batch)
	for i := range many {
		many[i] = messages[i%variants]
	}
	n := 0
	var newest uint64
	begin := time.Now()
	for time.Since(begin) < duration() {
		first, appended, err := pool.AppendMany(many, nil)
		must(err)
		n += appended
		newest = first + uint64(appended) - 1
	}
	elapsed := time.Since(begin)
	check(pool, messages, n, newest)
	return rate(n, elapsed)
}

// measureOne: one message of ready JSON at a time, with the message it became.
func measureOne() map[string]float64 {
	pool, messages := openPool("one"), payloads()
	fill(pool, messages)
	n := 0
	begin := time.Now()
	for time.Since(begin) < duration() {
		for _, message := range messages {
			_, err := pool.AppendJSON(message, nil, plasmite.DurabilityFast)
			must(err)
		}
		n += variants
	}
	elapsed := time.Since(begin)
	info, err := pool.Info()
	must(err)
	check(pool, messages, n, info.NewestSeq)
	return rate(n, elapsed)
}

// measureLines: one pass after another over the retained messages, as lines of JSON.
func measureLines() map[string]float64 {
	pool, messages := openPool("read"), payloads()
	total := uint64(number("messages", 200000))
	for n := uint64(0); n < total; n += variants {
		_, _, err := pool.AppendMany(messages, nil)
		must(err)
	}
	n, length := 0, 0
	begin := time.Now()
	for time.Since(begin) < duration() {
		for line, err := range pool.Lines(context.Background(), plasmite.TailOptions{MaxMessages: &total, ErrorOnGap: true}) {
			must(err)
			n++
			length += len(line)
		}
	}
	elapsed := time.Since(begin)
	if length < n*256 {
		fail("%d bytes in %d messages", length, n)
	}
	check(pool, messages, int(total), total)
	return rate(n, elapsed)
}

// measureAll: the same as messages that are taken apart and belong to the caller.
func measureAll() map[string]float64 {
	pool, messages := openPool("read"), payloads()
	total := uint64(number("messages", 200000))
	for n := uint64(0); n < total; n += variants {
		_, _, err := pool.AppendMany(messages, nil)
		must(err)
	}
	n := 0
	begin := time.Now()
	for time.Since(begin) < duration() {
		for message, err := range pool.All(context.Background(), plasmite.TailOptions{MaxMessages: &total, ErrorOnGap: true}) {
			must(err)
			if len(message.Data) != 256 {
				fail("message %d has %d bytes", message.Seq, len(message.Data))
			}
			n++
		}
	}
	elapsed := time.Since(begin)
	check(pool, messages, int(total), total)
	return rate(n, elapsed)
}
