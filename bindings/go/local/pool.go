package local

/*
#include "bridge.h"
*/
import "C"

import (
	"encoding/json"
	"sync"
	"time"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// Pool is an open pool.
type Pool struct {
	native *handle[*C.plsm_pool_t]

	mu     sync.Mutex
	guards map[*guard]struct{} // of what ends when the pool is closed
}

var _ api.Pool = (*Pool)(nil)

// Close closes the pool and ends its tails and iterators; streams that were opened from it live
// on. It may be called more than once.
func (p *Pool) Close() error {
	if p == nil {
		return nil
	}
	p.native.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for g := range p.guards {
		g.interrupt()
	}
	return nil
}

func (p *Pool) acquire() (*C.plsm_pool_t, error) {
	if p == nil {
		return nil, api.ClosedError("pool")
	}
	pool, ok := p.native.acquire()
	if !ok {
		return nil, api.ClosedError("pool")
	}
	return pool, nil
}

// What the message around the data takes at most, without its tags; and a tag, per byte.
const (
	envelopeRoom = 128
	tagRoom      = 6
)

// AppendJSON appends a JSON object and gives the message that was made of it, as JSON.
func (p *Pool) AppendJSON(payload []byte, tags []string, durability Durability) ([]byte, error) {
	pool, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.native.release()
	if len(payload) == 0 {
		return nil, api.InvalidArgumentError("the payload is empty")
	}
	var joined []byte
	if len(tags) > 0 {
		if joined, err = joinTags(nil, tags); err != nil {
			return nil, err
		}
	}
	room := make([]byte, len(payload)+envelopeRoom+tagRoom*len(joined))
	result := C.bridge_append(pool, bytesOf(payload), C.size_t(len(payload)), textsOf(joined),
		C.size_t(len(tags)), C.uint32_t(durability), bytesOf(room), C.size_t(len(room)))
	if result.status != 0 {
		return nil, takeError(result.err)
	}
	return given(room, &result), nil
}

// Append appends a value that json.Marshal makes an object.
func (p *Pool) Append(value any, tags []string, options ...AppendOption) (*Message, error) {
	if p == nil || p.native.closed() {
		return nil, api.ClosedError("pool")
	}
	payload, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	raw, err := p.AppendJSON(payload, tags, api.ApplyAppendOptions(options...).Durability)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

// GetJSON gives one message as JSON.
func (p *Pool) GetJSON(seq uint64) ([]byte, error) {
	pool, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.native.release()
	room := scratchGet()
	defer scratchPut(room)
	result := C.bridge_get(pool, C.uint64_t(seq), bytesOf(*room), C.size_t(len(*room)))
	if result.status != 0 {
		return nil, takeError(result.err)
	}
	if result.rest.data != nil {
		return given(nil, &result), nil
	}
	return append([]byte(nil), (*room)[:result.len]...), nil
}

// Get gives one message.
func (p *Pool) Get(seq uint64) (*Message, error) {
	raw, err := p.GetJSON(seq)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

// scratch is memory for what C writes during one call.
var scratch = sync.Pool{New: func() any {
	room := make([]byte, 8<<10)
	return &room
}}

func scratchGet() *[]byte     { return scratch.Get().(*[]byte) }
func scratchPut(room *[]byte) { scratch.Put(room) }

// Flush returns when everything that was appended so far, by whomever, survives a power loss.
func (p *Pool) Flush() error {
	pool, err := p.acquire()
	if err != nil {
		return err
	}
	defer p.native.release()
	if !has(C.BRIDGE_FLUSH) {
		return unsupported("plsm_pool_flush")
	}
	var failure *C.plsm_error_t
	if C.plsm_pool_flush(pool, &failure) != 0 {
		return takeError(failure)
	}
	return nil
}

// PoolInfo is what a pool is, and what it holds. Seqs and times are zero where it is empty.
type PoolInfo struct {
	FileSize, RingOffset, RingSize uint64
	IndexCapacity                  uint64
	UsedBytes                      uint64
	Messages                       uint64
	OldestSeq, NewestSeq           uint64
	OldestTime, NewestTime         time.Time
	NextSeq                        uint64 // that of the message that comes next
	Created                        time.Time
}

// Info says what the pool holds now.
func (p *Pool) Info() (PoolInfo, error) {
	pool, err := p.acquire()
	if err != nil {
		return PoolInfo{}, err
	}
	defer p.native.release()
	if !has(C.BRIDGE_INFO) {
		return PoolInfo{}, unsupported("plsm_pool_info")
	}
	var info C.plsm_pool_info_t
	info.struct_size = C.uint32_t(unsafe.Sizeof(info))
	var failure *C.plsm_error_t
	if C.plsm_pool_info(pool, &info, &failure) != 0 {
		return PoolInfo{}, takeError(failure)
	}
	return PoolInfo{
		FileSize:      uint64(info.file_size),
		RingOffset:    uint64(info.ring_offset),
		RingSize:      uint64(info.ring_size),
		IndexCapacity: uint64(info.index_capacity),
		UsedBytes:     uint64(info.used_bytes),
		Messages:      uint64(info.n_messages),
		OldestSeq:     uint64(info.oldest_seq),
		NewestSeq:     uint64(info.newest_seq),
		OldestTime:    timeOf(info.oldest_time_ns),
		NewestTime:    timeOf(info.newest_time_ns),
		NextSeq:       uint64(info.next_seq),
		Created:       timeOf(info.created_ns),
	}, nil
}

func timeOf(ns C.uint64_t) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return Lite3Frame{TimestampNs: uint64(ns)}.Time()
}

// Issue is something wrong in a pool's file.
type Issue struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Offset  *uint64 `json:"offset"`
	Seq     *uint64 `json:"seq"`
}

// Report is what [Pool.Verify] found.
type Report struct {
	Healthy  bool    `json:"healthy"`
	Messages uint64  `json:"messages"`
	Issues   []Issue `json:"issues"`
}

// Verify checks every byte of the pool and changes nothing.
func (p *Pool) Verify() (Report, error) {
	var report Report
	pool, err := p.acquire()
	if err != nil {
		return report, err
	}
	defer p.native.release()
	if !has(C.BRIDGE_VERIFY) {
		return report, unsupported("plsm_pool_verify")
	}
	var native C.plsm_buf_t
	var failure *C.plsm_error_t
	if C.plsm_pool_verify(pool, &native, &failure) != 0 {
		return report, takeError(failure)
	}
	err = json.Unmarshal(takeBuf(&native), &report)
	return report, err
}

// Path is the pool's file.
func (p *Pool) Path() (string, error) {
	pool, err := p.acquire()
	if err != nil {
		return "", err
	}
	defer p.native.release()
	if !has(C.BRIDGE_PATH) {
		return "", unsupported("plsm_pool_path")
	}
	return C.GoString(C.plsm_pool_path(pool)), nil
}
