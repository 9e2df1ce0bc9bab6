package local

/*
#include "bridge.h"
*/
import "C"

import (
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// MaxBatch is how many messages one batch may have.
const MaxBatch = 4096

// Input is one message of a batch.
type Input struct {
	JSON []byte // one object
	Tags []string
	Time time.Time // zero: now. Never goes below that of the message before
}

// AppendBatch appends up to [MaxBatch] messages at once: every reader sees all of them, or none.
// It gives the seq of the first; the others follow without a gap.
func (p *Pool) AppendBatch(inputs []Input, options ...AppendOption) (firstSeq uint64, err error) {
	batch := batchGet()
	defer batchPut(batch)
	for i := range inputs {
		if err := batch.add(&inputs[i]); err != nil {
			return 0, err
		}
	}
	return p.appendBatch(batch, api.ApplyAppendOptions(options...).Durability)
}

// AppendMany appends JSON objects, all with the same tags, in as few batches as it takes. It
// gives the seq of the first message, and how many were appended: all, unless there is an error.
// Other writers may come between two batches.
func (p *Pool) AppendMany(
	payloads [][]byte, tags []string, options ...AppendOption,
) (firstSeq uint64, n int, err error) {
	durability := api.ApplyAppendOptions(options...).Durability
	batch := batchGet()
	defer batchPut(batch)
	for n < len(payloads) {
		batch.reset()
		for _, payload := range payloads[n:] {
			if batch.full() {
				break
			}
			if err := batch.add(&Input{JSON: payload, Tags: tags}); err != nil {
				return firstSeq, n, err
			}
		}
		seq, err := p.appendBatch(batch, durability)
		if err != nil {
			return firstSeq, n, err
		}
		if n == 0 {
			firstSeq = seq
		}
		n += len(batch.lens)
	}
	return firstSeq, n, nil
}

// appendBatch hands everything to C in one call, as blocks that hold no pointers.
func (p *Pool) appendBatch(batch *batch, durability Durability) (uint64, error) {
	pool, err := p.acquire()
	if err != nil {
		return 0, err
	}
	defer p.native.release()
	if !has(C.BRIDGE_APPEND_BATCH) {
		return 0, unsupported("plsm_pool_append_batch")
	}
	if len(batch.lens) == 0 {
		return 0, api.InvalidArgumentError("the batch is empty")
	}
	var tagCounts *C.uint32_t
	if len(batch.tags) > 0 {
		tagCounts = unsafe.SliceData(batch.tagCounts)
	}
	var times *C.uint64_t
	if batch.hasTimes {
		times = unsafe.SliceData(batch.times)
	}
	result := C.bridge_append_batch(pool, bytesOf(batch.texts), unsafe.SliceData(batch.lens),
		C.size_t(len(batch.lens)), textsOf(batch.tags), tagCounts, times, C.uint32_t(durability))
	if result.status != 0 {
		return 0, takeError(result.err)
	}
	return uint64(result.number), nil
}

// Times are nanoseconds since 1970 in 64 bits.
const latestSecond = math.MaxUint64 / 1_000_000_000

// batch is messages one behind the other, as bridge_append_batch takes them.
type batch struct {
	texts     []byte
	lens      []C.size_t
	tags      []byte
	tagCounts []C.uint32_t
	times     []C.uint64_t
	hasTimes  bool
}

// Beyond so many bytes AppendMany begins another batch, and the memory is not kept.
const batchBytes = 1 << 20

var batches = sync.Pool{New: func() any { return new(batch) }}

func batchGet() *batch {
	b := batches.Get().(*batch)
	b.reset()
	return b
}

func batchPut(b *batch) {
	if cap(b.texts) <= 2*batchBytes {
		batches.Put(b)
	}
}

func (b *batch) reset() {
	*b = batch{
		texts:     b.texts[:0],
		lens:      b.lens[:0],
		tags:      b.tags[:0],
		tagCounts: b.tagCounts[:0],
		times:     b.times[:0],
	}
}

func (b *batch) full() bool { return len(b.lens) == MaxBatch || len(b.texts) >= batchBytes }

func (b *batch) add(input *Input) (err error) {
	if len(input.JSON) == 0 {
		return api.InvalidArgumentError("the payload is empty")
	}
	if len(input.Tags) > 0 {
		if b.tags, err = joinTags(b.tags, input.Tags); err != nil {
			return err
		}
	}
	var ns C.uint64_t
	if !input.Time.IsZero() {
		seconds := input.Time.Unix()
		if seconds < 0 {
			return api.InvalidArgumentError("the time is before 1970")
		}
		if seconds >= latestSecond {
			return api.InvalidArgumentError("the time is after the year 2554")
		}
		ns = C.uint64_t(uint64(seconds)*uint64(time.Second) + uint64(input.Time.Nanosecond()))
		b.hasTimes = true
	}
	b.texts = append(b.texts, input.JSON...)
	b.lens = append(b.lens, C.size_t(len(input.JSON)))
	b.tagCounts = append(b.tagCounts, C.uint32_t(len(input.Tags)))
	b.times = append(b.times, ns)
	return nil
}
