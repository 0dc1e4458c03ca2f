package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kz/cmd/kz/config"
	"kz/proxy/audit"
)

// The doctor's own secret, and the name below which its API has as many hosts as are asked for. No resolver knows .test
// (RFC 2606): a program that goes past the proxy finds nothing.
const (
	doctorKey    = "KZ_DOCTOR_KEY"
	doctorDomain = "doctor.test"
)

// doctorSession is a blind session of the doctor's own: a made-up value in a store of its own, an API on loopback, and a
// proxy in between that lets programs go nowhere else unless it is open.
type doctorSession struct {
	*blind
	value string
	files caFiles
	url   string // of the proxy, with its credential
	dir   string // for what is written, the audit and the store
	api   *demoAPI
	done  []func()

	tunnels *noted

	ownPath bool // programs are looked for where kz looks for its own, and not in the workspace

	here *config.Config // what it manages no program gets, also where this session is not of it; nil: nothing

	mu   sync.Mutex
	held map[string]bool // hosts of the API at which the value arrived
}

// newDoctorSession starts one. An open one lets programs go where they would, and looks into every connection.
func (a *app) newDoctorSession(ctx context.Context, open bool) (_ *doctorSession, err error) {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	s := &doctorSession{value: "doctor_" + base64.RawURLEncoding.EncodeToString(random), api: &demoAPI{}, held: map[string]bool{}}
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	l, err := s.api.listen("kz doctor API")
	if err != nil {
		return nil, err
	}
	s.api.serve(l, s.answer)
	s.done = append(s.done, func() { _ = s.api.server.Close() })
	if s.dir, err = os.MkdirTemp("", "kz-doctor-"); err != nil {
		return nil, err
	}
	s.done = append(s.done, func() { _ = os.RemoveAll(s.dir) })
	cfg, err := s.configuration(open)
	if err != nil {
		return nil, err
	}
	if s.blind, err = a.newBlind(cfg, cfg.Secrets, blindOptions{Audit: filepath.Join(s.dir, "audit.jsonl"), Vouched: newVouch()}); err != nil {
		return nil, err
	}
	s.done = append(s.done, s.blind.close)
	if err = s.resolve(ctx); err != nil {
		return nil, err
	}
	return s, s.open(func(name string, data []byte) (string, error) {
		path := filepath.Join(s.dir, name)
		return path, writeFileAtomic(path, data)
	})
}

// open lets clients in.
func (s *doctorSession) open(write func(name string, data []byte) (string, error)) error {
	files, err := s.caFilesIn(write)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.tunnels = &noted{Listener: l, asked: map[string]bool{}}
	go func() { _ = s.proxy.Serve(s.tunnels) }()
	s.files, s.url = files, s.proxyURL(l.Addr().String())
	return nil
}

// end ends it and leaves nothing.
func (s *doctorSession) end() {
	for i := len(s.done) - 1; i >= 0; i-- {
		s.done[i]()
	}
}

func (s *doctorSession) configuration(open bool) (*config.Config, error) {
	egress := fmt.Sprintf("mode = \"strict\"\nallow = [\"*.%s\"]", doctorDomain)
	if open {
		egress = "intercept = \"all\""
	}
	for name, content := range map[string]string{
		"secrets.env": doctorKey + "=" + s.value + "\n",
		"roots.pem":   string(s.api.authority.CertPEM()),
		"doctor.toml": fmt.Sprintf(`
[backends.local]
type = "env_file"
path = "secrets.env"

[secrets.%s]
backend = "local"
hosts = ["*.%s"]

[egress]
%s
allow_private = ["127.0.0.0/8"]
resolve = { "*.%[2]s:443" = %[4]q }
upstream_ca = "roots.pem"
`, doctorKey, doctorDomain, egress, s.api.address),
	} {
		if err := writeFileAtomic(filepath.Join(s.dir, name), []byte(content)); err != nil {
			return nil, err
		}
	}
	return config.Load(config.Options{Dir: s.dir, File: filepath.Join(s.dir, "doctor.toml"), Getenv: func(string) string { return "" }})
}

// answer is the API: it notes who brought the value, and gives back what it was sent.
func (s *doctorSession) answer(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	_, password, _ := r.BasicAuth()
	sent := r.Header.Get("Authorization")
	if password == s.value || strings.HasSuffix(sent, " "+s.value) {
		s.mu.Lock()
		s.held[host] = true
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"your_key\":%q}\n", strings.TrimPrefix(sent, "Bearer "))
}

// swapped reports whether the value arrived at a host.
func (s *doctorSession) swapped(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[host]
}

// environ is what a program gets that kz run --blind starts, and more.
func (s *doctorSession) environ(ctx context.Context, a *app, more ...string) ([]string, error) {
	env, _, err := childEnv(s.envSpec(ctx, a))
	if s.ownPath {
		env = append(env, "PATH="+os.Getenv("PATH")) // the last one counts; see keepToOwnPath
	}
	return append(env, more...), err
}

// envSpec is what that depends on.
func (s *doctorSession) envSpec(ctx context.Context, a *app) envSpec {
	spec := envSpec{Parent: a.environ, Secrets: s.variables(ctx), Blind: s.environment(s.url, s.files),
		Contains: func(v string) (string, bool) { return s.proxy.Holds([]byte(v)) }, Credentials: backendVariables(s.cfg)}
	if s.here != nil {
		spec.Credentials, spec.Managed = append(spec.Credentials, backendVariables(s.here)...), secretNames(s.here.Secrets)
	}
	return spec
}

// mask is what programs hold.
func (s *doctorSession) mask() string { return s.table.Token(doctorKey) }

// events is what the audit has of each host, once all requests are in it.
func (s *doctorSession) events() (map[string][]audit.Event, error) {
	s.settle()
	byHost := map[string][]audit.Event{}
	_, err := readAudit(context.Background(), s.audit.Path(), func(l auditLine) error {
		if l.Session == s.ID {
			byHost[l.Host] = append(byHost[l.Host], l.Event)
		}
		return nil
	})
	return byHost, err
}

// prove makes one request as a program would that obeys the variables, and holds that the value arrived and that only a
// mask came back.
func (s *doctorSession) prove(ctx context.Context) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	host := "kz." + doctorDomain
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.mask())
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch {
	case err != nil:
		return err
	case !s.swapped(host):
		return errors.New("the value did not arrive at its host")
	case bytes.Contains(body, []byte(s.value)) || !bytes.Contains(body, []byte(s.mask())):
		return errors.New("the answer did not come back masked")
	}
	return nil
}

// noted is a listener that notes which hosts its clients ask a tunnel to. Of a client that takes part in the handshake and
// leaves when it has seen the certificate, as one on GnuTLS does, the audit has no line.
type noted struct {
	net.Listener

	mu    sync.Mutex
	asked map[string]bool // hosts
}

// Accept implements net.Listener.
func (l *noted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &notedConn{TCPConn: tcp, by: l}, nil
	}
	return c, err
}

// tunnelTo reports whether a tunnel to a host was asked for.
func (l *noted) tunnelTo(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[host]
}

// forget begins anew.
func (l *noted) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.asked)
}

// hosts are all of them, in order.
func (l *noted) hosts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.asked))
}

type notedConn struct {
	*net.TCPConn
	by    *noted
	begun bool
}

// Read implements net.Conn. A client's first bytes come together.
func (c *notedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if !c.begun && n > 0 {
		c.begun = true
		if words := strings.Fields(string(p[:min(n, 512)])); len(words) > 1 && words[0] == http.MethodConnect {
			host, _, _ := net.SplitHostPort(words[1])
			c.by.mu.Lock()
			if len(c.by.asked) < maxTold {
				c.by.asked[strings.ToLower(host)] = true
			}
			c.by.mu.Unlock()
		}
	}
	return n, err
}
