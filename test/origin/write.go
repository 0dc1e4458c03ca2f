package origin

import (
	"encoding/json"
	"net/http"
	"strings"
)

// writer sends a body in the coding and framing the request asks for:
//
//	coding=gzip|deflate|raw-deflate|br|zstd|NAME[,…]  applied in that order
//	type=MEDIA/TYPE                                   Content-Type
//
// An encoded body is chunked (h2: without a length).
type writer struct {
	http.ResponseWriter
	stack []flushWriter
}

func newWriter(w http.ResponseWriter, r *http.Request, coding string) (*writer, error) {
	p := query(r)
	if coding == "" {
		coding = p.Get("coding")
	}
	if t := p.Get("type"); t != "" {
		w.Header().Set("Content-Type", t)
	}
	out := &writer{ResponseWriter: w}
	if coding == "" || coding == "identity" {
		return out, nil
	}
	names := strings.Split(coding, ",")
	w.Header().Set("Content-Encoding", strings.Join(strings.Split(strings.ReplaceAll(coding, "raw-", ""), ","), ", "))
	w.Header().Del("Content-Length")
	// The last coding applied is the outermost: build from the wire inwards.
	for i := len(names) - 1; i >= 0; i-- {
		var under interface{ Write([]byte) (int, error) } = w
		if len(out.stack) > 0 {
			under = out.stack[len(out.stack)-1]
		}
		c, err := coder(names[i], under)
		if err != nil {
			return nil, err
		}
		out.stack = append(out.stack, c)
	}
	return out, nil
}

// Encoded tells whether the length of what is written is not that on the wire.
func (w *writer) Encoded() bool { return len(w.stack) > 0 }

func (w *writer) Write(p []byte) (int, error) {
	if len(w.stack) > 0 {
		return w.stack[len(w.stack)-1].Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Flush sends all that has been written so far.
func (w *writer) Flush() {
	for i := len(w.stack) - 1; i >= 0; i-- {
		if w.stack[i].Flush() != nil {
			return
		}
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Close ends the coding.
func (w *writer) Close() error {
	for i := len(w.stack) - 1; i >= 0; i-- {
		if err := w.stack[i].Close(); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
