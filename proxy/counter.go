package proxy

import (
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"
)

// counter counts the bytes of one direction.
type counter struct{ n atomic.Int64 }

func (c *counter) add(n int)   { c.n.Add(int64(n)) }
func (c *counter) load() int64 { return c.n.Load() }

// countedReader counts what is read through it.
type countedReader struct {
	r io.Reader
	c *counter
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.c.add(n)
	return n, err
}

// countedWriter counts what is written through it.
type countedWriter struct {
	w io.Writer
	c *counter
}

func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.c.add(n)
	return n, err
}

// jsonString is the inside of v as a JSON string.
func jsonString(v string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// Strings always encode; a Builder never fails.
	_ = enc.Encode(v)
	s := strings.TrimSuffix(b.String(), "\n")
	return []byte(s[1 : len(s)-1])
}
