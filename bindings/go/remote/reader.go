package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// reader follows a pool through one request after the other: servers end each after a while, and
// connections break. Each goes on after the last message of the one before.
type reader[T any] struct {
	pool    *Pool
	ctx     context.Context
	parent  context.Context // the user's, of which ctx is made
	stop    context.CancelFunc
	route   string
	options api.TailOptions
	parse   func(*bufio.Reader) (T, uint64, error)

	since    *uint64
	received uint64 // messages so far
	body     io.ReadCloser
	end      context.CancelFunc // of the request
	text     *bufio.Reader
	failures int  // since the last message
	reached  bool // the server, at least once
}

const (
	// A request of the greatest length that servers permit unless told otherwise.
	longestWindow = 30 * time.Second
	// How much longer than it should last a silent request is believed in.
	grace = 15 * time.Second
	// How often a broken connection is tried again before that is an error.
	mostFailures = 6
	firstPause   = 20 * time.Millisecond
)

// newReader begins nothing yet; close ends it.
func newReader[T any](
	p *Pool, ctx context.Context, route string, options api.TailOptions,
	parse func(*bufio.Reader) (T, uint64, error),
) *reader[T] {
	if ctx == nil {
		ctx = context.Background()
	}
	r := &reader[T]{
		pool: p, parent: ctx, route: route, options: options, parse: parse, since: options.SinceSeq,
	}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithCancel(ctx)
	if p.closed() {
		r.stop = cancel
		cancel()
		return r
	}
	unbind := context.AfterFunc(p.ctx, cancel)
	r.stop = func() {
		unbind()
		cancel()
	}
	return r
}

// failure is why the reader was ended from outside.
func (r *reader[T]) failure() error {
	if err := r.parent.Err(); err != nil {
		return err
	}
	if r.pool.closed() {
		return api.ClosedError("pool")
	}
	return r.ctx.Err()
}

func (r *reader[T]) close() {
	r.drop()
	r.stop()
}

// drop ends the request that is under way.
func (r *reader[T]) drop() {
	if r.body != nil {
		r.end()
		r.body.Close()
		r.body = nil
	}
}

// next gives the next message, and waits for it.
func (r *reader[T]) next() (message T, err error) {
	for {
		if r.ctx.Err() != nil {
			return message, r.failure()
		}
		if err = r.request(); err == nil {
			var seq uint64
			if message, seq, err = r.parse(r.text); err == nil {
				seq++
				r.since, r.failures = &seq, 0
				r.received++
				return message, nil
			}
			r.drop()
		}
		if r.ctx.Err() != nil {
			return message, r.failure()
		}
		if errors.Is(err, io.EOF) {
			continue // the request's time was over
		}
		if err = r.patience(err); err != nil {
			return message, err
		}
	}
}

// patience waits before a broken connection is tried again; other errors are given back.
func (r *reader[T]) patience(err error) error {
	broken := r.reached && isKind(err, api.ErrorIO)
	if !broken && !isKind(err, api.ErrorBusy) {
		return err
	}
	if r.failures++; r.failures > mostFailures {
		return err
	}
	timer := time.NewTimer(firstPause << r.failures)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return r.failure()
	}
}

func (r *reader[T]) request() error {
	if r.body != nil {
		return nil
	}
	window := r.options.Timeout
	if window <= 0 || window > longestWindow {
		window = longestWindow
	}
	ctx, end := context.WithTimeout(r.ctx, window+grace)
	path := poolPath(r.pool.name, r.route) + r.query()
	response, err := r.pool.client.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		end()
		if errors.Is(err, context.DeadlineExceeded) {
			err = &api.Error{Kind: api.ErrorIO, Message: "the server does not answer"}
		}
		return err
	}
	r.reached = true
	r.body, r.end, r.text = response.Body, end, bufio.NewReaderSize(response.Body, 64<<10)
	return nil
}

func (r *reader[T]) query() string {
	query := url.Values{}
	if r.since != nil {
		query.Set("since_seq", strconv.FormatUint(*r.since, 10))
	}
	// Left out where the server's own limit will do, which may be lower than ours.
	if r.options.Timeout > 0 && r.options.Timeout < longestWindow {
		ms := (r.options.Timeout-1)/time.Millisecond + 1
		query.Set("timeout_ms", strconv.FormatInt(int64(ms), 10))
	}
	exact := true
	for _, tag := range r.options.Tags {
		if tag == "" || tag != strings.TrimSpace(tag) {
			exact = false // a server would trim it: only we can tell
			continue
		}
		query.Add("tag", tag)
	}
	if most := r.options.MaxMessages; most != nil && exact && *most > r.received {
		query.Set("max", strconv.FormatUint(*most-r.received, 10))
	}
	if r.options.ErrorOnGap {
		query.Set("gap_policy", "error")
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

var errBroken = &api.Error{Kind: api.ErrorIO, Message: "the connection broke"}

// parseLine reads one message of a stream of JSON lines; io.EOF is its regular end.
func parseLine(text *bufio.Reader) (*api.Message, uint64, error) {
	for {
		line, err := text.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil, 0, io.EOF
		}
		if err != nil {
			return nil, 0, errBroken
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		message, err := api.DecodeMessage(line)
		if err == nil {
			return message, message.Seq, nil
		}
		return nil, 0, lineError(line, err)
	}
}

// lineError reads a line that is no message, which should say why the stream ends.
func lineError(line []byte, problem error) error {
	var envelope struct {
		Error *wireError `json:"error"`
	}
	if json.Unmarshal(line, &envelope) == nil && envelope.Error != nil {
		return envelope.Error.error()
	}
	return &api.Error{Kind: api.ErrorInternal, Message: problem.Error()}
}

const (
	frameHead  = 20
	frameLimit = 1 << 28
)

// parseFrame reads one message of a stream in the Lite3 encoding.
func parseFrame(text *bufio.Reader) (*api.Lite3Frame, uint64, error) {
	var head [frameHead]byte
	if n, err := io.ReadFull(text, head[:]); err != nil {
		if err == io.EOF && n == 0 {
			return nil, 0, io.EOF
		}
		return nil, 0, errBroken
	}
	frame := &api.Lite3Frame{
		Seq:         binary.BigEndian.Uint64(head[0:]),
		TimestampNs: binary.BigEndian.Uint64(head[8:]),
	}
	length := binary.BigEndian.Uint32(head[16:])
	if length > frameLimit {
		return nil, 0, &api.Error{Kind: api.ErrorInternal, Message: "a frame is too large"}
	}
	frame.Payload = make([]byte, length)
	if _, err := io.ReadFull(text, frame.Payload); err != nil {
		return nil, 0, errBroken
	}
	return frame, frame.Seq, nil
}

// nextMatching gives the next message that has all the tags.
func nextMatching(r *reader[*api.Message]) (*api.Message, error) {
	for {
		message, err := r.next()
		if err != nil || wire.HasTags(message.Meta.Tags, r.options.Tags) {
			return message, err
		}
	}
}
