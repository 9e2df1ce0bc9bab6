// Package wire takes messages apart.
//
// Messages of the library have one form:
//
//	{"seq":1,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a"]},"data":{"k":1}}
//
// which is read here at a glance. Whatever looks different is left to encoding/json.
package wire

import (
	"bytes"
	"encoding/json"
	"math"
)

// Parts is a message in pieces. Time and Data lie in the text that was split.
type Parts struct {
	Seq  uint64
	Time []byte
	Tags []string
	Data []byte
}

// What lies between the values of a message.
var (
	beforeSeq  = []byte(`{"seq":`)
	beforeTime = []byte(`,"time":"`)
	beforeTags = []byte(`","meta":{"tags":[`)
	beforeData = []byte(`]},"data":`)
)

var noTags = []string{}

// Split takes a message of the usual form apart. It does not look into the data: whether that
// is JSON is for the caller to know, or to check.
func Split(text []byte) (parts Parts, ok bool) {
	seq, rest, ok := cutSeq(text)
	if !ok {
		return parts, false
	}
	if rest, ok = bytes.CutPrefix(rest, beforeTime); !ok {
		return parts, false
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 || bytes.IndexByte(rest[:quote], '\\') >= 0 {
		return parts, false
	}
	at := rest[:quote]
	if rest, ok = bytes.CutPrefix(rest[quote:], beforeTags); !ok {
		return parts, false
	}
	tags, rest, ok := cutTags(rest)
	if !ok {
		return parts, false
	}
	if rest, ok = bytes.CutPrefix(rest, beforeData); !ok {
		return parts, false
	}
	if len(rest) < 2 || rest[len(rest)-1] != '}' {
		return parts, false
	}
	return Parts{Seq: seq, Time: at, Tags: tags, Data: rest[: len(rest)-1 : len(rest)-1]}, true
}

// Seq gives a message's seq alone.
func Seq(text []byte) (uint64, bool) {
	if seq, _, ok := cutSeq(text); ok {
		return seq, true
	}
	var fields struct {
		Seq *uint64 `json:"seq"`
	}
	if json.Unmarshal(text, &fields) != nil || fields.Seq == nil {
		return 0, false
	}
	return *fields.Seq, true
}

func cutSeq(text []byte) (seq uint64, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, beforeSeq)
	if !ok || len(rest) == 0 || rest[0] == '0' && len(rest) > 1 && isDigit(rest[1]) {
		return 0, nil, false
	}
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		digit := uint64(rest[n] - '0')
		if seq > (math.MaxUint64-digit)/10 {
			return 0, nil, false
		}
		seq = seq*10 + digit
		n++
	}
	return seq, rest[n:], n > 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// cutTags reads strings up to the bracket that ends the list.
func cutTags(text []byte) (tags []string, rest []byte, ok bool) {
	if len(text) > 0 && text[0] == ']' {
		return noTags, text, true
	}
	for {
		tag, after, ok := cutString(text)
		if !ok || len(after) == 0 {
			return nil, nil, false
		}
		tags = append(tags, tag)
		if after[0] == ']' {
			return tags, after, true
		}
		if after[0] != ',' {
			return nil, nil, false
		}
		text = after[1:]
	}
}

func cutString(text []byte) (value string, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, false
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return string(text[1:i]), text[i+1:], true
		case text[i] == '\\':
			return cutEscaped(text, i)
		case text[i] < ' ' || text[i] >= 0x80:
			return cutEscaped(text, i) // not plain: encoding/json knows what is right
		}
	}
	return "", nil, false
}

// cutEscaped reads a string that is not plain from byte i on.
func cutEscaped(text []byte, i int) (value string, rest []byte, ok bool) {
	for ; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal(text[:i+1], &value) != nil {
				return "", nil, false
			}
			return value, text[i+1:], true
		}
	}
	return "", nil, false
}
