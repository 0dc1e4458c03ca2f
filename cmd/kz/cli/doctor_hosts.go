package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/cmd/kz/config"
)

// hostFaults are the codes that say of a host that it cannot be used from here, each with its kind of finding.
var hostFaults = map[string]string{
	"upstream_unreachable": "host-unreachable", "upstream_timeout": "host-unreachable", "upstream_unverified": "host-unverified",
	"private_address": "host-private", "egress_denied": "host-denied",
}

// maxHosts bounds how many hosts are asked, hostTime how long one may take.
const (
	maxHosts = 64
	hostTime = 10 * time.Second
)

// examineHosts sends each bound host one request by the session's proxy, with nothing in it: can it be reached from here,
// and does kz trust its certificate? What the host answers does not matter.
func (a *app) examineHosts(ctx context.Context, s *setup) []finding {
	if s.session == nil {
		return nil
	}
	client, err := s.wired.client()
	if err != nil {
		return findingsOf("session", weighsError, err, "no blind session can be started")
	}
	defer client.CloseIdleConnections()
	hosts := singleHosts(s.cfg)
	found := make([]*finding, len(hosts))
	var g errgroup.Group
	g.SetLimit(8)
	for i, host := range hosts {
		g.Go(func() error { found[i] = examineHost(ctx, client, host); return nil })
	}
	_ = g.Wait()
	var out []finding
	for _, f := range found {
		if f != nil {
			if f.ID == "host-unreachable" && s.cfg.Egress.UpstreamProxy == "" {
				f.Fix += "; if it is by another proxy alone, write under [egress]: upstream_proxy = \"http://HOST:PORT\""
			}
			out = append(out, *f)
		}
	}
	return out
}

// singleHosts are the bound hosts that are no patterns, with their ports.
func singleHosts(cfg *config.Config) []string {
	var hosts []string
	for _, s := range cfg.Secrets {
		for _, h := range s.Hosts {
			if s.Masked() && !h.Below() {
				hosts = append(hosts, h.String())
			}
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	return hosts[:min(len(hosts), maxHosts)]
}

func examineHost(ctx context.Context, client *http.Client, host string) *finding {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		return nil
	}
	r.Header.Set("User-Agent", "kz-doctor")
	resp, err := client.Do(r)
	if err != nil { // the proxy's own refusal of a CONNECT comes as an error without its words
		return nil
	}
	defer resp.Body.Close()
	id := hostFaults[resp.Header.Get("Kz-Error")]
	if id == "" {
		return nil
	}
	var body struct {
		Error struct{ Message, Hint string }
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err = errors.Join(err, json.Unmarshal(data, &body)); err != nil {
		return nil
	}
	return &finding{ID: id, Weight: weighsWarning, Title: body.Error.Message, Why: "a secret is bound to " + host + ", and this machine cannot use it there now",
		Fix: cmp.Or(body.Error.Hint, "look whether the host is up, and its name right")}
}

// client is a client of the session's proxy, as a program that obeys the variables is.
func (s *doctorSession) client() (*http.Client, error) {
	via, err := url.Parse(s.url)
	if err != nil {
		return nil, errors.New("reading the proxy's address")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Authority.CertPEM())
	return &http.Client{Timeout: hostTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}
