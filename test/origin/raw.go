package origin

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// scripts are the answers that the raw listener has from the start, by path.
var scripts = map[string]Script{
	"ok":                   answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", EndKeep),
	"short-length":         answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", EndClose),
	"long-body":            answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more than was said", EndClose),
	"two-lengths":          answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", EndClose),
	"length-and-chunked":   answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", EndClose),
	"negative-length":      answer("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", EndClose),
	"bad-chunk-size":       answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", EndClose),
	"huge-chunk-size":      answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok\r\n0\r\n\r\n", EndClose),
	"chunk-without-end":    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", EndClose),
	"chunk-bare-lf":        answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", EndClose),
	"xchunked":             answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok", EndClose),
	"gzip-chunked":         answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", EndClose),
	"bare-lf":              answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", EndClose),
	"no-status":            answer("ok\r\n", EndClose),
	"http09":               answer("ok", EndClose),
	"http10":               answer("HTTP/1.0 200 OK\r\n\r\nok", EndClose),
	"garbage":              answer("\x16\x03\x01\x00\x02\x01\x00", EndClose),
	"empty":                answer("", EndClose),
	"nul-in-header":        answer("HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"space-before-colon":   answer("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", EndClose),
	"folded-header":        answer("HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"no-end-of-head":       answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", EndClose),
	"huge-header":          answer("HTTP/1.1 200 OK\r\nX-Huge: "+strings.Repeat("a", 4<<20)+"\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"many-headers":         answer("HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Many: a\r\n", 200_000)+"Content-Length: 2\r\n\r\nok", EndClose),
	"many-continues":       answer(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"many-hints":           answer(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10_000)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"unasked-upgrade":      answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nbytes", EndClose),
	"unasked-partial":      answer("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/100\r\nContent-Length: 2\r\n\r\nok", EndKeep),
	"answer-twice":         answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", EndKeep),
	"unknown-coding":       answer("HTTP/1.1 200 OK\r\nContent-Encoding: x-unknown\r\nContent-Length: 2\r\n\r\nok", EndKeep),
	"gzip-that-is-not":     answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", EndKeep),
	"status-99":            answer("HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"hop-by-hop":           answer("HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"head-byte-by-byte":    {Answer: []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Split: 1, Pause: time.Millisecond, End: EndKeep},
	"reset-before-answer":  answer("", EndRST),
	"reset-inside-head":    answer("HTTP/1.1 200 OK\r\nContent-Le", EndRST),
	"fin-without-notify":   answer("HTTP/1.1 200 OK\r\n\r\nuntil the end", EndFIN),
	"close-delimited":      answer("HTTP/1.1 200 OK\r\n\r\nuntil the end", EndClose),
	"body-on-no-content":   answer("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", EndClose),
	"body-on-not-modified": answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", EndClose),
}

func answer(s string, end End) Script { return Script{Answer: []byte(s), End: end} }

// ScriptNames lists what the raw listener answers to: a request for /NAME gets
// that script, any other path the script "ok".
func (o *Origin) ScriptNames() []string {
	o.settings.mu.Lock()
	defer o.settings.mu.Unlock()
	var names []string
	for name := range o.settings.scripts {
		names = append(names, name)
	}
	return names
}

// serveRaw opens the raw listener: TLS for HTTP/1.1 with a good certificate,
// above which only the bytes of scripts are spoken.
func (o *Origin) serveRaw() error {
	ln, err := o.listen("raw")
	if err != nil {
		return err
	}
	o.raw = ln
	config := &tls.Config{
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return o.certificate(strings.ToLower(h.ServerName))
		},
	}
	o.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.wg.Go(func() { o.rawConn(tls.Server(c, config)) })
		}
	})
	return nil
}

func (o *Origin) rawConn(conn *tls.Conn) {
	done := make(chan struct{})
	defer close(done)
	go func() { // Close ends it
		select {
		case <-o.closing:
			_ = conn.NetConn().Close()
		case <-done:
		}
	}()
	defer conn.NetConn().Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if conn.Handshake() != nil {
		o.stats.badHandshakes.Add(1)
		return
	}
	in := bufio.NewReader(conn)
	for {
		rec := &Record{
			Time: time.Now(), Listener: "raw", Remote: conn.RemoteAddr().String(),
			SNI: conn.ConnectionState().ServerName, ALPN: conn.ConnectionState().NegotiatedProtocol,
		}
		o.records.add(rec)
		path, ok := o.rawRequest(in, rec)
		if !ok {
			return
		}
		o.stats.requests.Add(1)
		o.settings.mu.Lock()
		s, found := o.settings.scripts[strings.TrimPrefix(path, "/")]
		if !found {
			s = o.settings.scripts["ok"]
		}
		o.settings.mu.Unlock()
		if !s.send(conn) || s.End != EndKeep {
			finish(conn, s.End)
			return
		}
	}
}

// rawRequest reads one request and records its bytes as they come. It takes the
// head, and the body that a Content-Length or chunks announce, on trust: what is
// odd shows in Raw.
func (o *Origin) rawRequest(in *bufio.Reader, rec *Record) (path string, ok bool) {
	keep := func(p []byte) {
		o.records.change(rec, func() {
			rec.BodyLen += int64(len(p))
			rec.Raw = append(rec.Raw, p[:min(len(p), KeepBody-len(rec.Raw))]...)
		})
	}
	var length int64
	var chunked bool
	for n := 0; ; n++ {
		line, err := in.ReadBytes('\n')
		keep(line)
		if err != nil || n > 10_000 {
			return "", false
		}
		text := strings.TrimSpace(string(line))
		if n == 0 {
			method, rest, _ := strings.Cut(text, " ")
			target, proto, _ := strings.Cut(rest, " ")
			path, _, _ = strings.Cut(target, "?")
			o.records.change(rec, func() { rec.Method, rec.Target, rec.Path, rec.Proto = method, target, path, proto })
			continue
		}
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ":")
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "host":
			o.records.change(rec, func() { rec.Host = value })
		case "content-length":
			length, _ = strconv.ParseInt(value, 10, 64)
		case "transfer-encoding":
			chunked = strings.EqualFold(value, "chunked")
		}
	}
	buf := make([]byte, 32<<10)
	for !chunked && length > 0 {
		n, err := in.Read(buf[:min(int64(len(buf)), length)])
		keep(buf[:n])
		if length -= int64(n); err != nil {
			return "", false
		}
	}
	for last := false; chunked && !last; {
		line, err := in.ReadBytes('\n')
		keep(line)
		size, perr := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil || perr != nil {
			return "", false
		}
		last = size == 0
		for rest := size + 2; rest > 0; {
			n, err := in.Read(buf[:min(int64(len(buf)), rest)])
			keep(buf[:n])
			if rest -= int64(n); err != nil {
				return "", false
			}
		}
	}
	o.records.change(rec, func() { rec.Done = true })
	return path, true
}

// send writes the answer; false means the peer is gone.
func (s Script) send(w io.Writer) bool {
	p, step := s.Answer, s.Split
	if step == 0 {
		step = len(p)
	}
	for len(p) > 0 {
		n := min(step, len(p))
		if _, err := w.Write(p[:n]); err != nil {
			return false
		}
		p = p[n:]
		time.Sleep(s.Pause)
	}
	return true
}

var _ net.Conn = (*countingConn)(nil)
