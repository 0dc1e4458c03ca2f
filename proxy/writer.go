package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// responseWriter stands between goproxy and net/http: it restores the length that goproxy drops with a changed body, and
// gives away what is written as soon as the answer is one that streams.
type responseWriter struct {
	http.ResponseWriter
	x      *exchange
	ctx    context.Context
	proto  int   // the client's major version of HTTP
	length int64 // the body's; -1: not known
	stream bool  // no length: each piece is given away at once

	upgrade  *upgraded // a WebSocket
	hijacked func()    // closes the client's side of it

	mu    sync.Mutex // early hints come from the transport's goroutine
	wrote bool
	waits bool // for the answer: hints may be written
	gone  bool // the client, while a hint was written: its headers must not be touched any more
}

// guessed are the headers that net/http would add of its own; an answer keeps only what its upstream sent.
var guessed = []string{"Content-Type", "Date"}

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	w.mu.Lock()
	w.wrote = true
	w.mu.Unlock()
	h := w.Header()
	for _, name := range guessed {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
	if w.length >= 0 && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified && w.x.event.Method != http.MethodHead {
		h["Content-Length"] = []string{strconv.FormatInt(w.length, 10)}
	}
	if w.x.client.ends() && status >= 200 {
		h["Connection"] = []string{"close"}
	}
	w.ResponseWriter.WriteHeader(status)
	if w.stream {
		w.Flush()
	}
}

// Write implements http.ResponseWriter.
func (w *responseWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if err != nil {
		w.x.abort(err)
	} else if w.stream {
		w.Flush()
	}
	return n, err
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() {
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		w.x.abort(err)
	}
}

// Hijack implements http.Hijacker, for WebSocket. What was read ahead is read first from the connection it returns.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := replaying{w.ResponseWriter}.Hijack()
	if err == nil {
		done := w.x.p.tunnels.add(conn, conn)
		w.hijacked = func() { _ = conn.Close(); done() }
	}
	return conn, rw, err
}

// endUpgraded closes both sides of a WebSocket; goproxy leaves the client's open, and one direction running.
func (w *responseWriter) endUpgraded() {
	if w.hijacked != nil {
		w.hijacked()
	}
	if w.upgrade != nil {
		w.upgrade.end()
	}
}

// earlyHints passes a 103 on, scrubbed. It may come while the handler waits; one that the transport's goroutine still reads
// when that is over, as after a cancellation, goes nowhere.
func (w *responseWriter) earlyHints(h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waits || w.gone || w.wrote || !w.x.http11 {
		return
	}
	h = h.Clone()
	for _, name := range goneHeaders {
		delete(h, name)
	}
	delete(h, "Content-Length")
	scrubHeader(w.x.p.scrubbers(), h, w.x.didScrub("early_hints"))
	dst := w.Header()
	for k, vs := range h {
		dst[k] = vs
	}
	w.ResponseWriter.WriteHeader(http.StatusEarlyHints)
	if w.gone = w.ctx.Err() != nil; w.gone {
		return // h2 may still be writing what is in dst
	}
	clear(dst)
}

// awaiting says whether an answer is still to come.
func (w *responseWriter) awaiting(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = yes
}
