package origin

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"kz/test/bench/wire"
)

// Serve answers on l, with the certificates that WriteCerts put into dir, until l fails.
func Serve(l net.Listener, dir string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, LeafFile), filepath.Join(dir, LeafKeyFile))
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler: Handler(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), // clients come and go
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 1000, MaxReceiveBufferPerConnection: 4 << 20, MaxReceiveBufferPerStream: 1 << 20},
	}
	return s.ServeTLS(l, "", "")
}

// Handler answers the requests of package wire and nothing else: 401 without the value where it belongs, 422 to a body
// that is not what it should be.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.Chat, chat)
	mux.HandleFunc("GET "+wire.Bulk, bulk)
	mux.HandleFunc("PUT "+wire.UploadHost+wire.Sink, sink)
	mux.HandleFunc("GET "+wire.Events, events)
	mux.HandleFunc("GET "+wire.Begin, begin)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization := "Bearer " + wire.Value
		if r.Host == wire.UploadHost {
			authorization = "Bearer " + wire.UploadValue
		}
		if a := r.Header["Authorization"]; len(a) != 1 || a[0] != authorization {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var (
	chatBody   = wire.ChatBody(wire.Value)
	chatAnswer = wire.ChatAnswer(wire.Value)
	sinkAnswer = wire.ChatAnswer(wire.UploadValue)
	bulkBlock  = wire.BulkBlock()
	bulkTail   = wire.BulkTail(wire.Value)
	sinkTail   = wire.BulkTail(wire.UploadValue)
)

func answer(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func chat(w http.ResponseWriter, r *http.Request) {
	var got [2048]byte
	n, err := io.ReadFull(r.Body, got[:])
	if err != io.ErrUnexpectedEOF || !bytes.Equal(got[:n], chatBody) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	answer(w, chatAnswer)
}

func bulk(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.URL.Query().Get("size"))
	if err != nil || size < len(bulkTail) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for left := size - len(bulkTail); left > 0; {
		n, err := w.Write(bulkBlock[:min(left, len(bulkBlock))])
		if err != nil {
			return
		}
		left -= n
	}
	_, _ = w.Write(bulkTail)
}

// sink reads a body whose length the query tells, however it is framed.
func sink(w http.ResponseWriter, r *http.Request) {
	buf := make([]byte, 64<<10)
	var tail []byte
	total := 0
	for {
		n, err := r.Body.Read(buf)
		total += n
		tail = append(tail, buf[max(0, n-len(sinkTail)):n]...)
		tail = tail[max(0, len(tail)-len(sinkTail)):]
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	if size, err := strconv.Atoi(r.URL.Query().Get("size")); err != nil || total != size || !bytes.Equal(tail, sinkTail) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	answer(w, sinkAnswer)
}

// waiting are the streams that have not begun, by their ids.
var waiting sync.Map // string -> chan struct{}

// begins is what gets an element when the events of id are to begin.
func begins(id string) <-chan struct{} {
	c, _ := waiting.LoadOrStore(id, make(chan struct{}, 1))
	return c.(chan struct{})
}

func begin(_ http.ResponseWriter, r *http.Request) {
	if c, ok := waiting.LoadAndDelete(r.URL.Query().Get("id")); ok {
		c.(chan struct{}) <- struct{}{}
	}
}

func events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	count, err := strconv.Atoi(q.Get("count"))
	gap, err2 := time.ParseDuration(q.Get("gap"))
	hold, err3 := time.ParseDuration(q.Get("hold"))
	if err != nil || err2 != nil || err3 != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var begun <-chan struct{}
	if id := q.Get("id"); id != "" {
		begun = begins(id)
		defer waiting.Delete(id)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	if rc.Flush() != nil {
		return
	}
	wait := hold
	for range count {
		select {
		case <-time.After(wait):
		case <-begun:
			begun = nil
		case <-r.Context().Done():
			return
		}
		wait = gap
		if _, err := io.WriteString(w, wire.Event(time.Now().UnixNano(), wire.Value)); err != nil || rc.Flush() != nil {
			return
		}
	}
}
