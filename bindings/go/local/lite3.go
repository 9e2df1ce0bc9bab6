package local

/*
#include "bridge.h"
*/
import "C"

import (
	"io"
	"sync"
	"time"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// AppendLite3 appends a message in the Lite3 encoding and gives its seq.
func (p *Pool) AppendLite3(payload []byte, durability Durability) (uint64, error) {
	pool, err := p.acquire()
	if err != nil {
		return 0, err
	}
	defer p.native.release()
	if len(payload) == 0 {
		return 0, api.InvalidArgumentError("the payload is empty")
	}
	var seq C.uint64_t
	var failure *C.plsm_error_t
	if C.plsm_pool_append_lite3(pool, bytesOf(payload), C.size_t(len(payload)),
		C.uint32_t(durability), &seq, &failure) != 0 {
		return 0, takeError(failure)
	}
	return uint64(seq), nil
}

// GetLite3 gives one message in the Lite3 encoding.
func (p *Pool) GetLite3(seq uint64) (*Lite3Frame, error) {
	pool, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.native.release()
	var frame C.plsm_lite3_frame_t
	var failure *C.plsm_error_t
	if C.plsm_pool_get_lite3(pool, C.uint64_t(seq), &frame, &failure) != 0 {
		return nil, takeError(failure)
	}
	return takeFrame(&frame), nil
}

func takeFrame(native *C.plsm_lite3_frame_t) *Lite3Frame {
	defer C.plsm_lite3_frame_free(native)
	return &Lite3Frame{
		Seq:         uint64(native.seq),
		TimestampNs: uint64(native.timestamp_ns),
		Flags:       uint32(native.flags),
		Payload:     C.GoBytes(unsafe.Pointer(native.payload.data), C.int(native.payload.len)),
	}
}

// Lite3Stream is a [Stream] of messages in the Lite3 encoding.
type Lite3Stream struct {
	native *handle[*C.plsm_lite3_stream_t]
	wait   *waiter
	mu     sync.Mutex
}

var _ api.Lite3Stream = (*Lite3Stream)(nil)

// OpenLite3Stream is as [Pool.OpenStream].
func (p *Pool) OpenLite3Stream(sinceSeq, maxMessages, timeoutMs *uint64) (api.Lite3Stream, error) {
	stream, err := p.openLite3Stream(streamOptions(sinceSeq, maxMessages, timeoutMs, false))
	if err != nil {
		return nil, err
	}
	return stream, nil
}

func (p *Pool) openLite3Stream(options C.plsm_stream_options_t) (*Lite3Stream, error) {
	pool, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.native.release()
	var native *C.plsm_lite3_stream_t
	var failure *C.plsm_error_t
	opened := time.Now()
	if C.plsm_lite3_stream_open_ex(pool, &options, &native, &failure) != 0 {
		return nil, takeError(failure)
	}
	var base *C.plsm_stream_t
	if canWaitLite3() {
		base = C.plsm_lite3_stream_base(native)
	}
	wait := newWaiter(base, opened, &options)
	free := func(stream *C.plsm_lite3_stream_t) {
		wait.close()
		C.plsm_lite3_stream_free(stream)
	}
	return &Lite3Stream{native: newHandle(native, free), wait: wait}, nil
}

// Close ends the stream, also while somebody waits in Next, who gets [ErrClosed] then. It may be
// called more than once.
func (s *Lite3Stream) Close() error {
	if s != nil {
		closeStream(s.native, s.wait)
	}
	return nil
}

func (s *Lite3Stream) cancel() { cancelStream(s.native, s.wait) }

// Next gives the next message, and waits for it. At the end of the stream it gives io.EOF.
func (s *Lite3Stream) Next() (*Lite3Frame, error) {
	if s == nil {
		return nil, api.ClosedError("stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stream, ok := s.native.acquire()
	if !ok {
		return nil, api.ClosedError("stream")
	}
	defer s.native.release()
	var frame C.plsm_lite3_frame_t
	var failure *C.plsm_error_t
	var r C.int
	s.wait.until(func(patienceMs C.int) bool {
		r = C.bridge_next_lite3(stream, patienceMs, &frame, &failure)
		return r != C.BRIDGE_NOT_YET
	})
	switch {
	case r < 0:
		return nil, takeError(failure)
	case r > 0:
		return takeFrame(&frame), nil
	case s.native.closed():
		return nil, api.ClosedError("stream")
	default:
		return nil, io.EOF
	}
}

func (s *Lite3Stream) next(int) ([]*Lite3Frame, error) {
	frame, err := s.Next()
	if err != nil {
		return nil, err
	}
	return []*Lite3Frame{frame}, nil
}
