package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kz/ca"
	"kz/cmd/kz/config"
)

const (
	demoHost  = "api.demo.test"
	demoOther = "elsewhere.demo.test"
	demoKey   = "DEMO_API_KEY"
)

func newDemoCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole of it on this machine, offline",
		Long: `Start a pretend API on this machine, keep a made-up key for it in a dotenv file, and run
a blind program that calls it. What the program holds and gets back is shown beside what
the API really received. Nothing leaves the machine and nothing is left behind.`,
		Example: "  kz demo",
		Args:    arguments(),
		RunE:    a.outsideOnly(func(c *cobra.Command, _ []string) error { return a.demo(c.Context()) }),
	}
	return c
}

// newDemoAgentCmd is the program that `kz demo` runs blind. It knows only its environment.
func newDemoAgentCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "demo-agent", Hidden: true, Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error { return demoAgent(c.Context(), a) },
	}
}

// demoReport is what the agent tells of itself.
type demoReport struct {
	Holds, GotBack string
	Elsewhere      string // how the other host's answer began
	Environment    []string
}

func demoAgent(ctx context.Context, a *app) error {
	report := demoReport{Holds: a.getenv(demoKey), Environment: a.environ}
	// Any Go program reads its roots from this variable; kz itself was made to forget it.
	roots, err := os.ReadFile(a.getenv("SSL_CERT_FILE"))
	if err != nil {
		return fmt.Errorf("reading the roots: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	client := &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	answer, err := demoCall(ctx, client, demoHost, report.Holds)
	if err != nil {
		return fmt.Errorf("calling the API: %w", err)
	}
	report.GotBack = answer
	if report.Elsewhere, err = demoCall(ctx, client, demoOther, report.Holds); err != nil {
		return fmt.Errorf("calling the other host: %w", err)
	}
	return json.NewEncoder(a.stdout).Encode(report)
}

// demoCall is what any program would do: it reads its key from the environment and calls its API.
func demoCall(ctx context.Context, client *http.Client, host, key string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v1/me", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return strings.TrimSpace(string(body)), err
}

// demoAPI is a TLS server on loopback that answers with the key it received.
type demoAPI struct {
	authority *ca.Authority
	address   string
	received  chan string
	server    *http.Server
}

func startDemoAPI() (*demoAPI, error) {
	api := &demoAPI{received: make(chan string, 10)}
	l, err := api.listen("demo API")
	if err != nil {
		return nil, err
	}
	api.serve(l, func(w http.ResponseWriter, r *http.Request) {
		api.received <- r.Host + " " + r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"your_key": strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")})
	})
	return api, nil
}

// listen opens a TLS port on loopback that has a certificate, of an authority of its own, for every name.
func (api *demoAPI) listen(name string) (net.Listener, error) {
	authority, err := ca.New(ca.Options{Name: name})
	if err != nil {
		return nil, err
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		return nil, err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return minter.Leaf(h.ServerName)
	}})
	if err != nil {
		return nil, err
	}
	api.authority, api.address = authority, l.Addr().String()
	return l, nil
}

func (api *demoAPI) serve(l net.Listener, answer http.HandlerFunc) {
	api.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0), Handler: answer}
	go func() { _ = api.server.Serve(l) }()
}

// demo runs the main job, with a configuration of its own, and checks what it shows.
func (a *app) demo(ctx context.Context) error {
	api, err := startDemoAPI()
	if err != nil {
		return err
	}
	defer api.server.Close()
	dir, err := os.MkdirTemp("", "kz-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	random := make([]byte, 15)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	value := "demo_" + base64.RawURLEncoding.EncodeToString(random)
	cfg, err := demoConfig(dir, value, api)
	if err != nil {
		return err
	}
	report, err := a.demoRun(ctx, cfg, dir)
	if err != nil {
		return err
	}
	received := ""
	select {
	case received = <-api.received:
	default:
		return errors.New("the API received nothing")
	}
	p := func(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }
	p("A blind agent calls an API. All of it runs on this machine.\n")
	p("the store holds     %s = %s  (made up)", demoKey, value)
	p("the agent holds     %s = %s", demoKey, report.Holds)
	p("the agent calls     https://%s/v1/me", demoHost)
	p("the agent sends     Bearer %s", report.Holds)
	p("the API received    %s", strings.TrimPrefix(received, demoHost+" "))
	p("the API answered    {\"your_key\":%q}", value)
	p("the agent got back  %s", report.GotBack)
	p("the agent tries     https://%s/ and gets %s", demoOther, refusalCode(report.Elsewhere))
	p("\nThe key was never in the agent's environment, output or answers.")
	p("With a key of yours: `kz help quickstart`")
	return checkDemo(report, received, value, len(api.received))
}

// checkDemo holds that what was shown is so.
func checkDemo(r demoReport, received, value string, more int) error {
	all := strings.Join(append(r.Environment, r.Holds, r.GotBack, r.Elsewhere), "\n")
	switch {
	case !strings.HasPrefix(r.Holds, "kz_masked_"):
		return errors.New("the agent held no mask")
	case received != demoHost+" Bearer "+value:
		return errors.New("the API did not receive the key")
	case !strings.Contains(r.GotBack, r.Holds):
		return errors.New("the answer did not come back masked")
	case refusalCode(r.Elsewhere) != "403 host_not_bound" || more > 0:
		return errors.New("the other host was not refused")
	case strings.Contains(all, value):
		return errors.New("the key reached the agent")
	}
	return nil
}

func refusalCode(body string) string {
	var r struct {
		Error struct{ Code string }
	}
	if json.Unmarshal([]byte(body), &r) != nil || r.Error.Code == "" {
		return "an answer"
	}
	return "403 " + r.Error.Code
}

func demoConfig(dir, value string, api *demoAPI) (*config.Config, error) {
	files := map[string]string{
		"secrets.env": demoKey + "=" + value + "\n",
		"roots.pem":   string(api.authority.CertPEM()),
		"demo.toml": fmt.Sprintf(`
[backends.local]
type = "env_file"
path = "secrets.env"

[secrets.%s]
backend = "local"
hosts = [%q]

[egress]
intercept = "all"
allow_private = ["127.0.0.0/8"]
resolve = { "*.demo.test:443" = %q }
upstream_ca = "roots.pem"
`, demoKey, demoHost, api.address),
	}
	for name, content := range files {
		if err := writeFileAtomic(filepath.Join(dir, name), []byte(content)); err != nil {
			return nil, err
		}
	}
	return config.Load(config.Options{Dir: dir, File: filepath.Join(dir, "demo.toml"), Getenv: func(string) string { return "" }})
}

func (a *app) demoRun(ctx context.Context, cfg *config.Config, dir string) (demoReport, error) {
	self, err := os.Executable()
	if err != nil {
		return demoReport{}, err
	}
	s, err := a.newBlind(cfg, cfg.Secrets, blindOptions{Audit: filepath.Join(dir, "audit.jsonl")})
	if err != nil {
		return demoReport{}, err
	}
	defer s.close()
	if err := s.resolve(ctx); err != nil {
		return demoReport{}, err
	}
	files, err := s.caFilesIn(func(name string, data []byte) (string, error) {
		path := filepath.Join(dir, name)
		return path, writeFileAtomic(path, data)
	})
	if err != nil {
		return demoReport{}, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return demoReport{}, err
	}
	go func() { _ = s.proxy.Serve(l) }()
	env, _, err := childEnv(envSpec{Parent: a.environ, Secrets: s.variables(ctx), Blind: s.environment(s.proxyURL(l.Addr().String()), files), Clean: true,
		Contains: func(v string) (string, bool) { return s.proxy.Holds([]byte(v)) }})
	if err != nil {
		return demoReport{}, err
	}
	var out bytes.Buffer
	code, err := runChild(ctx, childSpec{Argv: []string{self, "demo-agent"}, Env: env, Stdout: &out, Stderr: os.Stderr, Sealed: true})
	if err != nil {
		return demoReport{}, err
	}
	if code != 0 {
		return demoReport{}, fmt.Errorf("the demo's agent ended with %d", code)
	}
	var report demoReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return demoReport{}, fmt.Errorf("reading what the demo's agent said: %w", err)
	}
	return report, nil
}
