package proxy

import (
	"net/http"
	"sync/atomic"
	"time"
)

// maxGivenUp is how many more requests of one h2 connection may be given up by its client than are answered, each within
// soonGivenUp of its beginning. Whoever races requests gives half of them up, or two of three; a page that is left, some dozens.
// Envoy allows 500, of which more than half are given up within a second.
const (
	maxGivenUp  = 200
	soonGivenUp = time.Second
)

// givenUp tells a connection on which requests are begun only to be given up (CVE-2023-44487): they cost its client two frames
// each, and kz and the upstream what a request costs. It is safe for concurrent use; the zero value is ready.
type givenUp struct{ balance atomic.Int32 }

// count is called at the end of a request, and reports whether that was one too many.
func (g *givenUp) count(gone bool, after time.Duration) bool {
	if gone {
		return after < soonGivenUp && g.balance.Add(1) > maxGivenUp
	}
	if g.balance.Load() > 0 {
		g.balance.Add(-1)
	}
	return false
}

// countGivenUp has a connection on which too much was given up take nothing new, while what is under way goes on: its client
// is told so (GOAWAY), and connects again for what else it wants.
func (x *exchange) countGivenUp(w http.ResponseWriter, r *http.Request, ic *interceptConn) {
	if !ic.givenUp.count(r.Context().Err() != nil && x.event.Status == 0, time.Since(x.start)) {
		return
	}
	x.writer.mu.Lock()
	gone := x.writer.gone
	x.writer.mu.Unlock()
	if gone { // nothing more can be said by it
		_ = ic.Close()
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).Flush()
}
