// Package local is the client of pools on this machine, over the C library libplasmite. Import
// it as plasmite:
//
//	import plasmite "github.com/sandover/plasmite/bindings/go/local"
//
// Clients, pools and streams may be used from any number of goroutines at once, and closed at
// any moment: whatever is under way ends first, or ends with [ErrClosed]. What nobody closes is
// closed when the garbage collector finds it.
package local

/*
#cgo pkg-config: plasmite
#cgo LDFLAGS: -lplasmite
#include "bridge.h"
*/
import "C"

import (
	"github.com/sandover/plasmite/bindings/go/api"
)

type (
	AppendOption  = api.AppendOption
	Durability    = api.Durability
	Error         = api.Error
	ErrorKind     = api.ErrorKind
	Lite3Frame    = api.Lite3Frame
	Message       = api.Message
	MessageMeta   = api.MessageMeta
	PoolRef       = api.PoolRef
	ReplayOptions = api.ReplayOptions
	TailOptions   = api.TailOptions
)

const (
	DefaultPoolSize      = api.DefaultPoolSize
	DefaultPoolSizeBytes = api.DefaultPoolSizeBytes

	DurabilityFast  = api.DurabilityFast
	DurabilityFlush = api.DurabilityFlush

	ErrorInternal      = api.ErrorInternal
	ErrorUsage         = api.ErrorUsage
	ErrorNotFound      = api.ErrorNotFound
	ErrorAlreadyExists = api.ErrorAlreadyExists
	ErrorBusy          = api.ErrorBusy
	ErrorPermission    = api.ErrorPermission
	ErrorCorrupt       = api.ErrorCorrupt
	ErrorIO            = api.ErrorIO
	ErrorRetentionGap  = api.ErrorRetentionGap
)

var (
	ErrClosed          = api.ErrClosed
	ErrInvalidArgument = api.ErrInvalidArgument

	ErrInternal      = api.ErrInternal
	ErrUsage         = api.ErrUsage
	ErrNotFound      = api.ErrNotFound
	ErrAlreadyExists = api.ErrAlreadyExists
	ErrBusy          = api.ErrBusy
	ErrPermission    = api.ErrPermission
	ErrCorrupt       = api.ErrCorrupt
	ErrIO            = api.ErrIO
	ErrRetentionGap  = api.ErrRetentionGap
)

func PoolRefName(name string) PoolRef { return api.PoolRefName(name) }
func PoolRefPath(path string) PoolRef { return api.PoolRefPath(path) }
func PoolRefURI(uri string) PoolRef   { return api.PoolRefURI(uri) }

func WithDurability(durability Durability) AppendOption { return api.WithDurability(durability) }

// Decode reads the message's data into a value of type T, as json.Unmarshal does.
func Decode[T any](message *Message) (T, error) { return api.Decode[T](message) }

// Version is the level of the C library's interface, such as "0.8.0"; "" where it does not say.
func Version() string {
	if !has(C.BRIDGE_VERSION) {
		return ""
	}
	return C.GoString(C.plsm_version())
}

// InstallGuard lets the process survive pool files that somebody cuts off while they are open:
// calls that touch what is gone end with [ErrCorrupt], where the process would have ended by
// SIGBUS. It is for the whole process and for good. Other faults go to Go's own handler, as before.
func InstallGuard() error {
	if !has(C.BRIDGE_GUARD) {
		return unsupported("plsm_guard_install")
	}
	var native *C.plsm_error_t
	if C.plsm_guard_install(&native) != 0 {
		return takeError(native)
	}
	return nil
}
