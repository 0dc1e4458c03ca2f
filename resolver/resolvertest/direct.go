package resolvertest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
)

// Direct is a transport that hands every request to a handler, whatever its host and without a network. The handler sees
// the host, whether it was https (Request.TLS), and the end of the request's context.
func Direct(h http.Handler) http.RoundTripper { return direct{h} }

type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	got := r.Clone(r.Context())
	got.RequestURI = r.URL.RequestURI()
	if got.Host == "" {
		got.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		got.TLS = &tls.ConnectionState{ServerName: r.URL.Hostname()}
	}
	if got.Body == nil {
		got.Body = http.NoBody
	}
	answer := make(chan *http.Response, 1)
	go func() {
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, got)
		resp := w.Result()
		resp.Request = r
		answer <- resp
	}()
	select {
	case resp := <-answer:
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
