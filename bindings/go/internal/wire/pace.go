package wire

import (
	"context"
	"time"
)

// Pace repeats the pauses between messages.
type Pace struct {
	Speed float64 // 2: half as long; 0 or less: as they were
	last  time.Time
}

// Some centuries; what is longer could not be said.
const longestPause = float64(1 << 62)

// Wait returns when the message of that time is due; the first one is due at once.
func (p *Pace) Wait(ctx context.Context, at time.Time) error {
	pause := time.Duration(0)
	if !p.last.IsZero() {
		pause = at.Sub(p.last)
	}
	p.last = at
	if p.Speed > 0 {
		pause = time.Duration(min(float64(pause)/p.Speed, longestPause))
	}
	if pause <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
