// Package apitest tests package api from outside.
package apitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
)

func TestErrors(t *testing.T) {
	seq := uint64(7)
	var err error = fmt.Errorf("wrapped: %w", &api.Error{Kind: api.ErrorNotFound, Message: "not found", Seq: &seq})
	if err.Error() != "wrapped: plasmite: not found" {
		t.Fatal(err)
	}
	if s := (&api.Error{Message: "m", Path: "/p"}).Error(); s != "plasmite: m (/p)" {
		t.Fatal(s)
	}
	sentinels := []error{
		api.ErrInternal, api.ErrUsage, api.ErrNotFound, api.ErrAlreadyExists, api.ErrBusy,
		api.ErrPermission, api.ErrCorrupt, api.ErrIO, api.ErrRetentionGap,
	}
	for i, sentinel := range sentinels {
		kind := api.ErrorKind(i + 1)
		if !errors.Is(&api.Error{Kind: kind}, sentinel) || errors.Is(err, sentinel) != (kind == api.ErrorNotFound) {
			t.Error(sentinel)
		}
		if parsed, ok := api.ParseErrorKind(kind.String()); !ok || parsed != kind {
			t.Error(kind)
		}
		if !strings.Contains(sentinel.Error(), kind.String()) {
			t.Error(sentinel)
		}
	}
	if api.ErrorKind(0).String() != "ErrorKind(0)" || api.ErrorKind(10).String() != "ErrorKind(10)" {
		t.Fatal("names of no kind")
	}
	if _, ok := api.ParseErrorKind("Nothing"); ok {
		t.Fatal("no such kind")
	}
	var none *api.Error
	if none.Error() == "" || errors.Is(none, api.ErrIO) {
		t.Fatal("a nil error")
	}
	if !errors.Is(api.ClosedError("pool"), api.ErrClosed) || api.ErrClosed.Error() != "plasmite: closed" {
		t.Fatal(api.ClosedError("pool"))
	}
	err = api.InvalidArgumentError("why")
	if !errors.Is(err, api.ErrInvalidArgument) || !strings.Contains(err.Error(), "why") {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	if c := api.ApplyAppendOptions(); c.Durability != api.DurabilityFast {
		t.Fatal(c)
	}
	c := api.ApplyAppendOptions(nil, api.WithDurability(api.DurabilityFlush), nil)
	if c.Durability != 1 {
		t.Fatal(c)
	}
	if api.DefaultPoolSize != 1048576 || api.DefaultPoolSizeBytes != 1048576 {
		t.Fatal(api.DefaultPoolSize)
	}
	for _, ref := range []api.PoolRef{api.PoolRefName("x"), api.PoolRefPath("x"), api.PoolRefURI("x")} {
		if ref != "x" {
			t.Fatal(ref)
		}
	}
}

func TestDecodeMessage(t *testing.T) {
	raw := []byte(`{"seq":18446744073709551615,"time":"2026-01-02T03:04:05.123456789Z","meta":{"tags":["a","é\n\u00e9"]},"data":{"k":[1,{"x":"}"}]}}`)
	message, err := api.DecodeMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Message{
		Seq:         1<<64 - 1,
		Time:        time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC),
		TimeRFC3339: "2026-01-02T03:04:05.123456789Z",
		Data:        json.RawMessage(`{"k":[1,{"x":"}"}]}`),
		Meta:        api.MessageMeta{Tags: []string{"a", "é\né"}},
		Raw:         append([]byte(nil), raw...),
	}
	if !reflect.DeepEqual(message, want) {
		t.Fatalf("%+v", message)
	}
	for i := range raw {
		raw[i] = 'x' // the message keeps a copy
	}
	if !reflect.DeepEqual(message, want) {
		t.Fatal("the message changed")
	}
	text, err := json.Marshal(message)
	if err != nil || !strings.HasPrefix(string(text), `{"seq":18446744073709551615,"time":"2026-01-02T03:04:05.123456789Z","data":`) {
		t.Fatal(string(text), err)
	}
}

// Other orders, spaces and zones than the library's own.
func TestDecodeOtherForms(t *testing.T) {
	message, err := api.DecodeMessage([]byte(` { "data" : [1], "time": "2026-01-02T03:04:05+02:00", "x": 1, "seq": 3 } `))
	if err != nil {
		t.Fatal(err)
	}
	if message.Seq != 3 || message.TimeRFC3339 != "2026-01-02T03:04:05+02:00" || len(message.Tags()) != 0 {
		t.Fatalf("%+v", message)
	}
	if !message.Time.Equal(time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC)) || message.Time.Location() != time.UTC {
		t.Fatal(message.Time)
	}
	if (*api.Message)(nil).Tags() != nil {
		t.Fatal("tags of no message")
	}
}

func TestDecodeRefusals(t *testing.T) {
	for _, bad := range []string{
		``, `{}`, `[]`, `null`, `{"seq":1}`, `{"time":"2026-01-02T03:04:05Z"}`,
		`{"seq":1,"time":"yesterday","meta":{"tags":[]},"data":{}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05","meta":{"tags":[]},"data":{}}`,
		`{"seq":-1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}}`,
		`{"seq":01,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}}`,
		`{"seq":18446744073709551616,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}}`,
		`{"seq":"1","time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[1]},"data":{}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":["a\x"]},"data":{}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":["a",]},"data":{}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":["a"`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{}}}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":}`,
		`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":[]},"data":{} x}`,
	} {
		if message, err := api.DecodeMessage([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, message)
		}
	}
}

func TestDecodeData(t *testing.T) {
	message := &api.Message{Data: json.RawMessage(`{"name":"Ann","n":3}`)}
	value, err := api.Decode[struct {
		Name string
		N    int
	}](message)
	if err != nil || value.Name != "Ann" || value.N != 3 {
		t.Fatal(value, err)
	}
	if _, err := api.Decode[[]int](message); err == nil {
		t.Fatal("an object is no list")
	}
	if _, err := api.Decode[int](nil); !errors.Is(err, api.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestLite3FrameTime(t *testing.T) {
	frame := api.Lite3Frame{TimestampNs: 1767323045600000001}
	if at := frame.Time(); at.Format(time.RFC3339Nano) != "2026-01-02T03:04:05.600000001Z" {
		t.Fatal(at)
	}
}

// What is read at a glance is what encoding/json reads.
func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a","b"]},"data":{"k":1}}`))
	f.Add([]byte(`{"seq":1,"time":"2026-01-02T03:04:05Z","meta":{"tags":["\u0041\ud800é"]},"data":{"k":"\""},"seq":2}`))
	f.Add([]byte(`{"seq":0,"time":"","meta":{"tags":[]},"data":{},"data":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		message, err := api.DecodeMessage(raw)
		if err != nil {
			return
		}
		var other struct {
			Seq  uint64          `json:"seq"`
			Time string          `json:"time"`
			Data json.RawMessage `json:"data"`
			Meta api.MessageMeta `json:"meta"`
		}
		if err := json.Unmarshal(raw, &other); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if other.Seq != message.Seq || other.Time != message.TimeRFC3339 ||
			string(other.Data) != string(message.Data) ||
			!reflect.DeepEqual(append([]string{}, other.Meta.Tags...), append([]string{}, message.Meta.Tags...)) {
			t.Fatalf("%q: %+v", raw, message)
		}
	})
}
