package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"testing/quick"
	"time"
)

// marshalled is the line as encoding/json writes it.
func marshalled(t testing.TB, e Event) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// appendLine is the line without its place in the chain.
func appendLine(b []byte, e *Event) []byte { return append(appendEvent(b, e), "}\n"...) }

func usual() Event {
	return Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC), Session: "0123456789abcdef", Request: "01234567-42", Kind: Request,
		Method: "POST", Host: "api.example.com", Port: 443, Path: "/v1/chat", Status: 200, BytesOut: 1234, BytesIn: 56789, DurationMS: 12.345,
		Swapped:  []Swapped{{"A", "header"}, {"B", "body:token"}},
		Withheld: []Withheld{{"C", "body", "it stood where it could not be swapped"}},
		Scrubbed: []Scrubbed{{"A", "body", 3}},
	}
}

func TestALineIsWhatEncodingJSONMakesOfIt(t *testing.T) {
	odd := usual()
	odd.Path, odd.Reason, odd.Host = "/a\"b\\c\n<>&\u2028é\xff\x00", "…", "\x7f"
	odd.Withheld = append(odd.Withheld, Withheld{Reason: "\t"})
	for name, e := range map[string]Event{"the usual": usual(), "an empty one": {}, "odd text": odd, "a refusal": {Kind: Refusal, Code: "host_not_bound", Reason: "no"}} {
		t.Run(name, func(t *testing.T) {
			if got, want := appendLine(nil, &e), marshalled(t, e); !bytes.Equal(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	same := func(a, b, c string, n [4]int32, swapped []Swapped, withheld []Withheld, scrubbed []Scrubbed) bool {
		e := Event{
			Time: time.Unix(int64(n[0]), int64(n[1]&0x1fffffff)).UTC(), Session: a, Request: b, Kind: Kind(c), Method: b, Host: c, Path: a, Code: c, Reason: a,
			Port: int(n[0]), Status: int(n[1]), BytesOut: int64(n[2]), BytesIn: int64(n[3]), DurationMS: float64(uint32(n[2])) / 1000,
			Swapped: swapped, Withheld: withheld, Scrubbed: scrubbed,
		}
		return bytes.Equal(appendLine(nil, &e), marshalled(t, e))
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 500}); err != nil {
		t.Error(err)
	}
}

func TestALineHasAllTheFieldsOfAnEvent(t *testing.T) {
	var e, back Event
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(7)
		case reflect.Float64:
			f.SetFloat(1.5)
		}
	}
	e.Time = time.Unix(1, 0).UTC()
	e.Swapped, e.Withheld, e.Scrubbed = []Swapped{{"a", "b"}}, []Withheld{{"a", "b", "c"}}, []Scrubbed{{"a", "b", 1}}
	if err := json.Unmarshal(appendLine(nil, &e), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e, back) {
		t.Errorf("wrote %+v, read %+v", e, back)
	}
}

func BenchmarkLine(b *testing.B) {
	e := usual()
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var line []byte
		for b.Loop() {
			line = appendLine(line[:0], &e)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			marshalled(b, e)
		}
	})
}
