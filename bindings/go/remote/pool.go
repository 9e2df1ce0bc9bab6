package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/sandover/plasmite/bindings/go/api"
)

// Pool is a pool on a server.
type Pool struct {
	client *Client
	name   string
	ctx    context.Context
	close  context.CancelCauseFunc
}

var _ api.Pool = (*Pool)(nil)

func newPool(client *Client, name string) *Pool {
	ctx, cancel := context.WithCancelCause(client.ctx)
	return &Pool{client: client, name: name, ctx: ctx, close: cancel}
}

// Name is the pool's name on the server.
func (p *Pool) Name() string {
	if p == nil {
		return ""
	}
	return p.name
}

// With gives the same pool, whose requests end when the context does.
func (p *Pool) With(ctx context.Context) *Pool {
	if p.closed() {
		return p
	}
	own, cancel := context.WithCancelCause(ctx)
	context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })
	return &Pool{client: p.client, name: p.name, ctx: own, close: cancel}
}

// Close ends the pool's requests and tails. It may be called more than once.
func (p *Pool) Close() error {
	if p != nil && p.close != nil {
		p.close(api.ClosedError("pool"))
	}
	return nil
}

// closed says whether the pool or its client was closed; other contexts end for themselves.
func (p *Pool) closed() bool {
	if p == nil || p.client.closed() {
		return true
	}
	return p.ctx.Err() != nil && isClosed(context.Cause(p.ctx))
}

func (p *Pool) call(method, rest string, body, out any) error {
	if p.closed() {
		return api.ClosedError("pool")
	}
	return p.orClosed(p.client.call(p.ctx, method, poolPath(p.name, rest), body, out))
}

func (p *Pool) exchange(method, rest, contentType string, body []byte) ([]byte, error) {
	if p.closed() {
		return nil, api.ClosedError("pool")
	}
	answer, err := p.client.exchange(p.ctx, method, poolPath(p.name, rest), contentType, body)
	return answer, p.orClosed(err)
}

// orClosed says that the pool was closed where a request failed for that.
func (p *Pool) orClosed(err error) error {
	if err != nil && p.closed() {
		return api.ClosedError("pool")
	}
	return err
}

func isClosed(err error) bool { return errors.Is(err, api.ErrClosed) }

func durabilityName(durability api.Durability) (string, error) {
	switch durability {
	case api.DurabilityFast:
		return "fast", nil
	case api.DurabilityFlush:
		return "flush", nil
	}
	return "", &api.Error{Kind: api.ErrorUsage, Message: "invalid durability"}
}

type messageReply struct {
	Message json.RawMessage `json:"message"`
}

// AppendJSON appends a JSON object and gives the message that was made of it, as JSON.
func (p *Pool) AppendJSON(payload []byte, tags []string, durability api.Durability) ([]byte, error) {
	if p.closed() {
		return nil, api.ClosedError("pool")
	}
	if len(payload) == 0 {
		return nil, api.InvalidArgumentError("the payload is empty")
	}
	if !json.Valid(payload) {
		return nil, &api.Error{Kind: api.ErrorUsage, Message: "invalid json"}
	}
	level, err := durabilityName(durability)
	if err != nil {
		return nil, err
	}
	if tags == nil {
		tags = []string{}
	}
	body := map[string]any{"data": json.RawMessage(payload), "tags": tags, "durability": level}
	var reply messageReply
	if err := p.call(http.MethodPost, "/append", body, &reply); err != nil {
		return nil, err
	}
	return reply.Message, nil
}

// Append appends a value that json.Marshal makes an object.
func (p *Pool) Append(value any, tags []string, options ...api.AppendOption) (*api.Message, error) {
	if p.closed() {
		return nil, api.ClosedError("pool")
	}
	payload, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	raw, err := p.AppendJSON(payload, tags, api.ApplyAppendOptions(options...).Durability)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

// GetJSON gives one message as JSON.
func (p *Pool) GetJSON(seq uint64) ([]byte, error) {
	var reply messageReply
	err := p.call(http.MethodGet, "/messages/"+strconv.FormatUint(seq, 10), nil, &reply)
	return reply.Message, err
}

// Get gives one message.
func (p *Pool) Get(seq uint64) (*api.Message, error) {
	raw, err := p.GetJSON(seq)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

// Info says what the pool holds now.
func (p *Pool) Info() (PoolInfo, error) {
	var reply struct{ Pool PoolInfo }
	err := p.call(http.MethodGet, "/info", nil, &reply)
	return reply.Pool, err
}

// AppendLite3 appends a message in the Lite3 encoding and gives its seq.
func (p *Pool) AppendLite3(payload []byte, durability api.Durability) (uint64, error) {
	if p.closed() {
		return 0, api.ClosedError("pool")
	}
	if len(payload) == 0 {
		return 0, api.InvalidArgumentError("the payload is empty")
	}
	level, err := durabilityName(durability)
	if err != nil {
		return 0, err
	}
	path := "/append_lite3"
	if level == "flush" {
		path += "?durability=flush"
	}
	answer, err := p.exchange(http.MethodPost, path, lite3Type, payload)
	if err != nil {
		return 0, err
	}
	var reply struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil || reply.Message.Seq == 0 {
		return 0, &api.Error{Kind: api.ErrorInternal, Message: "the answer is not what was expected"}
	}
	return reply.Message.Seq, nil
}

// GetLite3 gives one message in the Lite3 encoding, by two requests: the payload, and the time.
func (p *Pool) GetLite3(seq uint64) (*api.Lite3Frame, error) {
	message, err := p.Get(seq)
	if err != nil {
		return nil, err
	}
	path := "/messages/" + strconv.FormatUint(seq, 10) + "/lite3"
	payload, err := p.exchange(http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	return &api.Lite3Frame{Seq: seq, TimestampNs: uint64(message.Time.UnixNano()), Payload: payload}, nil
}

// decode reads a message that a server sent.
func decode(raw []byte) (*api.Message, error) {
	message, err := api.DecodeMessage(raw)
	if err != nil {
		return nil, &api.Error{Kind: api.ErrorInternal, Message: err.Error()}
	}
	return message, nil
}
