// Package onepassword reads and writes fields of 1Password items: by the op command as its user is signed in, by op with
// the token of a service account, or at a Connect server.
//
// A reference's ID is op://vault/item/field or op://vault/item/section/field, with op:// or without; each part is a name
// or an id, and names may have spaces. ?attribute=otp after it gives the current code of a one-time password.
//
// op gets an environment of its own, no terminal to ask on, and never a value or a token among its arguments. While it
// runs, what it holds can be read by other programs of the same user, unless it is installed set-group-ID, as 1Password's
// packages for Linux do; a Connect server has no such window.
//
// The Connect server is spoken to with net/http: the vendor's SDK takes no context, reads answers of any length, uses
// http.DefaultClient, installs a global tracer, and puts names into its filters unescaped.
package onepassword

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"kz/resolver"
)

// The ways to log in.
const (
	CLI            = "cli"
	ServiceAccount = "service_account"
	Connect        = "connect"
)

// Options sets up a Store.
type Options struct {
	Auth        string          // CLI, ServiceAccount or Connect; "" is CLI
	Account     string          // CLI: the account that op uses; "": op's own choice
	Token       resolver.Secret // zero: OP_SERVICE_ACCOUNT_TOKEN, or OP_CONNECT_TOKEN
	ConnectHost string          // Connect: http or https URL; "": OP_CONNECT_HOST
	Timeout     time.Duration   // of one call; 0 is resolver.DefaultTimeout

	// Find gives the path of the op program, at each use. Needed for CLI and ServiceAccount.
	Find func() (string, error)

	Environ []string         // op's is chosen from it, and the variables above; nil is os.Environ()
	Now     func() time.Time // nil is time.Now
}

// Store is one account or Connect server. It is safe for concurrent use.
type Store struct {
	opt     Options
	connect *server       // nil: by op
	asking  chan struct{} // holds the one call of op that may ask its user, until one has succeeded
	letIn   atomic.Bool   // one has
	refused atomic.Pointer[resolver.Error]
}

// New makes a Store. It does no I/O. All problems with the options are reported together.
func New(o Options) (*Store, error) {
	var problems []error
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{opt: o, asking: make(chan struct{}, 1)}
	switch o.Auth {
	case "", CLI, ServiceAccount:
		if o.Find == nil {
			problems = append(problems, errors.New("onepassword: Find is missing"))
		}
		if strings.HasPrefix(o.Account, "-") || hasControl(o.Account) {
			problems = append(problems, errors.New("onepassword: account is not the name of an account"))
		}
	case Connect:
		if o.ConnectHost != "" {
			if _, err := parseHost(o.ConnectHost); err != nil {
				problems = append(problems, err)
			}
		}
		s.connect = newServer(&s.opt)
	default:
		problems = append(problems, errors.New("onepassword: auth is not one of cli, service_account, connect"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return s, nil
}

// Resolve fetches one value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.fetch(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// ResolveBatch fetches side by side: each reference once by op, each item once at a Connect server.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	if s.connect != nil {
		return s.batch(ctx, refs)
	}
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, s.fetch, resolver.Field)
}

func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	at, err := parse(ref.ID)
	if err != nil {
		return resolver.Result{}, err
	}
	var value string
	if s.connect != nil {
		value, err = s.connect.read(ctx, at)
	} else {
		value, err = s.read(ctx, at)
	}
	if err != nil {
		return resolver.Result{}, err
	}
	return s.result(at, value), nil
}

// otpPeriod is how long a code of a one-time password holds (RFC 6238, section 5.2).
const otpPeriod = 30 * time.Second

func (s *Store) result(at reference, value string) resolver.Result {
	r := resolver.Result{Secret: resolver.NewSecret(value)}
	if at.otp() {
		r.RefreshAt = s.opt.Now().Truncate(otpPeriod).Add(otpPeriod)
	}
	return r
}

// Check lists the vaults, of which no secret is read.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if s.connect != nil {
		return s.connect.check(ctx)
	}
	_, err := s.run(ctx, reference{}, nil, "vault", "list", "--format", "json")
	return err
}

// Put writes one field of an item. An item, section or field that is not there is made. The time limit holds for each
// of the two or three calls that it takes. A field that another changes between them, of the same item, may be set back.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	at, err := parse(ref.ID)
	if err != nil {
		return err
	}
	if at.query != "" {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "a reference with an attribute can only be read", Advice: "leave out what follows the ?"}
	}
	if !utf8.ValidString(value.Reveal()) {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "the value is not text, which is all that a field of 1Password keeps", Advice: "store it encoded, in base64 for example"}
	}
	if s.connect != nil {
		return s.connect.put(ctx, at, ref.Field, value)
	}
	return s.put(ctx, at, ref.Field, value)
}

// Warnings says whether the token and the values travel in clear text, or can be taken from op.
func (s *Store) Warnings() []string {
	if s.connect == nil {
		return s.openOp()
	}
	u, err := parseHost(s.connect.host())
	if err != nil || u.Scheme == "https" || loopback(u.Hostname()) {
		return nil
	}
	return []string{"the Connect server http://" + u.Host + " is not https: the token and the values can be read on the network"}
}

// lookup gives a variable as the kernel hands it over: the last of several entries wins.
func lookup(environ []string, name string) (value string) {
	for _, entry := range environ {
		if k, v, ok := strings.Cut(entry, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// token is the credential, from the options or the environment.
func token(o *Options, variable string) (string, error) {
	t := o.Token.Reveal()
	if o.Token.IsZero() {
		t = lookup(o.Environ, variable)
	}
	t = strings.TrimSpace(t)
	if t == "" || hasControl(t) || strings.Contains(t, " ") {
		return "", &resolver.Error{Kind: resolver.AccessDenied, Message: "there is no usable token",
			Advice: `name the secret that holds it in the backend, token = { secret = "NAME" }, or set ` + variable}
	}
	return t, nil
}

// parseHost takes the URL of a Connect server. A user and password in it would be sent, and shown, with every request.
func parseHost(host string) (*url.URL, error) {
	u, err := url.Parse(host)
	switch {
	case err != nil:
		return nil, errors.New("onepassword: connect_host is not a URL")
	case u.User != nil:
		return nil, errors.New("onepassword: connect_host has a user in it")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("onepassword: connect_host is not of the form https://HOST:PORT")
	}
	return u, nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
