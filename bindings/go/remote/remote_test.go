package remote_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sandover/plasmite/bindings/go/api"
	"github.com/sandover/plasmite/bindings/go/remote"
)

const patience = 20 * time.Second

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func ptr[T any](value T) *T { return &value }

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t testing.TB, s *stub, options ...remote.Option) *remote.Client {
	t.Helper()
	client, err := remote.NewClient(s.URL, options...)
	ok(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func newPool(t testing.TB, s *stub) *remote.Pool {
	t.Helper()
	pool, err := newClient(t, s).Open("demo")
	ok(t, err)
	return pool
}

func eventually(t testing.TB, what string, fact func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !fact() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestBaseURL(t *testing.T) {
	for _, bad := range []string{
		"", "localhost:9700", "ftp://host", "http://", "http://host/path", "http://host/?q=1",
		"http://host/#f", "http://ho st", "::",
	} {
		if _, err := remote.NewClient(bad); !errors.Is(err, api.ErrInvalidArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"http://host", "https://host:9700/", "http://[::1]:9"} {
		client, err := remote.NewClient(good, nil)
		ok(t, err)
		ok(t, client.Close())
	}
}

func TestPools(t *testing.T) {
	s := newStub(t)
	client := newClient(t, s)
	pool, err := client.Open("demo")
	ok(t, err)
	equal(t, pool.Name(), "demo")
	_, err = client.OpenPool("missing")
	is(t, err, api.ErrNotFound)
	_, err = client.CreatePool("demo", 0)
	is(t, err, api.ErrAlreadyExists)
	_, err = client.CreatePool("a b%?", 65536)
	ok(t, err)
	if !s.seen(`POST /v0/pools {"pool":"a b%?","size_bytes":65536}`) {
		t.Fatal(s.requests)
	}
	ok(t, client.Delete("demo"))
	_, err = client.Open("demo")
	is(t, err, api.ErrNotFound)
	_, err = client.Pool("demo", 0) // made anew
	ok(t, err)
	if !s.seen(`POST /v0/pools {"pool":"demo","size_bytes":1048576}`) {
		t.Fatal(s.requests)
	}
	pools, err := client.List()
	ok(t, err)
	equal(t, len(pools), 1)
	equal(t, pools[0].Name, "demo")

	for _, name := range []api.PoolRef{"a b/", "", "x/y"} {
		_, err = client.Open(name)
		if !errors.Is(err, api.ErrInvalidArgument) && !errors.Is(err, api.ErrUsage) {
			t.Fatal(name, err)
		}
	}
	is(t, client.Delete("a b%?"), api.ErrNotFound)
	is(t, client.Delete(".."), api.ErrNotFound)
	if !s.seen("DELETE /v0/pools/a%20b%25%3F") || !s.seen("DELETE /v0/pools/%2E%2E") {
		t.Fatal(s.requests)
	}
}

func TestAppendAndGet(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	message, err := pool.Append(map[string]any{"k": 1}, []string{"a"}, api.WithDurability(api.DurabilityFlush))
	ok(t, err)
	equal(t, message.Seq, 1)
	equal(t, message.Tags()[0], "a")
	if !s.seen(`POST /v0/pools/demo/append {"data":{"k":1},"durability":"flush","tags":["a"]}`) {
		t.Fatal(s.requests)
	}
	raw, err := pool.AppendJSON([]byte(`{"z":1E5,"a":"<&>"}`), nil, api.DurabilityFast)
	ok(t, err)
	got, err := pool.GetJSON(2)
	ok(t, err)
	equal(t, string(got), string(raw))
	decoded, err := pool.Get(2)
	ok(t, err)
	equal(t, string(decoded.Data), `{"z":1E5,"a":"<&>"}`) // as it was written

	_, err = pool.Get(99)
	var e *api.Error
	if !errors.As(err, &e) || e.Kind != api.ErrorNotFound || e.Seq == nil || *e.Seq != 99 {
		t.Fatal(err)
	}
	_, err = pool.AppendJSON(nil, nil, api.DurabilityFast)
	is(t, err, api.ErrInvalidArgument)
	_, err = pool.AppendJSON([]byte(`{`), nil, api.DurabilityFast)
	is(t, err, api.ErrUsage)
	_, err = pool.AppendJSON([]byte(`[]`), nil, api.DurabilityFast)
	is(t, err, api.ErrUsage)
	_, err = pool.AppendJSON([]byte(`{}`), nil, 7)
	is(t, err, api.ErrUsage)
	info, err := pool.Info()
	ok(t, err)
	equal(t, *info.Bounds.Newest, 2)
}

func TestLite3(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	seq, err := pool.AppendLite3([]byte("payload"), api.DurabilityFlush)
	ok(t, err)
	equal(t, seq, 1)
	if !s.seen("POST /v0/pools/demo/append_lite3?durability=flush payload") {
		t.Fatal(s.requests)
	}
	_, err = pool.AppendLite3([]byte("x"), api.DurabilityFast)
	is(t, err, api.ErrCorrupt)
	_, err = pool.AppendLite3(nil, api.DurabilityFast)
	is(t, err, api.ErrInvalidArgument)
	frame, err := pool.GetLite3(1)
	ok(t, err)
	equal(t, string(frame.Payload), "lite3 of 1")
	equal(t, frame.Time().Format(time.RFC3339Nano), "2026-01-02T03:04:05.6Z")

	frames, errs := pool.TailLite3(timeout(t), api.TailOptions{MaxMessages: ptr[uint64](1)})
	frame = <-frames
	equal(t, frame.Seq, 1)
	equal(t, frame.TimestampNs, 1_000_000_001)
	equal(t, string(frame.Payload), s.messages[0])
	ok(t, <-errs)
	stream, err := pool.OpenLite3Stream(ptr[uint64](1), ptr[uint64](1), nil)
	ok(t, err)
	defer stream.Close()
	_, err = stream.Next()
	ok(t, err)
	_, err = stream.Next()
	is(t, err, io.EOF)
}

// Windows that end and connections that break: nothing is lost, nothing comes twice.
func TestTailResumes(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	s.breaks = 3
	s.append(`{"n":1}`)
	s.append(`{"n":2}`)
	ctx, cancel := context.WithCancel(timeout(t))
	out, errs := pool.Tail(ctx, api.TailOptions{Timeout: 20 * time.Millisecond})
	for seq := uint64(1); seq <= 8; seq++ {
		if seq > 2 {
			time.Sleep(15 * time.Millisecond)
			s.append(`{}`)
		}
		message := <-out
		if message == nil {
			t.Fatal(<-errs)
		}
		equal(t, message.Seq, seq)
	}
	cancel()
	is(t, <-errs, context.Canceled)
	eventually(t, "the server's streams ended", func() bool { return s.streams() == 0 })
}

func TestTailOptions(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	for i := 0; i < 4; i++ {
		s.append(`{}`, "a b", "x,y")
		s.append(`{}`, "other")
	}
	s.busy = 2 // is tried again
	out, errs := pool.Tail(timeout(t), api.TailOptions{
		SinceSeq: ptr[uint64](2), MaxMessages: ptr[uint64](2), Tags: []string{"a b", "x,y"},
		Timeout: 1500 * time.Microsecond * 1000, ErrorOnGap: true,
	})
	equal(t, (<-out).Seq, 3)
	equal(t, (<-out).Seq, 5)
	if _, open := <-out; open {
		t.Fatal("more than two")
	}
	ok(t, <-errs)
	want := "GET /v0/pools/demo/tail?gap_policy=error&max=2&since_seq=2&tag=a+b&tag=x%2Cy&timeout_ms=1500"
	if !s.seen(want) {
		t.Fatal(s.requests)
	}

	s.append(`{}`, " odd ")
	out, _ = pool.Tail(timeout(t), api.TailOptions{MaxMessages: ptr[uint64](1), Tags: []string{" odd "}})
	equal(t, (<-out).Seq, 9)
	if !s.seen("GET /v0/pools/demo/tail") {
		t.Fatal(s.requests)
	}
}

func TestTailErrors(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	s.append(`{}`)
	s.append(`{}`)
	s.oldest = 2
	out, errs := pool.Tail(timeout(t), api.TailOptions{SinceSeq: ptr[uint64](1), ErrorOnGap: true})
	select {
	case message := <-out:
		t.Fatal(message)
	case err := <-errs:
		is(t, err, api.ErrRetentionGap)
		var e *api.Error
		errors.As(err, &e)
		equal(t, *e.Seq, 1)
	}
	missing, err := newClient(t, s).Use("missing")
	ok(t, err)
	_, errs = missing.Tail(timeout(t), api.TailOptions{})
	is(t, <-errs, api.ErrNotFound)

	out, errs = pool.Tail(timeout(t), api.TailOptions{SinceSeq: ptr[uint64](9)})
	eventually(t, "it is open", func() bool { return s.streams() > 0 })
	ok(t, pool.Close())
	is(t, <-errs, api.ErrClosed)
	if _, open := <-out; open {
		t.Fatal("the channel is open")
	}
	_, errs = pool.Tail(timeout(t), api.TailOptions{})
	is(t, <-errs, api.ErrClosed)
}

func TestStreams(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	s.append(`{}`)
	stream, err := pool.OpenStream(nil, nil, ptr[uint64](30))
	ok(t, err)
	raw, err := stream.NextJSON()
	ok(t, err)
	equal(t, string(raw), s.messages[0])
	_, err = stream.NextJSON()
	is(t, err, io.EOF)
	ok(t, stream.Close())
	_, err = stream.NextJSON()
	is(t, err, api.ErrClosed)

	stream, err = pool.OpenStream(ptr[uint64](99), nil, nil)
	ok(t, err)
	go func() {
		for s.streams() == 0 {
			time.Sleep(time.Millisecond)
		}
		stream.Close()
	}()
	_, err = stream.NextJSON()
	is(t, err, api.ErrClosed)
}

func TestReplay(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	for i := 0; i < 5; i++ {
		s.append(`{}`)
	}
	out, errs := pool.Replay(timeout(t), api.ReplayOptions{SinceSeq: ptr[uint64](2), Timeout: 50 * time.Millisecond})
	for seq := uint64(2); seq <= 5; seq++ {
		equal(t, (<-out).Seq, seq)
	}
	ok(t, <-errs)
	out, errs = pool.Replay(timeout(t), api.ReplayOptions{MaxMessages: ptr[uint64](1), Timeout: time.Hour})
	equal(t, (<-out).Seq, 1)
	ok(t, <-errs)
}

func TestClosed(t *testing.T) {
	s := newStub(t)
	client := newClient(t, s)
	pool, err := client.Open("demo")
	ok(t, err)
	ok(t, pool.Close())
	ok(t, pool.Close())
	var noPool *remote.Pool
	ok(t, noPool.Close())
	for _, p := range []*remote.Pool{pool, noPool} {
		_, err = p.Append(make(chan int), nil)
		is(t, err, api.ErrClosed)
		_, err = p.Get(1)
		is(t, err, api.ErrClosed)
		_, err = p.GetLite3(1)
		is(t, err, api.ErrClosed)
		_, err = p.AppendLite3(nil, 0)
		is(t, err, api.ErrClosed)
		_, err = p.Info()
		is(t, err, api.ErrClosed)
		_, err = p.OpenStream(nil, nil, nil)
		is(t, err, api.ErrClosed)
	}
	other, err := client.Open("demo")
	ok(t, err)
	ok(t, client.Close())
	ok(t, client.Close())
	_, err = other.Get(1)
	is(t, err, api.ErrClosed)
	for _, c := range []*remote.Client{client, nil, {}} {
		_, err = c.Open("demo")
		is(t, err, api.ErrClosed)
		_, err = c.List()
		is(t, err, api.ErrClosed)
	}
	ok(t, (*remote.Client)(nil).Close())
}

func TestWithContext(t *testing.T) {
	s := newStub(t)
	pool := newPool(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := pool.With(ctx).Append(map[string]int{}, nil)
	is(t, err, context.Canceled)
	_, err = pool.Append(map[string]int{}, nil)
	ok(t, err)
}

func TestTokens(t *testing.T) {
	s := newStub(t)
	s.token = "secret"
	_, err := newClient(t, s).Open("demo")
	var e *api.Error
	if !errors.As(err, &e) || e.Kind != api.ErrorPermission || e.Hint != "send one" {
		t.Fatal(err)
	}
	_, err = newClient(t, s, remote.WithToken("secret")).Open("demo")
	ok(t, err)
	file := filepath.Join(t.TempDir(), "token")
	ok(t, os.WriteFile(file, []byte(" secret\n"), 0o600))
	_, err = newClient(t, s, remote.WithTokenFile(file)).Open("demo")
	ok(t, err)
	ok(t, os.WriteFile(file, []byte(" \n"), 0o600))
	for _, option := range []remote.Option{
		remote.WithTokenFile(file), remote.WithTokenFile(file + "x"),
		remote.WithCAFile(file), remote.WithCAFile(file + "x"),
	} {
		_, err = remote.NewClient(s.URL, option)
		is(t, err, api.ErrUsage)
	}
}

func TestTLS(t *testing.T) {
	s := newStub(t)
	server := httptest.NewTLSServer(s)
	defer server.Close()
	server.Config.ErrorLog = nil
	open := func(options ...remote.Option) error {
		client, err := remote.NewClient(server.URL, options...)
		ok(t, err)
		defer client.Close()
		_, err = client.Open("demo")
		return err
	}
	is(t, open(), api.ErrIO)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ok(t, os.WriteFile(file, block, 0o600))
	ok(t, open(remote.WithCAFile(file)))
	ok(t, open(remote.WithInsecureSkipVerify()))
	ok(t, open(remote.WithHTTPClient(server.Client())))
}

// Answers that no plasmite server gives.
func TestForeignAnswers(t *testing.T) {
	for answer, want := range map[string]error{
		"200 not json":     api.ErrInternal,
		"400 text":         api.ErrUsage,
		"403 ":             api.ErrPermission,
		"404 <html>":       api.ErrNotFound,
		"409 {}":           api.ErrAlreadyExists,
		`410 {"error":{}}`: api.ErrRetentionGap,
		"423 ":             api.ErrBusy,
		"500 ":             api.ErrInternal,
		"418 ":             api.ErrIO,
		"302 ":             api.ErrIO,
		`500 {"error":{"kind":"NoSuchKind","message":"m"}}`: api.ErrIO,
		`200 {"message":{"seq":1}}`:                         api.ErrInternal,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, text, _ := strings.Cut(answer, " ")
			if status == "302" {
				w.Header().Set("Location", "/elsewhere")
			}
			var code int
			fmt.Sscan(status, &code)
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		}))
		client, err := remote.NewClient(server.URL)
		ok(t, err)
		pool, err := client.Use("demo")
		ok(t, err)
		if _, err = pool.Get(1); !errors.Is(err, want) {
			t.Errorf("%s: %v", answer, err)
		}
		client.Close()
		server.Close()
		if _, err = pool.Get(1); !errors.Is(err, api.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	client, err := remote.NewClient("http://127.0.0.1:1")
	ok(t, err)
	defer client.Close()
	_, err = client.Open("demo")
	is(t, err, api.ErrIO)
	pool, err := client.Use("demo")
	ok(t, err)
	_, errs := pool.Tail(timeout(t), api.TailOptions{})
	is(t, <-errs, api.ErrIO)
}
