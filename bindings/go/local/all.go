//go:build go1.23

package local

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"time"

	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// IterOption changes where an iterator begins, what it leaves out, or when it ends.
type IterOption func(*iterConfig)

type iterConfig struct {
	changes  []func(*Stream) error
	retained bool
}

// FromLast begins with the newest n messages; with 0, with what comes from now on.
func FromLast(n uint64) IterOption {
	return change(func(stream *Stream) error { return stream.seekLast(n) })
}

// FromTime begins with the first message that was written then or later.
func FromTime(at time.Time) IterOption {
	return change(func(stream *Stream) error { return stream.seekTime(at) })
}

// Where leaves out messages for which the jq expression is not true. Several must all be true.
func Where(expression string) IterOption {
	return change(func(stream *Stream) error { return stream.filter(expression) })
}

// Retained ends where it would have to wait for another message.
func Retained() IterOption {
	return func(config *iterConfig) { config.retained = true }
}

func change(change func(*Stream) error) IterOption {
	return func(config *iterConfig) { config.changes = append(config.changes, change) }
}

// All gives the pool's messages: first what is there, then what comes.
//
//	for message, err := range pool.All(ctx, plasmite.TailOptions{}) {
//
// It ends after MaxMessages, or with an error beside a nil message: that of the context, [ErrClosed]
// when the pool is closed, or what failed. Leaving the loop frees everything.
func (p *Pool) All(ctx context.Context, options TailOptions, more ...IterOption) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		left := leftOf(&options)
		p.each(ctx, &options, more, left, func(lines [][]byte, err error) bool {
			if err != nil {
				return yield(nil, err)
			}
			messages, err := decodeLines(lines, options.Tags)
			if err != nil {
				yield(nil, err)
				return false
			}
			for _, message := range messages {
				*left--
				if !yield(message, nil) || *left == 0 {
					return false
				}
			}
			return true
		})
	}
}

// Lines is as [Pool.All], with each message as a line of JSON, which is valid only until the
// next one is asked for. It is the fastest way to read.
func (p *Pool) Lines(ctx context.Context, options TailOptions, more ...IterOption) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		left := leftOf(&options)
		p.each(ctx, &options, more, left, func(lines [][]byte, err error) bool {
			if err != nil {
				return yield(nil, err)
			}
			for _, line := range lines {
				if len(options.Tags) > 0 && !lineHasTags(line, options.Tags) {
					continue
				}
				*left--
				if !yield(line, nil) || *left == 0 {
					return false
				}
			}
			return true
		})
	}
}

func lineHasTags(line []byte, tags []string) bool {
	message, err := decode(line)
	return err == nil && wire.HasTags(message.Meta.Tags, tags)
}

func leftOf(options *TailOptions) *uint64 {
	left := uint64(math.MaxUint64)
	if options.MaxMessages != nil {
		left = *options.MaxMessages
	}
	return &left
}

// retained is a stream that ends where it would wait.
type retained struct{ *Stream }

func (s retained) next(limit int) ([][]byte, error) {
	ready, err := s.ready()
	if err != nil {
		return nil, err
	}
	if !ready {
		return nil, io.EOF
	}
	return s.Stream.next(limit)
}

// each calls take with batches of lines, or with an error, until it gives false.
func (p *Pool) each(
	ctx context.Context, options *TailOptions, more []IterOption, left *uint64,
	take func(lines [][]byte, err error) bool,
) {
	var config iterConfig
	for _, option := range more {
		if option != nil {
			option(&config)
		}
	}
	ctx, guard := newGuard(ctx, p)
	f := p.follow(ctx, guard, options, config.changes...)
	defer f.close()
	if config.retained {
		open := f.open
		f.open = func(since, timeoutMs *uint64) (source[[]byte], error) {
			stream, err := open(since, timeoutMs)
			if err != nil {
				return nil, err
			}
			return retained{stream.(*Stream)}, nil
		}
	}
	for *left > 0 {
		lines, err := f.next(int(min(*left, iteratorBatch)))
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			take(nil, err)
			return
		}
		if !take(lines, nil) {
			return
		}
	}
}
