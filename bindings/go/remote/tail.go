package remote

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	"github.com/sandover/plasmite/bindings/go/internal/outlet"
	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// Tail follows the pool: first what is there, then what comes. A connection that breaks is made
// anew, and goes on after the last message. Its channels are as those of a local pool.
func (p *Pool) Tail(ctx context.Context, options api.TailOptions) (<-chan *api.Message, <-chan error) {
	r := newReader(p, ctx, "/tail", options, parseLine)
	return start(r, options, func() (*api.Message, error) { return nextMatching(r) })
}

// TailLite3 is [Pool.Tail] in the Lite3 encoding; Tags do not count. Servers refuse ErrorOnGap.
func (p *Pool) TailLite3(ctx context.Context, options api.TailOptions) (<-chan *api.Lite3Frame, <-chan error) {
	options.Tags = nil
	r := newReader(p, ctx, "/tail_lite3", options, parseFrame)
	return start(r, options, r.next)
}

func start[T, M any](r *reader[T], options api.TailOptions, next func() (M, error)) (<-chan M, <-chan error) {
	failure := func(context.Context) error { return r.failure() }
	return outlet.Start(r.ctx, failure, outlet.Options{
		Buffer: options.Buffer, Max: options.MaxMessages, Close: r.close,
	}, func(int) ([]M, error) {
		message, err := next()
		if err != nil {
			return nil, err
		}
		return []M{message}, nil
	})
}

// Replay collects messages for as long as Timeout says, then delivers them with the pauses in
// which they were written, divided by Speed.
func (p *Pool) Replay(ctx context.Context, options api.ReplayOptions) (<-chan *api.Message, <-chan error) {
	window := options.Timeout
	if window <= 0 {
		window = time.Second
	}
	r := newReader(p, ctx, "/tail", api.TailOptions{SinceSeq: options.SinceSeq, Timeout: window}, parseLine)
	pace := wire.Pace{Speed: options.Speed}
	var recorded []*api.Message
	collected := false
	return start(r, api.TailOptions{MaxMessages: options.MaxMessages}, func() (*api.Message, error) {
		if !collected {
			var err error
			if recorded, err = record(r, window, options.MaxMessages); err != nil {
				return nil, err
			}
			collected = true
		}
		if len(recorded) == 0 {
			return nil, io.EOF
		}
		message := recorded[0]
		recorded = recorded[1:]
		return message, pace.Wait(r.ctx, message.Time)
	})
}

// record gives the messages of one window.
func record(r *reader[*api.Message], window time.Duration, most *uint64) ([]*api.Message, error) {
	whole := r.ctx
	ctx, cancel := context.WithTimeout(whole, window)
	defer cancel()
	r.ctx = ctx
	defer func() {
		r.drop()
		r.ctx = whole
	}()
	var recorded []*api.Message
	for most == nil || uint64(len(recorded)) < *most {
		message, err := r.next()
		if ctx.Err() != nil && whole.Err() == nil {
			break
		}
		if err != nil {
			return nil, err
		}
		recorded = append(recorded, message)
	}
	return recorded, nil
}

// stream is a reader that ends after a number of messages or a time.
type stream[T any] struct {
	reader *reader[T]
	mu     sync.Mutex
	left   *uint64
	cancel context.CancelFunc
	ended  context.Context // by Close
}

func openStream[T any](r *reader[T], max, timeoutMs *uint64) *stream[T] {
	s := &stream[T]{reader: r}
	if max != nil {
		left := *max
		s.left = &left
	}
	s.ended, s.cancel = context.WithCancel(context.Background())
	if timeoutMs != nil {
		deadline := time.Duration(min(*timeoutMs, uint64(longestTimeout/time.Millisecond))) * time.Millisecond
		var stop context.CancelFunc
		r.ctx, stop = context.WithTimeout(r.ctx, deadline)
		before := r.stop
		r.stop = func() {
			stop()
			before()
		}
	}
	context.AfterFunc(s.ended, r.stop)
	return s
}

const longestTimeout = 365 * 24 * time.Hour

func (s *stream[T]) next() (message T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Err() != nil {
		return message, api.ClosedError("stream")
	}
	if s.left != nil && *s.left == 0 {
		return message, io.EOF
	}
	message, err = s.reader.next()
	switch {
	case err == nil && s.left != nil:
		*s.left--
	case err != nil && s.ended.Err() != nil:
		err = api.ClosedError("stream")
	case errors.Is(err, context.DeadlineExceeded):
		err = io.EOF
	case isKind(err, api.ErrorRetentionGap):
		s.left = new(uint64) // that was its end
	}
	return message, err
}

// Close ends the stream, also while somebody waits in it.
func (s *stream[T]) Close() error {
	s.cancel()
	return nil
}

type messageStream struct{ *stream[*api.Message] }

func (s messageStream) NextJSON() ([]byte, error) {
	message, err := s.next()
	if err != nil {
		return nil, err
	}
	return message.Raw, nil
}

type frameStream struct{ *stream[*api.Lite3Frame] }

func (s frameStream) Next() (*api.Lite3Frame, error) { return s.next() }

// OpenStream opens a stream. It ends after maxMessages, or timeoutMs after now; where these are
// nil, never. It ends with its pool.
func (p *Pool) OpenStream(sinceSeq, maxMessages, timeoutMs *uint64) (api.Stream, error) {
	if p.closed() {
		return nil, api.ClosedError("pool")
	}
	r := newReader(p, context.Background(), "/tail", api.TailOptions{SinceSeq: sinceSeq}, parseLine)
	return messageStream{openStream(r, maxMessages, timeoutMs)}, nil
}

// OpenLite3Stream is as [Pool.OpenStream].
func (p *Pool) OpenLite3Stream(sinceSeq, maxMessages, timeoutMs *uint64) (api.Lite3Stream, error) {
	if p.closed() {
		return nil, api.ClosedError("pool")
	}
	r := newReader(p, context.Background(), "/tail_lite3", api.TailOptions{SinceSeq: sinceSeq}, parseFrame)
	return frameStream{openStream(r, maxMessages, timeoutMs)}, nil
}
