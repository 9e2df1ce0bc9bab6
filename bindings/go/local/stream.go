package local

/*
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"io"
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// Stream gives the messages of a pool one after the other, and waits for those to come. It does
// not depend on the pool that it was opened from.
type Stream struct {
	native *handle[*C.plsm_stream_t]
	wait   *waiter

	mu    sync.Mutex // a native stream serves one at a time
	room  []byte     // what C writes into
	lines [][]byte
}

var _ api.Stream = (*Stream)(nil)

// How many bytes of messages one call takes at first; it grows to what they need.
const streamRoom = 16 << 10

// OpenStream opens a stream. It ends after maxMessages, or timeoutMs after now; where these are
// nil, never. It begins with sinceSeq, or with the oldest message there is.
func (p *Pool) OpenStream(sinceSeq, maxMessages, timeoutMs *uint64) (api.Stream, error) {
	stream, err := p.openStream(streamOptions(sinceSeq, maxMessages, timeoutMs, false))
	if err != nil {
		return nil, err
	}
	return stream, nil
}

func streamOptions(since, max, timeoutMs *uint64, errorOnGap bool) C.plsm_stream_options_t {
	var options C.plsm_stream_options_t
	options.struct_size = C.uint32_t(unsafe.Sizeof(options))
	options.since_seq, options.has_since = optional(since)
	options.max_messages, options.has_max = optional(max)
	options.timeout_ms, options.has_timeout = optional(timeoutMs)
	if errorOnGap {
		options.gap_policy = C.PLSM_GAP_ERROR
	}
	return options
}

func optional(value *uint64) (C.uint64_t, C.uint32_t) {
	if value == nil {
		return 0, 0
	}
	return C.uint64_t(*value), 1
}

func (p *Pool) openStream(options C.plsm_stream_options_t) (*Stream, error) {
	pool, err := p.acquire()
	if err != nil {
		return nil, err
	}
	defer p.native.release()
	var native *C.plsm_stream_t
	var failure *C.plsm_error_t
	opened := time.Now()
	if C.plsm_stream_open_ex(pool, &options, &native, &failure) != 0 {
		return nil, takeError(failure)
	}
	var base *C.plsm_stream_t
	if canWait() {
		base = native
	}
	wait := newWaiter(base, opened, &options)
	free := func(stream *C.plsm_stream_t) {
		wait.close()
		C.plsm_stream_free(stream)
	}
	return &Stream{native: newHandle(native, free), wait: wait}, nil
}

// Close ends the stream, also while somebody waits in NextJSON, who gets [ErrClosed] then. It
// may be called more than once.
func (s *Stream) Close() error {
	if s == nil {
		return nil
	}
	closeStream(s.native, s.wait)
	return nil
}

func closeStream[T any](native *handle[T], wait *waiter) {
	if _, ok := native.acquire(); ok {
		native.close() // before it is cancelled: whoever waits finds it closed
		wait.cancel()
		native.release()
	}
}

func (s *Stream) cancel() { cancelStream(s.native, s.wait) }

// cancelStream ends a call that waits, and every later one.
func cancelStream[T any](native *handle[T], wait *waiter) {
	if _, ok := native.acquire(); ok {
		wait.cancel()
		native.release()
	}
}

// use runs a function with the native stream, one after the other.
func (s *Stream) use(call func(stream *C.plsm_stream_t) error) error {
	if s == nil {
		return api.ClosedError("stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stream, ok := s.native.acquire()
	if !ok {
		return api.ClosedError("stream")
	}
	defer s.native.release()
	return call(stream)
}

// NextJSON gives the next message, and waits for it. At the end of the stream it gives io.EOF.
func (s *Stream) NextJSON() ([]byte, error) {
	var message []byte
	err := s.use(func(stream *C.plsm_stream_t) error {
		s.makeRoom(0)
		var result C.struct_bridge_result
		s.wait.until(func(patienceMs C.int) bool {
			result = C.bridge_next(stream, patienceMs, bytesOf(s.room), C.size_t(len(s.room)))
			return result.status != C.BRIDGE_NOT_YET
		})
		if err := s.check(result.status, result.err); err != nil {
			return err
		}
		if message = given(s.room, &result); result.rest.data == nil {
			message = append([]byte(nil), message...)
		}
		return nil
	})
	return message, err
}

// check tells what a call that brought no message means.
func (s *Stream) check(status C.int, failure *C.plsm_error_t) error {
	switch {
	case status < 0:
		return takeError(failure)
	case status > 0:
		return nil
	case s.native.closed():
		return api.ClosedError("stream")
	default:
		return io.EOF
	}
}

// makeRoom has room for at least n bytes.
func (s *Stream) makeRoom(n int) {
	if n = max(n, streamRoom); len(s.room) < n {
		s.room = make([]byte, n)
	}
}

// next takes up to limit messages that are there, and waits for the first one. They are valid
// until the next call. At the end it gives io.EOF.
func (s *Stream) next(limit int) (lines [][]byte, err error) {
	err = s.use(func(stream *C.plsm_stream_t) error {
		s.makeRoom(0)
		var result C.struct_bridge_result
		many := limit > 1 && has(C.BRIDGE_NEXT_BATCH)
		s.wait.until(func(patienceMs C.int) bool {
			if many {
				result = C.bridge_next_batch(stream, patienceMs, C.size_t(limit),
					bytesOf(s.room), C.size_t(len(s.room)))
			} else {
				result = C.bridge_next(stream, patienceMs, bytesOf(s.room), C.size_t(len(s.room)))
			}
			return result.status != C.BRIDGE_NOT_YET
		})
		if err := s.check(result.status, result.err); err != nil {
			return err
		}
		tooMuch := result.rest.data != nil
		lines = s.split(given(s.room, &result))
		if tooMuch {
			s.makeRoom(min(int(result.len)*5/4, 4<<20))
		}
		return nil
	})
	return lines, err
}

func (s *Stream) split(text []byte) [][]byte {
	s.lines = s.lines[:0]
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return append(s.lines, text) // a message alone has no newline
		}
		s.lines = append(s.lines, text[:end:end])
		text = text[end+1:]
	}
	return s.lines
}

// requireTags leaves messages without all these tags out, where the library can do that.
func (s *Stream) requireTags(tags []string) error {
	if len(tags) == 0 || !has(C.BRIDGE_REQUIRE_TAGS) {
		return nil
	}
	joined, err := joinTags(nil, tags)
	if err != nil {
		return err
	}
	return s.use(func(stream *C.plsm_stream_t) error {
		failure := C.bridge_require_tags(stream, textsOf(joined), C.size_t(len(tags)))
		if failure != nil {
			return takeError(failure)
		}
		return nil
	})
}

// set calls a function that changes how the stream begins or what it leaves out.
func (s *Stream) set(
	addition C.enum_bridge_addition, name string,
	call func(stream *C.plsm_stream_t, failure **C.plsm_error_t) C.int,
) error {
	if !has(addition) {
		return unsupported(name)
	}
	return s.use(func(stream *C.plsm_stream_t) error {
		var failure *C.plsm_error_t
		if call(stream, &failure) != 0 {
			return takeError(failure)
		}
		return nil
	})
}

func (s *Stream) seekLast(n uint64) error {
	return s.set(C.BRIDGE_SEEK_LAST, "plsm_stream_seek_last",
		func(stream *C.plsm_stream_t, failure **C.plsm_error_t) C.int {
			return C.plsm_stream_seek_last(stream, C.uint64_t(n), failure)
		})
}

func (s *Stream) seekTime(at time.Time) error {
	var ns C.uint64_t
	switch {
	case at.Unix() >= math.MaxInt64/int64(time.Second):
		ns = math.MaxUint64 // later than a clock can say
	case at.Unix() >= 0:
		ns = C.uint64_t(at.UnixNano())
	}
	return s.set(C.BRIDGE_SEEK_TIME, "plsm_stream_seek_time",
		func(stream *C.plsm_stream_t, failure **C.plsm_error_t) C.int {
			return C.plsm_stream_seek_time(stream, ns, failure)
		})
}

func (s *Stream) filter(expression string) error {
	return withText("the expression", expression, func(text *C.char) error {
		return s.set(C.BRIDGE_FILTER, "plsm_stream_filter",
			func(stream *C.plsm_stream_t, failure **C.plsm_error_t) C.int {
				return C.plsm_stream_filter(stream, text, failure)
			})
	})
}

// ready says whether a call to next would not wait now.
func (s *Stream) ready() (bool, error) {
	ready := false
	err := s.set(C.BRIDGE_WAIT, "plsm_stream_wait",
		func(stream *C.plsm_stream_t, failure **C.plsm_error_t) C.int {
			r := C.plsm_stream_wait(stream, 0, failure)
			ready = r > 0
			return min(r, 0)
		})
	return ready, err
}
