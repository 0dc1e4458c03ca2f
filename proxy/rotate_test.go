package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

func TestARejectedRequestIsRepeatedOnceWithANewValue(t *testing.T) {
	t.Parallel()
	const next = "rotated-value-8c1e"
	for _, c := range []struct {
		name, method, body string
		changes            bool
		sent               int32
		status             int
	}{
		{"GET", "GET", "", true, 2, 200},
		{"PUT with a held body", "PUT", "token", true, 2, 200},
		{"POST is not idempotent", "POST", "token", true, 1, 401},
		{"the value did not change", "GET", "", false, 1, 401},
		{"no secret in the request", "GET", "none", true, 1, 401},
	} {
		var sent, asked atomic.Int32
		b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
			o.Rejected = func(_ context.Context, names []string) error {
				asked.Add(1)
				if !slices.Equal(names, []string{"KEY"}) {
					t.Errorf("%s: asked for %v", c.name, names)
				}
				if c.changes {
					b.values.Store("KEY", next)
					return b.proxy.Learn("KEY", resolver.NewSecret(next))
				}
				return nil
			}
			b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("Authorization") != "Bearer "+next && !strings.Contains(string(body), next) {
					w.WriteHeader(401)
				}
				_, _ = w.Write([]byte("old " + keyValue + " new " + next))
			})
		})
		r := b.request(c.method, "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))
		switch c.body {
		case "token":
			r = b.request(c.method, "https://api.test/", `{"token":"`+b.mask("KEY")+`"}`, "Content-Type: application/json")
		case "none":
			r.Header.Del("Authorization")
		}
		a := b.do(r)
		if a.StatusCode != c.status || sent.Load() != c.sent {
			t.Errorf("%s: status %d, sent %d times", c.name, a.StatusCode, sent.Load())
		}
		if (c.body == "none") != (asked.Load() == 0) {
			t.Errorf("%s: the store was asked %d times", c.name, asked.Load())
		}
		if c.status == 200 && a.body != "old "+b.mask("KEY")+" new "+b.mask("KEY") {
			t.Errorf("%s: %s", c.name, a.body)
		}
		e := b.event(func(e audit.Event) bool { return e.Kind == audit.Request })
		if want := map[bool]int{true: 0, false: 1}[c.body == "none"]; len(e.Swapped) != want {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// renewedThenGone has a newer value be there when it is looked for after a 401, and gone when it is to be sent.
func renewedThenGone(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
	var left atomic.Int32
	left.Store(-1)
	o.Rejected = func(context.Context, []string) error { left.Store(1); return nil }
	values := o.Values
	o.Values = func(ctx context.Context, name string) (resolver.Secret, error) {
		switch left.Add(-1) {
		case 0:
			return resolver.NewSecret("rotated-value-8c1e"), nil
		case -1:
			return resolver.Secret{}, errors.New("gone")
		}
		left.Store(-1)
		return values(ctx, name)
	}
}

func TestARejectionStandsWhenThereIsNoNewValueToSend(t *testing.T) {
	t.Parallel()
	b := newBed(t, renewedThenGone, func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) })
	})
	if a := b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))); a.StatusCode != 401 {
		t.Error(a.Status)
	}
	if e := b.event(func(e audit.Event) bool { return e.Status == 401 }); len(e.Swapped) != 1 {
		t.Errorf("the audit forgot what was sent: %+v", e)
	}
}

func TestARejectionInAnUnknownCodingIsRefusedAlsoAfterAFailedRepetition(t *testing.T) {
	t.Parallel()
	b := newBed(t, renewedThenGone, func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Encoding", "odd")
			w.WriteHeader(401)
			_, _ = w.Write([]byte("coded"))
		})
	})
	r := b.request("PUT", "https://api.test/", `{"token":"`+b.mask("KEY")+`"}`, "Content-Type: application/json")
	b.refused(b.do(r), 502, "response_unscannable")
}
