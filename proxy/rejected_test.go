package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
	"kz/resolver/resolvertest"
)

// rotatedValue is what KEY becomes in its store.
const rotatedValue = "rotated-value-8c1e"

// rotation is a bed whose values come from a store, through a cache as in kz itself, and whose api.test answers 401 unless
// a request carries what the store has for KEY.
type rotation struct {
	*bed
	store *resolvertest.Fake
	cache *resolver.Cache
	sent  atomic.Int32 // requests at api.test
	// answer, if set, is for what is accepted; else it tells both values.
	answer http.HandlerFunc
	// reject, if set, answers what is not accepted; else it is a plain 401.
	reject http.HandlerFunc
	needs  atomic.Pointer[string]
	ahead  atomic.Int64 // how far the cache's clock is, in nanoseconds
}

func newRotation(t *testing.T, options ...bedOption) *rotation {
	t.Helper()
	ro := &rotation{store: resolvertest.NewFake(map[string]string{"KEY": keyValue, "OTHER": otherValue})}
	ro.accept(keyValue)
	options = append([]bedOption{func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		var list []resolver.Source
		for _, name := range []string{"KEY", "OTHER"} {
			list = append(list, resolver.Source{Name: name, Backend: "store", Resolver: ro.store, Ref: resolver.Ref{ID: name}, TTL: -1})
		}
		var err error
		ro.cache, err = resolver.NewCache(resolver.CacheOptions{Sources: list, OnValue: func(name string, s resolver.Secret) error { return b.proxy.Learn(name, s) },
			Now: func() time.Time { return time.Now().Add(time.Duration(ro.ahead.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		o.Values, o.Rejected = ro.cache.Get, ro.cache.Refresh
		b.handler = http.HandlerFunc(ro.serve)
	}}, options...)
	ro.bed = newBed(t, options...)
	if err := ro.cache.ResolveAll(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return ro
}

// accept has api.test take no other value of KEY.
func (ro *rotation) accept(value string) { ro.needs.Store(&value) }

// rotate changes KEY in its store and at api.test.
func (ro *rotation) rotate() {
	ro.store.Set("KEY", rotatedValue)
	ro.accept(rotatedValue)
}

func (ro *rotation) serve(w http.ResponseWriter, r *http.Request) {
	ro.sent.Add(1)
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if needs := *ro.needs.Load(); !strings.Contains(fmt.Sprint(r.Header)+string(body), needs) {
		if ro.reject != nil {
			ro.reject(w, r)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "not "+r.Header.Get("Authorization"))
		return
	}
	if ro.answer != nil {
		ro.answer(w, r)
		return
	}
	_, _ = io.WriteString(w, "old "+keyValue+" new "+rotatedValue)
}

// keyed is a request with KEY as its bearer token.
func (ro *rotation) keyed(method, body string, header ...string) *http.Request {
	return ro.request(method, "https://api.test/", body, append(header, "Authorization: Bearer "+ro.mask("KEY"))...)
}

// expect holds how a request went, how many times one was sent since the last look, and how often KEY was fetched in all.
func (ro *rotation) expect(what string, a answer, status int, sent int32, fetched int) {
	ro.t.Helper()
	if n := ro.sent.Swap(0); a.StatusCode != status || n != sent || ro.store.Calls("KEY") != fetched {
		ro.t.Errorf("%s: status %d, sent %d times, fetched %d times; want %d, %d, %d", what, a.StatusCode, n, ro.store.Calls("KEY"), status, sent, fetched)
	}
	if strings.Contains(a.body, rotatedValue) {
		ro.t.Errorf("%s: the client received the new value", what)
	}
}

func TestARotatedValueIsSentWithoutTheClientNoticing(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2 %v", h2), func(t *testing.T) {
			t.Parallel()
			ro := newRotation(t)
			ro.client = ro.newClient(h2)
			ro.rotate()
			a := ro.do(ro.keyed("GET", ""))
			ro.expect("a GET", a, 200, 2, 2)
			mask := ro.mask("KEY")
			if want := "old " + mask + " new " + mask; a.body != want || (a.ProtoMajor == 2) != h2 {
				t.Errorf("%s: %s", a.Proto, a.body)
			}
			if e := ro.event(func(e audit.Event) bool { return e.Status == 200 }); len(e.Swapped) != 1 {
				t.Errorf("%+v", e)
			}
			ro.expect("the next", ro.do(ro.keyed("GET", "")), 200, 1, 2)

			// The newest value is refused too: it is asked for no more, and nothing is sent twice.
			ro.accept("another-value-altogether")
			for range 3 {
				a = ro.do(ro.keyed("GET", ""))
				ro.expect("a refusal of the newest value", a, 401, 1, 2)
			}
			if a.body != "not Bearer "+mask {
				t.Errorf("the 401 is not as it came: %s", a.body)
			}
		})
	}
}

func TestAHerdThatIsRejectedFetchesOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		h2   bool
		many int
	}{{true, 200}, {false, 40}} {
		t.Run(fmt.Sprintf("h2 %v", c.h2), func(t *testing.T) {
			t.Parallel()
			ro := newRotation(t)
			ro.client = ro.newClient(c.h2)
			ro.store.Delay(100 * time.Millisecond) // they come while it is fetched, and after
			ro.do(ro.keyed("GET", ""))
			ro.sent.Store(0)
			ro.rotate()
			var all sync.WaitGroup
			for range c.many {
				all.Go(func() {
					if a := ro.do(ro.keyed("GET", "")); a.StatusCode != 200 {
						t.Errorf("status %d", a.StatusCode)
					}
				})
			}
			all.Wait()
			if n := ro.store.Calls("KEY"); n != 2 {
				t.Errorf("fetched %d times", n-1)
			}
			if n := int(ro.sent.Load()); n > 2*c.many {
				t.Errorf("%d requests went up for %d", n, c.many)
			}
		})
	}
}

func TestWhatIsRepeatedAfterARejection(t *testing.T) {
	t.Parallel()
	const jsonType, key = "Content-Type: application/json", "Idempotency-Key: 8e03978e"
	long := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		what, method, body string
		header             []string
		again              bool
	}{
		{"a HEAD", "HEAD", "", nil, true},
		{"an OPTIONS", "OPTIONS", "", nil, true},
		{"a DELETE", "DELETE", "", nil, true},
		{"a PUT with a body that is held", "PUT", `{"a":1}`, []string{jsonType}, true},
		{"a PUT with a body that is too long to be held", "PUT", long, []string{jsonType}, false},
		{"a PUT with a body that is not read", "PUT", "text", []string{"Content-Type: text/plain"}, false},
		{"a POST", "POST", `{"a":1}`, []string{jsonType}, false},
		{"a POST without a body", "POST", "", nil, false},
		{"a POST that its client calls idempotent", "POST", `{"a":1}`, []string{jsonType, key}, true},
		{"a POST that its client calls idempotent, by another name", "POST", "", []string{"X-" + key}, true},
		{"such a POST with a body that is too long to be held", "POST", long, []string{jsonType, key}, false},
		{"a PATCH", "PATCH", `{"a":1}`, []string{jsonType}, false},
		{"a method that nobody knows", "TURN", "", nil, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			ro := newRotation(t)
			var bodies sync.Map
			ro.answer = func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies.Store(string(body), true)
			}
			ro.rotate()
			a := ro.do(ro.keyed(c.method, c.body, c.header...))
			if c.again {
				ro.expect("the first", a, 200, 2, 2)
				if _, ok := bodies.Load(c.body); !ok {
					t.Error("the body is not what it was")
				}
				return
			}
			// It is not sent again, and yet the next one has the new value.
			for end := time.Now().Add(10 * time.Second); ro.store.Calls("KEY") < 2 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			ro.expect("the first", a, 401, 1, 2)
			ro.expect("the next", ro.do(ro.keyed(c.method, c.body, c.header...)), 200, 1, 2)
		})
	}
}

func TestOnlyA401IsARejection(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 404, 407, 429, 500, 503} {
		ro := newRotation(t)
		ro.reject = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		ro.rotate()
		ro.expect(fmt.Sprint(status), ro.do(ro.keyed("GET", "")), status, 1, 1)
	}
}

func TestARejectionAsksForNothingWhereThereIsSomethingNewer(t *testing.T) {
	t.Parallel()
	ro := newRotation(t)
	ro.rotate()
	ro.reject = func(w http.ResponseWriter, _ *http.Request) {
		// While the request was under way, a person has said `kz reload`.
		if changed, err := ro.cache.Renew(t.Context(), []string{"KEY"}); err != nil || len(changed) != 1 {
			t.Errorf("%v, %v", changed, err)
		}
		w.WriteHeader(401)
	}
	ro.expect("a GET", ro.do(ro.keyed("GET", "")), 200, 2, 2)
}

func TestARejectionOfSeveralSecrets(t *testing.T) {
	t.Parallel()
	both := func(b *bed, _ *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		(*secrets)[2].Hosts = hosts(b.t, "api.test")
	}
	t.Run("fetches each, and sends all again with what there is then", func(t *testing.T) {
		t.Parallel()
		ro := newRotation(t, both)
		var last atomic.Value
		ro.answer = func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			last.Store(r.Header.Get("Authorization") + " " + string(body))
		}
		ro.rotate()
		a := ro.do(ro.keyed("PUT", `{"password":"`+ro.mask("OTHER")+`"}`, "Content-Type: application/json"))
		ro.expect("a PUT", a, 200, 2, 2)
		if want := "Bearer " + rotatedValue + ` {"password":"` + otherValue + `"}`; last.Load() != want {
			t.Errorf("sent %v", last.Load())
		}
		if n := ro.store.Calls("OTHER"); n != 2 {
			t.Errorf("OTHER was fetched %d times", n)
		}
		if e := ro.event(func(e audit.Event) bool { return e.Status == 200 }); len(e.Swapped) != 2 {
			t.Errorf("%+v", e.Swapped)
		}
	})
	t.Run("leaves those alone that it did not carry", func(t *testing.T) {
		t.Parallel()
		ro := newRotation(t, both)
		ro.rotate()
		a := ro.do(ro.request("GET", "https://api.test/", "", "Authorization: Bearer "+ro.mask("OTHER")))
		ro.expect("a GET with another secret", a, 401, 1, 1)
		a = ro.do(ro.request("GET", "https://api.test/", ""))
		ro.expect("a GET without any", a, 401, 1, 1)
	})
}

func TestARejectionThatStreams(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		ro := newRotation(t)
		ro.client = ro.newClient(h2)
		ro.reject = func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "denied "+keyValue+"\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		ro.answer = func(w http.ResponseWriter, _ *http.Request) {
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "data: %d %s\n\n", i, rotatedValue)
				_ = http.NewResponseController(w).Flush()
			}
		}
		ro.rotate()
		a := ro.do(ro.keyed("GET", "")) // the 401 has no end, and is not waited for
		ro.expect("an answer that streams", a, 200, 2, 2)
		if want := "data: 2 " + ro.mask("KEY"); !strings.Contains(a.body, want) {
			t.Errorf("%s", a.body)
		}
		// One that stands is passed on as it comes.
		ro.accept("another-value-altogether")
		resp, err := ro.client.Do(ro.keyed("GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("denied "+ro.mask("KEY")))
		if _, err := io.ReadFull(resp.Body, line); err != nil || resp.StatusCode != 401 || string(line) != "denied "+ro.mask("KEY") {
			t.Errorf("%d %q %v", resp.StatusCode, line, err)
		}
		_ = resp.Body.Close()
	}
}

func TestARejectedWebSocketIsOpenedWithTheNewValue(t *testing.T) {
	t.Parallel()
	ro := newRotation(t)
	ro.answer = func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		echo(r.Context(), c)
	}
	ro.rotate()
	ctx, c := ro.dial()
	if err := c.Write(ctx, websocket.MessageText, []byte("tell")); err != nil {
		t.Fatal(err)
	}
	_, data, err := c.Read(ctx)
	if want := "it is " + ro.mask("KEY") + "."; err != nil || string(data) != want {
		t.Errorf("%q %v", data, err)
	}
	if ro.sent.Load() != 2 || ro.store.Calls("KEY") != 2 {
		t.Errorf("sent %d times, fetched %d times", ro.sent.Load(), ro.store.Calls("KEY"))
	}
}

func TestAStoreThatIsAwayHoldsARejectionUpForSecondsOnly(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		var asked atomic.Int32
		ro := newRotation(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
			o.Rejected = func(ctx context.Context, _ []string) error {
				asked.Add(1)
				switch end, ok := ctx.Deadline(); {
				case method == "POST" && ctx.Err() == nil:
					t.Error("a POST, which will not be sent again, waits")
				case !ok || time.Until(end) > 10*time.Second:
					t.Errorf("it waits until %v", end)
				}
				return errors.New("away")
			}
		})
		ro.rotate()
		ro.expect(method, ro.do(ro.keyed(method, "")), 401, 1, 1)
		if asked.Load() != 1 {
			t.Errorf("%s: asked %d times", method, asked.Load())
		}
	}
}
