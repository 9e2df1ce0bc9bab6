package local

/*
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/sandover/plasmite/bindings/go/api"
)

// Client knows the directory in which pools are found by name.
type Client struct {
	native *handle[*C.plsm_client_t]
	dir    string
}

var _ api.Client = (*Client)(nil)

// DefaultPoolDir is where the command line keeps its pools.
func DefaultPoolDir() string {
	if home, err := os.UserHomeDir(); err == nil && home != "" {
		return filepath.Join(home, ".plasmite", "pools")
	}
	return filepath.Join(os.TempDir(), "plasmite", "pools")
}

// NewDefaultClient is a client of the pools in [DefaultPoolDir].
func NewDefaultClient() (*Client, error) { return NewClient(DefaultPoolDir()) }

// NewClient is a client of the pools in a directory, which need not exist.
func NewClient(dir string) (*Client, error) {
	if dir == "" {
		return nil, api.InvalidArgumentError("the pool directory is empty")
	}
	var client *C.plsm_client_t
	err := withText("the pool directory", dir, func(dir *C.char) error {
		var failure *C.plsm_error_t
		if C.plsm_client_new(dir, &client, &failure) != 0 {
			return takeError(failure)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	free := func(client *C.plsm_client_t) { C.plsm_client_free(client) }
	return &Client{native: newHandle(client, free), dir: dir}, nil
}

// Close closes the client; its pools stay open. It may be called more than once.
func (c *Client) Close() error {
	if c != nil {
		c.native.close()
	}
	return nil
}

// Dir is the directory in which pools are found by name.
func (c *Client) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

func (c *Client) acquire() (*C.plsm_client_t, error) {
	if c == nil {
		return nil, api.ClosedError("client")
	}
	client, ok := c.native.acquire()
	if !ok {
		return nil, api.ClosedError("client")
	}
	return client, nil
}

// CreatePool creates a pool that does not exist, and opens it. Size 0 is [DefaultPoolSizeBytes].
func (c *Client) CreatePool(ref PoolRef, sizeBytes uint64) (api.Pool, error) {
	return asInterface(c.create(ref, sizeBytes))
}

// OpenPool opens a pool that exists.
func (c *Client) OpenPool(ref PoolRef) (api.Pool, error) {
	return asInterface(c.open(ref))
}

// Pool opens a pool, and creates it with that size where it does not exist.
func (c *Client) Pool(ref PoolRef, sizeBytes uint64) (api.Pool, error) {
	return asInterface(c.Open(ref, Create(sizeBytes)))
}

// asInterface keeps a nil *Pool from becoming a pool that is not nil.
func asInterface(pool *Pool, err error) (api.Pool, error) {
	if err != nil {
		return nil, err
	}
	return pool, nil
}

func (c *Client) create(ref PoolRef, sizeBytes uint64) (*Pool, error) {
	if sizeBytes == 0 {
		sizeBytes = DefaultPoolSizeBytes
	}
	return c.newPool(ref, func(client *C.plsm_client_t, ref *C.char) (*C.plsm_pool_t, *C.plsm_error_t) {
		var pool *C.plsm_pool_t
		var failure *C.plsm_error_t
		C.plsm_pool_create(client, ref, C.uint64_t(sizeBytes), &pool, &failure)
		return pool, failure
	})
}

func (c *Client) open(ref PoolRef) (*Pool, error) {
	return c.newPool(ref, func(client *C.plsm_client_t, ref *C.char) (*C.plsm_pool_t, *C.plsm_error_t) {
		var pool *C.plsm_pool_t
		var failure *C.plsm_error_t
		C.plsm_pool_open(client, ref, &pool, &failure)
		return pool, failure
	})
}

type openCall func(client *C.plsm_client_t, ref *C.char) (*C.plsm_pool_t, *C.plsm_error_t)

// newPool makes a pool of what a native call opens.
func (c *Client) newPool(ref PoolRef, call openCall) (*Pool, error) {
	client, err := c.acquire()
	if err != nil {
		return nil, err
	}
	defer c.native.release()
	if ref == "" {
		return nil, api.InvalidArgumentError("the pool reference is empty")
	}
	var native *C.plsm_pool_t
	err = withText("the pool reference", string(ref), func(ref *C.char) error {
		pool, failure := call(client, ref)
		if pool == nil {
			return takeError(failure)
		}
		native = pool
		return nil
	})
	if err != nil {
		return nil, err
	}
	free := func(pool *C.plsm_pool_t) { C.plsm_pool_free(pool) }
	return &Pool{native: newHandle(native, free)}, nil
}

// OpenOption changes what [Client.Open] does.
type OpenOption func(*openConfig)

type openConfig struct {
	create        bool
	sizeBytes     uint64
	readOnly      bool
	indexCapacity *uint64
	busyTimeout   *time.Duration
}

// Create makes a pool that does not exist, with that size; 0 is [DefaultPoolSizeBytes].
func Create(sizeBytes uint64) OpenOption {
	return func(config *openConfig) { config.create, config.sizeBytes = true, sizeBytes }
}

// ReadOnly keeps the handle from appending: that is an error of kind Usage then.
func ReadOnly() OpenOption {
	return func(config *openConfig) { config.readOnly = true }
}

// IndexCapacity gives a pool that is made room to find so many messages by their seq at once.
func IndexCapacity(slots uint64) OpenOption {
	return func(config *openConfig) { config.indexCapacity = &slots }
}

// BusyTimeout is how long an append waits for others before it fails with kind Busy.
func BusyTimeout(timeout time.Duration) OpenOption {
	return func(config *openConfig) { config.busyTimeout = &timeout }
}

// Open opens a pool. Unlike [Client.OpenPool] and [Client.Pool] it gives all that a local pool
// can do, not only what is common to pools.
func (c *Client) Open(ref PoolRef, options ...OpenOption) (*Pool, error) {
	var config openConfig
	for _, option := range options {
		if option != nil {
			option(&config)
		}
	}
	if has(C.BRIDGE_OPEN_EX) {
		return c.openEx(ref, &config)
	}
	if config.readOnly || config.indexCapacity != nil || config.busyTimeout != nil {
		return nil, unsupported("plsm_pool_open_ex")
	}
	pool, err := c.open(ref)
	for attempt := 0; config.create && errors.Is(err, ErrNotFound) && attempt < 8; attempt++ {
		pool, err = c.create(ref, config.sizeBytes)
		if !errors.Is(err, ErrAlreadyExists) {
			break
		}
		pool, err = c.open(ref) // somebody else was faster
	}
	return pool, err
}

func (c *Client) openEx(ref PoolRef, config *openConfig) (*Pool, error) {
	options := C.plsm_open_options_t{create: C.PLSM_OPEN_EXISTING}
	options.struct_size = C.uint32_t(unsafe.Sizeof(options))
	if config.create {
		options.create = C.PLSM_OPEN_OR_CREATE
		options.size_bytes = C.uint64_t(config.sizeBytes)
	}
	if config.readOnly {
		options.read_only = 1
	}
	if config.indexCapacity != nil {
		options.has_index_capacity = 1
		options.index_capacity = C.uint64_t(*config.indexCapacity)
	}
	if config.busyTimeout != nil {
		options.has_busy_timeout = 1
		options.busy_timeout_ms = C.uint32_t(min(milliseconds(*config.busyTimeout), 1<<32-1))
	}
	return c.newPool(ref, func(client *C.plsm_client_t, ref *C.char) (*C.plsm_pool_t, *C.plsm_error_t) {
		var pool *C.plsm_pool_t
		var failure *C.plsm_error_t
		C.plsm_pool_open_ex(client, ref, &options, &pool, &failure)
		return pool, failure
	})
}

// milliseconds of a duration, rounded up; 0 for negative ones.
func milliseconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d-1)/time.Millisecond) + 1
}

// List gives the names of the pools in the client's directory, sorted.
func (c *Client) List() ([]string, error) {
	client, err := c.acquire()
	if err != nil {
		return nil, err
	}
	defer c.native.release()
	if !has(C.BRIDGE_LIST) {
		return nil, unsupported("plsm_pool_list")
	}
	var native C.plsm_buf_t
	var failure *C.plsm_error_t
	if C.plsm_pool_list(client, &native, &failure) != 0 {
		return nil, takeError(failure)
	}
	names := []string{}
	for rest := takeBuf(&native); len(rest) > 0; {
		name, after, _ := bytes.Cut(rest, []byte{0})
		names = append(names, string(name))
		rest = after
	}
	return names, nil
}

// Delete deletes a pool. Whoever has it open keeps it until it is closed.
func (c *Client) Delete(ref PoolRef) error {
	client, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.native.release()
	if ref == "" {
		return api.InvalidArgumentError("the pool reference is empty")
	}
	if !has(C.BRIDGE_DELETE) {
		return unsupported("plsm_pool_delete")
	}
	return withText("the pool reference", string(ref), func(ref *C.char) error {
		var failure *C.plsm_error_t
		if C.plsm_pool_delete(client, ref, &failure) != 0 {
			return takeError(failure)
		}
		return nil
	})
}
