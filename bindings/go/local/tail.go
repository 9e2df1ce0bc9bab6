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

	"github.com/sandover/plasmite/bindings/go/internal/outlet"
	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// Tail follows the pool: first what is there, then what comes. Both channels are closed at the
// end, which is when MaxMessages were delivered, the context ends (its error is sent), something
// fails (the error is sent), or the pool is closed ([ErrClosed] is sent).
//
// No more than Buffer messages are read before they are taken. Whoever stops taking has to
// cancel the context: until then the tail waits. After leaving the loop with break, reading the
// channel of errors waits for that, too. [Pool.All] has no such rules.
func (p *Pool) Tail(ctx context.Context, options TailOptions) (<-chan *Message, <-chan error) {
	ctx, guard := newGuard(ctx, p)
	f := p.follow(ctx, guard, &options)
	return outlet.Start(ctx, guard.failure, outlet.Options{
		Buffer: options.Buffer, Max: options.MaxMessages, Close: f.close,
	}, func(limit int) ([]*Message, error) {
		lines, err := f.next(limit)
		if err != nil {
			return nil, err
		}
		return decodeLines(lines, options.Tags)
	})
}

// TailLite3 is [Pool.Tail] in the Lite3 encoding; Tags do not count.
func (p *Pool) TailLite3(ctx context.Context, options TailOptions) (<-chan *Lite3Frame, <-chan error) {
	ctx, guard := newGuard(ctx, p)
	f := &follower[*Lite3Frame]{
		ctx: ctx, guard: guard, since: options.SinceSeq,
		seqOf: func(frame *Lite3Frame) uint64 { return frame.Seq },
		open: func(since, timeoutMs *uint64) (source[*Lite3Frame], error) {
			return p.openLite3Stream(streamOptions(since, nil, timeoutMs, options.ErrorOnGap))
		},
	}
	if !canWaitLite3() {
		f.windowMs = windowOf(options.Timeout)
	}
	return outlet.Start(ctx, guard.failure, outlet.Options{
		Buffer: options.Buffer, Max: options.MaxMessages, Close: f.close,
	}, f.next)
}

// follow makes a follower of the pool's messages as lines of JSON; changes are made to each
// stream that it opens.
func (p *Pool) follow(
	ctx context.Context, guard *guard, options *TailOptions, changes ...func(*Stream) error,
) *follower[[]byte] {
	f := &follower[[]byte]{
		ctx: ctx, guard: guard, since: options.SinceSeq,
		seqOf: func(line []byte) uint64 {
			seq, _ := wire.Seq(line)
			return seq
		},
	}
	if !canWait() {
		f.windowMs = windowOf(options.Timeout)
	}
	f.open = func(since, timeoutMs *uint64) (source[[]byte], error) {
		stream, err := p.openStream(streamOptions(since, nil, timeoutMs, options.ErrorOnGap))
		if err != nil {
			return nil, err
		}
		if err := stream.requireTags(options.Tags); err != nil {
			stream.Close()
			return nil, err
		}
		for _, change := range changes {
			if err := change(stream); err != nil {
				stream.Close()
				return nil, err
			}
		}
		return stream, nil
	}
	return f
}

// Replay collects messages for as long as Timeout says, then delivers them with the pauses in
// which they were written, divided by Speed. Its channels are as those of [Pool.Tail].
func (p *Pool) Replay(ctx context.Context, options ReplayOptions) (<-chan *Message, <-chan error) {
	ctx, guard := newGuard(ctx, p)
	var pace wire.Pace
	var recorded []*Message
	collected := false
	return outlet.Start(ctx, guard.failure, outlet.Options{
		Buffer: 64, Max: options.MaxMessages, Close: guard.release,
	}, func(int) (_ []*Message, err error) {
		if !collected {
			if recorded, err = p.record(ctx, &options); err != nil {
				return nil, err
			}
			collected = true
			pace = wire.Pace{Speed: options.Speed}
		}
		if len(recorded) == 0 {
			return nil, io.EOF
		}
		message := recorded[0]
		recorded = recorded[1:]
		if err := pace.Wait(ctx, message.Time); err != nil {
			return nil, err
		}
		return []*Message{message}, nil
	})
}

// record gives the messages of one window.
func (p *Pool) record(ctx context.Context, options *ReplayOptions) ([]*Message, error) {
	timeout := options.Timeout
	if timeout <= 0 {
		timeout = time.Second
	}
	ms := milliseconds(timeout)
	stream, err := p.openStream(streamOptions(options.SinceSeq, options.MaxMessages, &ms, false))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.cancel)()
	var recorded []*Message
	for ctx.Err() == nil {
		lines, err := stream.next(iteratorBatch)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		messages, err := decodeLines(lines, nil)
		if err != nil {
			return nil, err
		}
		recorded = append(recorded, messages...)
	}
	return recorded, nil
}

// How many messages an iterator takes at once.
const iteratorBatch = 256
