package proxy

import (
	"net"
	"sync"

	"kz/proxy/policy"
)

// How many exchanges at a time are few, which may have large buffers and windows, and how many are not yet a throng. With the
// windows of transport.go, 2,000 hold 71 MiB of answers at most: 32 × 1 MiB, 96 × 256 KiB, 128 × 64 KiB, 1,744 × 4 KiB.
const (
	fewExchanges  = 32
	someExchanges = 128
	manyExchanges = 256
)

// maxExchanges is how many may be under way. In each, what carries it through h2 on both sides takes some 50 KiB.
const maxExchanges = 2048

// density is how many exchanges are under way.
type density int

const (
	few density = iota
	some
	many
	throng
	densities
)

// crowd counts the exchanges under way. When there are as many as may be, whoever has the most of them on one connection loses
// that connection to the next that comes. It is safe for concurrent use.
type crowd struct {
	most int

	mu sync.Mutex
	n  int
	by map[net.Conn]int // by the client's connection
}

// enter counts one more exchange of client. It reports false when there are too many and no other connection has more of them.
func (c *crowd) enter(client net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n >= c.most && !c.turnOut(client) {
		return false
	}
	if c.by == nil {
		c.by = map[net.Conn]int{}
	}
	c.by[client]++
	c.n++
	return true
}

func (c *crowd) turnOut(client net.Conn) bool {
	var worst net.Conn
	for conn, n := range c.by {
		if conn != nil && n > c.by[worst] {
			worst = conn
		}
	}
	if worst == nil || c.by[worst] <= c.by[client]+1 {
		return false
	}
	// What it has counts no more; leave does not find it.
	c.n -= c.by[worst]
	delete(c.by, worst)
	go func() { _ = worst.Close() }()
	return true
}

// crowded is the answer to a request that finds no place.
func (p *Proxy) crowded(a policy.Authority) *refusal {
	return &refusal{Code: codeUpstreamUnreachable, Host: a.String(), Message: "request to " + a.String() + ": too many requests are under way through this proxy",
		Hint: "let some of them end, then try again"}
}

// leave is the end of an exchange of client.
func (c *crowd) leave(client net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.by[client]
	if !ok {
		return // turned out
	}
	c.n--
	if n == 1 {
		delete(c.by, client)
		return
	}
	c.by[client] = n - 1
}

// density is that of now.
func (c *crowd) density() density {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.n > manyExchanges:
		return throng
	case c.n > someExchanges:
		return many
	case c.n > fewExchanges:
		return some
	}
	return few
}
