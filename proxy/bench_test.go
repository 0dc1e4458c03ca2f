package proxy_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// The benchmarks compare one small JSON request through an intercepted host, with swapping and scrubbing on, to the same
// request made directly, through a plain tunnel, and through a bare httputil.ReverseProxy between two TLS connections.
// Their ratios within one run are what counts.

// smallAnswer is what the origin of the benchmarks answers a small request with.
func smallAnswer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"id":"x","object":"reply","choices":[{"text":"`+strings.Repeat("lorem ipsum ", 40)+`"}]}`)
}

// smallRequest sends one small JSON request, with a mask in a header and in its body.
func smallRequest(t testing.TB, client *http.Client, target, mask string) {
	body := `{"model":"m","token":"` + mask + `","messages":[{"role":"user","content":"` + strings.Repeat("tell me more ", 40) + `"}]}`
	r, err := http.NewRequest("POST", target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+mask)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
}

// way is one to the origin: a client and the URL that it asks for.
type way struct {
	client *http.Client
	target string
}

// waysOf are the ways to the origin of b. All end the origin's TLS; "reverse" and "kz" also the client's.
func waysOf(b *bed) map[string]way {
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.originPool(), ServerName: "api.test"}, DisableCompression: true}}
	tunnelled := b.newClient(false)
	tunnelled.Transport.(*http.Transport).TLSClientConfig.RootCAs = b.originPool()
	reverse := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "https", Host: b.origin, Path: r.In.URL.Path}
		},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.originPool(), ServerName: "api.test"}, DisableCompression: true},
	})
	reverse.StartTLS()
	b.t.Cleanup(reverse.Close)
	return map[string]way{
		"direct":  {direct, "https://" + b.origin + "/"},
		"tunnel":  {tunnelled, "https://tunnel.test/"},
		"reverse": {reverse.Client(), reverse.URL},
		"kz":      {b.client, "https://api.test/"},
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	bd := newBed(b, answering(smallAnswer))
	ways := waysOf(bd)
	for _, name := range []string{"direct", "tunnel", "reverse", "kz"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				smallRequest(b, ways[name].client, ways[name].target, bd.mask("KEY"))
			}
		})
	}
}

// TestASmallRequestAllocatesLittle counts what a small request with swaps allocates in kz, and in a bare reverse proxy: what
// there is more than when it is sent directly.
func TestASmallRequestAllocatesLittle(t *testing.T) {
	b := newBed(t, answering(smallAnswer))
	ways := waysOf(b)
	allocations := func(name string) float64 {
		return testing.AllocsPerRun(300, func() { smallRequest(t, ways[name].client, ways[name].target, b.mask("KEY")) })
	}
	direct := allocations("direct")
	kz, reverse := allocations("kz")-direct, allocations("reverse")-direct
	t.Logf("allocations of a small request: %.0f in kz, %.0f in a bare reverse proxy", kz, reverse)
	if kz > 2*reverse {
		t.Errorf("%.0f allocations, a bare reverse proxy has %.0f", kz, reverse)
	}
}

func BenchmarkBulk(b *testing.B) {
	const size = 32 << 20
	block := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1<<10))
	bd := newBed(b, answering(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for n := 0; n < size; n += len(block) {
			_, _ = w.Write(block[:min(len(block), size-n)])
		}
	}))
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: bd.originPool(), ServerName: "api.test"}, DisableCompression: true}}
	tunnelled := bd.newClient(false)
	tunnelled.Transport.(*http.Transport).TLSClientConfig.RootCAs = bd.originPool()
	for _, c := range []struct {
		name, target string
		client       *http.Client
	}{{"direct", "https://" + bd.origin + "/", direct}, {"tunnel", "https://tunnel.test/", tunnelled}, {"kz", "https://api.test/", bd.client}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				resp, err := c.client.Get(c.target)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
					b.Fatal(n, err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

func BenchmarkUpload(b *testing.B) {
	const size = 32 << 20
	body := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1+size/45))[:size]
	bd := newBed(b, answering(func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
			b.Error(n, err)
		}
	}), keyPlaces("body:*"))
	b.SetBytes(size)
	for b.Loop() {
		r, err := http.NewRequest("PUT", "https://api.test/", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		resp, err := bd.client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}
