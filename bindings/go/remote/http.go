package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/sandover/plasmite/bindings/go/api"
)

const (
	jsonType  = "application/json"
	lite3Type = "application/x-plasmite-lite3"

	// An answer that is no stream is not read beyond this.
	answerLimit = 1 << 30
	// Nor what an error says.
	errorLimit = 1 << 20
)

func isKind(err error, kind api.ErrorKind) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Kind == kind
}

// poolPath is the path of a pool, or of something of it.
func poolPath(name, rest string) string { return "/v0/pools/" + escape(name) + rest }

// escape writes a name as one segment of a path: "." and ".." as well, which would vanish.
func escape(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// call sends a request with a body of JSON, where it is not nil, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	payload, err := encode(body)
	if err != nil {
		return err
	}
	answer, err := c.exchange(ctx, method, path, jsonType, payload)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &api.Error{Kind: api.ErrorInternal, Message: "the answer is not what was expected: " + err.Error()}
	}
	return nil
}

// encode writes JSON, and raw JSON within it as it is.
func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(body)
	return text.Bytes(), err
}

// exchange sends a request and gives all of the answer.
func (c *Client) exchange(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	response, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return answer, nil
}

// send sends a request. The answer is of status 200; whatever else comes is an error.
func (c *Client) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	if c.closed() {
		return nil, api.ClosedError("client")
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, api.InvalidArgumentError(err.Error())
	}
	request.Header.Set("Accept", jsonType)
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, errorLimit))
		return nil, answerError(response.StatusCode, text)
	}
	return response, nil
}

// failure says why a request came to nothing: its context, Close, or the network.
func (c *Client) failure(ctx context.Context, err error) error {
	switch {
	case c.closed():
		return api.ClosedError("client")
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return &api.Error{Kind: api.ErrorIO, Message: "request failed: " + err.Error()}
	}
}

// wireError is how servers describe an error.
type wireError struct {
	Kind    string  `json:"kind"`
	Message string  `json:"message"`
	Path    string  `json:"path"`
	Seq     *uint64 `json:"seq"`
	Offset  *uint64 `json:"offset"`
	Hint    string  `json:"hint"`
}

func (w *wireError) error() error {
	kind, ok := api.ParseErrorKind(w.Kind)
	if !ok {
		kind = api.ErrorIO
	}
	e := &api.Error{
		Kind: kind, Message: w.Message, Path: w.Path, Seq: w.Seq, Offset: w.Offset, Hint: w.Hint,
	}
	if e.Message == "" {
		e.Message = "unknown error"
	}
	return e
}

// answerError makes an error of an answer that is not 200.
func answerError(status int, text []byte) error {
	var envelope struct {
		Error *wireError `json:"error"`
	}
	if json.Unmarshal(text, &envelope) == nil && envelope.Error != nil && envelope.Error.Kind != "" {
		return envelope.Error.error()
	}
	return &api.Error{
		Kind:    kindOfStatus(status),
		Message: fmt.Sprintf("the server answered %d %s", status, http.StatusText(status)),
	}
}

func kindOfStatus(status int) api.ErrorKind {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity:
		return api.ErrorUsage
	case http.StatusUnauthorized, http.StatusForbidden:
		return api.ErrorPermission
	case http.StatusNotFound:
		return api.ErrorNotFound
	case http.StatusConflict:
		return api.ErrorAlreadyExists
	case http.StatusGone:
		return api.ErrorRetentionGap
	case http.StatusLocked, http.StatusTooManyRequests:
		return api.ErrorBusy
	}
	if status >= 500 {
		return api.ErrorInternal
	}
	return api.ErrorIO
}
