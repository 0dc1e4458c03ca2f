package origin

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sendValue answers a text with the inserted value in it:
//
//	before= after=   bytes of filler around it (0)
//	times=           how often, each with its filler (1)
//	chunked=1        without a length
//	split=K          flush after every K bytes, ms= apart
//	digest=1         Content-MD5, Digest, Content-Digest and Repr-Digest of the body
//	etag=1           an ETag
func sendValue(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	before, after, times := p.number("before", 0), p.number("after", 0), p.number("times", 1)
	split, pause := p.number("split", 0), p.milliseconds("ms", 0)
	if p.bad(w) {
		return
	}
	one := append(bytes.Repeat([]byte("."), int(min(before, 8<<20))), v...)
	body := bytes.Repeat(append(one, bytes.Repeat([]byte("."), int(min(after, 8<<20)))...), int(min(times, 1000)))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if p.is("digest") {
		m, s := md5.Sum(body), sha256.Sum256(body)
		sum := base64.StdEncoding.EncodeToString(s[:])
		w.Header().Set("Content-MD5", base64.StdEncoding.EncodeToString(m[:]))
		w.Header().Set("Digest", "sha-256="+sum)
		w.Header().Set("Content-Digest", "sha-256=:"+sum+":")
		w.Header().Set("Repr-Digest", "sha-256=:"+sum+":")
	}
	if p.is("etag") {
		w.Header().Set("ETag", `"fixed"`)
	}
	out, err := newWriter(w, r, "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !out.Encoded() && !p.is("chunked") {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if split == 0 {
		split = int64(len(body))
	}
	for len(body) > 0 {
		k := min(int(split), len(body))
		if _, err := out.Write(body[:k]); err != nil {
			return
		}
		if body = body[k:]; len(body) > 0 || p.is("chunked") {
			out.Flush()
			time.Sleep(pause)
		}
	}
	_ = out.Close()
}

// sendHeaders puts the inserted value into the head of the answer:
//
//	header=NAME    that header; Set-Cookie, Location, Link and WWW-Authenticate get their own syntax
//	name=1         a header whose name holds the value
//	reason=1       the reason phrase (HTTP/1.1 only)
//	trailer=NAME   that trailer
//	size=N         a header of N bytes more
//	status=N       the status (200)
func sendHeaders(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	code, size := p.number("status", 200), p.number("size", 0)
	if p.bad(w) {
		return
	}
	h := http.Header{"Content-Type": {"text/plain"}}
	for _, name := range p.Values["header"] {
		h.Add(name, headerSyntax(name, string(v)))
	}
	if p.is("name") {
		h["X-"+string(v)] = []string{"1"}
	}
	if size > 0 {
		h.Set("X-Large", strings.Repeat("a", int(size)))
	}
	if p.is("reason") && r.ProtoMajor == 1 {
		rawHead(w, fmt.Sprintf("HTTP/1.1 %d %s", code, v), h)
		return
	}
	for name, values := range h {
		w.Header()[name] = values
	}
	if name := p.Get("trailer"); name != "" {
		w.Header().Set("Trailer", name)
		defer w.Header().Set(name, string(v))
	}
	w.WriteHeader(int(code))
	_, _ = io.WriteString(w, "ok\n")
}

func headerSyntax(name, v string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Set-Cookie":
		return "session=" + v + "; Path=/; HttpOnly"
	case "Location":
		return "https://other.test/?token=" + v
	case "Link":
		return "<https://other.test/" + v + ">; rel=next"
	case "Www-Authenticate":
		return `Bearer error="invalid_token", error_description="` + v + `"`
	}
	return v
}

// rawHead answers by hand, for a status line that net/http cannot write.
func rawHead(w http.ResponseWriter, statusLine string, h http.Header) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	b := bufio.NewWriter(conn)
	fmt.Fprintf(b, "%s\r\n", statusLine)
	h.Set("Content-Length", "3")
	h.Set("Connection", "close")
	_ = h.Write(b)
	fmt.Fprint(b, "\r\nok\n")
	_ = b.Flush()
}

// redirect answers status= (302) with Location: to= and the inserted value
// behind it.
func redirect(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	code := p.number("status", http.StatusFound)
	if p.bad(w) {
		return
	}
	w.Header().Set("Location", p.Get("to")+string(v))
	w.WriteHeader(int(code))
}

// trailers answers the request's trailers, as JSON in the trailer
// X-Request-Trailers, beside X-Body-Sha256 and the inserted value in the trailer
// that name= says (X-Value).
func trailers(w http.ResponseWriter, r *http.Request, v []byte) {
	name := "X-Value"
	if n := query(r).Get("name"); n != "" {
		name = n
	}
	w.Header().Set("Trailer", "X-Request-Trailers, X-Body-Sha256, "+name)
	w.Header().Set("Content-Type", "text/plain")
	h := sha256.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, "ok\n")
	got, err := json.Marshal(r.Trailer)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Request-Trailers", string(got))
	w.Header().Set("X-Body-Sha256", hex.EncodeToString(h.Sum(nil)))
	w.Header().Set(name, string(v))
}

// earlyHints sends the informational answers that codes= lists (103), each with
// a Link that holds the inserted value, ms= apart, then 200.
func earlyHints(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	pause := p.milliseconds("ms", 0)
	if p.bad(w) {
		return
	}
	codes := p.Get("codes")
	if codes == "" {
		codes = "103"
	}
	for _, c := range strings.Split(codes, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 102 || n > 199 {
			http.Error(w, "an informational code is a number from 102 to 199", http.StatusBadRequest)
			return
		}
		w.Header().Set("Link", headerSyntax("Link", string(v)))
		w.WriteHeader(n)
		time.Sleep(pause)
	}
	w.Header().Del("Link")
	ok(w, r)
}

// grpc echoes the body as application/grpc, with the status in the trailers and
// the inserted value as its message. It wants HTTP/2.
func grpc(w http.ResponseWriter, r *http.Request, v []byte) {
	if r.ProtoMajor != 2 {
		http.Error(w, "gRPC needs HTTP/2", http.StatusHTTPVersionNotSupported)
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return
		}
		_ = rc.Flush()
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
	w.Header().Set("Grpc-Message", string(v))
}
