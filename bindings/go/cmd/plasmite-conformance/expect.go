package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

// check says whether a step failed as it should.
func (want *expectedError) check(err error) error {
	if err == nil {
		return unmetf("expected error of kind %s, but it succeeded", want.Kind)
	}
	var failed unmet
	if errors.As(err, &failed) {
		return err
	}
	got := factsOf(err)
	if got.kind != want.Kind {
		return unmetf("expected error of kind %s, got %s: %w", want.Kind, got.kind, err)
	}
	if want.MessageContains != nil && !strings.Contains(got.message, *want.MessageContains) {
		return unmetf("expected a message with %q, got %q", *want.MessageContains, got.message)
	}
	for _, fact := range []struct {
		name string
		want *bool
		got  bool
	}{
		{"path", want.HasPath, got.hasPath},
		{"seq", want.HasSeq, got.hasSeq},
		{"offset", want.HasOffset, got.hasOffset},
	} {
		if fact.want != nil && *fact.want != fact.got {
			return unmetf("expected has_%s %v, got %v: %w", fact.name, *fact.want, fact.got, err)
		}
	}
	return nil
}

type facts struct {
	kind, message              string
	hasPath, hasSeq, hasOffset bool
}

func factsOf(err error) facts {
	var e *plasmite.Error
	if errors.As(err, &e) {
		return facts{e.Kind.String(), e.Message, e.Path != "", e.Seq != nil, e.Offset != nil}
	}
	if errors.Is(err, plasmite.ErrInvalidArgument) {
		return facts{kind: plasmite.ErrorUsage.String(), message: err.Error()}
	}
	return facts{kind: plasmite.ErrorInternal.String(), message: err.Error()}
}

// sameJSON compares values; the order of keys does not count.
func sameJSON(a, b []byte) bool {
	x, errX := parseJSON(a)
	y, errY := parseJSON(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func parseJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // so that large integers are compared as they are
	err = decoder.Decode(&value)
	return normalNumbers(value), err
}

// normalNumbers makes 1, 1.0 and 1e0 the same.
func normalNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if i, err := value.Int64(); err == nil {
			return i
		}
		if f, err := value.Float64(); err == nil {
			if i := int64(f); float64(i) == f && i > -1<<53 && i < 1<<53 {
				return i
			}
			if strings.ContainsAny(value.String(), ".eE") {
				return f
			}
		}
		return value.String()
	case []any:
		for i := range value {
			value[i] = normalNumbers(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = normalNumbers(value[key])
		}
	}
	return value
}

func sameTags(a, b []string) bool { return slices.Equal(a, b) }

func (want *item) matches(message *plasmite.Message) bool {
	return sameJSON(want.Data, message.Data) &&
		(want.Tags == nil || sameTags(*want.Tags, message.Tags()))
}
