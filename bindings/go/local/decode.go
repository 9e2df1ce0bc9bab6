package local

import (
	"fmt"

	"github.com/sandover/plasmite/bindings/go/api"
	"github.com/sandover/plasmite/bindings/go/internal/wire"
)

// decode makes a message of the library's JSON, which it keeps. The library has checked the data.
func decode(raw []byte) (*Message, error) {
	message := new(Message)
	parts, err := decodeInto(message, raw)
	if err != nil {
		return nil, err
	}
	if parts.Time != nil {
		message.TimeRFC3339 = string(parts.Time)
	}
	return message, nil
}

// decodeInto fills all of a message but TimeRFC3339, which is parts.Time; where that is nil, the
// message is complete.
func decodeInto(message *Message, raw []byte) (parts wire.Parts, err error) {
	parts, ok := wire.Split(raw)
	if !ok {
		other, err := api.DecodeMessage(raw)
		if err != nil {
			return parts, err
		}
		*message = *other
		return wire.Parts{}, nil
	}
	if err := message.Time.UnmarshalText(parts.Time); err != nil {
		return parts, fmt.Errorf("plasmite: not a message: %w", err)
	}
	message.Seq = parts.Seq
	message.Time = message.Time.UTC()
	message.Data = parts.Data
	message.Meta.Tags = parts.Tags
	message.Raw = raw
	return parts, nil
}

// Messages that are decoded together share their memory, so that there is less to allocate; no
// more of them than this, so that one that is kept keeps little else.
const decodeTogether = 16

// decodeLines makes messages of copies of the lines that have all the tags.
func decodeLines(lines [][]byte, tags []string) ([]*Message, error) {
	messages := make([]*Message, 0, len(lines))
	for len(lines) > 0 {
		n := min(len(lines), decodeTogether)
		var err error
		if messages, err = decodeSome(messages, lines[:n], tags); err != nil {
			return nil, err
		}
		lines = lines[n:]
	}
	return messages, nil
}

func decodeSome(messages []*Message, lines [][]byte, tags []string) ([]*Message, error) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	texts := make([]byte, 0, size)
	times := make([]byte, 0, len(lines)*len("2006-01-02T15:04:05.999999999Z"))
	ends := make([]int, len(lines))
	slab := make([]Message, len(lines))
	for i, line := range lines {
		begin := len(texts)
		texts = append(texts, line...)
		parts, err := decodeInto(&slab[i], texts[begin:len(texts):len(texts)])
		if err != nil {
			return nil, err
		}
		times = append(times, parts.Time...)
		ends[i] = len(times)
	}
	begin, all := 0, string(times)
	for i := range slab {
		if begin < ends[i] {
			slab[i].TimeRFC3339 = all[begin:ends[i]]
			begin = ends[i]
		}
		if wire.HasTags(slab[i].Meta.Tags, tags) {
			messages = append(messages, &slab[i])
		}
	}
	return messages, nil
}
