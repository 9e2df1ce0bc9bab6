package local

import (
	"runtime"
	"sync/atomic"
)

// handle holds a native object that is closed at any moment, by anybody: it is freed by whoever
// uses it last. A nil handle is closed.
type handle[T any] struct {
	object T
	free   func(T)
	// How many use the object now, and what became of it.
	state atomic.Int64
}

const (
	handleClosed int64 = 1 << 62
	handleFreed  int64 = 1 << 61
)

// newHandle also closes what is forgotten, when the garbage collector finds it. That is never
// while somebody uses it, because whoever does still has to release it.
func newHandle[T any](object T, free func(T)) *handle[T] {
	h := &handle[T]{object: object, free: free}
	runtime.SetFinalizer(h, (*handle[T]).close)
	return h
}

// acquire gives the object until release; false if it is closed.
func (h *handle[T]) acquire() (object T, ok bool) {
	if h == nil {
		return object, false
	}
	if h.state.Add(1)&handleClosed != 0 {
		h.release()
		return object, false
	}
	return h.object, true
}

func (h *handle[T]) release() {
	if h.state.Add(-1) == handleClosed {
		h.freeOnce()
	}
}

func (h *handle[T]) close() {
	if h == nil {
		return
	}
	for {
		state := h.state.Load()
		if state&handleClosed != 0 {
			return
		}
		if h.state.CompareAndSwap(state, state|handleClosed) {
			break
		}
	}
	if h.state.Load() == handleClosed {
		h.freeOnce()
	}
}

// freeOnce frees the object if nobody uses it. A failed acquire may come by more than once.
func (h *handle[T]) freeOnce() {
	if h.state.CompareAndSwap(handleClosed, handleClosed|handleFreed) {
		runtime.SetFinalizer(h, nil)
		h.free(h.object)
	}
}

func (h *handle[T]) closed() bool {
	return h == nil || h.state.Load()&handleClosed != 0
}
