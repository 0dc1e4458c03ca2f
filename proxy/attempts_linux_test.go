package proxy

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kz/proxy/policy"
)

// hole makes an address that takes no connection and refuses none: its queue is full.
func hole(t *testing.T, a netip.AddrPort) {
	t.Helper()
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(a.Port()), Addr: [4]byte(a.Addr().AsSlice()[:4])})
	if a.Addr().Is6() {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		conn, err := net.DialTimeout("tcp", a.String(), 200*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not fill")
}

func TestADeadAddressCostsAQuarterOfASecond(t *testing.T) {
	t.Parallel()
	for name, dead := range map[string]string{"of the same family": "127.0.0.2", "of IPv6": "::1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := listenOn(t, "127.0.0.1:0")
			hole(t, netip.AddrPortFrom(netip.MustParseAddr(dead), port))
			d := &dialer{allowPrivate: loopback, resolver: names(t, map[string][]string{"half.test.": {dead, "127.0.0.1"}}, new(atomic.Int32))}
			start := time.Now()
			conn, err := d.dial(t.Context(), policy.Authority{Host: "half.test", Port: port})
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			took := time.Since(start)
			if t.Log(took); took > 5*time.Second || took < attemptDelay {
				t.Errorf("it took %s", took)
			}
		})
	}
}
