package origin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Stream is n deterministic pseudo-random bytes: the same for the same seed, on
// every machine.
func Stream(seed uint64, n int64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return io.LimitReader(rand.NewChaCha8(key), n)
}

// StreamSHA is the SHA-256 of Stream(seed, n), in hex.
func StreamSHA(seed uint64, n int64) string {
	h := sha256.New()
	_, _ = io.Copy(h, Stream(seed, n))
	return hex.EncodeToString(h.Sum(nil))
}

// overlay replaces the bytes of r from offset at on by v.
type overlay struct {
	r   io.Reader
	v   []byte
	at  int64
	pos int64
}

func (o *overlay) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	start, end := max(o.at, o.pos), min(o.at+int64(len(o.v)), o.pos+int64(n))
	if start < end {
		copy(p[start-o.pos:end-o.pos], o.v[start-o.at:end-o.at])
	}
	o.pos += int64(n)
	return n, err
}

// sendBytes answers n= bytes of Stream(seed=). With an inserted value, the bytes
// from at= on are replaced by it. chunked=1 leaves the length out; step= is the
// size of one write (32768), after each of which it waits ms=.
func sendBytes(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	n, seed, at, step, pause := p.number("n", 1024), p.number("seed", 1), p.number("at", 0), p.number("step", 32<<10), p.milliseconds("ms", 0)
	if p.bad(w) {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	out, err := newWriter(w, r, "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !out.Encoded() && !p.is("chunked") {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	if p.is("chunked") {
		out.Flush() // net/http finds the length of a short body itself
	}
	buf := make([]byte, max(1, min(step, 1<<20)))
	src := &overlay{r: Stream(uint64(seed), n), v: v, at: at}
	for {
		k, err := io.ReadFull(src, buf)
		if _, werr := out.Write(buf[:k]); werr != nil || r.Context().Err() != nil {
			return
		}
		if p.Has("step") {
			out.Flush()
			time.Sleep(pause)
		}
		if err != nil {
			break
		}
	}
	_ = out.Close()
}

// sink reads the whole body, ms= between reads of 64 KiB, and answers its length
// and SHA-256. early=N answers after N bytes and leaves the rest unread.
func sink(w http.ResponseWriter, r *http.Request) {
	p := query(r)
	pause, early := p.milliseconds("ms", 0), p.number("early", -1)
	if p.bad(w) {
		return
	}
	var src io.Reader = r.Body
	if early >= 0 {
		src = io.LimitReader(src, early)
	}
	h := sha256.New()
	buf := make([]byte, 64<<10)
	var n int64
	for {
		k, err := src.Read(buf)
		h.Write(buf[:k])
		n += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		time.Sleep(pause)
	}
	if early >= 0 {
		w.Header().Set("Connection", "close")
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"length": n, "sha256": hex.EncodeToString(h.Sum(nil)), "content_length": r.ContentLength, "transfer_encoding": r.TransferEncoding,
		"content_type": r.Header.Get("Content-Type"), "trailers": len(r.Trailer),
	})
}

// sendRange serves 64 KiB of text, with the inserted value at at= (1000), as a
// file server does: Range, If-Range, If-None-Match, ETag.
func sendRange(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	at := p.number("at", 1000)
	if p.bad(w) {
		return
	}
	text := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
	if at < int64(len(text)) {
		copy(text[at:], v)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("ETag", `"fixed"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// marshal is JSON without HTML escapes, so that what was received stands as it was.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only maps of strings come here
	}
	return b.Bytes()
}
