package local

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// has says whether the library that was loaded has an addition.
func has(addition C.enum_bridge_addition) bool { return C.bridge_has(addition) != 0 }

func unsupported(function string) error {
	return fmt.Errorf("plasmite: this libplasmite has no %s: %w", function, errors.ErrUnsupported)
}

// takeError makes a native error one of ours, and frees it.
func takeError(native *C.plsm_error_t) error {
	if native == nil {
		return &Error{Kind: ErrorInternal, Message: "out of memory"}
	}
	defer C.plsm_error_free(native)
	e := &Error{
		Kind:    kindOf(native.kind),
		Message: C.GoString(native.message),
		Path:    C.GoString(native.path),
		Hint:    C.GoString(C.bridge_hint(native)),
	}
	if e.Message == "" {
		e.Message = "unknown error"
	}
	if native.has_seq != 0 {
		seq := uint64(native.seq)
		e.Seq = &seq
	}
	if native.has_offset != 0 {
		offset := uint64(native.offset)
		e.Offset = &offset
	}
	return e
}

func kindOf(native C.int32_t) ErrorKind {
	kind := ErrorKind(native)
	if kind < ErrorInternal || kind > ErrorRetentionGap {
		return ErrorInternal
	}
	return kind
}

// withText calls a function with a Go string as a C string.
func withText(what, text string, call func(*C.char) error) error {
	if strings.IndexByte(text, 0) >= 0 {
		return api.InvalidArgumentError(what + " contains a NUL byte")
	}
	native := C.CString(text)
	defer C.free(unsafe.Pointer(native))
	return call(native)
}

// bytesOf is where the bytes of a slice lie, for C to read or to fill during a call.
func bytesOf(slice []byte) *C.uint8_t {
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(slice)))
}

func textsOf(slice []byte) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(slice)))
}

// given is what a call wrote into room, or what was too much for it.
func given(room []byte, result *C.struct_bridge_result) []byte {
	if result.rest.data == nil {
		return room[:result.len]
	}
	defer C.bridge_free(result.rest)
	return C.GoBytes(unsafe.Pointer(result.rest.data), C.int(result.rest.len))
}

// joinTags puts tags one behind the other, each ended by a NUL byte.
func joinTags(joined []byte, tags []string) ([]byte, error) {
	for _, tag := range tags {
		if strings.IndexByte(tag, 0) >= 0 {
			return nil, api.InvalidArgumentError("a tag contains a NUL byte")
		}
		joined = append(joined, tag...)
		joined = append(joined, 0)
	}
	return joined, nil
}

func takeBuf(native *C.plsm_buf_t) []byte {
	defer C.plsm_buf_free(native)
	return C.GoBytes(unsafe.Pointer(native.data), C.int(native.len))
}
