package proxy

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/elazarl/goproxy"
)

// maxRenewal is how long a 401 is held back while the values that it may be about are fetched again. Stores answer in less
// time, their own retries included; one that does not must not hold up an answer for its whole time limit.
const maxRenewal = 10 * time.Second

// sent is a value that has gone into a request.
type sent struct{ secret, value string }

// value is Proxy.value, and notes what this request was sent with.
func (x *exchange) value(ctx context.Context, name string) (string, *refusal) {
	v, ref := x.p.value(ctx, name, x.scope.Authority)
	if ref != nil || x.p.opts.Rejected == nil {
		return v, ref
	}
	s := sent{name, v}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Contains(x.sent, s) {
		x.sent = append(x.sent, s)
	}
	return v, nil
}

// RoundTrip implements goproxy.RoundTripper. A request whose secrets the upstream rejects is sent once more, if that can
// be done safely and a value has changed.
func (x *exchange) RoundTrip(r *http.Request, _ *goproxy.ProxyCtx) (*http.Response, error) {
	resp, err := x.send(r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !x.again(r) {
		return resp, err
	}
	_ = resp.Body.Close() // unread: an upstream that stalls here must not hold the request
	return x.send(r)
}

// again prepares r to be sent once more after a 401. The values it carried are fetched anew, unless there are newer ones
// already; whether any differs is what counts, not whose fetch brought it.
func (x *exchange) again(r *http.Request) bool {
	if x.p.opts.Rejected == nil || !x.stillHolds(r) {
		return false
	}
	x.mu.Lock()
	rejected, swapped := x.sent, x.swapped
	x.mu.Unlock()
	if len(rejected) == 0 || len(swapped) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxRenewal)
	defer cancel()
	repeatable := x.repeatable(r)
	if !repeatable {
		cancel() // the fetch is begun, for the requests that follow; nobody waits for it
	}
	var due []string
	for _, s := range rejected {
		if x.p.current(ctx, s) && !slices.Contains(due, s.secret) {
			due = append(due, s.secret)
		}
	}
	if len(due) > 0 {
		if err := x.p.opts.Rejected(ctx, due); err != nil && repeatable {
			x.p.log.Warn("renewing_secret", "secrets", due, "error", err)
		}
	}
	if !repeatable || !slices.ContainsFunc(rejected, func(s sent) bool { return !x.p.current(ctx, s) }) || !x.stillHolds(r) {
		return false
	}
	x.mu.Lock()
	x.sent, x.swapped = nil, nil
	x.mu.Unlock()
	if x.unedited != nil {
		u := x.unedited.url
		r.Header, r.URL = maps.Clone(x.unedited.header), &u
	}
	if x.edit(r) == nil && (x.body == nil || r.Body == nil || r.Body == http.NoBody || x.body.repeat(r)) {
		return true
	}
	// The answer that was rejected stands, and with it what was sent for it.
	x.mu.Lock()
	x.swapped = swapped
	x.mu.Unlock()
	return false
}

// stillHolds reports whether the policy that the request began under says the same of its host now. A host that was taken
// from a secret in the meantime, perhaps because it cannot be trusted, must not get the new value by its late 401.
func (x *exchange) stillHolds(r *http.Request) bool {
	ic, ok := r.Context().Value(tunnelKey{}).(*interceptConn)
	if !ok {
		return false
	}
	now, ref := x.p.scopeOf(ic)
	return ref == nil && (now == x.scope || reflect.DeepEqual(now.Scope, x.scope.Scope))
}

// current reports whether a value that was sent is what would be sent now. One that cannot be had now is taken to be so:
// nothing newer is known.
func (p *Proxy) current(ctx context.Context, s sent) bool {
	now, err := p.opts.Values(ctx, s.secret)
	return err != nil || now.Reveal() == s.value
}

// repeatable reports whether r may be sent a second time: it is idempotent, by its method (RFC 9110, section 9.2.2) or
// because its client says so with an Idempotency-Key, as net/http takes it too, and its body, if any, is held.
func (x *exchange) repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
	default:
		if r.Header.Get("Idempotency-Key") == "" && r.Header.Get("X-Idempotency-Key") == "" {
			return false
		}
	}
	return r.Body == nil || r.Body == http.NoBody || x.body != nil && x.body.kept() != nil
}
