package local

/*
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
)

// source is a stream of messages in one of their forms.
type source[T any] interface {
	next(limit int) ([]T, error) // io.EOF: its time is over, or it was cancelled
	cancel()
	Close() error
}

// follower reads a pool for as long as its context lasts and the pool is open. A library whose
// streams can be cancelled has one stream all the time. With an older one it opens a stream for
// a short window again and again, each where the last one ended.
type follower[T any] struct {
	ctx      context.Context
	guard    *guard
	open     func(since *uint64, timeoutMs *uint64) (source[T], error)
	seqOf    func(T) uint64
	since    *uint64
	windowMs *uint64 // nil: the stream can be cancelled
	stream   source[T]
	unwatch  func() bool
}

// guard ends what a pool's user has started on it when the pool is closed.
type guard struct {
	pool   *Pool
	parent context.Context
	end    context.CancelCauseFunc
}

// newGuard gives a context that ends with the given one, or when the pool is closed.
func newGuard(parent context.Context, pool *Pool) (context.Context, *guard) {
	if parent == nil {
		parent = context.Background()
	}
	ctx, end := context.WithCancelCause(parent)
	g := &guard{pool: pool, parent: parent, end: end}
	if pool == nil {
		end(api.ClosedError("pool"))
		return ctx, g
	}
	pool.mu.Lock()
	if pool.guards == nil {
		pool.guards = make(map[*guard]struct{})
	}
	pool.guards[g] = struct{}{}
	pool.mu.Unlock()
	if pool.native.closed() {
		g.interrupt()
	}
	return ctx, g
}

func (g *guard) interrupt() { g.end(api.ClosedError("pool")) }

func (g *guard) release() {
	if g.pool != nil {
		g.pool.mu.Lock()
		delete(g.pool.guards, g)
		g.pool.mu.Unlock()
	}
	g.end(context.Canceled)
}

// failure is why the context ended, or nil.
func (g *guard) failure(ctx context.Context) error {
	if err := g.parent.Err(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// The longest window: how long it may take until a context is heard with an older library.
const longestWindow = 100 * time.Millisecond

func windowOf(timeout time.Duration) *uint64 {
	if timeout <= 0 || timeout > longestWindow {
		timeout = longestWindow
	}
	ms := milliseconds(timeout)
	return &ms
}

// next gives up to limit messages, at least one. They are valid until the next call.
func (f *follower[T]) next(limit int) ([]T, error) {
	for {
		if err := f.guard.failure(f.ctx); err != nil {
			return nil, err
		}
		if err := f.reopen(); err != nil {
			return nil, err
		}
		messages, err := f.stream.next(limit)
		if err == nil {
			seq := f.seqOf(messages[len(messages)-1]) + 1
			f.since = &seq
			return messages, nil
		}
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
		if f.windowMs == nil {
			if err := f.guard.failure(f.ctx); err != nil {
				return nil, err
			}
			return nil, io.EOF
		}
		f.closeStream()
	}
}

func (f *follower[T]) reopen() (err error) {
	if f.stream != nil {
		return nil
	}
	if f.stream, err = f.open(f.since, f.windowMs); err != nil {
		f.stream = nil
		return err
	}
	f.unwatch = context.AfterFunc(f.ctx, f.stream.cancel)
	return nil
}

func (f *follower[T]) closeStream() {
	if f.stream != nil {
		f.unwatch()
		f.stream.Close()
		f.stream = nil
	}
}

func (f *follower[T]) close() {
	f.closeStream()
	f.guard.release()
}
