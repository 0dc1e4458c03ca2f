package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kz/resolver"
)

// What `kz proxy --health` answers, without a credential: /healthz says that the process lives and is not about to end,
// /readyz that a client may be started. Neither has the name of a secret in it.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// lifeState is how far a session is.
type lifeState int32

const (
	starting lifeState = iota // values are fetched, files are written
	serving
	stopping
)

// life is a session as those two paths show it. Safe for concurrent use.
type life struct {
	report func() []resolver.Status
	fetch  func(ctx context.Context, name string) // asks for a value again
	now    func() time.Time

	state atomic.Int32

	mu    sync.Mutex
	asked time.Time // when values that are missing were last asked for
}

func (l *life) set(s lifeState) { l.state.Store(int32(s)) }

// healthReply is the body of an answer.
type healthReply struct {
	Status   string                   `json:"status"` // of healthWords
	Backends map[string]backendHealth `json:"backends,omitempty"`
}

type backendHealth struct {
	Secrets int `json:"secrets"`
	OK      int `json:"ok"` // of which there is a value that may be used
}

// The words of Status.
const (
	wordStarting    = "starting"
	wordServing     = "serving"
	wordReady       = "ready"
	wordUnavailable = "secrets unavailable"
	wordStopping    = "stopping"
)

// alive is the answer of /healthz.
func (l *life) alive() (int, healthReply) {
	switch lifeState(l.state.Load()) {
	case stopping:
		return http.StatusServiceUnavailable, healthReply{Status: wordStopping}
	case starting:
		return http.StatusOK, healthReply{Status: wordStarting}
	}
	return http.StatusOK, healthReply{Status: wordServing}
}

// ready is the answer of /readyz. Values that cannot be used are asked for again meanwhile: where nobody uses a secret,
// nothing else would find out that its store is back.
func (l *life) ready() (int, healthReply) {
	reply := healthReply{Backends: map[string]backendHealth{}}
	var missing []string
	for _, s := range l.report() {
		b := reply.Backends[s.Backend]
		b.Secrets++
		if usable(s, l.now()) {
			b.OK++
		} else {
			missing = append(missing, s.Name)
		}
		reply.Backends[s.Backend] = b
	}
	state := lifeState(l.state.Load())
	switch {
	case state == stopping:
		reply.Status = wordStopping
	case state == starting:
		reply.Status = wordStarting
	case len(missing) > 0:
		reply.Status = wordUnavailable
		l.again(missing)
	default:
		reply.Status = wordReady
		return http.StatusOK, reply
	}
	return http.StatusServiceUnavailable, reply
}

// usable: there is a value, and the store has not failed for as long as it may.
func usable(s resolver.Status, now time.Time) bool {
	if s.ResolvedAt.IsZero() {
		return false
	}
	return s.Err == nil || s.Stale || now.Before(s.RefreshAt)
}

// askAgainEvery is how often a prober, or who passes for one, makes kz ask stores that fail.
const askAgainEvery = 10 * time.Second

func (l *life) again(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.asked) >= askAgainEvery {
		l.asked = now
		for _, name := range names {
			go l.fetch(context.Background(), name) // the cache bounds it
		}
	}
}

// routes are the two paths.
func (l *life) routes() map[string]http.HandlerFunc {
	answer := func(of func() (int, healthReply)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			code, reply := of()
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Connection", "close") // a prober comes anew each time
			w.WriteHeader(code)
			_ = writeLine(w, reply)
		}
	}
	return map[string]http.HandlerFunc{healthPath: answer(l.alive), readyPath: answer(l.ready)}
}

// healthPatience is less than what Docker and Kubernetes are told to wait for a probe.
const healthPatience = 3 * time.Second

// notHealthy is the exit code for which Docker calls a container unhealthy.
const notHealthy = 1

// askHealth is `kz status --health`: it asks a `kz proxy --health` whether it is ready. It is for images that have nothing
// else to ask with, and tells nothing that is not open to all who reach the address.
func (a *app) askHealth(ctx context.Context, address string) error {
	address, err := sideAddress("--health", "9465", address)
	if err != nil {
		return err
	}
	unhealthy := func(hint, format string, args ...any) error {
		return &cliError{err: fmt.Errorf(format, args...), hint: hint, code: notHealthy}
	}
	none := "`kz proxy --health PORT` answers there, while it runs"
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+readyPath, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, // none of the environment's proxies
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return unhealthy(none, "nothing answers on %s", address)
	}
	defer resp.Body.Close()
	var reply healthReply
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxControlReply))
	if err != nil || json.Unmarshal(body, &reply) != nil || reply.Status == "" {
		return unhealthy(none, "what answers on %s is no kz", address)
	}
	if resp.StatusCode == http.StatusOK {
		_, err := fmt.Fprintln(a.stdout, oneLine(reply.Status))
		return err
	}
	hint := "ask again in a moment"
	if reply.Status == wordUnavailable {
		hint = "`kz status` says why, with the configuration and the environment of that kz"
	}
	return unhealthy(hint, "kz proxy on %s is not ready: %s", address, reply.says())
}

// says is the status with the backends that are not well.
func (r healthReply) says() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Backends)) {
		if b := r.Backends[name]; b.OK < b.Secrets {
			parts = append(parts, fmt.Sprintf("%s %d of %d", oneLine(name), b.OK, b.Secrets))
		}
	}
	if len(parts) == 0 {
		return oneLine(r.Status)
	}
	return oneLine(r.Status) + " (" + strings.Join(parts, ", ") + ")"
}
