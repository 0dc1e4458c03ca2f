package vault

import (
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// Retries of one request, on 5xx, 412, 429 and broken connections.
const (
	maxRetries   = 2
	minRetryWait = 200 * time.Millisecond
	maxRetryWait = time.Second
)

// maxBody bounds an answer; Vault's own limit for one entry is 1 MiB.
const maxBody = 4 << 20

// newClient makes the API client. It reads the environment and the CA files.
func newClient(o *Options) (*api.Client, error) {
	address := o.address()
	if address == "" {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "no Vault address is known",
			Advice: `write address = "https://vault.example.com:8200" in the backend, or set VAULT_ADDR`}
	}
	if _, err := parseAddress(address); err != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "VAULT_ADDR is not of the form https://HOST:PORT", Advice: "correct VAULT_ADDR, or write `address` in the backend"}
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "a VAULT_ variable of the environment cannot be used",
			Advice: "check the files that VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY name"}
	}
	if o.CACert != "" {
		if err := cfg.ConfigureTLS(&api.TLSConfig{CACert: o.CACert}); err != nil {
			return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "ca_cert cannot be used: " + o.CACert,
				Advice: "check that the file is there and has PEM certificates"}
		}
	}
	transport := cfg.HttpClient.Transport.(*http.Transport) // as DefaultConfig and ConfigureTLS demand
	transport.TLSClientConfig.InsecureSkipVerify = false    // whatever VAULT_SKIP_VERIFY says
	cfg.Address, cfg.AgentAddress = address, ""
	cfg.MaxRetries, cfg.MinRetryWait, cfg.MaxRetryWait = maxRetries, minRetryWait, maxRetryWait
	cfg.Timeout = o.Timeout
	// The default one obeys a Retry-After of any length.
	cfg.Backoff = func(lo, hi time.Duration, _ int, _ *http.Response) time.Duration { return lo + rand.N(hi-lo) }
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "a VAULT_ variable of the environment cannot be used",
			Advice: "check VAULT_HEADERS, VAULT_RATE_LIMIT and the other VAULT_ variables"}
	}
	cfg.HttpClient.Transport = bounded{transport}
	client.SetWrappingLookupFunc(func(string, string) string { return "" }) // VAULT_WRAP_TTL would hide the answer
	client.ClearToken()
	if o.Namespace != "" {
		client.SetNamespace(o.Namespace)
	}
	return client, nil
}

// bounded cuts answers that are longer than maxBody.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxBody), resp.Body}
	}
	return resp, err
}
