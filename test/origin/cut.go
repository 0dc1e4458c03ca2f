package origin

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
)

// cut announces n= (65536) bytes of Stream(1), with an inserted value over those
// from vat= (0) on, sends at= of them and ends:
//
//	framing=length|chunked|close    the framing of HTTP/1.1 (length)
//	end=rst|fin|close               RST; FIN without close_notify; close_notify and FIN (rst)
//	between=1                       chunked: break off between two chunks, not inside one
//
// framing=close with end=close is a whole answer of at= bytes. Over h2, end=rst
// resets the stream, and the others end the connection.
func cut(w http.ResponseWriter, r *http.Request, v []byte) {
	p := query(r)
	n, at, vat := p.number("n", 65536), p.number("at", 0), p.number("vat", 0)
	framing, end := p.Get("framing"), End(p.Get("end"))
	if p.bad(w) {
		return
	}
	if end == "" {
		end = EndRST
	}
	body := io.LimitReader(&overlay{r: Stream(1, n), v: v, at: vat}, at)
	if r.ProtoMajor == 2 {
		cut2(w, r, body, n, framing, end)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b := bufio.NewWriter(conn)
	fmt.Fprint(b, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n")
	switch framing {
	case "chunked":
		fmt.Fprint(b, "Transfer-Encoding: chunked\r\n\r\n")
		size := at + 1
		if p.is("between") {
			size = at
		}
		if size > 0 {
			fmt.Fprintf(b, "%x\r\n", size)
		}
		_, _ = io.Copy(b, body)
		if p.is("between") && size > 0 {
			fmt.Fprint(b, "\r\n")
		}
	case "close":
		fmt.Fprint(b, "Connection: close\r\n\r\n")
		_, _ = io.Copy(b, body)
	default:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n", n)
		_, _ = io.Copy(b, body)
	}
	_ = b.Flush()
	finish(conn, end)
}

func cut2(w http.ResponseWriter, r *http.Request, body io.Reader, n int64, framing string, end End) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if framing == "" || framing == "length" {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	_, _ = io.Copy(onlyWriter{w}, body)
	_ = http.NewResponseController(w).Flush()
	if end == EndRST {
		panic(http.ErrAbortHandler)
	}
	if info, ok := r.Context().Value(connKey{}).(connInfo); ok {
		finish(info.conn, end)
	}
}

// drop ends the connection (end= as in cut) without an answer.
func drop(w http.ResponseWriter, r *http.Request) {
	end := End(query(r).Get("end"))
	if end == "" {
		end = EndRST
	}
	if info, ok := r.Context().Value(connKey{}).(connInfo); ok {
		finish(info.conn, end)
	}
	panic(http.ErrAbortHandler)
}

// finish ends a connection in the given way.
func finish(conn net.Conn, end End) {
	inner := counting(conn)
	if inner == nil {
		_ = conn.Close()
		return
	}
	switch end {
	case EndRST:
		inner.abort()
	case EndFIN:
		_ = inner.Close()
	default:
		if t, ok := conn.(*tls.Conn); ok {
			_ = t.CloseWrite()
		}
		_ = inner.Close()
	}
}
