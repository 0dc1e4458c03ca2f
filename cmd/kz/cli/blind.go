package cli

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"kz/ca"
	"kz/cmd/kz/config"
	"kz/masking"
	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

// blindOptions set up a blind session.
type blindOptions struct {
	AnyHost  bool
	Strict   bool // the egress mode where the configuration gives none
	Audit    string
	LogLevel slog.Level
	Identity *identity           // nil: a new one
	Vouched  func(net.Conn) bool // see proxy.Options; nil: nobody is
}

// identity is what a session is known by. It is kept over restarts only when asked to.
type identity struct {
	ID         string
	Credential string
	Key        masking.Key
	Authority  *ca.Authority
}

func newIdentity() (*identity, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	credential, err := proxy.NewCredential(rand.Reader)
	if err != nil {
		return nil, err
	}
	authority, err := ca.New(ca.Options{Name: "kz"})
	if err != nil {
		return nil, err
	}
	return &identity{ID: hex.EncodeToString(id), Credential: credential, Key: masking.NewKey(), Authority: authority}, nil
}

// blind is a session: its masks, the values behind them, and the proxy that joins the two.
type blind struct {
	*identity
	secrets []config.Secret
	table   *masking.Table
	cache   *resolver.Cache
	proxy   *proxy.Proxy
	audit   *audit.File
	tally   *tally
	room    []byte // see newHeapRoom
	cfg     *config.Config
	options blindOptions
	stop    func() // ends giveBack
}

// newBlind makes the session of the chosen secrets. It fetches nothing yet.
func (a *app) newBlind(cfg *config.Config, secrets []config.Secret, o blindOptions) (_ *blind, err error) {
	s := &blind{identity: o.Identity, secrets: secrets, room: newHeapRoom(), cfg: cfg, options: o}
	if s.identity == nil {
		if s.identity, err = newIdentity(); err != nil {
			return nil, fmt.Errorf("making the session: %w", err)
		}
	}
	var entries []masking.Entry
	for _, sec := range secrets {
		if !s.managed(sec) {
			continue
		}
		entries = append(entries, masking.Entry{Name: sec.Name, Shape: sec.Mask})
	}
	if s.table, err = masking.NewTable(s.Key, entries); err != nil {
		return nil, err
	}
	if s.cache, err = a.newCache(cfg, s.learn); err != nil {
		return nil, err
	}
	roots, err := upstreamRoots(cfg.Egress.UpstreamCA)
	if err != nil {
		return nil, err
	}
	distrusted, err := a.distrusted()
	if err != nil {
		return nil, err
	}
	var via *url.URL
	if cfg.Egress.UpstreamProxy != "" {
		if via, err = url.Parse(cfg.Egress.UpstreamProxy); err != nil {
			return nil, errors.New("reading upstream_proxy: not a URL")
		}
	}
	if s.audit, err = a.openAudit(o.Audit, s.ID); err != nil {
		return nil, err
	}
	s.tally = &tally{next: s.audit}
	s.proxy, err = proxy.New(proxy.Options{
		Policy: s.policyOf(cfg, secrets),
		Table:  s.table, Authority: s.Authority, Credential: s.Credential, Session: s.ID, Audit: s.tally,
		Values: s.cache.Get, Rejected: s.cache.Refresh, Log: a.logger(o.LogLevel), Roots: roots,
		AllowPrivate: cfg.Egress.AllowPrivate, Resolve: cfg.Egress.Resolve, UpstreamProxy: via, Distrust: distrusted, Vouched: o.Vouched,
	})
	if err != nil {
		_ = s.audit.Close()
		return nil, err
	}
	boundGarbage()
	stopped := make(chan struct{})
	s.stop = sync.OnceFunc(func() { close(stopped) })
	go giveBack(s.proxy.Begun, debug.FreeOSMemory, stopped)
	return s, nil
}

// policyOf is what a configuration says about the secrets of this session.
func (s *blind) policyOf(cfg *config.Config, secrets []config.Secret) *policy.Policy {
	var bindings []policy.Secret
	for _, sec := range secrets {
		if s.managed(sec) {
			hosts := sec.Hosts
			if s.options.AnyHost && sec.Service != "" {
				hosts = nil // --any-host is for each secret to which the file gives no hosts
			}
			bindings = append(bindings, policy.Secret{Name: sec.Name, Hosts: hosts, Places: sec.Places, Ranges: sec.Ranges,
				Any: s.options.AnyHost && len(hosts) == 0 && sec.Masked()})
		}
	}
	return policy.New(bindings, policy.Egress{
		Strict:       cfg.Egress.Mode == "strict" || cfg.Egress.Mode == "" && s.options.Strict,
		InterceptAll: cfg.Egress.Intercept == "all",
		Allow:        cfg.Egress.Allow, Deny: cfg.Egress.Deny,
	})
}

// managed reports whether a secret has a mask and is scrubbed: all but those which the child is given in plain.
func (s *blind) managed(sec config.Secret) bool {
	return sec.Masked() || sec.Expose == config.ExposeOmit
}

func (s *blind) find(name string) (config.Secret, bool) {
	for _, sec := range s.secrets {
		if sec.Name == name {
			return sec, true
		}
	}
	return config.Secret{}, false
}

// learn shows the proxy a new value before anything can use it.
func (s *blind) learn(name string, value resolver.Secret) error {
	sec, ok := s.find(name)
	if !ok || !s.managed(sec) {
		return nil
	}
	if err := fits(sec, value); err != nil {
		return err
	}
	if !sec.Scrub {
		return nil
	}
	err := s.proxy.Learn(name, value)
	if err != nil && !sec.Masked() {
		return nil // it is in no child's hands
	}
	return err
}

// fits refuses a value that can stand at none of its places: one with line breaks or control bytes may not stand in a
// header or in Basic. It refuses also what cannot be meant: nothing, and a mask.
func fits(sec config.Secret, value resolver.Secret) error {
	if !sec.Masked() {
		return nil
	}
	raw := withoutLineEnd(value.Reveal())
	if raw == "" {
		return withHint(fmt.Errorf("%s: the value is empty", sec.Name), "store one, as in `kz put %s`", sec.Name)
	}
	if strings.Contains(raw, masking.Prefix) { // whether it is scrubbed or not
		return withHint(fmt.Errorf("%s: the value holds what looks like a mask", sec.Name),
			"a mask was saved in place of the value: store the value itself, as in `kz put %s`", sec.Name)
	}
	if !strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
		return nil
	}
	for _, p := range sec.Places {
		if p.Kind != policy.Header && p.Kind != policy.HeaderNamed && p.Kind != policy.Basic {
			return nil
		}
	}
	return withHint(fmt.Errorf("%s: the value has line breaks or control bytes and could stand at none of its places", sec.Name),
		"add a place in a body to its swap list, as in swap = [\"body\"], or take the value out of the blind child with expose = \"omit\"")
}

// resolve fetches every value, together, before a child can ask for one.
func (s *blind) resolve(ctx context.Context) error {
	return grouped(s.cache.ResolveAll(ctx, s.names()))
}

// settle takes nothing new and lets what has just ended be recorded: a client is gone before the line of its last request
// is written. What the child left running has no more time than that.
func (s *blind) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	_ = s.proxy.Shutdown(ctx)
}

// settleTime is how long requests may take to end once the child has.
const settleTime = time.Second

// close ends the session at once.
func (s *blind) close() {
	s.stop()
	_ = s.proxy.Close()
	_ = s.audit.Close()
}

// newCache puts one cache before all stores.
func (a *app) newCache(cfg *config.Config, onValue func(string, resolver.Secret) error) (*resolver.Cache, error) {
	_, cache, err := a.openStores(cfg, onValue)
	return cache, err
}

// openStores is newCache for who needs the stores, too. The cache knows every configured secret, so that a backend can use one.
func (a *app) openStores(cfg *config.Config, onValue func(string, resolver.Secret) error) (map[string]resolver.Resolver, *resolver.Cache, error) {
	var cache *resolver.Cache
	stores, err := a.stores(cfg, func() *resolver.Cache { return cache })
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		if cfg.Backends[name].Type == config.Local {
			continue // where its key is, is said when that is made, and by tellExposure
		}
		if w, ok := stores[name].(resolver.Warner); ok {
			for _, warning := range w.Warnings() {
				a.ui.Warnf("backend %s: %s", name, warning)
			}
		}
	}
	var sources []resolver.Source
	for _, sec := range cfg.Secrets {
		sources = append(sources, resolver.Source{Name: sec.Name, Backend: sec.Backend, Resolver: stores[sec.Backend], Ref: sec.Ref, TTL: sec.TTL, MaxStale: sec.MaxStale})
	}
	cache, err = resolver.NewCache(resolver.CacheOptions{Sources: sources, OnValue: onValue})
	return stores, cache, err
}

// upstreamRoots are the system's roots and those of upstream_ca. The system's are read when they are first needed; the
// file is read at once, so that a mistake in it shows before a child starts.
func upstreamRoots(path string) (func() (*x509.CertPool, error), error) {
	if path == "" {
		return x509.SystemCertPool, nil
	}
	extra, err := os.ReadFile(path)
	if err != nil {
		return nil, withHint(fmt.Errorf("reading upstream_ca: %w", err), "it is a file of PEM certificates; check the path")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(extra) {
		return nil, withHint(fmt.Errorf("reading upstream_ca: %s holds no certificate", path), "it is a file of PEM certificates")
	}
	return func() (*x509.CertPool, error) {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pool.AppendCertsFromPEM(extra)
		return pool, nil
	}, nil
}

// openAudit opens the stream at path, or at its default place.
func (a *app) openAudit(path, session string) (*audit.File, error) {
	if path == "" {
		dir, err := a.stateDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, "audit", a.now().UTC().Format("20060102T150405Z")+"-"+session+".jsonl")
	}
	f, err := audit.OpenFile(path)
	return f, withHint(err, "--audit FILE puts it elsewhere")
}

// logger writes what is at least as grave as level to kz's own voice. Its records hold no values.
func (a *app) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(voice{a.ui}, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, at slog.Attr) slog.Attr {
		if at.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return at
	}}))
}

// voice is the ui as a writer of lines.
type voice struct{ u *ui }

// Write implements io.Writer.
func (v voice) Write(p []byte) (int, error) {
	v.u.Notef("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

var _ io.Writer = voice{}

// environment is what the child gets, and what a client must set.
func (s *blind) environment(proxyURL string, files caFiles) *blindEnv {
	e := &blindEnv{Session: s.ID, ProxyURL: proxyURL, CA: files}
	for _, sec := range s.secrets {
		for _, h := range sec.Hosts {
			e.BoundHosts = append(e.BoundHosts, h.Host())
		}
	}
	return e
}

// proxyURL is the proxy at an address, with the session's credential.
func (s *blind) proxyURL(address string) string {
	return (&url.URL{Scheme: "http", User: url.UserPassword("kz", s.Credential), Host: address}).String()
}

// variables are the secrets as the environment needs them.
func (s *blind) variables(ctx context.Context) []envSecret {
	return envSecrets(ctx, s.secrets, s.cache, s.table.Token)
}

// envSecrets joins the configuration and the values, which must have been resolved.
func envSecrets(ctx context.Context, secrets []config.Secret, cache *resolver.Cache, token func(string) string) []envSecret {
	vars := make([]envSecret, len(secrets))
	for i, sec := range secrets {
		vars[i] = envSecret{Name: sec.Name, Expose: exposure(sec.Expose), Field: sec.Plain, Token: token(sec.Name), Reveal: func() string {
			v, err := cache.Get(ctx, sec.Name)
			if err != nil {
				return ""
			}
			return v.Reveal()
		}}
		if sec.Plain {
			vars[i].Expose = exposePlain
		}
	}
	return vars
}

// shutdownGrace is how long what is in flight may take to end.
const shutdownGrace = 10 * time.Second
