package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestFramingOfH2 is TestFraming with frames by hand: some of the servers get them as h2, some as HTTP/1.1.
func TestFramingOfH2(t *testing.T) {
	t.Parallel()
	f := startFraming(t)
	results := make([][]*said, len(f.origins))
	t.Run("origins", func(t *testing.T) {
		for i, o := range f.origins {
			t.Run(o.Name, func(t *testing.T) {
				t.Parallel()
				host := o.Name + ".framing.test"
				others := []*http.Client{f.client.client(t, true), f.client.client(t, false)}
				for n, c := range h2Cases {
					if c.unknown == o.Name {
						c.send, c.sent = func(*frames) {}, nil
					}
					id := fmt.Sprintf("/c%03d", n)
					results[i] = append(results[i], f.sayH2(t, host, id, c))
					// By turns over h2 and HTTP/1.1: their pools are not the same.
					f.neighbour(t, others[n%2], host, results[i][n])
				}
				f.compare(t, o, results[i], 0)
			})
		}
	})
	f.table(t, results)
	f.end(t)
}

// frames writes frames as no client would.
type frames struct {
	*http2.Framer
	fill  *strings.Replacer
	next  uint32 // the stream of the next request
	block bytes.Buffer
	enc   *hpack.Encoder
}

// fields encodes name, value, name, value, … as they are.
func (w *frames) fields(pairs ...string) []byte {
	w.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		value := pairs[i+1]
		if value != http.MethodHead {
			value = w.fill.Replace(value)
		}
		_ = w.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: value})
	}
	return bytes.Clone(w.block.Bytes())
}

// head begins a stream with these fields and no others.
func (w *frames) head(end bool, pairs ...string) uint32 {
	id := w.next
	w.next += 2
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields(pairs...), EndStream: end, EndHeaders: true})
	return id
}

// request begins a stream with a good head, and these fields behind it.
func (w *frames) request(end bool, method string, pairs ...string) uint32 {
	return w.head(end, append(good(method, "ID/a"), pairs...)...)
}

func (w *frames) data(id uint32, end bool, text string) {
	_ = w.WriteData(id, end, []byte(w.fill.Replace(text)))
}

// good are the fields of a request that is as it should be.
func good(method, path string) []string {
	return []string{":method", method, ":scheme", "https", ":authority", "HOST", ":path", path, "authorization", "Bearer MASK"}
}

// without takes a field out, and puts others in its place.
func without(list []string, name string, pairs ...string) []string {
	at := slices.Index(list, name)
	return slices.Concat(list[:at], pairs, list[at+2:])
}

// sayH2 sends one case and reads what comes back.
func (f *framingBed) sayH2(t *testing.T, host, id string, c h2Case) *said {
	t.Helper()
	fill := f.filled(host, id)
	s := &said{name: c.name, id: id, value: f.value, expected: hostile{sent: c.sent}.wants(id, fill), cut: c.cut, odd: c.odd}
	conn, err := f.client.inside(t, host+":443", host, "h2")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	w := &frames{Framer: http2.NewFramer(conn, conn), fill: fill, next: 1}
	w.enc = hpack.NewEncoder(&w.block)
	w.AllowIllegalWrites = true
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = w.WriteSettings()
	c.send(w)
	if c.leaves {
		return s
	}
	open := map[uint32]bool{}
	for id := uint32(1); id < w.next; id += 2 {
		open[id] = true
	}
	s.readH2(t, w, open)
	if !s.closed && !c.junk {
		s.expected = append(s.expected, wanted{"GET", id + "/next", ""})
		before := s.answers
		w.next = 101
		s.readH2(t, w, map[uint32]bool{w.head(true, good("GET", "ID/next")...): true})
		if s.answers != before+1 {
			t.Errorf("%s: the next request on the connection: %v", s.name, s.statuses)
		}
	}
	return s
}

// readH2 reads until no stream is open, or the connection ends.
func (s *said) readH2(t *testing.T, w *frames, open map[uint32]bool) {
	t.Helper()
	for len(open) > 0 {
		frame, err := w.ReadFrame()
		if err != nil {
			s.closed = true
			return
		}
		stream := frame.Header().StreamID
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.headH2(t, frame)
		case *http2.RSTStreamFrame:
			// One that comes behind a whole answer says that the rest of the request is not read.
			if open[stream] {
				s.statuses = append(s.statuses, frame.ErrCode.String())
			}
			delete(open, stream)
		case *http2.GoAwayFrame:
			s.closed = true
			if frame.ErrCode != http2.ErrCodeNo {
				s.statuses = append(s.statuses, "closed with "+frame.ErrCode.String())
				return
			}
		}
		if stream != 0 && frame.Header().Type != http2.FrameWindowUpdate && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			delete(open, stream)
		}
	}
}

// headH2 notes the head of an answer.
func (s *said) headH2(t *testing.T, head *http2.MetaHeadersFrame) {
	t.Helper()
	values := map[string]string{}
	for _, f := range head.Fields {
		values[f.Name] = f.Value
	}
	status := values[":status"]
	switch {
	case status == "" || status[0] == '1':
		return
	case values["x-origin"] == "" && values["server"] == "":
		s.statuses = append(s.statuses, "kz "+status+" "+values["kz-error"])
		return
	}
	s.statuses = append(s.statuses, status)
	s.answers++
	if status == "200" && !slices.ContainsFunc(s.expected, func(w wanted) bool { return w.target == values["x-target"] || w.target == "*" }) {
		t.Errorf("%s: got the answer to %s", s.name, values["x-target"])
	}
}
