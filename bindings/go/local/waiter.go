package local

/*
#include "bridge.h"
*/
import "C"

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// waiter waits for what a stream gives. A goroutine that waits in C holds a thread; so it waits
// there only for a moment, if at all, and then for the stream's descriptor, as for a socket: of
// any number of goroutines that do, none has a thread.
type waiter struct {
	stream   *C.plsm_stream_t // nil: its library has nothing to wait with
	deadline time.Time        // when the stream's own time is over; zero: never

	mu   sync.Mutex // between making the descriptor and using it from outside
	file *os.File
	conn syscall.RawConn
}

// canWait says whether streams can be waited for, and such a wait be ended. A library that is too
// old for that can only be asked for short streams, one after the other.
func canWait() bool { return has(C.BRIDGE_WAIT) && has(C.BRIDGE_FD) && has(C.BRIDGE_CANCEL) }

func canWaitLite3() bool { return canWait() && has(C.BRIDGE_LITE3_BASE) }

func newWaiter(stream *C.plsm_stream_t, opened time.Time, options *C.plsm_stream_options_t) *waiter {
	w := &waiter{stream: stream}
	// Times beyond that are for the library to count.
	const longest = uint64(1<<62) / uint64(time.Millisecond)
	if options.has_timeout != 0 && uint64(options.timeout_ms) < longest {
		w.deadline = opened.Add(time.Duration(options.timeout_ms) * time.Millisecond)
	}
	return w
}

// A thread that waits in C hears of a message some 30 us sooner than one that the runtime has to
// wake for a descriptor. So readers that hear of something often have one, for as long as this
// after the last message; but only so many of them. Shorter moments cost more than they give:
// timers of a millisecond make each wait some 7 us longer.
const (
	momentMs   = 100
	maxMoments = 4
)

var moments atomic.Int32 // how many are in C for a moment

// until calls try with how long it may wait, until it gives true. The last resort, where there is
// no descriptor, is a call that waits for as long as it takes.
func (w *waiter) until(try func(patienceMs C.int) bool) {
	if w.stream == nil {
		try(C.BRIDGE_FOR_GOOD)
		return
	}
	patienceMs := C.int(0)
	if moments.Add(1) <= maxMoments {
		patienceMs = momentMs
	}
	done := try(patienceMs)
	moments.Add(-1)
	if done {
		return
	}
	if conn := w.open(); conn != nil {
		// Each look silences the descriptor where there is nothing, so that what comes after it
		// is heard.
		if err := conn.Read(func(uintptr) bool { return try(0) }); err == nil {
			return
		}
	}
	try(C.BRIDGE_FOR_GOOD) // also when its time is over: the library says so
}

// open gives the descriptor, or nil.
func (w *waiter) open() syscall.RawConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		return w.conn
	}
	fd := C.bridge_descriptor(w.stream)
	if fd < 0 {
		return nil
	}
	file := os.NewFile(uintptr(fd), "plasmite stream")
	conn, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(w.deadline) // fails where the runtime cannot wait for it
	}
	if err != nil {
		file.Close()
		return nil
	}
	w.file, w.conn = file, conn
	return conn
}

// cancel ends a call that waits, and every later one; where the library cannot, it does nothing.
func (w *waiter) cancel() {
	if w.stream == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	C.plsm_stream_cancel(w.stream)
}

// close gives the descriptor back, before the stream is freed.
func (w *waiter) close() {
	if w.file != nil {
		w.file.Close()
	}
}
