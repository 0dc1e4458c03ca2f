package proxy

import (
	"net"
	"sync"

	"kz/proxy/policy"
)

// fewExchanges is how many exchanges at a time may have large buffers and windows.
const fewExchanges = 128

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

// large reports whether there are many.
func (c *crowd) large() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n > fewExchanges
}
