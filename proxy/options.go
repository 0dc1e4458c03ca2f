package proxy

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"

	"kz/ca"
	"kz/masking"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

// Options are the parts of a Proxy. Those without a stated zero meaning are required.
type Options struct {
	Policy     *policy.Policy // the first one; see Proxy.SetPolicy
	Table      *masking.Table // the session's masks
	Authority  *ca.Authority  // signs the leaves shown to clients
	Credential string         // the password that clients give as Proxy-Authorization: Basic, with any user
	Session    string         // names the session in the audit
	Audit      audit.Sink

	// Values fetches the current value of a secret, from a cache. It is called only for a secret that policy lets pass,
	// and must have called Learn for a value before it returns it.
	Values func(ctx context.Context, name string) (resolver.Secret, error)
	// Rejected says that an upstream answered 401 to a request that carried these secrets as they are now. It begins to
	// fetch them again, unless that was done a moment ago, and returns when there is an outcome or ctx is done, which it
	// may be from the start; what was begun goes on. Nil: nothing is done.
	Rejected func(ctx context.Context, names []string) error
	// Vouched says that the client of a connection may do without the credential: that it is surely one of those which were
	// given it, but cannot send it. It is asked at most once for each connection, when a request carries no credential at all,
	// before anything is looked up or dialled, and may take a few seconds. Several calls may be under way. Nil: nobody may.
	Vouched func(client net.Conn) bool

	Log           *slog.Logger                   // nil: nothing is logged
	Roots         func() (*x509.CertPool, error) // who may sign for upstreams; asked at the first connection. Nil: the system's
	Distrust      []*x509.Certificate            // who may not, even if among Roots, beside Authority, which never may
	AllowPrivate  []netip.Prefix                 // networks off the open internet that may be dialled
	Resolve       []policy.Pin                   // where names are really dialled
	UpstreamProxy *url.URL                       // nil: upstreams are dialled directly
	MaxConns      int                            // connections at a time; 0: 4096
}

const defaultMaxConns = 4096

func (o *Options) check() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("proxy: Options."+what+" is required"))
		}
	}
	need(o.Policy != nil, "Policy")
	need(o.Table != nil, "Table")
	need(o.Authority != nil, "Authority")
	need(len(o.Credential) >= 32, "Credential (at least 32 bytes)")
	need(o.Session != "", "Session")
	need(o.Audit != nil, "Audit")
	need(o.Values != nil, "Values")
	return errors.Join(errs...)
}
