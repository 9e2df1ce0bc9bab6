// Package remote is the client of pools behind `plasmite serve`. It is pure Go; its pools can do
// what local ones can.
package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
)

// Client speaks with one server.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
	ctx   context.Context // of requests that take none of their own
	close context.CancelFunc
}

var _ api.Client = (*Client)(nil)

// Option changes what [NewClient] makes.
type Option func(*config) error

type config struct {
	token      string
	tls        tls.Config
	httpClient *http.Client
}

// WithToken sends a bearer token with every request.
func WithToken(token string) Option {
	return func(config *config) error {
		config.token = token
		return nil
	}
}

// WithTokenFile reads the token from a file; white space around it does not count.
func WithTokenFile(path string) Option {
	return func(config *config) error {
		text, err := os.ReadFile(path)
		if err != nil {
			return fileError(path, err)
		}
		if config.token = strings.TrimSpace(string(text)); config.token == "" {
			return &api.Error{Kind: api.ErrorUsage, Message: "the token file is empty", Path: path}
		}
		return nil
	}
}

// WithCAFile trusts the certificates of a PEM file instead of those of the system. The server's
// own certificate may be among them.
func WithCAFile(path string) Option {
	return func(config *config) error {
		text, err := os.ReadFile(path)
		if err != nil {
			return fileError(path, err)
		}
		config.tls.RootCAs = x509.NewCertPool()
		if !config.tls.RootCAs.AppendCertsFromPEM(text) {
			return &api.Error{Kind: api.ErrorUsage, Message: "the CA file has no certificate", Path: path}
		}
		return nil
	}
}

// WithInsecureSkipVerify accepts any certificate.
func WithInsecureSkipVerify() Option {
	return func(config *config) error {
		config.tls.InsecureSkipVerify = true
		return nil
	}
}

// WithHTTPClient sends requests through that client; options about TLS do not count then. It
// should have no Timeout, which would end tails as well.
func WithHTTPClient(client *http.Client) Option {
	return func(config *config) error {
		config.httpClient = client
		return nil
	}
}

func fileError(path string, err error) error {
	return &api.Error{Kind: api.ErrorUsage, Message: err.Error(), Path: path}
}

// NewClient is a client of the server at a URL such as "http://127.0.0.1:9700". Nothing is sent.
func NewClient(baseURL string, options ...Option) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, api.InvalidArgumentError(err.Error())
	}
	if base.Scheme != "http" && base.Scheme != "https" {
		return nil, api.InvalidArgumentError("remote base URL must use http or https")
	}
	if base.Host == "" {
		return nil, api.InvalidArgumentError("remote base URL has no host")
	}
	if base.Path != "" && base.Path != "/" || base.RawQuery != "" || base.Fragment != "" {
		return nil, api.InvalidArgumentError("remote base URL must not include a path")
	}
	var config config
	for _, option := range options {
		if option == nil {
			continue
		}
		if err := option(&config); err != nil {
			return nil, err
		}
	}
	if config.httpClient == nil {
		config.httpClient = newHTTPClient(&config.tls)
	}
	ctx, cancel := context.WithCancel(context.Background())
	base.Path = ""
	return &Client{base: base, token: config.token, http: config.httpClient, ctx: ctx, close: cancel}, nil
}

func newHTTPClient(tls *tls.Config) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tls
	transport.Proxy = nil // a token is for its server alone
	transport.MaxIdleConnsPerHost = 16
	transport.ResponseHeaderTimeout = time.Minute
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Close ends what is under way. It may be called more than once.
func (c *Client) Close() error {
	if c != nil && c.close != nil {
		c.close()
	}
	return nil
}

func (c *Client) closed() bool { return c == nil || c.ctx == nil || c.ctx.Err() != nil }

// CreatePool creates a pool that does not exist. Size 0 is the default.
func (c *Client) CreatePool(ref api.PoolRef, sizeBytes uint64) (api.Pool, error) {
	name, err := c.name(ref)
	if err != nil {
		return nil, err
	}
	if sizeBytes == 0 {
		sizeBytes = api.DefaultPoolSizeBytes
	}
	body := map[string]any{"pool": name, "size_bytes": sizeBytes}
	if err := c.call(c.ctx, http.MethodPost, "/v0/pools", body, nil); err != nil {
		return nil, err
	}
	return newPool(c, name), nil
}

// OpenPool opens a pool that exists.
func (c *Client) OpenPool(ref api.PoolRef) (api.Pool, error) {
	pool, err := c.Open(ref)
	if err != nil {
		return nil, err
	}
	return pool, nil
}

// Pool opens a pool, and creates it with that size where it does not exist.
func (c *Client) Pool(ref api.PoolRef, sizeBytes uint64) (api.Pool, error) {
	for attempt := 0; ; attempt++ {
		pool, err := c.OpenPool(ref)
		if attempt == 8 || !isKind(err, api.ErrorNotFound) {
			return pool, err
		}
		pool, err = c.CreatePool(ref, sizeBytes)
		if !isKind(err, api.ErrorAlreadyExists) {
			return pool, err
		}
	}
}

// Open opens a pool and gives all that a remote one can do, not only what is common to pools. A
// token that may write but not read cannot ask whether it exists: see [Client.Use].
func (c *Client) Open(ref api.PoolRef) (*Pool, error) {
	name, err := c.name(ref)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"pool": name}
	if err := c.call(c.ctx, http.MethodPost, "/v0/pools/open", body, nil); err != nil {
		return nil, err
	}
	return newPool(c, name), nil
}

// Use gives a pool without asking the server for it.
func (c *Client) Use(ref api.PoolRef) (*Pool, error) {
	name, err := c.name(ref)
	if err != nil {
		return nil, err
	}
	return newPool(c, name), nil
}

// Delete deletes a pool.
func (c *Client) Delete(ref api.PoolRef) error {
	name, err := c.name(ref)
	if err != nil {
		return err
	}
	return c.call(c.ctx, http.MethodDelete, poolPath(name, ""), nil, nil)
}

// List describes the server's pools.
func (c *Client) List() ([]PoolInfo, error) {
	if c.closed() {
		return nil, api.ClosedError("client")
	}
	var reply struct{ Pools []PoolInfo }
	err := c.call(c.ctx, http.MethodGet, "/v0/pools", nil, &reply)
	return reply.Pools, err
}

// name checks a reference: servers know names alone.
func (c *Client) name(ref api.PoolRef) (string, error) {
	name := string(ref)
	switch {
	case c.closed():
		return "", api.ClosedError("client")
	case name == "":
		return "", api.InvalidArgumentError("the pool reference is empty")
	case strings.Contains(name, "/"):
		return "", &api.Error{Kind: api.ErrorUsage, Message: "a remote pool has a name, not a path"}
	}
	return name, nil
}

// PoolInfo is what a server says of a pool.
type PoolInfo struct {
	Name          string `json:"name"`
	Path          string `json:"path"`
	FileSize      uint64 `json:"file_size"`
	IndexCapacity uint64 `json:"index_capacity"`
	RingOffset    uint64 `json:"ring_offset"`
	RingSize      uint64 `json:"ring_size"`
	Bounds        struct {
		Oldest *uint64 `json:"oldest"` // nil: the pool is empty
		Newest *uint64 `json:"newest"`
	} `json:"bounds"`
	Metrics *struct {
		Messages    uint64 `json:"message_count"`
		Utilization struct {
			UsedBytes   uint64  `json:"used_bytes"`
			FreeBytes   uint64  `json:"free_bytes"`
			UsedPercent float64 `json:"used_percent"`
		} `json:"utilization"`
		Age struct {
			OldestTime *time.Time `json:"oldest_time"`
			NewestTime *time.Time `json:"newest_time"`
		} `json:"age"`
	} `json:"metrics"`
}
