// Package ports has addresses on loopback that tests of several packages, run at the same time, do not take from each other.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Nowhere is an address on loopback at which nothing listens, as long as the test lasts: its port is held, so that no other
// test is given it meanwhile.
func Nowhere(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	holder, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Close() })
	return holder.LocalAddr().String()
}

// Free is an address on loopback for a program that the test tells where to listen. It lies below the ports that systems give
// out by themselves (32768 and up on Linux, 49152 elsewhere), so that no other test is given it meanwhile.
func Free(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
