package azurekv_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"kz/resolver"
	"kz/resolver/azurekv"
	"kz/resolver/resolvertest/azurefake"
)

// nested refuses every call of the vault with a MiB of JSON that is deep enough to take 200 times as much when it is laid out.
type nested struct {
	vault http.RoundTripper
	read  *atomic.Int64
}

func (n nested) RoundTrip(r *http.Request) (*http.Response, error) {
	if "https://"+r.URL.Host != azurefake.VaultURL || r.Header.Get("Authorization") == "" {
		return n.vault.RoundTrip(r)
	}
	const depth = 200
	body := strings.Repeat("[", depth) + strings.Repeat("0,", 1<<19) + "0" + strings.Repeat("]", depth)
	return &http.Response{StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(io.TeeReader(strings.NewReader(body), counter{n.read})), Request: r}, nil
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

func TestARefusalThatIsLongIsNotLaidOut(t *testing.T) {
	t.Parallel()
	var read atomic.Int64
	s := open(t, azurefake.New(), func(o *azurekv.Options) { o.Transport = nested{o.Transport, &read} })
	_, err := s.Resolve(t.Context(), resolver.Ref{ID: "a"})
	if n := read.Load(); resolver.KindOf(err) != resolver.AccessDenied || n == 0 || n > 8<<10 {
		t.Errorf("%d bytes were read: %v", n, err)
	}
}
