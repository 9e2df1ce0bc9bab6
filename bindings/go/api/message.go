package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// MessageMeta is what a message says about itself.
type MessageMeta struct {
	Tags []string `json:"tags"`
}

// Message is one message of a pool.
type Message struct {
	Seq         uint64          `json:"seq"`
	Time        time.Time       `json:"-"`    // UTC
	TimeRFC3339 string          `json:"time"` // as it was written
	Data        json.RawMessage `json:"data"`
	Meta        MessageMeta     `json:"meta"`
	Raw         []byte          `json:"-"` // all of the message's JSON
}

// Tags gives the message's tags, in their order.
func (m *Message) Tags() []string {
	if m == nil {
		return nil
	}
	return m.Meta.Tags
}

// Decode reads the message's data into a value of type T, as json.Unmarshal does.
func Decode[T any](message *Message) (T, error) {
	var value T
	if message == nil {
		return value, InvalidArgumentError("message is nil")
	}
	err := json.Unmarshal(message.Data, &value)
	return value, err
}

// DecodeMessage reads the JSON of one message. The message keeps a copy of raw.
func DecodeMessage(raw []byte) (*Message, error) {
	own := append([]byte(nil), raw...)
	if parts, ok := wire.Split(own); ok && json.Valid(parts.Data) {
		return fromParts(own, &parts)
	}
	var fields struct {
		Seq  *uint64         `json:"seq"`
		Time *string         `json:"time"`
		Data json.RawMessage `json:"data"`
		Meta MessageMeta     `json:"meta"`
	}
	if err := json.Unmarshal(own, &fields); err != nil {
		return nil, fmt.Errorf("plasmite: not a message: %w", err)
	}
	if fields.Seq == nil || fields.Time == nil {
		return nil, fmt.Errorf("plasmite: not a message: seq or time is missing")
	}
	parts := wire.Parts{Seq: *fields.Seq, Time: []byte(*fields.Time), Tags: fields.Meta.Tags, Data: fields.Data}
	return fromParts(own, &parts)
}

func fromParts(raw []byte, parts *wire.Parts) (*Message, error) {
	var at time.Time
	if err := at.UnmarshalText(parts.Time); err != nil {
		return nil, fmt.Errorf("plasmite: not a message: %w", err)
	}
	return &Message{
		Seq:         parts.Seq,
		Time:        at.UTC(),
		TimeRFC3339: string(parts.Time),
		Data:        parts.Data,
		Meta:        MessageMeta{Tags: parts.Tags},
		Raw:         raw,
	}, nil
}

// Lite3Frame is one message in the Lite3 encoding.
type Lite3Frame struct {
	Seq         uint64
	TimestampNs uint64 // since 1970, UTC
	Flags       uint32
	Payload     []byte
}

// Time is when the message was appended, in UTC.
func (f Lite3Frame) Time() time.Time {
	const second = uint64(time.Second)
	return time.Unix(int64(f.TimestampNs/second), int64(f.TimestampNs%second)).UTC()
}
