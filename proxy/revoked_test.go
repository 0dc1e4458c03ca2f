package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"regexp"
	"testing"

	"kz/masking"
	"kz/proxy"
	"kz/proxy/policy"
	"kz/resolver"
)

// TestNothingGoesUpOnceTheSessionHasEnded ends it while a request waits for its value, with connections to the upstream warm.
func TestNothingGoesUpOnceTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "h2": true} {
		t.Run("over "+name, func(t *testing.T) {
			t.Parallel()
			asked, ended := make(chan struct{}), make(chan struct{})
			b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
				values := o.Values
				o.Values = func(ctx context.Context, name string) (resolver.Secret, error) {
					if name == "PEM" {
						close(asked)
						<-ended // whatever becomes of ctx: a store that answers all the same
					}
					return values(ctx, name)
				}
			})
			b.values.Store("PEM", "one-line-value")
			b.client = b.newClient(h2)
			b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY")))
			b.upstreamGot()
			done := make(chan error, 1)
			go func() {
				resp, err := b.client.Do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("PEM")))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if err == nil && resp.StatusCode == http.StatusOK {
						t.Error("the request was answered")
					}
				}
				done <- err
			}()
			<-asked
			if err := b.proxy.Close(); err != nil {
				t.Error(err)
			}
			close(ended)
			<-done
			b.nothingSent()
		})
	}
}

// TestSessionsKnowNothingOfEachOther uses what belongs to one session with the proxy of another.
func TestSessionsKnowNothingOfEachOther(t *testing.T) {
	t.Parallel()
	const other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	mine := newBed(t)
	theirs := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { o.Credential = other })
	if _, status := theirs.tryConnect("api.test:443", "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n"); status != 407 {
		t.Errorf("the credential of another session: %d", status)
	}
	if mine.mask("KEY") == theirs.mask("KEY") {
		t.Error("two sessions have one mask")
	}
	a := mine.do(mine.request("GET", "https://api.test/", "", "Authorization: Bearer "+theirs.mask("KEY")))
	mine.refused(a, 403, "mask_unknown")
	mine.nothingSent()
	theirs.nothingSent()
}

func TestCredentialsAreRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		c, err := proxy.NewCredential(rand.Reader)
		if err != nil || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c) {
			t.Fatalf("%q, %v", c, err)
		}
		seen[c] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d of 100 differ", len(seen))
	}
	if c, err := proxy.NewCredential(bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) || c != "" {
		t.Errorf("with too little randomness: %q, %v", c, err)
	}
	// A mask says nothing of another session's, of its own secret's value, or of another secret.
	a, b := masking.NewKey(), masking.NewKey()
	if mask := a.Mask("KEY"); mask == b.Mask("KEY") || mask == a.Mask("KEZ") || mask != a.Mask("KEY") {
		t.Error("masks are not of their session and their secret")
	}
	if _, err := proxy.New(proxy.Options{Credential: "short"}); err == nil || !regexp.MustCompile(`Credential \(at least 32 bytes\)`).MatchString(err.Error()) {
		t.Errorf("a short credential: %v", err)
	}
}
