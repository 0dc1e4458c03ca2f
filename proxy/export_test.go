package proxy

import (
	"io"
	"time"
)

// LookFor sets how often departures are looked for.
func (p *Proxy) LookFor(every time.Duration) { p.departures.every = every }

// HoldFor sets how long a body that is read whole may take to come.
func (p *Proxy) HoldFor(d time.Duration) { p.heldTime = d }

// KeepAlone sets how long idle connections to upstreams are kept once no client is left.
func (p *Proxy) KeepAlone(d time.Duration) {
	p.clients.mu.Lock()
	defer p.clients.mu.Unlock()
	p.clients.after = d
}

// Encode applies one coding.
func Encode(r io.Reader, coding string) io.Reader { return encode(r, []string{coding}) }

// TakeTime has tests on slow machines judge clients that said nothing at the end.
func (p *Proxy) TakeTime() { p.wordless.about = time.Hour }
