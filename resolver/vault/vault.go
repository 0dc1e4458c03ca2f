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
// What other engines lease, such as the user of a database, is the same value for
// as long as its lease can be renewed, which happens lazily: at the first use
// after four fifths of it, or by Keep where the value is not used again. Close
// revokes the leases, and the token of a login that the Store made itself.
//
// Put writes to KV: one field with the others kept, or the whole object.
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

	"golang.org/x/sync/singleflight"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	Address   string        // "": VAULT_ADDR
	Namespace string        // "": VAULT_NAMESPACE, else none
	Mount     string        // "": the path begins with the mount. A Ref's Mount goes before it
	CACert    string        // file of PEM certificates to trust in place of the system's; "": VAULT_CACERT, else the system's
	Auth      string        // "token", "approle" or "kubernetes"; "": token
	AuthMount string        // where the AppRole or Kubernetes method is mounted; "": at its own name
	Timeout   time.Duration // of one call with its retries; 0 is resolver.DefaultTimeout

	Token resolver.Secret // token; zero: VAULT_TOKEN, else the file ~/.vault-token

	RoleID          string          // approle
	SecretID        resolver.Secret // approle; zero: WrappedSecretID, else the role needs none
	WrappedSecretID resolver.Secret // approle: a response-wrapping token that holds the secret ID. It is unwrapped once

	Role    string // kubernetes
	JWTPath string // kubernetes: the service account's token, read at each login; "": where a pod has it

	Getenv func(string) string    // for VAULT_ADDR and VAULT_TOKEN; nil is os.Getenv
	Home   func() (string, error) // where .vault-token is; nil is os.UserHomeDir
	Now    func() time.Time       // nil is time.Now
}

// Store is one Vault as seen with one login. It is safe for concurrent use.
type Store struct {
	opt     Options
	session session
	leases  leases
	shared  singleflight.Group // reads of what may be leased
	end     context.CancelFunc // ends what is under way
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
	o.AuthMount = strings.TrimPrefix(strings.Trim(o.AuthMount, "/"), "auth/") // as `vault auth list` and its paths show it
	if err := checkPath(o.AuthMount); o.AuthMount != "" && err != nil {
		problems = append(problems, errors.New("vault: auth_mount is not a plain path"))
	}
	login, err := newAuth(&o)
	if err != nil {
		problems = append(problems, err)
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
	s.session = session{opt: &s.opt, auth: login(&s.opt)}
	s.session.over, s.end = context.WithCancel(context.Background())
	return s, nil
}

// newAuth checks the settings of one way to log in, and returns what makes it.
func newAuth(o *Options) (func(*Options) auth, error) {
	switch o.Auth {
	case "", "token":
		return func(o *Options) auth { return tokenAuth{o} }, nil
	case "approle":
		switch {
		case o.RoleID == "":
			return nil, errors.New("vault: role_id is missing")
		case !o.SecretID.IsZero() && !o.WrappedSecretID.IsZero():
			return nil, errors.New("vault: secret_id and wrapped_secret_id are both given")
		}
		return func(o *Options) auth { return &appRole{opt: o} }, nil
	case "kubernetes":
		if o.Role == "" {
			return nil, errors.New("vault: role is missing")
		}
		return func(o *Options) auth { return kubernetes{o} }, nil
	}
	return nil, errors.New("vault: auth is not token, approle or kubernetes")
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

// fetch reads one object, or goes on with its lease.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	leave, err := s.leases.enter()
	if err != nil {
		return resolver.Result{}, err
	}
	defer leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	path, mount, err := s.place(ref)
	if err != nil {
		return resolver.Result{}, err
	}
	m, known, err := s.mountOf(ctx, path)
	if err != nil {
		return resolver.Result{}, err
	}
	p := place{path: path, named: mount, mount: m, known: known, version: ref.Version}
	if !known || m.kv == 0 {
		return s.fetchShared(ctx, p)
	}
	object, err := s.readObject(ctx, p)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.Result{Secret: resolver.NewSecret(string(object.data)), RefreshAt: s.session.renewAt(ctx)}, nil
}

// bound gives a call its time limit. It also ends with the session.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	stop := context.AfterFunc(s.session.over, cancel)
	return ctx, func() { stop(); cancel() }
}

// Check looks the token up, which any valid token may do that has the default
// policy; one without is good when Vault has just given it.
func (s *Store) Check(ctx context.Context) error {
	leave, err := s.leases.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, _, err = s.call(ctx, call{path: "auth/token/lookup-self"})
	if errors.Is(err, resolver.AccessDenied) && s.session.fresh() {
		return nil
	}
	return err
}

// Warnings says whether the token and the values travel in clear text.
func (s *Store) Warnings() []string {
	address := s.opt.address()
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

func (o *Options) address() string {
	if o.Address != "" {
		return o.Address
	}
	return o.Getenv("VAULT_ADDR")
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
