package gcpsm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"kz/resolver"
)

// Attempts of one call, and how long is waited between them. A Retry-After is not obeyed: it may be of any length.
const (
	attempts = 3
	minWait  = 200 * time.Millisecond
	maxWait  = time.Second
)

// maxBody bounds an answer: a payload has at most 64 KiB, in base64.
const maxBody = 1 << 20

func newClient(t http.RoundTripper) *http.Client {
	if t == nil {
		t = &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			// One connection serves them all with h2.
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: resolver.DefaultLimit, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	return &http.Client{
		Transport: bounded{t},
		// Neither a token nor an assertion goes where an answer sends it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers that are longer than maxBody.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxBody), resp.Body}
	}
	return resp, err
}

// isNetwork tells whether an error came from the network instead of an answer.
func isNetwork(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed) || errors.Is(err, io.ErrUnexpectedEOF)
}

// call is one call of the interface.
type call struct {
	method, path string // the path from /v1/ on, which needs no escape
	name         name   // what it is about, for its host and for messages
	body         any    // nil: none
	again        bool   // it may be made again when it is not known whether it was carried out
	check        func() bool
}

// repeats tells whether a failure may pass. That of a call which must not be made twice has to say that it was not carried out.
func (c call) repeats(e *resolver.Error) bool {
	if !c.again {
		return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable
	}
	return e.Kind == resolver.Unavailable || e.Kind == resolver.Throttled
}

// do makes a call, and makes it again after a failure that may pass. A token that is refused is replaced once.
func (s *Store) do(ctx context.Context, c call, into any) error {
	relogin := true
	for attempt := 1; ; attempt++ {
		g, err := s.login.open(ctx)
		if err != nil {
			return err
		}
		e, final := s.attempt(ctx, c, g, into)
		switch {
		case e == nil:
			return nil
		case e.Status == http.StatusUnauthorized && relogin:
			relogin = false
			s.login.forget(g.creds)
			continue
		case final || attempt == attempts || !c.repeats(e):
			return e
		}
		timer := time.NewTimer(minWait + rand.N(min(minWait<<attempt, maxWait)-minWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return resolver.Transport(ctx.Err())
		}
	}
}

// attempt makes one request. final says that another would be of no use.
func (s *Store) attempt(ctx context.Context, c call, g grant, into any) (e *resolver.Error, final bool) {
	status, body, err := s.send(ctx, c, g)
	switch {
	case ctx.Err() != nil:
		return resolver.Transport(ctx.Err()), true
	case err != nil:
		return resolver.Transport(err), false
	case status != http.StatusOK:
		return s.explain(status, body, c)
	case json.Unmarshal(body, into) != nil:
		return notGoogle(status), true
	case c.check != nil && !c.check():
		return &resolver.Error{Kind: resolver.Unavailable, Message: "the value was damaged on its way: it does not match its checksum",
			Advice: "try again; check any proxy in between"}, false
	}
	return nil, false
}

func (s *Store) send(ctx context.Context, c call, g grant) (status int, body []byte, err error) {
	base := s.opt.Endpoint
	if base == "" {
		base = "https://" + c.name.host()
	}
	var content io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, base+"/v1/"+c.path, content)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+g.token.Reveal())
	req.Header.Set("Accept", "application/json")
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if g.quota != "" {
		req.Header.Set("X-Goog-User-Project", g.quota)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
