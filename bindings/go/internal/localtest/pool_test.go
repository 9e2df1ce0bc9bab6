package localtest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	plasmite "github.com/sandover/plasmite/bindings/go/local"
)

func TestAppendAndGet(t *testing.T) {
	client := newClient(t)
	pool, err := client.Pool("pool", 0)
	ok(t, err)
	defer pool.Close()
	before := time.Now().Add(-time.Second)
	blob := strings.Repeat("b", 64<<10)
	tags := []string{"one", "zwei", "drei \"3\" é"}
	message, err := pool.Append(map[string]any{"blob": blob}, tags, plasmite.WithDurability(plasmite.DurabilityFlush), nil)
	ok(t, err)
	equal(t, message.Seq, 1)
	if !reflect.DeepEqual(message.Tags(), tags) {
		t.Fatal(message.Tags())
	}
	if message.Time.Before(before) || message.Time.After(time.Now()) || message.Time.Location() != time.UTC {
		t.Fatal(message.Time)
	}

	again, err := client.Pool("pool", 0)
	ok(t, err)
	defer again.Close()
	got, err := again.Get(1)
	ok(t, err)
	if !reflect.DeepEqual(got, message) {
		t.Fatalf("%+v", got)
	}
	raw, err := again.GetJSON(1)
	ok(t, err)
	if !bytes.Equal(raw, message.Raw) || !bytes.Contains(raw, message.Data) {
		t.Fatal("other bytes")
	}
	value, err := plasmite.Decode[struct{ Blob string }](got)
	ok(t, err)
	equal(t, value.Blob, blob)
}

func TestDataAreKeptAsWritten(t *testing.T) {
	pool := newPool(t, 0)
	raw, err := pool.AppendJSON([]byte(` {"z": 1E5, "a": -0, "big": 18446744073709551616, "a": null} `), nil, plasmite.DurabilityFast)
	ok(t, err)
	message, err := pool.Get(1)
	ok(t, err)
	equal(t, string(message.Data), `{"z":1E5,"a":-0,"big":18446744073709551616,"a":null}`)
	equal(t, string(raw), fmt.Sprintf(`{"seq":1,"time":"%s","meta":{"tags":[]},"data":%s}`, message.TimeRFC3339, message.Data))
	if message.Tags() == nil {
		t.Fatal("no tags are an empty list")
	}
}

func TestAppendRefusals(t *testing.T) {
	pool := newPool(t, 0)
	for _, empty := range [][]byte{nil, {}} {
		_, err := pool.AppendJSON(empty, nil, plasmite.DurabilityFast)
		is(t, err, plasmite.ErrInvalidArgument)
		_, err = pool.AppendLite3(empty, plasmite.DurabilityFast)
		is(t, err, plasmite.ErrInvalidArgument)
	}
	for _, bad := range []string{`{`, `[]`, `"text"`, `null`, `{"a":1}x`, "{\"a\":\"\xff\"}", " "} {
		_, err := pool.AppendJSON([]byte(bad), nil, plasmite.DurabilityFast)
		native(t, err, plasmite.ErrorUsage)
	}
	_, err := pool.AppendJSON([]byte(`{"a":tru}`), nil, plasmite.DurabilityFast)
	if e := native(t, err, plasmite.ErrorUsage); e.Message != "invalid json" || plasmite.Version() != "" && !strings.Contains(e.Hint, "column") {
		t.Fatalf("%+v", e)
	}
	_, err = pool.AppendJSON([]byte(`{}`), []string{"a\x00b"}, plasmite.DurabilityFast)
	is(t, err, plasmite.ErrInvalidArgument)
	_, err = pool.AppendJSON([]byte(`{}`), []string{"\xff"}, plasmite.DurabilityFast)
	native(t, err, plasmite.ErrorUsage)
	_, err = pool.AppendJSON([]byte(`{}`), nil, 7)
	native(t, err, plasmite.ErrorUsage)
	_, err = pool.Append(make(chan int), nil)
	if err == nil {
		t.Fatal("a channel is no JSON")
	}
	_, err = pool.Append(map[string]string{"x": strings.Repeat("x", 2<<20)}, nil)
	native(t, err, plasmite.ErrorUsage)

	_, err = pool.Get(1) // nothing of all that was stored
	e := native(t, err, plasmite.ErrorNotFound)
	if e.Path != "" || e.Seq == nil || *e.Seq != 1 {
		t.Fatalf("%+v", e)
	}
}

func TestManyTags(t *testing.T) {
	pool := newPool(t, 0)
	tags := []string{"", "", "same", "same"}
	for i := 0; i < 100; i++ {
		tags = append(tags, fmt.Sprintf("tag %d \\ \" \n", i))
	}
	message, err := pool.Append(map[string]int{}, tags)
	ok(t, err)
	if !reflect.DeepEqual(message.Tags(), tags) {
		t.Fatal(message.Tags())
	}
}

func TestAppendBatch(t *testing.T) {
	pool := newPool(t, 0)
	at := time.Date(2020, 1, 2, 3, 4, 5, 600, time.UTC)
	first, err := pool.AppendBatch([]plasmite.Input{
		{JSON: []byte(`{"n":0}`), Time: at},
		{JSON: []byte(`{"n":1}`), Tags: []string{"a", "b"}},
		{JSON: []byte(`{"n":2}`)},
		{JSON: []byte(`{"n":3}`), Tags: []string{"c"}},
	}, plasmite.WithDurability(plasmite.DurabilityFlush))
	needs(t, err)
	equal(t, first, 1)
	for i, tags := range []string{"[]", "[a b]", "[]", "[c]"} {
		message, err := pool.Get(first + uint64(i))
		ok(t, err)
		equal(t, string(message.Data), fmt.Sprintf(`{"n":%d}`, i))
		equal(t, fmt.Sprint(message.Tags()), tags)
		if i == 0 {
			equal(t, message.Time, at)
		}
	}
}

func TestAppendBatchIsAllOrNone(t *testing.T) {
	pool := newPool(t, 0)
	_, err := pool.AppendBatch([]plasmite.Input{{JSON: []byte(`{}`)}, {JSON: []byte(`{`)}})
	needs(t, skipOnly(err))
	if e := native(t, err, plasmite.ErrorUsage); !strings.Contains(e.Message, "inputs[1]") {
		t.Fatal(e)
	}
	for _, inputs := range [][]plasmite.Input{
		nil,
		{{JSON: []byte(`{}`)}, {}},
		{{JSON: []byte(`{}`), Tags: []string{"\x00"}}},
		{{JSON: []byte(`{}`), Time: time.Unix(-5, 0)}},
	} {
		_, err = pool.AppendBatch(inputs)
		is(t, err, plasmite.ErrInvalidArgument)
	}
	_, err = pool.AppendBatch(make([]plasmite.Input, plasmite.MaxBatch+1))
	is(t, err, plasmite.ErrInvalidArgument)
	_, err = pool.Get(1)
	is(t, err, plasmite.ErrNotFound)
}

// skipOnly drops errors that are no reason to skip a test.
func skipOnly(err error) error {
	if err != nil && strings.Contains(err.Error(), "has no plsm_") {
		return err
	}
	return nil
}

func TestAppendMany(t *testing.T) {
	pool := newPool(t, 16<<20)
	payloads := make([][]byte, 10000)
	for i := range payloads {
		payloads[i] = []byte(fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, strings.Repeat("y", i%300)))
	}
	first, n, err := pool.AppendMany(payloads, []string{"bulk"})
	needs(t, err)
	equal(t, first, 1)
	equal(t, n, len(payloads))
	for i := 0; i < len(payloads); i += 777 {
		message, err := pool.Get(first + uint64(i))
		ok(t, err)
		equal(t, string(message.Data), string(payloads[i]))
		equal(t, fmt.Sprint(message.Tags()), "[bulk]")
	}

	payloads[9000] = []byte(`{`)
	_, n, err = pool.AppendMany(payloads, nil)
	native(t, err, plasmite.ErrorUsage)
	if n == 0 || n > 9000 {
		t.Fatal(n)
	}
	_, err = pool.Get(10000 + uint64(n) + 1)
	is(t, err, plasmite.ErrNotFound)
	_, n, err = pool.AppendMany(nil, nil)
	ok(t, err)
	equal(t, n, 0)
}

func TestInfoVerifyPathFlush(t *testing.T) {
	pool := newPool(t, 1<<20)
	needs(t, pool.Flush())
	info, err := pool.Info()
	needs(t, err)
	equal(t, info.FileSize, 1<<20)
	equal(t, info.Messages, 0)
	equal(t, info.NextSeq, 1)
	if !info.OldestTime.IsZero() || time.Since(info.Created) > time.Hour {
		t.Fatalf("%+v", info)
	}
	count(t, pool, 3)
	info, err = pool.Info()
	ok(t, err)
	equal(t, info.OldestSeq, 1)
	equal(t, info.NewestSeq, 3)
	equal(t, info.Messages, 3)
	newest, err := pool.Get(3)
	ok(t, err)
	equal(t, info.NewestTime, newest.Time)
	if info.UsedBytes == 0 || info.RingSize == 0 || info.RingOffset == 0 {
		t.Fatalf("%+v", info)
	}

	report, err := pool.Verify()
	ok(t, err)
	if !report.Healthy || report.Messages != 3 || len(report.Issues) != 0 {
		t.Fatalf("%+v", report)
	}
	path, err := pool.Path()
	ok(t, err)
	if !strings.HasSuffix(path, "/pool.plasmite") {
		t.Fatal(path)
	}
}

func TestVersion(t *testing.T) {
	if v := plasmite.Version(); v != "" && v != "0.8.0" {
		t.Fatal(v)
	}
}
