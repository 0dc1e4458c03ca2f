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
	tr     [densities]*http.Transport
	over   bool
}

// transport is the one for so many exchanges, which dials as d does.
func (p *ownPool) transport(d *dialer, n density) *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dialer == nil {
		p.dialer = d.another()
		if p.over {
			p.dialer.close()
		}
	}
	if p.tr[n] == nil {
		p.tr[n] = newH2Transport(p.dialer, n)
	}
	return p.tr[n]
}

func (p *ownPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, tr := range p.tr {
		if tr != nil {
			tr.CloseIdleConnections()
		}
	}
	if p.dialer != nil {
		p.dialer.close()
	}
}
