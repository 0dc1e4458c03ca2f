package cli

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// lived is the life of a session with two secrets, as good for a minute as their store says, and two minutes more.
func lived(t *testing.T) (*life, *resolvertest.Fake) {
	t.Helper()
	fake := resolvertest.NewFake(map[string]string{"a": "canary-one", "b": "canary-two"})
	source := func(name, ref string) resolver.Source {
		return resolver.Source{Name: name, Backend: "store", Resolver: fake, Ref: resolver.Ref{ID: ref}, TTL: time.Minute, MaxStale: 2 * time.Minute}
	}
	cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{source("CANARY_A", "a"), source("CANARY_B", "b")}})
	if err != nil {
		t.Fatal(err)
	}
	return &life{report: cache.Report, now: time.Now, fetch: func(ctx context.Context, name string) { _, _ = cache.Get(ctx, name) }}, fake
}

// asked is what a handler of l's answers to one request.
func asked(l *life, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:9465"
	sideHandler(l.routes(), true).ServeHTTP(w, r)
	return w
}

func TestHealthFollowsASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, fake := lived(t)
		want := func(when string, alive int, ready string) {
			t.Helper()
			a, r := asked(l, "GET", "/healthz"), asked(l, "GET", "/readyz")
			if a.Code != alive {
				t.Errorf("%s: /healthz is %d %s", when, a.Code, a.Body)
			}
			if !strings.HasPrefix(r.Body.String(), `{"status":"`+ready+`","backends":{"store":{"secrets":2,"ok":`) || (r.Code == 200) != (ready == "ready") || r.Code != 200 && r.Code != 503 {
				t.Errorf("%s: /readyz is %d %s", when, r.Code, r.Body)
			}
			if text := a.Body.String() + r.Body.String(); strings.Contains(strings.ToLower(text), "canary") {
				t.Errorf("%s: a secret's name or value is in %s", when, text)
			}
		}
		fetch := func() {
			l.fetch(t.Context(), "CANARY_A")
			l.fetch(t.Context(), "CANARY_B")
		}
		want("before a store is asked", 200, "starting")
		fetch()
		want("before the env file is there", 200, "starting")
		l.set(serving)
		want("when all is there", 200, "ready")
		time.Sleep(time.Hour)
		want("when nothing was asked for in an hour", 200, "ready")
		fetch()
		fake.Fail("a", &resolver.Error{Kind: resolver.Unavailable})
		time.Sleep(2 * time.Minute)
		fetch()
		want("while a store is away and its last value is used", 200, "ready")
		time.Sleep(2 * time.Minute)
		fetch()
		want("when that value may not be used any more", 200, "secrets unavailable")
		fake.Set("a", "canary-one")
		fake.Fail("a", nil)
		time.Sleep(askAgainEvery)
		want("while the store is asked again", 200, "secrets unavailable")
		synctest.Wait()
		want("when the store is back, though nobody but the prober asks", 200, "ready")
		l.set(stopping)
		want("when it stops", 503, "stopping")
	})
}

func TestAProberAsksStoresSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := lived(t)
		var calls atomic.Int32
		l.fetch = func(context.Context, string) { calls.Add(1) }
		l.set(serving)
		for range 100 {
			asked(l, "GET", "/readyz")
			time.Sleep(time.Second / 10)
		}
		synctest.Wait()
		if n := calls.Load(); n != 2 { // 99 times 0.1 s are not yet ten
			t.Errorf("its 100 requests in ten seconds became %d", n)
		}
	})
}

func TestHealthIsServed(t *testing.T) {
	t.Parallel()
	l, _ := lived(t)
	for _, c := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/healthz", "127.0.0.1:9465", 200},
		{"HEAD", "/healthz", "localhost", 200},
		{"HEAD", "/readyz", "[::1]:9465", 503},
		{"POST", "/healthz", "127.0.0.1", 405},
		{"DELETE", "/readyz", "127.0.0.1", 405},
		{"CONNECT", "/readyz", "127.0.0.1", 405},
		{"GET", "/readyz", "rebound.evil.test", 421},
		{"GET", "/metrics", "127.0.0.1", 404},
		{"GET", "/healthz/", "127.0.0.1", 404},
		{"GET", "/", "127.0.0.1", 404},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, "/", nil)
		r.Host, r.URL.Path = c.host, c.path
		sideHandler(l.routes(), true).ServeHTTP(w, r)
		if w.Code != c.want || c.want < 400 && w.Header().Get("Connection") != "close" {
			t.Errorf("%s %s %s: %d %s", c.method, c.host, c.path, w.Code, w.Body)
		}
	}
}

func TestMetricsAndHealthMayShareAnAddress(t *testing.T) {
	t.Parallel()
	l, _ := lived(t)
	metrics := side{flag: "--metrics", address: "127.0.0.1:0", what: "metrics", routes: metricsRoutes("5e55", l.report)}
	health := side{flag: "--health", address: "127.0.0.1:0", what: "health", routes: l.routes()}
	if got := sides(metrics, health); len(got) != 1 || len(got[0].routes) != 3 || got[0].what != "metrics and health" || len(metrics.routes) != 1 {
		t.Errorf("at one address: %+v", got)
	}
	health.address = "127.0.0.1:1"
	if got := sides(metrics, health, side{}); len(got) != 2 || len(got[0].routes) != 1 || len(got[1].routes) != 2 {
		t.Errorf("at two: %+v", got)
	}
}

func TestStatusHealth(t *testing.T) {
	t.Parallel()
	l, _ := lived(t)
	server := httptest.NewServer(sideHandler(l.routes(), true))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	ask := func(t *testing.T, address string, environ ...string) (code int, stdout, stderr string) {
		t.Helper()
		a, out, errs := testApp(environ...)
		err := execute(background(), newRootCmd(a), []string{"status", "--health", address})
		a.ui.Error(err)
		return exitCode(err), out.String(), errs.String()
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := ask(t, port); code != 1 || out != "" || errs != "kz: error: kz proxy on "+address+" is not ready: starting (store 0 of 2)\nkz: hint: ask again in a moment\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	l.set(serving)
	if code, out, errs := ask(t, address); code != 1 || out != "" || !strings.HasPrefix(errs, "kz: error: kz proxy on "+address+" is not ready: secrets unavailable (store 0 of 2)\nkz: hint: `kz status` says why") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	l.fetch(t.Context(), "CANARY_A")
	l.fetch(t.Context(), "CANARY_B")
	// The environment's proxy is not for it, and a health check is no program of the session.
	if code, out, errs := ask(t, address, "KZ_SESSION=s", "HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1"); code != 0 || out != "ready\n" || errs != "" {
		t.Errorf("%d %q %q", code, out, errs)
	}
	l.set(stopping)
	if code, _, errs := ask(t, address); code != 1 || !strings.Contains(errs, "is not ready: stopping\n") {
		t.Errorf("%d %q", code, errs)
	}

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("\x1b[31mcanary"))
	}))
	t.Cleanup(other.Close)
	if code, _, errs := ask(t, strings.TrimPrefix(other.URL, "http://")); code != 1 || !strings.Contains(errs, "is no kz\nkz: hint: `kz proxy --health PORT` answers there") {
		t.Errorf("another server: %d %q", code, errs)
	}
	other.Close()
	if code, _, errs := ask(t, strings.TrimPrefix(other.URL, "http://")); code != 1 || !strings.Contains(errs, "kz: error: nothing answers on ") {
		t.Errorf("no server: %d %q", code, errs)
	}
	for _, wrong := range []string{"host", "http://127.0.0.1:1", "70000"} {
		if code, _, errs := ask(t, wrong); code != exitMisuse || !strings.Contains(errs, "kz: error: --health takes a port, or an address and a port\nkz: hint: as in --health 9465") {
			t.Errorf("%s: %d %q", wrong, code, errs)
		}
	}
	for _, more := range []string{"--json", "--metrics", "--env=x"} {
		a, _, _ := testApp()
		if err := execute(background(), newRootCmd(a), []string{"status", "--health", port, more}); exitCode(err) != exitMisuse {
			t.Errorf("with %s: %v", more, err)
		}
	}
}

// TestTheSocketOfAnEarlierFirstProcess is of a container that was killed and started again: its kz has the number of before.
func TestTheSocketOfAnEarlierFirstProcess(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp("HOME=" + t.TempDir())
	first, err := a.newControl("5e55", "kz proxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.listener.Close() // and the socket stays, as after SIGKILL
	second, err := a.newControl("5e55", "kz proxy", nil)
	if err != nil {
		t.Fatalf("the next has none: %v", err)
	}
	second.close()
	if _, err := dialControl(first.path); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("it is left behind: %v", err)
	}
}
