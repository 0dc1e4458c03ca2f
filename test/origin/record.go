package origin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// KeepBody is how many bytes of one body (and of one raw request) are kept.
	KeepBody = 1 << 20

	keepRecords = 4096     // requests remembered; older ones are forgotten
	keepBytes   = 64 << 20 // body bytes remembered over all records; the oldest bodies go first
)

// Record is one request as it arrived. While Done is false the handler is still
// reading, and the body's fields tell how far it has come.
type Record struct {
	Seq      int       `json:"seq"` // counts from 1 since the start
	Time     time.Time `json:"time"`
	Listener string    `json:"listener"` // as in Addr
	Remote   string    `json:"remote"`   // the peer's address: one per connection
	Done     bool      `json:"done"`

	Proto      string `json:"proto"`
	TLSVersion string `json:"tls_version,omitempty"`
	SNI        string `json:"sni,omitempty"`
	ALPN       string `json:"alpn,omitempty"`
	Resumed    bool   `json:"resumed,omitempty"` // TLS session resumption

	Method           string      `json:"method"`
	Host             string      `json:"host"`
	Target           string      `json:"target"` // the request target as sent
	Path             string      `json:"path"`
	Query            string      `json:"query"`
	Header           http.Header `json:"header"`
	ContentLength    int64       `json:"content_length"` // -1: not known from the head
	TransferEncoding []string    `json:"transfer_encoding,omitempty"`

	Body      []byte      `json:"body,omitempty"` // the first KeepBody bytes; for a WebSocket the messages, concatenated
	BodyLen   int64       `json:"body_len"`
	BodySHA   string      `json:"body_sha256,omitempty"` // hex, of the whole body; set when Done
	BodyError string      `json:"body_error,omitempty"`  // why reading stopped short
	Trailer   http.Header `json:"trailer,omitempty"`

	Raw         []byte `json:"raw,omitempty"` // raw listener: every byte received
	ConnBytesIn int64  `json:"conn_bytes_in"` // bytes its connection had brought by then, TLS included
}

// All is every byte of the record that a client decides: for searching.
func (r Record) All() []byte {
	b := []byte(r.Method + " " + r.Target + " " + r.Proto + "\nHost: " + r.Host + "\n")
	for _, h := range []http.Header{r.Header, r.Trailer} {
		for name, values := range h {
			for _, v := range values {
				b = append(b, name+": "+v+"\n"...)
			}
		}
	}
	b = append(append(b, '\n'), r.Body...)
	return append(b, r.Raw...)
}

type recorder struct {
	mu    sync.Mutex
	seq   int
	bytes int
	list  []*Record
}

// add remembers r, and forgets what is too old.
func (l *recorder) add(r *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	r.Seq = l.seq
	l.list = append(l.list, r)
	if len(l.list) > keepRecords {
		l.bytes -= len(l.list[0].Body) + len(l.list[0].Raw)
		l.list = slices.Delete(l.list, 0, 1)
	}
}

// change lets f alter r under the lock, and keeps the account of bytes.
func (l *recorder) change(r *Record, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(r.Body) + len(r.Raw)
	f()
	l.bytes += len(r.Body) + len(r.Raw) - before
	for i := 0; l.bytes > keepBytes && i < len(l.list) && l.list[i] != r; i++ {
		l.bytes -= len(l.list[i].Body) + len(l.list[i].Raw)
		l.list[i].Body, l.list[i].Raw = nil, nil
	}
}

// Requests copies the record, oldest first.
func (o *Origin) Requests() []Record {
	o.records.mu.Lock()
	defer o.records.mu.Unlock()
	out := make([]Record, 0, len(o.records.list))
	for _, r := range o.records.list {
		c := *r
		c.Header, c.Trailer = r.Header.Clone(), r.Trailer.Clone()
		c.Body, c.Raw = slices.Clone(r.Body), slices.Clone(r.Raw)
		out = append(out, c)
	}
	return out
}

// Reset forgets the requests received so far.
func (o *Origin) Reset() {
	o.records.mu.Lock()
	defer o.records.mu.Unlock()
	o.records.list, o.records.bytes = nil, 0
}

type (
	connKey   struct{}
	recordKey struct{}
	connInfo  struct {
		listener string
		conn     net.Conn
	}
)

// recorded wraps next so that each request leaves a Record.
func (o *Origin) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.stats.requests.Add(1)
		if o.opts.NoKeep {
			next.ServeHTTP(w, r)
			return
		}
		info, _ := r.Context().Value(connKey{}).(connInfo)
		rec := newRecord(r, info.listener)
		o.records.add(rec)
		body := &recordedBody{ReadCloser: r.Body, rec: rec, list: &o.records, hash: sha256.New()}
		r.Body = body
		defer func() {
			if r.Header.Get("Expect") == "" && r.Context().Err() == nil && !body.ended {
				_, _ = io.Copy(io.Discard, io.LimitReader(body, KeepBody))
			}
			o.records.change(rec, func() {
				rec.Done, rec.BodySHA = true, hex.EncodeToString(body.hash.Sum(nil))
				rec.Trailer = r.Trailer.Clone()
				if c := counting(info.conn); c != nil {
					rec.ConnBytesIn = c.in.Load()
				}
			})
		}()
		// In place, because the server sets the trailers of this very request.
		*r = *r.WithContext(context.WithValue(r.Context(), recordKey{}, body))
		next.ServeHTTP(w, r)
	})
}

func newRecord(r *http.Request, listener string) *Record {
	rec := &Record{
		Time: time.Now(), Listener: listener, Remote: r.RemoteAddr, Proto: r.Proto,
		Method: r.Method, Host: r.Host, Target: r.RequestURI, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header.Clone(), ContentLength: r.ContentLength, TransferEncoding: slices.Clone(r.TransferEncoding),
	}
	if r.TLS != nil {
		rec.TLSVersion, rec.SNI = tls.VersionName(r.TLS.Version), r.TLS.ServerName
		rec.ALPN, rec.Resumed = r.TLS.NegotiatedProtocol, r.TLS.DidResume
	}
	return rec
}

// recordedBody notes what passes through it.
type recordedBody struct {
	io.ReadCloser
	rec   *Record
	list  *recorder
	hash  hash.Hash
	ended bool
}

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.note(p[:n], err)
	return n, err
}

// note adds p to the recorded body; err other than io.EOF is kept as its error.
func (b *recordedBody) note(p []byte, err error) {
	b.hash.Write(p)
	b.ended = b.ended || err != nil
	b.list.change(b.rec, func() {
		b.rec.BodyLen += int64(len(p))
		b.rec.Body = append(b.rec.Body, p[:min(len(p), KeepBody-len(b.rec.Body))]...)
		if err != nil && err != io.EOF {
			b.rec.BodyError = err.Error()
		}
	})
}

// note adds p to what is recorded of r's body, for bytes that come another way
// (WebSocket messages).
func note(r *http.Request, p []byte) {
	if b, ok := r.Context().Value(recordKey{}).(*recordedBody); ok {
		b.note(p, nil)
	}
}

// counting finds the counting connection under a TLS one.
func counting(c net.Conn) *countingConn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	cc, _ := c.(*countingConn)
	return cc
}
