package proxy_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kz/proxy"
	"kz/proxy/policy"
)

// frames is an answer by HTTP/2, on stream 1.
type frames struct {
	bytes.Buffer
	*http2.Framer
	ends []int // after each frame
}

func newFrames() *frames {
	f := &frames{}
	f.Framer = http2.NewFramer(&f.Buffer, nil)
	return f
}

// head is a block of headers, "name: value" each; pieces is in how many frames.
func (f *frames) head(end bool, pieces int, headers ...string) *frames {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0) // what is cut must not be needed for the next answer
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		_ = enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	size := block.Len()/pieces + 1
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Next(size), EndStream: end, EndHeaders: pieces == 1})
	for block.Len() > 0 {
		_ = f.WriteContinuation(1, block.Len() <= size, block.Next(size))
	}
	f.ends = append(f.ends, f.Len())
	return f
}

func (f *frames) data(end bool, s string) *frames {
	_ = f.WriteData(1, end, []byte(s))
	f.ends = append(f.ends, f.Len())
	return f
}

type framedAnswer struct {
	*frames
	kind string // Content-Type of the request
	body string // what the client gets; "-": the answer is wrong, and never whole
}

// framedAnswers is one short answer in each form that HTTP/2 has.
func framedAnswers(t *testing.T) map[string]framedAnswer {
	text := "forty bytes of text that are not a value"
	z, message := coded(t, "gzip", text), "\x00\x00\x00\x00\x05hello"
	const ok, length, gz = ":status: 200", "content-length: 40", "content-encoding: gzip"
	return map[string]framedAnswer{
		"a length":                {newFrames().head(false, 1, ok, length).data(false, text[:10]).data(true, text[10:]), "", text},
		"no length":               {newFrames().head(false, 1, ok).data(false, text[:10]).data(true, text[10:]), "", text},
		"an end of its own":       {newFrames().head(false, 1, ok, length).data(false, text).data(true, ""), "", text},
		"a head in pieces":        {newFrames().head(false, 3, ok, length, "x-a: "+strings.Repeat("b", 40)).data(true, text), "", text},
		"padding":                 {newFrames().head(false, 1, ok, length).padded(text), "", text},
		"trailers":                {newFrames().head(false, 1, ok, "trailer: x-sum").data(false, text).head(true, 1, "x-sum: 12345"), "", text},
		"a length and trailers":   {newFrames().head(false, 1, ok, length).data(false, text).head(true, 2, "x-sum: 12345", "x-more: a, b"), "", text},
		"events":                  {newFrames().head(false, 1, ok, "content-type: text/event-stream").data(false, "data: one\n\n").data(true, "data: two\n\n"), "", "data: one\n\ndata: two\n\n"},
		"gzip of a length":        {newFrames().head(false, 1, ok, gz, fmt.Sprint("content-length: ", len(z))).data(false, z[:9]).data(true, z[9:]), "", text},
		"gzip":                    {newFrames().head(false, 1, ok, gz).data(false, z[:9]).data(true, z[9:]), "", text},
		"a hint":                  {newFrames().head(false, 1, ":status: 103", "link: </a>").head(false, 1, ok, length).data(true, text), "", text},
		"no content":              {newFrames().head(true, 1, ":status: 204", "x-a: b"), "", ""},
		"a gRPC message":          {newFrames().head(false, 1, ok, "content-type: application/grpc").data(false, message).head(true, 1, "grpc-status: 0"), "application/grpc", message},
		"gRPC messages in pieces": {newFrames().head(false, 1, ok, "content-type: application/grpc").data(false, message[:3]).data(false, message[3:]+message).head(true, 1, "grpc-status: 0"), "application/grpc", message + message},
		"gRPC trailers only":      {newFrames().head(true, 1, ok, "content-type: application/grpc", "grpc-status: 5"), "application/grpc", ""},
		"less than its length":    {newFrames().head(false, 1, ok, length).data(true, text[:39]), "", "-"},
		"nothing of its length":   {newFrames().head(true, 1, ok, length), "", "-"},
		"more than its length":    {newFrames().head(false, 1, ok, length).data(true, text+"!"), "", "-"},
		"half a gRPC message":     {newFrames().head(false, 1, ok, "content-type: application/grpc").data(false, message[:7]).head(true, 1, "grpc-status: 0"), "application/grpc", "-"},
		"a gzip without its end":  {newFrames().head(false, 1, ok, gz).data(true, z[:len(z)-1]), "", "-"},
	}
}

func (f *frames) padded(s string) *frames {
	_ = f.WriteDataPadded(1, true, []byte(s), make([]byte, 20))
	f.ends = append(f.ends, f.Len())
	return f
}

// The ways an upstream ends a stream of HTTP/2, beside those a connection ends.
const (
	rstNoError = "RST_STREAM with NO_ERROR"
	rstCancel  = "RST_STREAM with CANCEL"
	goAway     = "GOAWAY first"
)

// cuttingFrames makes api.test an upstream that speaks HTTP/2 and answers as cutting does. A connection serves one request.
func cuttingFrames(answers map[string]framedAnswer) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.serveTLS(o, []string{"h2"}, func(conn *tls.Conn) {
			if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
				return
			}
			f := http2.NewFramer(conn, conn)
			f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			_ = f.WriteSettings()
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if s, ok := frame.(*http2.SettingsFrame); ok && !s.IsAck() {
					_ = f.WriteSettingsAck()
				}
				if h, ok := frame.(*http2.MetaHeadersFrame); ok {
					u, err := url.Parse(h.PseudoValue("path"))
					if err != nil {
						return
					}
					n, _ := strconv.Atoi(u.Query().Get("n"))
					sendFrames(conn, f, answers[u.Query().Get("a")].Bytes()[:n], u.Query().Get("end"))
					return
				}
			}
		})
	}
}

func sendFrames(conn *tls.Conn, f *http2.Framer, part []byte, end string) {
	if end == goAway {
		_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
		end = closeNotify
	}
	_, _ = conn.Write(part)
	switch end {
	case rstNoError, rstCancel:
		code := http2.ErrCodeNo
		if end == rstCancel {
			code = http2.ErrCodeCancel
		}
		_ = f.WriteRSTStream(1, code)
		_ = f.WriteGoAway(1, http2.ErrCodeNo, nil) // the next request takes another connection
		_, _ = io.Copy(io.Discard, conn)
	default:
		endLike(conn, end)
	}
}

// TestAnAnswerByHTTP2IsCutAtEachByte does what TestAnAnswerIsCutAtEachByte does, and ends the stream alone between frames.
func TestAnAnswerByHTTP2IsCutAtEachByte(t *testing.T) {
	t.Parallel()
	for name, a := range framedAnswers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, cuttingFrames(map[string]framedAnswer{"a": a}))
			client := b.newClient(true)
			try := func(n int, end string) {
				r := b.request("GET", fmt.Sprintf("https://api.test/?a=a&n=%d&end=%s", n, url.QueryEscape(end)), "")
				if a.kind != "" {
					r.Header.Set("Content-Type", a.kind)
				}
				got, err := b.transfer(client, r)
				switch whole := n == a.Len() && a.body != "-"; {
				case err == nil && !whole:
					t.Errorf("cut at %d with %s, a success: %q", n, end, got)
				case err == nil && got != a.body:
					t.Errorf("whole with %s: %q", end, got)
				case err != nil && whole && end == goAway:
					t.Errorf("whole with %s: %v", end, err)
				}
			}
			for n := range a.Len() {
				for i, end := range []string{closeNotify, fin, reset, goAway} {
					if n%2 == i%2 {
						try(n, end)
					}
				}
			}
			for _, n := range append([]int{0}, a.ends...) {
				if n < a.Len() {
					try(n, rstNoError)
					try(n, rstCancel)
				}
			}
			try(a.Len(), goAway)
		})
	}
}
