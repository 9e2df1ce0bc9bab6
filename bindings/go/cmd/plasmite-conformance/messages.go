package main

import (
	"context"
	"errors"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func (r *runner) createPool(s *step) error {
	size := plasmite.DefaultPoolSizeBytes
	if s.Input.SizeBytes != nil {
		size = *s.Input.SizeBytes
	}
	pool, err := r.client.CreatePool(plasmite.PoolRef(s.Pool), size)
	if err != nil {
		return err
	}
	r.created[real(r.path(s.Pool))] = true
	return pool.Close()
}

func (r *runner) open(s *step) (*plasmite.Pool, error) {
	return r.client.Open(plasmite.PoolRef(s.Pool))
}

func (r *runner) append(s *step) error {
	if s.Input.Data == nil {
		return unmetf("input.data is required")
	}
	pool, err := r.open(s)
	if err != nil {
		return err
	}
	defer pool.Close()
	message, err := pool.Append(s.Input.Data, s.Input.Tags)
	if err != nil {
		return err
	}
	if want := s.Expect.Seq; want != nil && *want != message.Seq {
		return unmetf("expected seq %d, got %d", *want, message.Seq)
	}
	return nil
}

func (r *runner) get(s *step) error {
	if s.Input.Seq == nil {
		return unmetf("input.seq is required")
	}
	pool, err := r.open(s)
	if err != nil {
		return err
	}
	defer pool.Close()
	message, err := pool.Get(*s.Input.Seq)
	if err != nil {
		return err
	}
	if want := s.Expect.Data; want != nil && !sameJSON(want, message.Data) {
		return unmetf("expected data %s, got %s", want, message.Data)
	}
	if want := s.Expect.Tags; want != nil && !sameTags(*want, message.Tags()) {
		return unmetf("expected tags %q, got %q", *want, message.Tags())
	}
	return nil
}

const (
	tailWindow = 500 * time.Millisecond
	tailLimit  = 5 * time.Second
)

func (r *runner) tail(s *step) error {
	ordered, unordered := s.Expect.Messages, s.Expect.MessagesUnordered
	if s.Expect.Error == nil && (ordered == nil) == (unordered == nil) {
		return unmetf("expected exactly one of messages and messages_unordered")
	}
	want := []item{}
	if ordered != nil {
		want = *ordered
	} else if unordered != nil {
		want = *unordered
	}
	pool, err := r.open(s)
	if err != nil {
		return err
	}
	defer pool.Close()
	messages, err := collect(pool, s, uint64(len(want)))
	if err != nil {
		return err
	}
	if len(messages) != len(want) {
		return unmetf("expected %d messages, got %d", len(want), len(messages))
	}
	for i := 1; i < len(messages); i++ {
		if messages[i].Seq <= messages[i-1].Seq {
			return unmetf("seq %d after seq %d", messages[i].Seq, messages[i-1].Seq)
		}
	}
	if ordered != nil {
		return checkOrdered(want, messages)
	}
	return checkUnordered(want, messages)
}

// collect takes as many messages as the step asks for, within the time there is.
func collect(pool *plasmite.Pool, s *step, n uint64) ([]*plasmite.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tailLimit)
	defer cancel()
	most := s.Input.Max
	if most == nil {
		most = &n
	}
	out, errs := pool.Tail(ctx, plasmite.TailOptions{
		SinceSeq: s.Input.SinceSeq, MaxMessages: most, Timeout: tailWindow,
	})
	var messages []*plasmite.Message
	for message := range out {
		messages = append(messages, message)
	}
	err := <-errs
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what came counts
	}
	return messages, err
}

func checkOrdered(want []item, messages []*plasmite.Message) error {
	for i := range want {
		if !want[i].matches(messages[i]) {
			return unmetf("message %d is not what was expected: %s", i, messages[i].Raw)
		}
	}
	return nil
}

func checkUnordered(want []item, messages []*plasmite.Message) error {
	left := append([]item(nil), want...)
	for _, message := range messages {
		found := false
		for i := range left {
			if left[i].matches(message) {
				left = append(left[:i], left[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			return unmetf("a message was not expected: %s", message.Raw)
		}
	}
	return nil
}
