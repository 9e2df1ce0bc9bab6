package api

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// NewLogHandler writes log records into a pool: each is a message as slog.JSONHandler writes it,
// tagged with its level in small letters. Options may be nil.
func NewLogHandler(pool Pool, options *slog.HandlerOptions) slog.Handler {
	target := &logTarget{pool: pool}
	return &logHandler{target: target, inner: slog.NewJSONHandler(&target.line, options)}
}

// logTarget is what the handlers that are made of one another share.
type logTarget struct {
	pool Pool
	mu   sync.Mutex
	line bytes.Buffer
}

type logHandler struct {
	target *logTarget
	inner  slog.Handler
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	line, err := h.target.format(ctx, h.inner, record)
	if err != nil {
		return err
	}
	tags := []string{strings.ToLower(record.Level.String())}
	_, err = h.target.pool.AppendJSON(line, tags, DurabilityFast)
	return err
}

func (t *logTarget) format(ctx context.Context, inner slog.Handler, record slog.Record) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line.Reset()
	err := inner.Handle(ctx, record)
	return bytes.Clone(t.line.Bytes()), err
}

func (h *logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &logHandler{target: h.target, inner: h.inner.WithAttrs(attributes)}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{target: h.target, inner: h.inner.WithGroup(name)}
}
