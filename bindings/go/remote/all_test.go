//go:build go1.23

package remote_test

import (
	"context"
	"testing"

	"github.com/sandover/plasmite/bindings/go/api"
)

func TestAll(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	s.append(`{}`, "x")
	s.append(`{}`, "y")
	s.append(`{}`, "x")
	sum := uint64(0)
	for message, err := range pool.All(timeout(t), api.TailOptions{Tags: []string{"x"}, MaxMessages: ptr[uint64](2)}) {
		ok(t, err)
		sum += message.Seq
	}
	equal(t, sum, 4)
	for message, err := range pool.All(timeout(t), api.TailOptions{}) {
		ok(t, err)
		equal(t, message.Seq, 1)
		break
	}
	eventually(t, "the server's streams ended", func() bool { return s.streams() == 0 })
	ctx, cancel := context.WithCancel(timeout(t))
	defer cancel()
	var last error
	for _, last = range pool.All(ctx, api.TailOptions{SinceSeq: ptr[uint64](3)}) {
		cancel()
	}
	is(t, last, context.Canceled)
}
