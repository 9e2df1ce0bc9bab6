package api

import "context"

// Client opens and creates pools.
type Client interface {
	Close() error
	CreatePool(ref PoolRef, sizeBytes uint64) (Pool, error)
	OpenPool(ref PoolRef) (Pool, error)
	Pool(ref PoolRef, sizeBytes uint64) (Pool, error)
}

// Pool appends and reads messages. The channels of Tail, TailLite3 and Replay are both closed at
// the end; the second one brings at most one error. They end when their context does, so cancel
// it when you leave them early.
type Pool interface {
	Close() error
	AppendJSON(payload []byte, tags []string, durability Durability) ([]byte, error)
	Append(value any, tags []string, options ...AppendOption) (*Message, error)
	AppendLite3(payload []byte, durability Durability) (uint64, error)
	GetJSON(seq uint64) ([]byte, error)
	Get(seq uint64) (*Message, error)
	GetLite3(seq uint64) (*Lite3Frame, error)
	OpenStream(sinceSeq, maxMessages, timeoutMs *uint64) (Stream, error)
	OpenLite3Stream(sinceSeq, maxMessages, timeoutMs *uint64) (Lite3Stream, error)
	Tail(ctx context.Context, options TailOptions) (<-chan *Message, <-chan error)
	TailLite3(ctx context.Context, options TailOptions) (<-chan *Lite3Frame, <-chan error)
	Replay(ctx context.Context, options ReplayOptions) (<-chan *Message, <-chan error)
}

// Stream gives one message after the other, and io.EOF at its end.
type Stream interface {
	NextJSON() ([]byte, error)
	Close() error
}

// Lite3Stream gives one frame after the other, and io.EOF at its end.
type Lite3Stream interface {
	Next() (*Lite3Frame, error)
	Close() error
}
