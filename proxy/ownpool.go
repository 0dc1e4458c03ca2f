package proxy

import (
	"net/http"
	"sync"
)

// ownPool is the pool for those requests of one h2 client that have bodies. What an upstream does not take of one body fills
// the window of its connection (RFC 9113, section 5.2.1) and stops every other there, so these must be of the same client.
// It ends with its client, and what is still under way in it. The zero value is ready.
type ownPool struct {
	mu     sync.Mutex
	dialer *dialer
	tr     *http.Transport
	over   bool
}

// transport dials as d does. It is made once, for a crowd if it is large then.
func (p *ownPool) transport(d *dialer, large bool) *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tr == nil {
		p.dialer = d.another()
		window := downloadWindow
		if large {
			window = crowdedWindow
		}
		p.tr = newH2Transport(p.dialer, window)
		if p.over {
			p.dialer.close()
		}
	}
	return p.tr
}

func (p *ownPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over = true; p.tr != nil {
		p.tr.CloseIdleConnections()
		p.dialer.close()
	}
}
