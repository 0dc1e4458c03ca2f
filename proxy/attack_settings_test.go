package proxy

import (
	"net/http"
	"testing"
)

func TestConnectionsAreBoundedInTimeAndTakeNothingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	if s := new(Proxy).newServer(nil); s.ReadHeaderTimeout != headerTimeout || s.IdleTimeout != idleTimeout {
		t.Errorf("a server without limits: %v, %v", s.ReadHeaderTimeout, s.IdleTimeout)
	}
	pools := newTransports(&dialer{})
	for _, tr := range []*http.Transport{pools.h1, pools.h2[few], pools.h2[throng]} {
		if tr.Proxy != nil {
			t.Error("the environment may choose a proxy")
		}
		if !tr.DisableCompression || tr.ResponseHeaderTimeout != responseHeaderTimeout || tr.IdleConnTimeout != upstreamIdleTimeout {
			t.Error("a transport with another setting")
		}
	}
}
