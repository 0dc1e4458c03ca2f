package origin

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// serverSentEvents sends count= (10) events, ms= (0) apart. Each carries its
// number, the time it was sent (t, microseconds) and the inserted value; split=1
// flushes in the middle of that value, and the rest comes ms= later.
func serverSentEvents(w http.ResponseWriter, r *http.Request, v []byte) {
	events(w, r, v, "text/event-stream", "id: %d\ndata: ", "\n\n")
}

// ndjson is serverSentEvents in JSON lines.
func ndjson(w http.ResponseWriter, r *http.Request, v []byte) {
	events(w, r, v, "application/x-ndjson", "", "\n")
}

func events(w http.ResponseWriter, r *http.Request, v []byte, kind, open, end string) {
	p := query(r)
	count, pause := p.number("count", 10), p.milliseconds("ms", 0)
	if p.bad(w) {
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	out, err := newWriter(w, r, "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	out.Flush() // the head goes before the first event
	for i := range count {
		if r.Context().Err() != nil {
			return
		}
		if i > 0 {
			time.Sleep(pause)
		}
		head := open
		if open != "" {
			head = fmt.Sprintf(open, i)
		}
		head += fmt.Sprintf(`{"n":%d,"t":%d,"v":"`, i, time.Now().UnixMicro())
		tail := `"}` + end
		if p.is("split") && len(v) > 1 {
			_, _ = out.Write([]byte(head + string(v[:len(v)/2])))
			out.Flush()
			time.Sleep(pause)
			_, _ = out.Write([]byte(string(v[len(v)/2:]) + tail))
		} else {
			_, _ = out.Write([]byte(head + string(v) + tail))
		}
		out.Flush()
	}
	_ = out.Close()
}

// slow waits ms= before the head and body_ms= before each of n= (1) bytes.
func slow(w http.ResponseWriter, r *http.Request) {
	p := query(r)
	head, body, n := p.milliseconds("ms", 0), p.milliseconds("body_ms", 0), p.number("n", 1)
	if p.bad(w) || !wait(r, head) {
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	for range n {
		if !wait(r, body) {
			return
		}
		_, _ = w.Write([]byte("."))
		_ = rc.Flush()
	}
}

// wait sleeps unless the client goes first.
func wait(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// hang answers nothing until the client goes.
func (o *Origin) hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-o.closing:
	}
}
