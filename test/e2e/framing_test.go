package e2e_test

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/ca"
	"kz/test/bed"
	"kz/test/framing"
)

// framingBed is one kz before all servers of test/framing.
type framingBed struct {
	*bed.Bed
	client  *child
	mask    string
	value   string
	origins []*framing.Origin
}

// startFraming starts kz and the servers; each is the host NAME.test, to which API_KEY is bound.
func startFraming(t *testing.T) *framingBed {
	t.Helper()
	b := bed.New(t)
	authority, err := ca.New(ca.Options{Name: "framing"})
	if err != nil {
		t.Fatal(err)
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
	if err := os.WriteFile(b.Path("etc/ca.pem"), roots, 0o600); err != nil {
		t.Fatal(err)
	}
	value := b.Secret("API_KEY", `hosts = ["*.framing.test"]`)
	f := &framingBed{Bed: b, value: value}
	for _, kind := range framing.Kinds {
		leaf, err := minter.Leaf(kind.Name + ".framing.test")
		if err != nil {
			t.Fatal(err)
		}
		o, err := framing.Start(kind, framing.Options{Program: framing.Program(t, kind), Dir: t.TempDir(), Certificate: leaf, Value: value})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		})
		b.Pin(kind.Name+".framing.test:443", o.Addr)
		f.origins = append(f.origins, o)
	}
	p := b.StartProxy()
	f.client = &child{Process: p.Process, env: variables(p.Env)}
	f.mask = p.Get("API_KEY")
	return f
}

// end stops kz. That the value is nowhere in what it wrote is looked at as it is: the audit is long, and its other forms
// are for other tests.
func (f *framingBed) end(t *testing.T) {
	t.Helper()
	res := f.client.Stop()
	file, err := os.ReadFile(f.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(res.Output()+string(file), f.value) {
		t.Error("the value is in the audit or in what kz prints")
	}
	res.Exits(t, 0)
}

// said is what came of one case at one origin.
type said struct {
	name, id string
	value    string
	expected []wanted
	early    bool
	odd      bool
	cut      bool // what is sent on may end in the middle

	statuses   []string // kz's own answers as `kz 400`, the origin's as `403`
	answers    int      // by the origin
	neighbours int      // how many requests of another client came behind it
	ends       bool     // the last answer says that it is the last
	closed     bool     // by kz, after the case
}

// wanted is a request that the origin must get.
type wanted struct{ method, target, body string }

func (c hostile) wants(id string, fill *strings.Replacer) []wanted {
	var list []wanted
	for _, s := range c.sent {
		method, rest, _ := strings.Cut(s, " ")
		path, body, _ := strings.Cut(rest, " ")
		target := id + "/" + path
		switch {
		case path == "*":
			target = path
		case c.early:
			target = "/early" + target
		}
		list = append(list, wanted{method, target, fill.Replace(body)})
	}
	return list
}

// TestFraming has a client say odd things over HTTP/1.1, through kz, to servers that each read in their own way. For each
// case and server: the requests that the server read are those that kz counts as sent on and those that were answered,
// never more; each is written in one way; and the next request, of this client and of another one, gets its own answer.
func TestFraming(t *testing.T) {
	t.Parallel()
	f := startFraming(t)
	cases := slices.Concat(twoFramings, oddHeads)
	for _, c := range oddChunks {
		c.begun = len(c.sent) == 0 // nothing is wrong with their heads
		cases = append(cases, c)
	}
	results := make([][]*said, len(f.origins))
	t.Run("origins", func(t *testing.T) {
		for i, o := range f.origins {
			t.Run(o.Name, func(t *testing.T) {
				t.Parallel()
				host := o.Name + ".framing.test"
				other := f.client.client(t, false)
				for n, c := range cases {
					id := fmt.Sprintf("/c%03d", n)
					results[i] = append(results[i], f.say(t, host, id, c))
					f.neighbour(t, other, host, results[i][n])
				}
				f.compare(t, o, results[i], len(cases)/4)
			})
		}
	})
	f.table(t, results)
	f.end(t)
}

// filled puts a case's own words in.
func (f *framingBed) filled(host, id string) *strings.Replacer {
	head := "Host: " + host + "\r\nAuthorization: Bearer " + f.mask + "\r\n"
	smuggled := "GET " + id + "/smuggled HTTP/1.1\r\n" + head + "\r\n"
	return strings.NewReplacer("HEAD ", "HEAD ", "HEAD", head, "SMUGGLED", smuggled, "LENGTH", fmt.Sprint(len(smuggled)),
		"CHUNK\r", fmt.Sprintf("%x\r", len(smuggled)), "ID/", id+"/", "HOST", host, "MASK", f.mask)
}

// say sends one case and reads what comes back.
func (f *framingBed) say(t *testing.T, host, id string, c hostile) *said {
	t.Helper()
	fill := f.filled(host, id)
	s := &said{name: c.name, id: id, value: f.value, expected: c.wants(id, fill), early: c.early, cut: c.ends || c.begun, odd: c.odd}
	began := time.Now()
	defer func() {
		if d := time.Since(began); d > time.Second {
			t.Logf("%s took %v", c.name, d)
		}
	}()
	conn, err := f.client.inside(t, host+":443", host, "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	// Not waited for: kz may answer, and close, before it has read all.
	go func() {
		_, _ = io.WriteString(conn, fill.Replace(c.raw))
		if c.ends {
			_ = conn.CloseWrite()
		}
	}()
	r := bufio.NewReader(conn)
	for s.read(t, r) && (s.ends || c.ends || c.junk || s.answers < len(s.expected) || len(s.statuses) == 0) {
	}
	if !s.closed {
		// The connection goes on: its next request has its own answer, and nothing comes before or after that.
		before := s.answers
		_, _ = io.WriteString(conn, fill.Replace("GET ID/next HTTP/1.1\r\nHEADConnection: close\r\n\r\n"))
		s.expected = append(s.expected, wanted{"GET", id + "/next", ""})
		for s.read(t, r) {
		}
		if s.early && s.answers == before {
			s.expected = s.expected[:before] // a server that does not read on ends its connection, and may take its answer with it
		} else if s.answers != before+1 {
			t.Errorf("%s: the next request on the connection: %v", s.name, s.statuses)
		}
	}
	return s
}

// read reads one answer. It reports false when there is none.
func (s *said) read(t *testing.T, r *bufio.Reader) bool {
	t.Helper()
	method := "GET"
	if s.answers < len(s.expected) {
		method = s.expected[s.answers].method
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		if left, _ := r.Peek(1); len(left) > 0 {
			t.Errorf("%s: what comes is no answer: %v", s.name, err)
		}
		s.closed = true
		return false
	}
	if s.ends {
		t.Errorf("%s: an answer after the last: %s", s.name, resp.Status)
	}
	s.ends = resp.Close
	body, err := io.ReadAll(resp.Body)
	if strings.Contains(text(resp)+string(body), s.value) {
		t.Errorf("%s: the value came back", s.name)
	}
	if err != nil && !s.early {
		t.Errorf("%s: reading the answer: %v", s.name, err)
	}
	switch {
	case resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
		return true
	case !fromOrigin(resp.Header):
		s.statuses = append(s.statuses, fmt.Sprintf("kz %d %s", resp.StatusCode, resp.Header.Get("Kz-Error")))
		if resp.Header.Get("Kz-Error") == "" && !resp.Close {
			t.Errorf("%s: net/http refuses it and goes on: %d %s", s.name, resp.StatusCode, body)
		}
		return true
	}
	s.statuses = append(s.statuses, fmt.Sprint(resp.StatusCode))
	if s.answers < len(s.expected) {
		if want := s.expected[s.answers].target; resp.StatusCode == 200 && resp.Header.Get("X-Target") != want && want != "*" {
			t.Errorf("%s: got the answer to %s, want that to %s", s.name, resp.Header.Get("X-Target"), want)
		}
	}
	s.answers++
	return true
}

// fromOrigin reports whether an answer is a server's and not kz's own.
func fromOrigin(h http.Header) bool { return h.Get("X-Origin") != "" || h.Get("Server") != "" }

// neighbour has another client use the pools that the case has used.
func (f *framingBed) neighbour(t *testing.T, client *http.Client, host string, s *said) {
	t.Helper()
	if len(s.expected) == 0 && !s.cut {
		return // it has used none
	}
	s.neighbours = 2
	f.asks(t, client, "GET", host, s.id+"/n1", s, 1)
	// A server may end its connection after an early answer without saying so. What has been written to it by then is lost,
	// and kz does not send a POST twice: that is for the client to decide.
	attempts := 1
	if s.early {
		attempts = 2
	}
	f.asks(t, client, "POST", host, s.id+"/n2", s, attempts)
}

// asks makes a request which must get its own answer, after at most so many attempts whose connection was lost.
func (f *framingBed) asks(t *testing.T, client *http.Client, method, host, target string, s *said, attempts int) {
	t.Helper()
	for left := attempts; ; {
		var body io.Reader
		if method == "POST" {
			body = io.MultiReader(strings.NewReader("neighbour")) // of unknown length
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+host+target, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: the request of another client: %v", s.name, err)
			return
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if left--; left > 0 && resp.Header.Get("Kz-Error") == "upstream_unreachable" {
			continue
		}
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Target") != target {
			t.Errorf("%s: the request of another client for %s: %d %s %s %v", s.name, target, resp.StatusCode, resp.Header.Get("X-Target"), text, err)
		}
		return
	}
}
