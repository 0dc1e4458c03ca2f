package proxy

// Held is what is held of each room at this moment.
func (p *Proxy) Held() (heads, bodies, coders int64) {
	left := func(r *room) int64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.left
	}
	return headBytes - left(p.heads), heldBytes - left(p.room), coderBytes - left(p.coders)
}
