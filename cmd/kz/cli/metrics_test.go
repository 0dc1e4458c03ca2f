package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// countedCache is a cache of which each counter has its own number, and what it would be wrong to show.
func countedCache(t *testing.T) *resolver.Cache {
	t.Helper()
	fake := resolvertest.NewFake(map[string]string{"a": "canary-one", "b": "canary-two"})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cache, err := resolver.NewCache(resolver.CacheOptions{Now: func() time.Time { return now }, Sources: []resolver.Source{
		{Name: "CANARY_A", Backend: `odd "name"\` + "\n\x1b[31m", Resolver: fake, Ref: resolver.Ref{ID: "a"}, TTL: time.Minute},
		{Name: "CANARY_B", Backend: "plain", Resolver: fake, Ref: resolver.Ref{ID: "b"}, TTL: -1},
		{Name: "CANARY_C", Backend: "plain", Resolver: fake, Ref: resolver.Ref{ID: "canary-c"}, TTL: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string) { _, _ = cache.Get(context.Background(), name) }
	get("CANARY_A")
	get("CANARY_B")
	get("CANARY_B")
	get("CANARY_B")
	get("CANARY_C")
	fake.Set("a", "canary-three")
	now = now.Add(2 * time.Minute)
	get("CANARY_A")
	fake.Fail("a", &resolver.Error{Kind: resolver.AccessDenied, Message: "canary"})
	now = now.Add(2 * time.Minute)
	get("CANARY_A")
	return cache
}

// parsed is a text as Prometheus reads it: family and labels, and the number.
func parsed(t *testing.T, text string) map[string]float64 {
	t.Helper()
	var p expfmt.TextParser
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out := map[string]float64{}
	for name, f := range families {
		if f.GetHelp() == "" || f.GetType().String() == "UNTYPED" {
			t.Errorf("%s has no help or no type", name)
		}
		if counter := f.GetType().String() == "COUNTER"; counter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, f.GetType())
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			key := name + " " + strings.Join(labels, " ")
			if _, twice := out[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			out[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	t.Parallel()
	text := metricsOf("5e55", countedCache(t).Report())
	got := parsed(t, text)
	const odd = `backend=odd "name"\\n\x1b[31m session=5e55`
	for key, want := range map[string]float64{
		"kz_secret_uses_total backend=plain session=5e55": 4, "kz_secret_uses_total " + odd: 3,
		"kz_cache_hits_total backend=plain session=5e55": 2, "kz_cache_hits_total " + odd: 0,
		"kz_retrievals_total backend=plain session=5e55": 2, "kz_retrievals_total " + odd: 3,
		"kz_rotations_total backend=plain session=5e55": 0, "kz_rotations_total " + odd: 1,
		"kz_stale_secrets backend=plain session=5e55": 0, "kz_stale_secrets " + odd: 1,
		"kz_retrieval_failures_total backend=plain kind=not_found session=5e55":                             1,
		"kz_retrieval_failures_total backend=plain kind=access_denied session=5e55":                         0,
		"kz_retrieval_failures_total " + strings.Replace(odd, " session", " kind=access_denied session", 1): 1,
	} {
		if n, there := got[key]; !there || n != want {
			t.Errorf("%s is %v, %v, want %v", key, n, there, want)
		}
	}
	if n := 2*5 + 2*len(failureKinds); len(got) != n {
		t.Errorf("%d samples, want %d", len(got), n)
	}
	if strings.Contains(strings.ToLower(text), "canary") {
		t.Errorf("names of secrets, references or values are in it:\n%s", text)
	}
}

func TestMetricsOfSeveralSessionsAreOneText(t *testing.T) {
	t.Parallel()
	report := countedCache(t).Report()
	one, two := metricsOf("one", report), metricsOf("two", report)
	got := parsed(t, mergeMetrics([]string{one, two, "# HELP kz_new_total Of a newer kz.\n# TYPE kz_new_total counter\nkz_new_total 7\n"}))
	for session, text := range map[string]string{"one": one, "two": two} {
		for key, n := range parsed(t, text) {
			if m, there := got[key]; !there || n != m {
				t.Errorf("%s of %s is %v, %v, want %v", key, session, m, there, n)
			}
		}
	}
	if want := 2*len(parsed(t, one)) + 1; len(got) != want || got["kz_new_total "] != 7 {
		t.Errorf("%d samples, want %d", len(got), want)
	}
	if got := mergeMetrics([]string{"no metrics\n# HELP\n\x1b[31m\n"}); got != "" {
		t.Errorf("what is none becomes %q", got)
	}
}

func TestTheAddressOfMetrics(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"9464": "127.0.0.1:9464", ":9464": "127.0.0.1:9464", "0": "127.0.0.1:0", "localhost:1": "localhost:1", "0.0.0.0:9464": "0.0.0.0:9464", "[::1]:2": "[::1]:2",
	} {
		if got, err := sideAddress("--metrics", "9464", typed); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", typed, got, err, want)
		}
	}
	for _, typed := range []string{"host", "127.0.0.1", "1:2:3", "host:http", "70000", "h:-1"} {
		if got, err := sideAddress("--metrics", "9464", typed); exitCode(err) != exitMisuse {
			t.Errorf("%s is %s, %v", typed, got, err)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	cache := countedCache(t)
	t.Run("at one path, to what asks for an address or localhost", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			method, target, host string
			loopback             bool
			want                 int
		}{
			{"GET", "/metrics", "127.0.0.1:9464", true, 200},
			{"HEAD", "/metrics", "[::1]:9464", true, 200},
			{"GET", "/metrics", "LOCALHOST", true, 200},
			{"GET", "/metrics", "kz.internal:9464", false, 200},
			{"GET", "/metrics", "rebound.evil.test:9464", true, 421},
			{"GET", "/metrics", "127.0.0.1.evil.test", true, 421},
			{"GET", "/", "127.0.0.1", true, 404},
			{"GET", "/metrics/../debug/pprof", "127.0.0.1", true, 404},
			{"POST", "/metrics", "127.0.0.1", true, 405},
		} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(c.method, c.target, nil)
			r.Host = c.host
			sideHandler(metricsRoutes("5e55", cache.Report), c.loopback).ServeHTTP(w, r)
			if w.Code != c.want || (c.want == 200) != strings.Contains(w.Body.String(), "kz_retrievals_total{") || (c.want == 200) != (w.Header().Get("Content-Type") == metricsType) {
				t.Errorf("%s %s %s: %d %s", c.method, c.host, c.target, w.Code, w.Body)
			}
		}
	})
	t.Run("to the newest few connections, until the end", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp()
		stop, err := a.serveSide(side{address: "127.0.0.1:0", what: "metrics", routes: metricsRoutes("5e55", cache.Report)})
		if err != nil {
			t.Fatal(err)
		}
		_, url, _ := strings.Cut(strings.TrimSpace(stderr.String()), "kz: metrics on ")
		host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
		get := func() error {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
			answer, err := io.ReadAll(conn)
			if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
				err = fmt.Errorf("it answers %.100q", answer)
			}
			return err
		}
		for range 2 * maxSideConns { // each gives its place back
			if err := get(); err != nil {
				t.Fatal(err)
			}
		}
		var held []net.Conn
		for range maxSideConns {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			held = append(held, conn)
			fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n", host)
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := get(); err != nil {
			t.Errorf("who holds every place keeps others out: %v", err)
		}
		_ = held[0].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := held[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the oldest connection is not hung up on: %v", err)
		}
		stop()
		if err := get(); err == nil {
			t.Error("it goes on")
		}
	})
	t.Run("with a warning where other machines reach it", func(t *testing.T) {
		t.Parallel()
		a, _, stderr := testApp()
		stop, err := a.serveSide(side{address: "0.0.0.0:0", what: "metrics", tells: "they name the backends"})
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if !strings.Contains(stderr.String(), "can be read from other machines") {
			t.Errorf("it says %s", stderr)
		}
	})
}
