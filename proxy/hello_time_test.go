package proxy

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"kz/proxy/policy"
)

// TestAStrictTunnelWaitsTenSecondsForAClientHello holds both: a silent client is not kept for ever where TLS must come, and
// one whose protocol lets the server speak first is.
func TestAStrictTunnelWaitsTenSecondsForAClientHello(t *testing.T) {
	for _, c := range []struct {
		name    string
		sends   []byte
		opening policy.Opening
		ends    bool
	}{
		{"a silent client", nil, policy.NamedWithTLS, true},
		{"a client that stops within its ClientHello", []byte{22, 3, 1, 0, 200, 1}, policy.NamedWithTLS, true},
		{"the same where TLS need not come", []byte{22, 3, 1, 0, 200, 1}, policy.NamedIfTLS, true},
		{"a silent client where TLS need not come", nil, policy.NamedIfTLS, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, near := net.Pipe()
				upstream, _ := net.Pipe()
				done := make(chan error, 1)
				began := time.Now()
				go func() {
					_, err := opened(near, upstream, policy.Authority{Host: "tunnel.test", Port: 443}, c.opening, make(chan bool))
					done <- err
				}()
				_, _ = client.Write(c.sends)
				time.Sleep(time.Hour)
				select {
				case err := <-done:
					var refused *openingError
					if !c.ends || !errors.As(err, &refused) || refused != errHelloLate {
						t.Errorf("ended with %v", err)
					}
				default:
					if c.ends {
						t.Errorf("still waits after %v", time.Since(began))
					}
				}
				_ = client.Close()
				if !c.ends {
					if err := <-done; !errors.Is(err, io.EOF) {
						t.Errorf("its end is %v", err)
					}
				}
			})
		})
	}
}
