package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newTestMinter(t testing.TB, a *Authority) *Minter {
	t.Helper()
	m, err := NewMinter(a, MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustLeaf(t testing.TB, m *Minter, host string) *tls.Certificate {
	t.Helper()
	c, err := m.Leaf(host)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLeaf(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t, Options{})
	m := newTestMinter(t, a)
	long := strings.Repeat("a", 60) + ".example.com" // past the 64 bytes a common name may have

	for _, host := range []string{"api.example.com", "a.b", "localhost", "under_score.example.com", "xn--bcher-kva.example", long, "192.0.2.7", "2001:db8::7", "::1"} {
		t.Run("clients accept "+host+" and it alone", func(t *testing.T) {
			t.Parallel()
			leaf := mustLeaf(t, m, host).Leaf
			verify(t, a.cert, leaf, host)
			if ok, known, out := opensslVerify(t, a.cert, leaf, host); known && !ok {
				t.Errorf("openssl refuses: %s", out)
			}
			if n := len(leaf.DNSNames) + len(leaf.IPAddresses); n != 1 || len(leaf.EmailAddresses)+len(leaf.URIs) != 0 {
				t.Errorf("%d names in it", n)
			}
			for _, other := range []string{"x." + host, "other.example", "192.0.2.8", "2001:db8::8"} {
				if leaf.VerifyHostname(other) == nil {
					t.Errorf("matches %q too", other)
				}
			}
		})
	}
	t.Run("a leaf signs and serves TLS, and nothing more", func(t *testing.T) {
		t.Parallel()
		c := mustLeaf(t, m, "purpose.example.com")
		if c.Leaf.IsCA || c.Leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(c.Leaf.ExtKeyUsage) != 1 ||
			c.Leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth || len(c.Leaf.UnknownExtKeyUsage) != 0 {
			t.Errorf("CA %v, key usage %b, purposes %v", c.Leaf.IsCA, c.Leaf.KeyUsage, c.Leaf.ExtKeyUsage)
		}
		if len(c.Certificate) != 1 {
			t.Errorf("chain of %d", len(c.Certificate))
		}
		if string(c.Leaf.AuthorityKeyId) != string(a.cert.SubjectKeyId) {
			t.Error("authority key id is not the authority's")
		}
	})
	t.Run("leaves share a key that is not the authority's, and no serial number", func(t *testing.T) {
		t.Parallel()
		one, two := mustLeaf(t, m, "one.example.com"), mustLeaf(t, m, "two.example.com")
		if one.PrivateKey != two.PrivateKey {
			t.Error("two keys")
		}
		if a.key.Equal(one.PrivateKey) {
			t.Error("the authority's own key")
		}
		if one.Leaf.SerialNumber.Cmp(two.Leaf.SerialNumber) == 0 || one.Leaf.SerialNumber.BitLen() < 90 {
			t.Errorf("serial numbers %x, %x", one.Leaf.SerialNumber, two.Leaf.SerialNumber)
		}
	})
	t.Run("a common name over 64 bytes is left out", func(t *testing.T) {
		t.Parallel()
		if cn := mustLeaf(t, m, long).Leaf.Subject.CommonName; cn != "" {
			t.Errorf("common name %q", cn)
		}
		if cn := mustLeaf(t, m, "short.example.com").Leaf.Subject.CommonName; cn != "short.example.com" {
			t.Errorf("common name %q", cn)
		}
	})
}

func TestLeafRefusesWhatIsNotOneCanonicalHost(t *testing.T) {
	t.Parallel()
	m := newTestMinter(t, newTestAuthority(t, Options{}))
	for _, host := range []string{
		"", ".", "a..b", ".a.example", "a.example.", "API.example.com", "*.example.com", "*", "a b.example", "a\x00.example",
		"a\n.example", "a\x7f.example", "bücher.example", "a/b", "a@b", "a:443", "[::1]", "::1%lo", "fe80::1%eth0",
		"::ffff:192.0.2.7", "::FFFF", "2001:DB8::1", "2001:0db8::1", "192.0.2.07", "127.1", "0x7f.0x1", "1.2.3", "0x7f000001",
		"2130706433", "-a.example", strings.Repeat("a", 64) + ".example", strings.Repeat("abc.", 63) + "de", "a,b.example", "a=b", "a%2eb",
	} {
		if c, err := m.Leaf(host); !errors.Is(err, ErrHost) || c != nil {
			t.Errorf("Leaf(%q) = %v, %v; want ErrHost", host, c, err)
		}
	}
	if max := strings.Repeat("abc.", 63) + "d"; len(max) != 253 {
		t.Fatal(len(max))
	} else if _, err := m.Leaf(max); err != nil {
		t.Errorf("a name of 253 bytes: %v", err)
	}
	if m.leaves.Len() != 1 {
		t.Errorf("%d leaves cached, want the one good one", m.leaves.Len())
	}
}

func TestLeafTimes(t *testing.T) {
	t.Parallel()
	t.Run("a leaf is handed out for 11 of its 12 hours and then minted anew", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := newTestMinter(t, newTestAuthority(t, Options{Lifetime: 24 * time.Hour}))
			time.Sleep(2 * time.Hour) // the backdating is not cut by the authority's own beginning
			first := mustLeaf(t, m, "api.example.com")
			if got := time.Until(first.Leaf.NotAfter); got != 12*time.Hour {
				t.Errorf("ends in %s", got)
			}
			if got := time.Since(first.Leaf.NotBefore); got != time.Hour {
				t.Errorf("began %s ago", got)
			}
			time.Sleep(11*time.Hour - time.Second)
			if mustLeaf(t, m, "api.example.com") != first {
				t.Error("minted anew with more than an hour left")
			}
			time.Sleep(time.Second)
			second := mustLeaf(t, m, "api.example.com")
			if second == first {
				t.Error("handed out with an hour left")
			}
		})
	})
	t.Run("a leaf is never valid outside its authority's own time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := newTestAuthority(t, Options{Lifetime: 90 * time.Minute})
			m := newTestMinter(t, a)
			first := mustLeaf(t, m, "api.example.com")
			if first.Leaf.NotBefore.Before(a.cert.NotBefore) || !first.Leaf.NotAfter.Equal(a.cert.NotAfter) {
				t.Errorf("leaf %s..%s, authority %s..%s", first.Leaf.NotBefore, first.Leaf.NotAfter, a.cert.NotBefore, a.cert.NotAfter)
			}
			time.Sleep(80 * time.Minute)
			if mustLeaf(t, m, "api.example.com") != first {
				t.Error("minted anew although it could not live longer")
			}
			time.Sleep(10 * time.Minute)
			if _, err := m.Leaf("api.example.com"); !errors.Is(err, ErrExpired) {
				t.Errorf("after the end, cached host: %v", err)
			}
			if _, err := m.Leaf("other.example.com"); !errors.Is(err, ErrExpired) {
				t.Errorf("after the end, new host: %v", err)
			}
		})
	})
	t.Run("a leaf begins no earlier than its authority", func(t *testing.T) {
		t.Parallel()
		clock := time.Now()
		a := newTestAuthority(t, Options{Now: func() time.Time { return clock.Add(30 * time.Minute) }})
		m, err := NewMinter(a, MinterOptions{Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		if leaf := mustLeaf(t, m, "api.example.com").Leaf; !leaf.NotBefore.Equal(a.cert.NotBefore) {
			t.Errorf("leaf begins %s, authority %s", leaf.NotBefore, a.cert.NotBefore)
		}
	})
	t.Run("a clock set back makes a new leaf", func(t *testing.T) {
		t.Parallel()
		clock := time.Now()
		m, err := NewMinter(newTestAuthority(t, Options{}), MinterOptions{Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		first := mustLeaf(t, m, "api.example.com")
		clock = clock.Add(-90 * time.Minute)
		if mustLeaf(t, m, "api.example.com") == first {
			t.Error("handed out before its beginning")
		}
	})
}

func TestTheCacheHoldsTheLast256Leaves(t *testing.T) {
	t.Parallel()
	m := newTestMinter(t, newTestAuthority(t, Options{}))
	first := mustLeaf(t, m, "h0.example.com")
	for i := range 256 {
		if mustLeaf(t, m, "h0.example.com") != first && i < 255 {
			t.Fatalf("the leaf in use was dropped after %d others", i)
		}
		mustLeaf(t, m, fmt.Sprintf("h%d.example.com", i+1))
	}
	if n := m.leaves.Len(); n != 256 {
		t.Errorf("%d leaves cached", n)
	}
	if m.leaves.Contains("h1.example.com") {
		t.Error("the least recently used leaf is still there")
	}
}

func TestConcurrentCallsForOneHostMintOnce(t *testing.T) {
	t.Parallel()
	m := newTestMinter(t, newTestAuthority(t, Options{}))
	const callers = 64
	got := make([]*tls.Certificate, callers)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			got[i], _ = m.Leaf("api.example.com")
		})
	}
	close(start)
	wg.Wait()
	for i, c := range got {
		if c == nil || c != got[0] {
			t.Fatalf("caller %d got another leaf", i)
		}
	}
}

func TestACallThatMissedAFlightTakesWhatItMinted(t *testing.T) {
	t.Parallel()
	m := newTestMinter(t, newTestAuthority(t, Options{}))
	first := mustLeaf(t, m, "api.example.com")
	// As for a caller that looked before the flight ended and called after.
	if second, err := m.mintOnce("api.example.com"); err != nil || second != first {
		t.Errorf("minted again: %v", err)
	}
}

func TestNewMinterRefusesNoAuthority(t *testing.T) {
	t.Parallel()
	for _, a := range []*Authority{nil, {}} {
		if _, err := NewMinter(a, MinterOptions{}); err == nil {
			t.Error("a minter without an authority")
		}
	}
}

func FuzzLeafHost(f *testing.F) {
	for _, s := range []string{"api.example.com", "example.com", "*.example.com", "10.0.0.1", "::1", "::ffff:10.0.0.1", "[::1]",
		"API.EXAMPLE.COM", "a.", "a b", "a\x00b", "127.1", "xn--a", "-a", "_a"} {
		f.Add(s, "x."+s)
		f.Add(s, s)
		f.Add(s, strings.ToUpper(s)+".")
	}
	a, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	m, err := NewMinter(a, MinterOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, host, other string) {
		c, err := m.Leaf(host)
		if err != nil {
			if !errors.Is(err, ErrHost) || c != nil {
				t.Fatalf("Leaf(%q) = %v, %v", host, c, err)
			}
			return
		}
		if err := c.Leaf.VerifyHostname(host); err != nil {
			t.Fatalf("leaf for %q does not match it: %v", host, err)
		}
		if len(c.Leaf.DNSNames)+len(c.Leaf.IPAddresses) != 1 {
			t.Fatalf("leaf for %q has names %q %v", host, c.Leaf.DNSNames, c.Leaf.IPAddresses)
		}
		if c.Leaf.VerifyHostname(other) == nil && canonical(other) != host {
			t.Fatalf("leaf for %q matches %q", host, other)
		}
		if _, err := m.Leaf(other); err == nil && other != host && c.Leaf.VerifyHostname(other) == nil {
			t.Fatalf("two hosts, %q and %q, share a leaf", host, other)
		}
	})
}
