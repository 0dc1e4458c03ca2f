package agents_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"kz/test/origin"
)

type object = map[string]any

// modelAPI plays the API of a model for an agent: each turn is answered with the next call of a tool, and with the text
// "all done with KEY" when none is left: an API that says the key that it was given.
type modelAPI struct {
	addr  string // of the API, with TLS
	plain string // of the same in cleartext, for an agent that runs without kz

	speaks dialect
	key    string // the real one: without it a turn is refused
	calls  []call

	mu      sync.Mutex
	turns   []turn
	results []string // what the calls gave, in order
	others  []string // requests that are no turns
	refused int      // turns without the key
}

// call is what the model wants done: a command of the shell, or a tool of an MCP server.
type call struct {
	shell string
	tool  string // mcp__SERVER__TOOL
	input object
}

// turn is a request to the model.
type turn struct {
	over    string // the protocol
	body    []byte
	results []string // of calls
	goesOn  bool     // results has only what is new since the last turn
	aside   bool     // not part of the dialogue: to warm up, or for a title
}

// dialect is how an API speaks.
type dialect interface {
	path() string
	// credential is what stands for the key in a request.
	credential(h http.Header) string
	read(body []byte) (turn, error)
	// answer is the list of events that call a tool, or say words when there is no call. n numbers the turns.
	answer(n int, c *call, words string) []object
	// warm is the answer to a turn aside.
	warm() []object
}

// startModelAPI serves an API in the name of a host of the origin's.
func startModelAPI(t *testing.T, o *origin.Origin, speaks dialect, key string) *modelAPI {
	t.Helper()
	a := &modelAPI{speaks: speaks, key: key}
	for _, secure := range []bool{true, false} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: a, ErrorLog: log.New(io.Discard, "", 0)}
		serve := func() error { return srv.Serve(ln) }
		if a.plain = ln.Addr().String(); secure {
			a.addr, srv.TLSConfig = a.plain, o.TLS("h2", "http/1.1")
			serve = func() error { return srv.ServeTLS(ln, "", "") }
		}
		done := make(chan error, 1)
		go func() { done <- serve() }()
		t.Cleanup(func() {
			_ = srv.Close()
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serving the API: %v", err)
			}
		})
	}
	return a
}

func (a *modelAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket := r.Method == http.MethodGet && r.Header.Get("Upgrade") == "websocket"
	if r.URL.Path != a.speaks.path() || r.Method != http.MethodPost && !socket {
		a.mu.Lock()
		a.others = append(a.others, r.Method+" "+r.URL.Path)
		a.mu.Unlock()
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	if a.speaks.credential(r.Header) != a.key {
		a.mu.Lock()
		a.refused++
		a.mu.Unlock()
		http.Error(w, `{"type":"error","error":{"type":"authentication_error","message":"wrong key"}}`, http.StatusUnauthorized)
		return
	}
	if socket {
		a.socket(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	list, err := a.next("POST", body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, event := range list {
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event["type"], encode(event))
		_ = http.NewResponseController(w).Flush()
	}
}

// socket takes turns as messages.
func (a *modelAPI) socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(16 << 20)
	for {
		_, body, err := c.Read(r.Context())
		if err != nil {
			return
		}
		list, err := a.next("WebSocket", body)
		if err != nil {
			_ = c.Close(websocket.StatusPolicyViolation, "not a turn")
			return
		}
		for _, event := range list {
			if c.Write(r.Context(), websocket.MessageText, encode(event)) != nil {
				return
			}
		}
	}
}

// next notes a turn and makes its answer.
func (a *modelAPI) next(over string, body []byte) ([]object, error) {
	turn, err := a.speaks.read(body)
	if err != nil {
		return nil, err
	}
	turn.over, turn.body = over, body
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turns = append(a.turns, turn)
	if turn.aside {
		return a.speaks.warm(), nil
	}
	if turn.goesOn {
		turn.results = slices.Concat(a.results, turn.results)
	}
	a.results = turn.results
	if n := len(a.results); n < len(a.calls) {
		return a.speaks.answer(n, &a.calls[n], ""), nil
	}
	return a.speaks.answer(len(a.calls), nil, "all done with "+a.key), nil
}

// said is what has come so far: the turns, the results of calls, requests that are no turns, and turns without the key.
func (a *modelAPI) said() (turns []turn, results, others []string, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.turns), slices.Clone(a.results), slices.Clone(a.others), a.refused
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
