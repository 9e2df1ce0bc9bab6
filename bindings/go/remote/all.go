//go:build go1.23

package remote

import (
	"context"
	"iter"

	"github.com/sandover/plasmite/bindings/go/api"
)

// All gives the pool's messages: first what is there, then what comes. It ends after MaxMessages,
// or with an error beside a nil message. Leaving the loop ends the request.
func (p *Pool) All(ctx context.Context, options api.TailOptions) iter.Seq2[*api.Message, error] {
	return func(yield func(*api.Message, error) bool) {
		r := newReader(p, ctx, "/tail", options, parseLine)
		defer r.close()
		for n := uint64(0); options.MaxMessages == nil || n < *options.MaxMessages; n++ {
			message, err := nextMatching(r)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(message, nil) {
				return
			}
		}
	}
}
