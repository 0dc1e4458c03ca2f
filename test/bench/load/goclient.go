package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"kz/test/bench/wire"
)

// transport is Go's own client on this route.
func (r *Route) transport(protocol string, conns int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(protocol != "h2")
	protocols.SetHTTP2(protocol == "h2")
	t := &http.Transport{
		Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: r.Roots, MinVersion: tls.VersionTLS12},
		DisableCompression: true, MaxIdleConnsPerHost: conns, ProxyConnectHeader: http.Header{},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, r.Address)
		},
	}
	if r.Connect {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: r.Address})
	}
	if r.Credential != "" {
		t.ProxyConnectHeader.Set("Proxy-Authorization", r.Credential)
	}
	return t
}

// GoClient is Requests with net/http in the place of prepared bytes: a client that works about as hard as real ones do.
// Of h2 all streams share one connection.
func (r *Route) GoClient(c Clients, d time.Duration) (Result, error) {
	n := c.Conns * c.Streams
	t := r.transport(c.Protocol, n)
	defer t.CloseIdleConnections()
	request, want := wire.ChatBody(r.Token), wire.ChatAnswer(r.Token)
	once := func() error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+wire.Host+wire.Chat, bytes.NewReader(request))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+r.Token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		return check(resp.StatusCode, body, want)
	}
	if err := parallel(n, func(int) error { return once() }); err != nil {
		return Result{}, err
	}
	return collect(n, d, func(_ int, until time.Time, latencies []time.Duration) ([]time.Duration, error) {
		for began := time.Now(); ; {
			if err := once(); err != nil {
				return latencies, err
			}
			ended := time.Now()
			latencies = append(latencies, ended.Sub(began))
			if !ended.Before(until) {
				return latencies, nil
			}
			began = ended
		}
	})
}
