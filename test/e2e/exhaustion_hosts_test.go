package e2e_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kz/test/bed"
)

// TestVeryManyHosts opens 20,000 tunnels, each to another name: bound by a wildcard, so that each has a leaf of its own; not
// bound, in permissive mode; not bound, in strict mode. What kz keeps of them does not grow with them.
func TestVeryManyHosts(t *testing.T) {
	const names = 20_000
	for _, c := range []struct {
		name, mode, domain string
		open               bool // whether the tunnel opens
		leaf               bool // whether TLS is spoken in it
	}{
		{"bound", "strict", "wild.test", true, true},
		{"not bound, permissive", "permissive", "free.test", true, false},
		{"not bound, strict", "strict", "free.test", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
				}
			}()
			s := newSiege(t, func(b *bed.Bed) {
				b.Egress("mode = " + fmt.Sprintf("%q", c.mode))
				b.Pin("*.free.test:443", l.Addr().String())
			})
			before := sockets(s.p.Pid)
			var next atomic.Int64
			half := func(upTo int64) func(ctx context.Context) {
				return func(ctx context.Context) {
					failed := many(ctx, 16, func(ctx context.Context, _ int) error {
						for {
							n := next.Add(1)
							if n > upTo || ctx.Err() != nil {
								return ctx.Err()
							}
							host := fmt.Sprintf("h%d.%s", n, c.domain)
							conn, err := s.dial(host + ":443")
							if (err == nil) != c.open {
								return fmt.Errorf("%s: open should be %v: %w", host, c.open, cmp.Or(err, errors.New("it is open")))
							}
							if err != nil {
								continue
							}
							if c.leaf {
								tc := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
								err = tc.Handshake()
							} else {
								_, err = io.Copy(io.Discard, conn)
							}
							_ = conn.Close()
							if err != nil {
								return fmt.Errorf("%s: %w", host, err)
							}
						}
					})
					if len(failed) > 0 {
						t.Errorf("%v", failed[0])
					}
				}
			}
			s.during(half(names / 2))
			middle := resident(t, s.p.Pid)
			next.Store(names / 2)
			s.during(half(names))
			if n := next.Load(); n < names {
				t.Fatalf("only %d names were tried", n)
			}
			after := resident(t, s.p.Pid)
			t.Logf("kz had %d KiB after half of the names, %d after all", middle, after)
			if after > middle+16<<10 {
				t.Errorf("%d names more took %d KiB", names/2, after-middle)
			}
			bed.Eventually(t, "kz has its sockets from before", func() bool { return sockets(s.p.Pid) <= before })
			s.over()
		})
	}
}

// sockets is how many a process has open. The pipes by which Go has the kernel splice are kept for the next tunnel.
func sockets(pid int) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, _ := os.ReadDir(dir)
	for _, fd := range list {
		if to, _ := os.Readlink(filepath.Join(dir, fd.Name())); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
