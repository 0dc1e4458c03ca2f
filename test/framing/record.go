package framing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Seen is one request as the server's own log has it.
type Seen struct {
	Conn     string // the port of the client's side of its connection
	Status   int
	Length   string // Content-Length; "" or "-" when there was none
	Encoding string // Transfer-Encoding, likewise
	Line     string // the request line
}

// Taken is one request that came whole to the application.
type Taken struct {
	Method, Target   string
	Length, Encoding string
	Sum              string            // SHA-256 of the body in hex
	Value            bool              // Options.Value stood in it
	Header           map[string]string // by lower-case name; not of every kind complete
	Trailer          map[string]string
}

// Sum is what Taken.Sum is for body.
func Sum(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Seen lists the requests in the order in which they were logged.
func (o *Origin) Seen() ([]Seen, error) {
	text, err := o.Log()
	var list []Seen
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "seen|")
		f := strings.SplitN(strings.TrimSuffix(rest, "\n"), "|", 5)
		if !ok || !strings.HasSuffix(line, "\n") {
			continue
		}
		if len(f) != 5 {
			return nil, fmt.Errorf("reading the log of %s: %q", o.Name, line)
		}
		none := func(s string) string { return strings.TrimSuffix(s, "-") }
		status, _ := strconv.Atoi(f[1])
		list = append(list, Seen{f[0], status, none(f[2]), none(f[3]), f[4]})
	}
	return list, err
}

// Taken lists the requests in the order in which they were complete.
func (o *Origin) Taken() ([]Taken, error) {
	if o.application != nil {
		return o.application.list(), nil
	}
	text, err := o.Log()
	var list []Taken
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "took|")
		if !ok || !strings.HasSuffix(line, "\n") {
			continue
		}
		var t Taken
		if err := json.Unmarshal([]byte(rest), &t); err != nil {
			return nil, fmt.Errorf("reading the output of %s: %w: %s", o.Name, err, line)
		}
		list = append(list, t)
	}
	return list, err
}

// application is what stands behind a server that has none of its own.
type application struct {
	addr   string
	server *http.Server
	value  string

	mu    sync.Mutex
	taken []Taken
}

func startApplication(value string) (*application, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &application{addr: l.Addr().String(), value: value}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: time.Minute, DisableGeneralOptionsHandler: true}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

func (a *application) close() { _ = a.server.Close() }

func (a *application) list() []Taken {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.taken)
}

// ServeHTTP implements http.Handler.
func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	t := Taken{Method: r.Method, Target: r.RequestURI, Sum: Sum(string(body)), Header: flat(r.Header), Trailer: flat(r.Trailer)}
	if r.ContentLength > 0 || r.Header.Get("Content-Length") != "" {
		t.Length = strconv.FormatInt(r.ContentLength, 10)
	}
	t.Encoding = strings.Join(r.TransferEncoding, ", ")
	var all strings.Builder
	_ = r.Header.Write(&all)
	_ = r.Trailer.Write(&all)
	t.Value = strings.Contains(r.RequestURI+"\n"+all.String()+string(body), a.value)
	a.mu.Lock()
	a.taken = append(a.taken, t)
	a.mu.Unlock()
	w.Header().Set("X-Target", r.RequestURI)
	_, _ = io.WriteString(w, "taken\n")
}

func flat(h http.Header) map[string]string {
	m := map[string]string{}
	for name, values := range h {
		m[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return m
}
