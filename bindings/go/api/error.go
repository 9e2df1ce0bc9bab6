package api

import (
	"errors"
	"fmt"
)

// ErrorKind says what sort of failure an [Error] is. The numbers are those of the C library and
// of the exit codes of the command line.
type ErrorKind int32

const (
	ErrorInternal      ErrorKind = 1
	ErrorUsage         ErrorKind = 2
	ErrorNotFound      ErrorKind = 3
	ErrorAlreadyExists ErrorKind = 4
	ErrorBusy          ErrorKind = 5
	ErrorPermission    ErrorKind = 6
	ErrorCorrupt       ErrorKind = 7
	ErrorIO            ErrorKind = 8
	ErrorRetentionGap  ErrorKind = 9
)

var kindNames = [...]string{
	ErrorInternal:      "Internal",
	ErrorUsage:         "Usage",
	ErrorNotFound:      "NotFound",
	ErrorAlreadyExists: "AlreadyExists",
	ErrorBusy:          "Busy",
	ErrorPermission:    "Permission",
	ErrorCorrupt:       "Corrupt",
	ErrorIO:            "Io",
	ErrorRetentionGap:  "RetentionGap",
}

// String is the kind's name as the command line and the server spell it, such as "NotFound".
func (k ErrorKind) String() string {
	if k < ErrorInternal || k > ErrorRetentionGap {
		return fmt.Sprintf("ErrorKind(%d)", int32(k))
	}
	return kindNames[k]
}

// ParseErrorKind is the reverse of [ErrorKind.String].
func ParseErrorKind(name string) (ErrorKind, bool) {
	for kind := ErrorInternal; kind <= ErrorRetentionGap; kind++ {
		if kindNames[kind] == name {
			return kind, true
		}
	}
	return 0, false
}

// Error is a failure that the library, or a server, reported.
type Error struct {
	Kind    ErrorKind
	Message string
	Path    string  // the pool file it is about; "" where there is none
	Seq     *uint64 // nil where there is none; of a RetentionGap: the first message that is lost
	Offset  *uint64 // where in the file; nil where there is none
	Hint    string  // what may be done about it; "" where there is no advice
}

func (e *Error) Error() string {
	if e == nil {
		return "plasmite: no error"
	}
	if e.Path == "" {
		return "plasmite: " + e.Message
	}
	return "plasmite: " + e.Message + " (" + e.Path + ")"
}

// Is makes errors.Is(err, ErrNotFound) and the like true for every error of that kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(kindError)
	return ok && e != nil && e.Kind == ErrorKind(kind)
}

// kindError is the type of the sentinels: one for each kind.
type kindError ErrorKind

func (k kindError) Error() string { return "plasmite: error of kind " + ErrorKind(k).String() }

// One for each kind of [Error], to be asked for with errors.Is.
var (
	ErrInternal      error = kindError(ErrorInternal)
	ErrUsage         error = kindError(ErrorUsage)
	ErrNotFound      error = kindError(ErrorNotFound)
	ErrAlreadyExists error = kindError(ErrorAlreadyExists)
	ErrBusy          error = kindError(ErrorBusy)
	ErrPermission    error = kindError(ErrorPermission)
	ErrCorrupt       error = kindError(ErrorCorrupt)
	ErrIO            error = kindError(ErrorIO)
	ErrRetentionGap  error = kindError(ErrorRetentionGap)
)

// What fails before the library is asked at all.
var (
	ErrClosed          = errors.New("plasmite: closed")
	ErrInvalidArgument = errors.New("plasmite: invalid argument")
)

// ClosedError wraps [ErrClosed] and says what is closed: "client", "pool" or "stream".
func ClosedError(target string) error {
	return fmt.Errorf("%w: %s", ErrClosed, target)
}

// InvalidArgumentError wraps [ErrInvalidArgument] and says what is wrong.
func InvalidArgumentError(message string) error {
	return fmt.Errorf("%w: %s", ErrInvalidArgument, message)
}
