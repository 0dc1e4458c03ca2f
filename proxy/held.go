package proxy

import "net/http"

// holding is what one exchange has of the rooms of its proxy. The zero value is ready.
type holding struct {
	held, coders *claim
}

// take asks for n bytes that the exchange holds until it ends. One that loses them loses its client's connection, which ends
// all that it waits for.
func (x *exchange) take(n int64) bool { return x.takeOf(&x.holding.held, x.p.room, n) }

// takeCoder is take for what a decoder or an encoder works with.
func (x *exchange) takeCoder(n int64) bool { return x.takeOf(&x.holding.coders, x.p.coders, n) }

func (x *exchange) takeOf(at **claim, r *room, n int64) bool {
	if r == nil { // a proxy made by hand
		return true
	}
	x.mu.Lock()
	if x.ended {
		x.mu.Unlock()
		return false
	}
	c := *at
	if c == nil {
		client := x.peer
		c = r.claim(func() {
			if x.forget(at) {
				return
			}
			x.abort(errRoom)
			if client != nil {
				_ = client.Close()
			}
		})
		*at = c
	}
	x.mu.Unlock()
	if c.take(n) {
		return true
	}
	x.abort(errRoom)
	return false
}

// forget is for an exchange whose held body is with its upstream, which may think for long: it can go on without the body, only
// not send it again.
func (x *exchange) forget(at **claim) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at != &x.holding.held || x.body == nil || !x.body.forget() {
		return false
	}
	*at = nil
	return true
}

// giveBack is for what was held before it went on. The body of a request whose answer comes is needed no more, once it was sent.
func (x *exchange) giveBack() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.holding.held == nil || x.body != nil && x.body.kept() != nil && !x.body.forget() {
		return
	}
	x.holding.held.release()
}

// letGo gives back all that was taken. The exchange has ended.
func (h *holding) letGo() {
	for _, c := range []*claim{h.held, h.coders} {
		if c != nil {
			c.release()
		}
	}
}

// takeHeaders counts a head with very many headers.
func (x *exchange) takeHeaders(h http.Header) bool {
	return len(h) <= manyHeaders || x.take(int64(len(h))*headerCost)
}
