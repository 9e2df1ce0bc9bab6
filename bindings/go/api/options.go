package api

import "time"

// The size of a pool that is created without one.
const (
	DefaultPoolSizeBytes uint64 = 1 << 20
	DefaultPoolSize      uint64 = DefaultPoolSizeBytes
)

// PoolRef names a pool: with a "/" in it, it is a path, else a name in the client's directory.
type PoolRef string

func PoolRefName(name string) PoolRef { return PoolRef(name) }
func PoolRefPath(path string) PoolRef { return PoolRef(path) }
func PoolRefURI(uri string) PoolRef   { return PoolRef(uri) }

// Durability is what an append promises when it returns.
type Durability uint32

const (
	DurabilityFast  Durability = 0 // the message survives the death of any process
	DurabilityFlush Durability = 1 // it survives a power loss as well
)

// AppendConfig is what [AppendOption]s set.
type AppendConfig struct {
	Durability Durability
}

type AppendOption func(*AppendConfig)

func WithDurability(durability Durability) AppendOption {
	return func(config *AppendConfig) { config.Durability = durability }
}

// ApplyAppendOptions gives the outcome of options, of which nil ones do not count.
func ApplyAppendOptions(options ...AppendOption) AppendConfig {
	config := AppendConfig{Durability: DurabilityFast}
	for _, option := range options {
		if option != nil {
			option(&config)
		}
	}
	return config
}

// TailOptions say what a tail, or an iterator, delivers.
type TailOptions struct {
	SinceSeq    *uint64       // begin with this seq; nil: with the oldest message there is
	MaxMessages *uint64       // end after so many; nil: never
	Tags        []string      // only messages that have all of these
	Timeout     time.Duration // how long one look at the pool may take; 0: a second. Ends nothing
	Buffer      int           // how many messages may be read ahead, at most 65536; 0: 64. Iterators ignore it
	ErrorOnGap  bool          // fail with RetentionGap where messages were overwritten unread
}

// ReplayOptions say what a replay delivers, and how fast.
type ReplayOptions struct {
	Speed       float64       // 2: twice as fast as it was written; 0 or less: 1
	SinceSeq    *uint64       // begin with this seq; nil: with the oldest message there is
	MaxMessages *uint64       // no more than so many; nil: all
	Timeout     time.Duration // for how long messages are collected first; 0: a second
}
