package main

import (
	"context"
	"errors"
	"strings"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

const (
	gapPoolSize = 65536
	gapPadding  = 4096
	gapAppends  = 10000
	gapWindow   = 50 * time.Millisecond
)

// retentionGap: readers whose next message was overwritten hear of it, if they want to.
func (r *runner) retentionGap(s *step) error {
	size := uint64(gapPoolSize)
	if s.Input.SizeBytes != nil {
		size = *s.Input.SizeBytes
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := r.staleReader(ctx, s.Pool+"-stale", size); err != nil {
		return err
	}
	return r.establishedReader(ctx, s.Pool+"-established", size)
}

// staleReader begins with a message that is gone.
func (r *runner) staleReader(ctx context.Context, name string, size uint64) error {
	pool, err := r.client.Open(plasmite.PoolRef(name), plasmite.Create(size))
	if err != nil {
		return err
	}
	defer pool.Close()
	first, err := pool.Append(map[string]any{"kind": "first"}, nil)
	if err != nil {
		return err
	}
	if err := overwrite(pool, first.Seq); err != nil {
		return err
	}

	one := uint64(1)
	out, errs := pool.Tail(ctx, plasmite.TailOptions{
		SinceSeq: &first.Seq, MaxMessages: &one, Timeout: gapWindow,
	})
	message := <-out
	if err := <-errs; err != nil {
		return err
	}
	if message == nil || message.Seq <= first.Seq {
		return unmetf("expected a message after the gap")
	}

	out, errs = pool.Tail(ctx, plasmite.TailOptions{
		SinceSeq: &first.Seq, Tags: []string{"never"}, Timeout: gapWindow, ErrorOnGap: true,
	})
	if err := expectGap(out, errs, first.Seq); err != nil {
		return err
	}
	if message, ok := <-out; ok {
		return unmetf("expected the end after the gap, got seq %d", message.Seq)
	}
	return nil
}

// establishedReader is overtaken while it holds a message that nobody takes.
func (r *runner) establishedReader(ctx context.Context, name string, size uint64) error {
	pool, err := r.client.Open(plasmite.PoolRef(name), plasmite.Create(size))
	if err != nil {
		return err
	}
	defer pool.Close()
	var seqs [2]uint64
	for i, kind := range []string{"seed", "second"} {
		message, err := pool.Append(map[string]any{"kind": kind}, nil)
		if err != nil {
			return err
		}
		seqs[i] = message.Seq
	}
	out, errs := pool.Tail(ctx, plasmite.TailOptions{
		SinceSeq: &seqs[0], Timeout: gapWindow, Buffer: 1, ErrorOnGap: true,
	})
	if err := expectSeq(out, errs, seqs[0]); err != nil {
		return err
	}
	missing, err := pool.Append(map[string]any{"kind": "first-missing"}, nil)
	if err != nil {
		return err
	}
	if err := overwrite(pool, missing.Seq); err != nil {
		return err
	}
	if err := expectSeq(out, errs, seqs[1]); err != nil {
		return err
	}
	return expectGap(out, errs, missing.Seq)
}

// overwrite appends until a message is gone.
func overwrite(pool *plasmite.Pool, seq uint64) error {
	padding := strings.Repeat("x", gapPadding)
	for i := 0; i < gapAppends; i++ {
		if _, err := pool.Append(map[string]any{"i": i, "padding": padding}, nil); err != nil {
			return err
		}
		_, err := pool.GetJSON(seq)
		if errors.Is(err, plasmite.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return unmetf("message %d is still there after %d appends", seq, gapAppends)
}

func expectSeq(out <-chan *plasmite.Message, errs <-chan error, seq uint64) error {
	select {
	case message := <-out:
		if message == nil || message.Seq != seq {
			return unmetf("expected message %d, got %v", seq, message)
		}
		return nil
	case err := <-errs:
		return unmetf("expected message %d, got %v", seq, err)
	}
}

func expectGap(out <-chan *plasmite.Message, errs <-chan error, seq uint64) error {
	select {
	case message := <-out:
		return unmetf("expected a gap at %d, got %v", seq, message)
	case err := <-errs:
		var e *plasmite.Error
		if !errors.As(err, &e) || e.Kind != plasmite.ErrorRetentionGap {
			return unmetf("expected a gap at %d, got %v", seq, err)
		}
		if e.Seq == nil || *e.Seq != seq {
			return unmetf("expected a gap at %d: %w", seq, err)
		}
		return nil
	}
}
