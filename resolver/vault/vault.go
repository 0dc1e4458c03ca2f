// Package vault reads secrets from HashiCorp Vault: the KV engine in both its
// versions, and any other path that is read.
//
// A reference's ID is a path, such as "secret/my-app". Which version of KV is
// mounted there is asked of Vault, and for version 2 the /data/ segment is put
// in where it is missing; "secret/data/my-app" means the same. Version picks a
// version of KV v2.
//
// What KV keeps is always an object. Without a Field, the value is the first of
// value, accessToken, apiKey and token that it has; else its only member; else
// the whole object as JSON.
//
// The client's own settings come from the user's environment, as for the vault
// command: VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT,
// VAULT_PROXY_ADDR and HTTPS_PROXY among them. VAULT_SKIP_VERIFY has no effect:
// certificates are always verified.
package vault

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	Address   string          // "": VAULT_ADDR
	Namespace string          // "": VAULT_NAMESPACE, else none
	Mount     string          // "": the path begins with the mount. A Ref's Mount goes before it
	CACert    string          // file of PEM certificates to trust in place of the system's; "": VAULT_CACERT, else the system's
	Token     resolver.Secret // zero: VAULT_TOKEN, else the file ~/.vault-token
	Timeout   time.Duration   // of one call with its retries; 0 is resolver.DefaultTimeout

	Getenv func(string) string    // for VAULT_ADDR and VAULT_TOKEN; nil is os.Getenv
	Home   func() (string, error) // where .vault-token is; nil is os.UserHomeDir
	Now    func() time.Time       // nil is time.Now
}

// Store is one Vault as seen with one token. It is safe for concurrent use.
type Store struct {
	opt     Options
	session session
	mu      sync.Mutex
	mounts  map[string]mount // by path, which ends in /
}

// New makes a Store. It does no I/O and makes no client. All problems with the
// options are reported together.
func New(o Options) (*Store, error) {
	var problems []error
	if o.Address != "" {
		if _, err := parseAddress(o.Address); err != nil {
			problems = append(problems, err)
		}
	}
	o.Mount = strings.Trim(o.Mount, "/")
	if err := checkPath(o.Mount); o.Mount != "" && err != nil {
		problems = append(problems, errors.New("vault: mount is not a plain path"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Home == nil {
		o.Home = os.UserHomeDir
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{opt: o, mounts: map[string]mount{}}
	s.session = session{opt: &s.opt, auth: tokenAuth{&s.opt}}
	return s, nil
}

// parseAddress takes an http, https or unix URL. A user and password in it
// would be sent, and shown, with every request.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("vault: address is not a URL")
	case u.User != nil:
		return nil, errors.New("vault: address has a user in it")
	case u.Scheme == "unix" && u.Path != "":
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("vault: address is not of the form https://HOST:PORT")
	}
	return u, nil
}

// Resolve fetches one value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.fetch(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, pick)
}

// ResolveBatch reads each path once, eight at the same time.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, s.fetch, pick)
}

// fetch reads one object. The value is due again when its lease or the token's
// life has only a fifth left.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	path, mount, err := s.place(ref)
	if err != nil {
		return resolver.Result{}, err
	}
	object, err := s.readObject(ctx, path, mount, ref.Version)
	if err != nil {
		return resolver.Result{}, err
	}
	r := resolver.Result{Secret: resolver.NewSecret(string(object.data))}
	if object.leaseID != "" && object.lease > 0 {
		r.RefreshAt = s.opt.Now().Add(object.lease * 4 / 5)
	}
	if renew := s.session.renewAt(ctx); !renew.IsZero() && (r.RefreshAt.IsZero() || renew.Before(r.RefreshAt)) {
		r.RefreshAt = renew
	}
	return r, nil
}

// Check looks the token up, which any valid token may do.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	_, err := s.get(ctx, "auth/token/lookup-self", nil)
	return err
}

// Warnings says whether the token and the values travel in clear text.
func (s *Store) Warnings() []string {
	address := s.address()
	u, err := parseAddress(address)
	if err != nil || u.Scheme != "http" || loopback(u.Hostname()) {
		return nil
	}
	return []string{"the Vault address " + address + " is not https: the token and the values can be read on the network"}
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (s *Store) address() string {
	if s.opt.Address != "" {
		return s.opt.Address
	}
	return s.opt.Getenv("VAULT_ADDR")
}

// hostOf is the address as a message shows it.
func hostOf(u *url.URL) string {
	if u.Scheme == "unix" {
		return u.String()
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port)
}
