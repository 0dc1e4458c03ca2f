package proxy

import (
	"context"
	"net"
	"net/netip"
	"time"
)

const (
	// attemptDelay is how long one address has before the next is tried beside it (RFC 8305, section 5, recommends 250 ms).
	attemptDelay = 250 * time.Millisecond
	// maxAttempts bounds what one name can have dialled.
	maxAttempts = 16
)

// lookup is the addresses behind address, in the order to try them: that of the resolver, its families in turn (RFC 8305,
// section 4). They are asked for once for each dial, and nothing else is dialled.
func (d *dialer) lookup(ctx context.Context, address string) ([]netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return []netip.AddrPort{ap}, nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	resolver := d.resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	port, err := resolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	ips, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var first, second []netip.AddrPort
	for _, ip := range ips {
		ap := netip.AddrPortFrom(ip.Unmap(), uint16(port))
		if len(first) == 0 || ap.Addr().Is4() == first[0].Addr().Is4() {
			first = append(first, ap)
		} else {
			second = append(second, ap)
		}
	}
	var all []netip.AddrPort
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			all = append(all, first[i])
		}
		if i < len(second) {
			all = append(all, second[i])
		}
	}
	return all[:min(len(all), maxAttempts)], nil
}

// race dials the addresses, each one attemptDelay after the one before it or as soon as one has failed, and returns the
// first connection. The others are given up. The error is that of the first address to fail.
func race(ctx context.Context, addrs []netip.AddrPort, dial func(context.Context, netip.AddrPort) (net.Conn, error)) (net.Conn, error) {
	if len(addrs) == 1 {
		return dial(ctx, addrs[0])
	}
	type result struct {
		conn net.Conn
		err  error
	}
	results, over := make(chan result), make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(over)
	var failed error
	for next, running := 0, 0; next < len(addrs) || running > 0; {
		var late <-chan time.Time
		if next < len(addrs) {
			go func(a netip.AddrPort) {
				conn, err := dial(ctx, a)
				select {
				case results <- result{conn, err}:
				case <-over:
					if err == nil {
						_ = conn.Close()
					}
				}
			}(addrs[next])
			running++
			if next++; next < len(addrs) {
				late = time.After(attemptDelay)
			}
		}
		select {
		case r := <-results:
			if running--; r.err == nil {
				return r.conn, nil
			} else if failed == nil {
				failed = r.err
			}
		case <-late:
		}
	}
	return nil, failed
}

// dialled is a connection to an upstream, known to its dialer until it is closed.
type dialled struct {
	net.Conn
	d    *dialer
	head headMeter
}

// Read implements net.Conn.
func (c *dialled) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.head.read(n) {
		_ = c.Close()
		return 0, errRoom
	}
	return n, err
}

// Close implements net.Conn.
func (c *dialled) Close() error {
	c.d.mu.Lock()
	delete(c.d.open, c)
	c.d.mu.Unlock()
	defer c.head.closed()
	return c.Conn.Close()
}

// CloseWrite half-closes a TCP connection.
func (c *dialled) CloseWrite() error { return closeWrite(c.Conn) }

// keep notes conn, for close to end it.
func (d *dialer) keep(conn net.Conn) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: net.ErrClosed}
	}
	if d.open == nil {
		d.open = map[*dialled]bool{}
	}
	c := &dialled{Conn: conn, d: d}
	d.open[c] = true
	return c, nil
}

// another dials as d does, and closes only what it has dialled.
func (d *dialer) another() *dialer {
	return &dialer{pins: d.pins, allowPrivate: d.allowPrivate, via: d.via, own: d.own, resolver: d.resolver, roots: d.roots, verifier: d.verifier, sessions: d.sessions}
}

// close ends every connection, and those that are still being made as soon as they are.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	open := d.open
	d.open = nil
	d.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}
