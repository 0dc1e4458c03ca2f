package azurekv

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"kz/resolver"
)

// Retries of one request, and how long is waited between them. A Retry-After that is longer ends the call.
const (
	retries = 2
	minWait = 200 * time.Millisecond
	maxWait = time.Second
)

// maxBody bounds an answer; a secret has at most 25 KiB.
const maxBody = 1 << 20

// maxRefusal bounds an answer that is an error, which has some 1 KiB: the SDK lays its JSON out with the indents of each line,
// whose room grows with the square of its length. Of 4 KiB nothing but brackets are 16 MiB, of 1 MiB gigabytes.
const maxRefusal = 4 << 10

// silence keeps the SDK from writing answers to standard error, as AZURE_SDK_GO_LOGGING=all would have it. Once, because
// the SDK's setter is not safe for concurrent use.
var silence = sync.OnceFunc(func() { azlog.SetListener(nil) })

// open returns the client, made at the first use.
func (s *Store) open() (*azsecrets.Client, error) {
	silence()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	o := azcore.ClientOptions{
		Transport: newClient(s.opt.Transport),
		Retry:     policy.RetryOptions{MaxRetries: retries, RetryDelay: minWait, MaxRetryDelay: maxWait},
	}
	login, err := s.newLogin(o)
	if err != nil {
		return nil, err
	}
	client, err := azsecrets.NewClient(s.opt.VaultURL, login, &azsecrets.ClientOptions{ClientOptions: o})
	if err != nil {
		return nil, err
	}
	s.client = client
	return client, nil
}

func newClient(t http.RoundTripper) *http.Client {
	if t == nil {
		t = &http.Transport{
			Proxy:       proxy,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			// One connection serves them all with h2.
			ForceAttemptHTTP2: true, MaxIdleConnsPerHost: resolver.DefaultLimit, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	return &http.Client{
		Transport: bounded{t},
		// Neither a token nor a client secret goes where an answer sends it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proxy is the user's, but not for the machine's own identity, which is asked for at a link-local address: a proxy would
// be asked for its own.
func proxy(r *http.Request) (*url.URL, error) {
	if ip := net.ParseIP(r.URL.Hostname()); ip != nil && ip.IsLinkLocalUnicast() {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// bounded cuts answers that are longer than maxBody or maxRefusal, and notes why there was none: the login's errors do not say it.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		n.set(err)
	}
	if err == nil {
		most := int64(maxBody)
		if resp.StatusCode >= 300 {
			most = maxRefusal
		}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, most), resp.Body}
	}
	return resp, err
}

// note is why the last request of a login had no answer; nil when it had one.
type note struct {
	mu  sync.Mutex
	err error
}

type noteKey struct{}

func withNote(ctx context.Context) (context.Context, *note) {
	n := &note{}
	return context.WithValue(ctx, noteKey{}, n), n
}

func (n *note) set(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func (n *note) get() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}
