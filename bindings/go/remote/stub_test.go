package remote_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stub is a server with one pool, "demo", that keeps its messages in memory.
type stub struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	changed  chan struct{}
	messages []string // JSON
	tags     [][]string
	oldest   uint64 // what comes before is gone
	requests []string
	token    string
	breaks   int // so many streams break after their first message
	busy     int // so many tails are refused
	open     int // streams that are open now
	deleted  bool
}

func newStub(t *testing.T) *stub {
	s := &stub{t: t, changed: make(chan struct{}), oldest: 1}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stub) append(data string, tags ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tags == nil {
		tags = []string{}
	}
	list, _ := json.Marshal(tags)
	message := fmt.Sprintf(`{"seq":%d,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":%s},"data":%s}`,
		len(s.messages)+1, list, data)
	s.messages = append(s.messages, message)
	s.tags = append(s.tags, tags)
	close(s.changed)
	s.changed = make(chan struct{})
	return message
}

func (s *stub) seen(request string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.requests, request)
}

func (s *stub) streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func refuse(w http.ResponseWriter, status int, envelope string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%s}`, envelope)
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	token := s.token
	s.mu.Unlock()
	if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, 401, `{"kind":"Permission","message":"missing bearer token","hint":"send one"}`)
		return
	}
	if r.Header.Get("Accept") != "application/json" {
		s.t.Errorf("Accept: %q", r.Header.Get("Accept"))
	}
	switch path := r.URL.EscapedPath(); {
	case path == "/v0/pools" && r.Method == "GET":
		fmt.Fprintf(w, `{"pools":[%s]}`, s.info())
	case path == "/v0/pools" || path == "/v0/pools/open":
		s.serveOpen(w, r, body)
	case !strings.HasPrefix(path, "/v0/pools/demo"):
		refuse(w, 404, `{"kind":"NotFound","message":"not found","path":"/p/x.plasmite"}`)
	default:
		s.servePool(w, r, strings.TrimPrefix(path, "/v0/pools/demo"), body)
	}
}

func (s *stub) info() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	bounds := "{}"
	if n := len(s.messages); n > 0 {
		bounds = fmt.Sprintf(`{"oldest":%d,"newest":%d}`, s.oldest, n)
	}
	return `{"name":"demo","path":"/p/demo.plasmite","file_size":1048576,"index_capacity":4096,` +
		`"ring_offset":69632,"ring_size":978944,"later":1,"bounds":` + bounds + `}`
}

func (s *stub) serveOpen(w http.ResponseWriter, r *http.Request, body []byte) {
	var input struct {
		Pool      string  `json:"pool"`
		SizeBytes *uint64 `json:"size_bytes"`
	}
	if json.Unmarshal(body, &input) != nil || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, 415, `{"kind":"Usage","message":"content type"}`)
		return
	}
	s.mu.Lock()
	exists := input.Pool == "demo" && !s.deleted
	if r.URL.Path == "/v0/pools" && input.Pool == "demo" {
		s.deleted = false
	}
	s.mu.Unlock()
	switch creates := r.URL.Path == "/v0/pools"; {
	case creates && exists:
		refuse(w, 409, `{"kind":"AlreadyExists","message":"pool already exists"}`)
	case !creates && !exists:
		refuse(w, 404, `{"kind":"NotFound","message":"not found","path":"/p/x.plasmite"}`)
	default:
		fmt.Fprintf(w, `{"pool":%s}`, s.info())
	}
}

func (s *stub) servePool(w http.ResponseWriter, r *http.Request, rest string, body []byte) {
	switch {
	case rest == "" && r.Method == "DELETE":
		s.mu.Lock()
		s.deleted = true
		s.mu.Unlock()
		fmt.Fprint(w, `{"ok":true}`)
	case rest == "/info":
		fmt.Fprintf(w, `{"pool":%s}`, s.info())
	case rest == "/append":
		var input struct {
			Data json.RawMessage
			Tags []string
		}
		if err := json.Unmarshal(body, &input); err != nil || input.Data[0] != '{' {
			refuse(w, 400, `{"kind":"Usage","message":"data must be object"}`)
			return
		}
		fmt.Fprintf(w, `{"message":%s}`, s.append(string(input.Data), input.Tags...))
	case rest == "/append_lite3":
		if r.Header.Get("Content-Type") != "application/x-plasmite-lite3" || len(body) < 4 {
			refuse(w, 422, `{"kind":"Corrupt","message":"root is not object"}`)
			return
		}
		fmt.Fprintf(w, `{"message":%s}`, s.append(fmt.Sprintf(`{"lite3":%q}`, body)))
	case strings.HasPrefix(rest, "/messages/"):
		s.serveMessage(w, strings.TrimPrefix(rest, "/messages/"))
	case rest == "/tail":
		s.serveTail(w, r, func(seq uint64, message string) { fmt.Fprintf(w, "%s\n", message) })
	case rest == "/tail_lite3":
		s.serveTail(w, r, func(seq uint64, message string) {
			head := make([]byte, 20)
			binary.BigEndian.PutUint64(head, seq)
			binary.BigEndian.PutUint64(head[8:], 1_000_000_001)
			binary.BigEndian.PutUint32(head[16:], uint32(len(message)))
			w.Write(append(head, message...))
		})
	default:
		w.WriteHeader(404)
	}
}

func (s *stub) serveMessage(w http.ResponseWriter, rest string) {
	number, lite3 := strings.CutSuffix(rest, "/lite3")
	seq, _ := strconv.ParseUint(number, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case seq < s.oldest || seq > uint64(len(s.messages)):
		refuse(w, 404, fmt.Sprintf(`{"kind":"NotFound","message":"message not found","seq":%d}`, seq))
	case lite3:
		fmt.Fprintf(w, "lite3 of %d", seq)
	default:
		fmt.Fprintf(w, `{"message":%s}`, s.messages[seq-1])
	}
}

// serveTail streams as servers do: until max, timeout_ms, or the client is gone.
func (s *stub) serveTail(w http.ResponseWriter, r *http.Request, write func(seq uint64, message string)) {
	query := r.URL.Query()
	number := func(name string, fallback uint64) uint64 {
		if value, err := strconv.ParseUint(query.Get(name), 10, 64); err == nil {
			return value
		}
		return fallback
	}
	s.mu.Lock()
	if s.busy > 0 {
		s.busy--
		s.mu.Unlock()
		refuse(w, 423, `{"kind":"Busy","message":"too many tails"}`)
		return
	}
	s.open++
	breaks := s.breaks > 0
	if breaks {
		s.breaks--
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}()
	w.(http.Flusher).Flush()
	over := time.After(time.Duration(number("timeout_ms", 30000)) * time.Millisecond)
	next, left := number("since_seq", 0), number("max", 1<<60)
	for left > 0 {
		s.mu.Lock()
		changed, oldest, messages, tags := s.changed, s.oldest, s.messages, s.tags
		s.mu.Unlock()
		if next == 0 {
			next = oldest
		}
		if next < oldest && query.Get("gap_policy") == "error" {
			fmt.Fprintf(w, `{"error":{"kind":"RetentionGap","message":"gone","seq":%d}}`+"\n", next)
			return
		}
		for next = max(next, oldest); next <= uint64(len(messages)) && left > 0; next++ {
			if !hasAll(tags[next-1], query["tag"]) {
				continue
			}
			write(next, messages[next-1])
			left--
			if breaks {
				w.Write([]byte(`{"seq":9`)) // in the middle of the next one
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		}
		fmt.Fprint(w, map[bool]string{true: "\n"}[strings.HasSuffix(r.URL.Path, "/tail")])
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-over:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func hasAll(tags, required []string) bool {
	for _, tag := range required {
		if !slices.Contains(tags, tag) {
			return false
		}
	}
	return true
}
