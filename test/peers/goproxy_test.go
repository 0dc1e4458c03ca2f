package peers_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kz/test/origin"
	"kz/test/peers"
)

// TestGoproxy sees that the peer is one that works: what it is held against must not
// win because of a mistake made here.
func TestGoproxy(t *testing.T) {
	t.Parallel()
	o, err := origin.Start(origin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	o.SetValue("v", []byte("a-value-to-replace"))
	for name, c := range map[string]struct {
		set   peers.Goproxy
		proto int
	}{
		"intercepts HTTP/1.1": {peers.Goproxy{}, 1},
		"intercepts h2":       {peers.Goproxy{AllowHTTP2: true}, 2},
		"keeps leaves":        {peers.Goproxy{KeepLeaves: true}, 1},
		"signs with RSA":      {peers.Goproxy{RSA: true}, 1},
		"signs with its own":  {peers.Goproxy{PublicCA: true, KeepLeaves: true}, 1},
		"replaces in bodies":  {peers.Goproxy{Replace: [2]string{"a-value-to-replace", "the-mask-of-it"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.set.Pins = map[string]string{"api.test:443": o.Addr("tls")}
			c.set.Roots = o.CAPEM()
			g, err := peers.StartGoproxy(c.set)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			}()
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(g.CAPEM)
			tr := &http.Transport{
				Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: g.Addr}), TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
			}
			defer tr.CloseIdleConnections()
			client := http.Client{Transport: tr, Timeout: 30 * time.Second}
			for range 2 {
				resp, err := client.Get("https://api.test/value?value=v")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != c.proto {
					t.Errorf("%s %s: %v", resp.Proto, resp.Status, err)
				}
				want := "a-value-to-replace"
				if c.set.Replace[0] != "" {
					want = c.set.Replace[1]
				}
				if !strings.Contains(string(body), want) {
					t.Errorf("the body has no %s: %q", want, body)
				}
			}
		})
	}
}
