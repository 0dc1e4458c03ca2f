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

func benchBed(b *testing.B) (*bed, *http.Client) {
	bd := newBed(b, answering(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"x","object":"reply","choices":[{"text":"`+strings.Repeat("lorem ipsum ", 40)+`"}]}`)
	}))
	return bd, bd.client
}

func benchRequests(b *testing.B, client *http.Client, target, mask string) {
	body := `{"model":"m","token":"` + mask + `","messages":[{"role":"user","content":"` + strings.Repeat("tell me more ", 40) + `"}]}`
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest("POST", target, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+mask)
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			b.Fatal(resp.Status)
		}
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	bd, intercepted := benchBed(b)
	mask := bd.mask("KEY")
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: bd.originPool(), ServerName: "api.test"}, DisableCompression: true}}
	tunnelled := bd.newClient(false)
	tunnelled.Transport.(*http.Transport).TLSClientConfig.RootCAs = bd.originPool()
	reverse := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "https", Host: bd.origin, Path: r.In.URL.Path}
		},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: bd.originPool(), ServerName: "api.test"}, DisableCompression: true},
	})
	reverse.StartTLS()
	defer reverse.Close()
	b.Run("direct", func(b *testing.B) { benchRequests(b, direct, "https://"+bd.origin+"/", mask) })
	b.Run("tunnel", func(b *testing.B) { benchRequests(b, tunnelled, "https://tunnel.test/", mask) })
	b.Run("reverse", func(b *testing.B) { benchRequests(b, reverse.Client(), reverse.URL, mask) })
	b.Run("kz", func(b *testing.B) { benchRequests(b, intercepted, "https://api.test/", mask) })
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
