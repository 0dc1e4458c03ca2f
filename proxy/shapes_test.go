package proxy_test

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// shape is one answer as the world has them, with no value in it, and what of it a client must get.
type shape struct {
	name   string
	why    string   // what is held beside the body's bytes, the status and all headers
	method string   // GET, if empty
	ask    []string // headers of the request
	status int      // 200, if 0
	head   []string // "Name: value" as they are sent
	body   string   // as it is sent, coded
	frame  string   // how the body is framed: see the constants
	plain  string   // what the client gets, if that is something else
	gone   []string // headers that do not arrive
	length int      // the Content-Length that arrives, if not the body's: -1 none
	tail   []string // trailers
	hints  []string // the headers of early hints that come first
	before string   // of HTTP/1.1: other informational answers that come first
	h1     bool     // has no like in HTTP/2
	free   bool     // asked for without a secret
}

// How bodies are framed in HTTP/1.1; HTTP/2 says their length or does not.
const (
	sized   = ""         // Content-Length
	chunked = "chunks"   // many of odd sizes, with an extension
	closed  = "close"    // until the end of the connection
	old     = "HTTP/1.0" // the same, of an older server
	none    = "none"     // no body, and no length but one that head says
)

func (s *shape) want() string {
	if s.plain != "" {
		return s.plain
	}
	return s.body
}

// raw is the answer in HTTP/1.1.
func (s *shape) raw() string {
	var b strings.Builder
	for _, h := range s.hints {
		fmt.Fprintf(&b, "HTTP/1.1 103 Early Hints\r\n%s\r\n\r\n", h)
	}
	status := cmp.Or(s.status, 200)
	version := "HTTP/1.1"
	if s.frame == old {
		version = old
	}
	fmt.Fprintf(&b, "%s%s %d %s\r\n", s.before, version, status, http.StatusText(status))
	for _, h := range s.head {
		b.WriteString(h + "\r\n")
	}
	switch s.frame {
	case sized:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(s.body), s.body)
	case chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for body, n := s.body, 1; body != ""; n = n*3 + 1 {
			n = min(n, len(body))
			fmt.Fprintf(&b, "%x;a=b\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		b.WriteString("0\r\n" + strings.Join(append(s.tail, ""), "\r\n") + "\r\n")
	default:
		b.WriteString("\r\n" + s.body)
	}
	return b.String()
}

// ServeHTTP is the answer in HTTP/2.
func (s *shape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, l := range s.hints {
		name, value, _ := strings.Cut(l, ": ")
		h.Set(name, value)
		w.WriteHeader(http.StatusEarlyHints)
		h.Del(name)
	}
	h["Date"], h["Content-Type"] = nil, nil // or net/http would add its own
	for _, l := range s.head {
		if name, value, _ := strings.Cut(l, ": "); !slices.Contains([]string{"Connection", "Keep-Alive", "Trailer"}, name) {
			h.Add(name, value)
		}
	}
	if s.frame == sized {
		h.Set("Content-Length", strconv.Itoa(len(s.body)))
	}
	w.WriteHeader(cmp.Or(s.status, 200))
	_ = http.NewResponseController(w).Flush()
	_, _ = io.WriteString(w, s.body)
	for _, l := range s.tail {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(http.TrailerPrefix+name, value)
	}
}

// shapeAt is the shape that a request for /NUMBER asks for.
func shapeAt(shapes []shape, r *http.Request) *shape {
	n, _ := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
	return &shapes[n]
}

// shaping makes api.test an upstream that speaks HTTP/1.1 and answers with those shapes.
func shaping(shapes []shape) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.serveTLS(o, []string{"http/1.1"}, func(conn *tls.Conn) {
			for br := bufio.NewReader(conn); ; {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				s := shapeAt(shapes, r)
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(conn, s.raw())
				if s.frame == closed || s.frame == old {
					_ = conn.Close()
					return
				}
			}
		})
	}
}

// hopHeaders are of the upstream's connection, in either version.
var hopHeaders = []string{"Connection", "Keep-Alive", "Alt-Svc", "Proxy-Authenticate", "Upgrade"}

// check holds that the client gets all of s.
func (s *shape) check(t *testing.T, b *bed, path string) {
	r := b.request(cmp.Or(s.method, "GET"), "https://api.test"+path, "", s.ask...)
	if r.Method == "POST" {
		r = b.request(r.Method, r.URL.String(), "question", s.ask...)
	}
	if !s.free {
		r.Header.Set("Authorization", "Bearer "+b.mask("KEY"))
	}
	var hints []string
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, " ", h))
		return nil
	}}))
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%d, and after %d bytes: %v", resp.StatusCode, len(body), err)
	}
	if resp.StatusCode != cmp.Or(s.status, 200) {
		t.Errorf("status %d %s", resp.StatusCode, body)
	}
	if string(body) != s.want() {
		t.Errorf("the body is %d bytes, want %d: %.100q", len(body), len(s.want()), body)
	}
	want := s.header()
	for name, values := range resp.Header {
		if !slices.Equal(values, want[name]) {
			t.Errorf("%s: %q, want %q", name, values, want[name])
		}
	}
	for name := range want {
		if resp.Header[name] == nil {
			t.Errorf("%s is gone", name)
		}
	}
	trailer := http.Header{}
	for _, l := range s.tail {
		name, value, _ := strings.Cut(l, ": ")
		trailer.Add(name, value)
	}
	if fmt.Sprint(http.Header(resp.Trailer)) != fmt.Sprint(trailer) {
		t.Errorf("trailers %v, want %v", resp.Trailer, trailer)
	}
	var wantHints []string
	for _, h := range s.hints {
		name, value, _ := strings.Cut(h, ": ")
		wantHints = append(wantHints, fmt.Sprint(103, " ", textproto.MIMEHeader{name: {value}}))
	}
	if !slices.Equal(hints, wantHints) {
		t.Errorf("hints %q, want %q", hints, wantHints)
	}
}

// header is what arrives of the head.
func (s *shape) header() http.Header {
	want := http.Header{}
	for _, l := range s.head {
		name, value, _ := strings.Cut(l, ": ")
		want.Add(name, value)
	}
	for _, name := range slices.Concat(hopHeaders, s.gone) {
		want.Del(name)
	}
	if s.frame == sized && s.length == 0 {
		want.Set("Content-Length", strconv.Itoa(len(s.want())))
	} else if s.length > 0 {
		want.Set("Content-Length", strconv.Itoa(s.length))
	}
	// What net/http takes for itself.
	want.Del("Trailer")
	return want
}

func TestAnswersOfEveryShapePassAsTheyAre(t *testing.T) {
	t.Parallel()
	shapes := worldShapes(t)
	h1 := newBed(t, shaping(shapes), keyPlaces("header"))
	h2 := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) { shapeAt(shapes, r).ServeHTTP(w, r) }), keyPlaces("header"))
	h2.client = h2.newClient(true)
	for version, b := range map[string]*bed{"HTTP/1.1": h1, "HTTP/2": h2} {
		for i, s := range shapes {
			if b == h2 && s.h1 {
				continue
			}
			t.Run(fmt.Sprintf("%s by %s: %s", s.name, version, s.why), func(t *testing.T) { s.check(t, b, "/"+strconv.Itoa(i)) })
		}
	}
}
