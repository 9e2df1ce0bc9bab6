// Package outlet delivers messages through channels, by the rules that local and remote tails
// have in common.
package outlet

import (
	"context"
	"errors"
	"io"
	"math"
	"time"
)

// Options of a delivery.
type Options struct {
	Buffer int     // how many messages wait to be taken, once the first one was, at most 65536; 0: 64
	Max    *uint64 // end after so many
	Close  func()  // called at the end, before the channels are closed
}

const (
	defaultBuffer = 64
	maxBuffer     = 1 << 16 // a channel has its room from the beginning
)

// Start delivers what next gives, which is up to limit messages, until it gives an error. io.EOF
// is the end and no error. When ctx ends, failure says what is sent.
func Start[M any](
	ctx context.Context, failure func(context.Context) error, options Options,
	next func(limit int) ([]M, error),
) (<-chan M, <-chan error) {
	if options.Buffer <= 0 {
		options.Buffer = defaultBuffer
	}
	options.Buffer = min(options.Buffer, maxBuffer)
	// One more message is in hand while it waits for room.
	d := &delivery[M]{messages: make(chan M, options.Buffer-1), errs: make(chan error, 1)}
	go func() {
		err := d.run(ctx, &options, next)
		if err != nil {
			waitFor(patienceForMessages, func() bool {
				return len(d.messages) == 0 || ctx.Err() != nil
			})
			if ctx.Err() != nil {
				err = failure(ctx)
			}
		}
		options.Close()
		d.finish(err)
	}()
	return d.messages, d.errs
}

type delivery[M any] struct {
	messages chan M
	errs     chan error
}

func (d *delivery[M]) run(
	ctx context.Context, options *Options, next func(limit int) ([]M, error),
) error {
	left := uint64(math.MaxUint64)
	if options.Max != nil {
		left = *options.Max
	}
	// The first reading takes one more of what there is already, and from the first message that
	// is taken on no more than Buffer wait: it is not up to the scheduler, then, whether the next
	// one is read before whoever took the first has overwritten it.
	ahead := 1
	for left > 0 {
		room := options.Buffer - len(d.messages) + ahead
		ahead = 0
		if uint64(room) > left {
			room = int(left)
		}
		messages, err := next(room)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, message := range messages {
			select {
			case d.messages <- message:
				left--
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// How long an error waits for the messages before it to be taken, and how long the end of the
// messages waits for the error to be taken.
const (
	patienceForMessages = 100 * time.Millisecond
	patienceForError    = 10 * time.Millisecond
)

// finish closes both channels so that whoever selects from them sees all messages, then the
// error, and the end of the messages only after it; while whoever ranges over the messages and
// asks for the error afterwards is not kept waiting.
func (d *delivery[M]) finish(err error) {
	if err == nil {
		close(d.messages)
		close(d.errs)
		return
	}
	d.errs <- err
	close(d.errs)
	waitFor(patienceForError, func() bool { return len(d.errs) == 0 })
	close(d.messages)
}

func waitFor(patience time.Duration, done func() bool) {
	deadline := time.Now().Add(patience)
	for !done() && time.Now().Before(deadline) {
		time.Sleep(200 * time.Microsecond)
	}
}
