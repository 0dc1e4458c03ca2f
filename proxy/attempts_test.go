package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"kz/proxy/policy"
)

// names starts a name server and returns a resolver that asks it. asked counts the questions.
func names(t *testing.T, of map[string][]string, asked *atomic.Int32) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			asked.Add(1)
			_, _ = pc.WriteTo(answerName(buf[:n], of), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func answerName(question []byte, of map[string][]string) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, a := range of[q.Name.String()] {
		ip := netip.MustParseAddr(a)
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}
		switch {
		case q.Type == dnsmessage.TypeA && ip.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
		case q.Type == dnsmessage.TypeAAAA && ip.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	answer, _ := m.Pack()
	return answer
}

// loopback allows loopback addresses to be dialled.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func listenOn(t *testing.T, address string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestANameIsAskedForOnceAndEachOfItsAddressesIsJudged(t *testing.T) {
	t.Parallel()
	port, asked := listenOn(t, "127.0.0.1:0"), new(atomic.Int32)
	d := &dialer{allowPrivate: loopback, resolver: names(t, map[string][]string{
		"one.test.": {"127.0.0.1"}, "inside.test.": {"10.1.2.3"}, "both.test.": {"10.1.2.3", "127.0.0.1"}, "cloud.test.": {"169.254.169.254", "127.0.0.1"},
	}, asked)}
	for _, name := range []string{"one.test", "both.test", "cloud.test"} {
		asked.Store(0)
		conn, err := d.dial(t.Context(), policy.Authority{Host: name, Port: port})
		if err != nil || conn.RemoteAddr().(*net.TCPAddr).AddrPort() != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = conn.Close()
		if n := asked.Load(); n != 2 { // for A and for AAAA
			t.Errorf("%s was asked for %d times", name, n)
		}
	}
	var addr *addressError
	if _, err := d.dial(t.Context(), policy.Authority{Host: "inside.test", Port: port}); !errors.As(err, &addr) {
		t.Errorf("a private address: %v", err)
	}
	var dns *net.DNSError
	if _, err := d.dial(t.Context(), policy.Authority{Host: "none.test", Port: port}); !errors.As(err, &dns) || !isDial(err) {
		t.Errorf("no address: %v", err)
	}
	d.close()
	if len(d.open) != 0 {
		t.Errorf("%d connections are open", len(d.open))
	}
	if _, err := d.dial(t.Context(), policy.Authority{Host: "one.test", Port: port}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestAddressesAreTriedInTurn(t *testing.T) {
	t.Parallel()
	d := &dialer{resolver: names(t, map[string][]string{"many.test.": {"127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"}}, new(atomic.Int32))}
	got, err := d.lookup(t.Context(), "many.test:443")
	var families []bool
	for _, a := range got {
		families = append(families, a.Addr().Is4())
	}
	if err != nil || len(got) != 4 || families[0] == families[1] || !slices.Equal(families[2:], []bool{true, true}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := d.lookup(t.Context(), "[::1]:443"); err != nil || len(got) != 1 {
		t.Errorf("an address: %v, %v", got, err)
	}
}

// attempt is what becomes of dialling one address: err after a time, or, without err, a connection.
type attempt struct {
	after time.Duration
	err   error
}

func TestALaterAddressIsDialledBesideASlowOne(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		attempts []attempt
		takes    time.Duration
		winner   int // -1: none
	}{
		"the first is fast":                  {[]attempt{{100 * time.Millisecond, nil}, {0, nil}}, 100 * time.Millisecond, 0},
		"the first is dead":                  {[]attempt{{time.Hour, nil}, {10 * time.Millisecond, nil}}, attemptDelay + 10*time.Millisecond, 1},
		"the first two are dead":             {[]attempt{{time.Hour, nil}, {time.Hour, nil}, {0, nil}}, 2 * attemptDelay, 2},
		"the first refuses":                  {[]attempt{{time.Millisecond, refused}, {0, nil}}, time.Millisecond, 1},
		"the first is slow, the second dead": {[]attempt{{2 * attemptDelay, nil}, {time.Hour, nil}}, 2 * attemptDelay, 0},
		"all refuse":                         {[]attempt{{time.Millisecond, refused}, {time.Millisecond, errors.New("other")}}, 2 * time.Millisecond, -1},
		"all are dead":                       {[]attempt{{time.Hour, nil}, {time.Hour, nil}}, dialTimeout, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), dialTimeout)
				defer cancel()
				var addrs []netip.AddrPort
				for i := range c.attempts {
					addrs = append(addrs, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i)))
				}
				made := make([]net.Conn, len(addrs))
				start := time.Now()
				conn, err := race(ctx, addrs, func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
					// One that is slow comes all the same, late: its dialler did not hear that it was given up.
					at := c.attempts[a.Port()]
					select {
					case <-time.After(min(at.after, time.Minute)):
					case <-ctx.Done():
						if at.after > time.Minute {
							return nil, ctx.Err()
						}
					}
					if at.err != nil {
						return nil, at.err
					}
					made[a.Port()], _ = net.Pipe()
					return made[a.Port()], nil
				})
				if took := time.Since(start); took != c.takes {
					t.Errorf("it took %s, not %s", took, c.takes)
				}
				switch {
				case c.winner < 0 && err == nil, c.winner >= 0 && (err != nil || conn != made[c.winner]):
					t.Errorf("the winner is not %d: %v", c.winner, err)
				case name == "all refuse" && err != refused, name == "all are dead" && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("the error is %v", err)
				}
				synctest.Wait()
				for i, m := range made {
					if m != nil && i != c.winner {
						if _, err := m.Read(nil); err == nil {
							t.Errorf("connection %d was left open", i)
						}
					}
				}
			})
		})
	}
}
