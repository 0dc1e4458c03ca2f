package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kz/test/bench/load"
	"kz/test/bench/origin"
	"kz/test/bench/wire"
)

// errMissing says that a peer is not installed.
var errMissing = errors.New("is not installed")

// A peer is one way to the origin. start brings it up anew; its process is nil when it has none.
type peer struct {
	name  string
	start func(l *lab) (*load.Route, *process, error)
}

// allPeers are the ways to the origin, in the order of the table's columns.
func allPeers() []peer {
	return []peer{
		{"direct", func(l *lab) (*load.Route, *process, error) {
			roots, err := loadPool(l.path(origin.CAFile))
			return &load.Route{Address: l.origin.addr, Roots: roots, Token: wire.Value, Upload: wire.UploadValue}, nil, err
		}},
		{"tunnel", func(l *lab) (*load.Route, *process, error) { return l.startPeer("tunnel", origin.CAFile) }},
		{"relay", func(l *lab) (*load.Route, *process, error) { return l.startPeer("relay", origin.CAFile) }},
		{"reverse", func(l *lab) (*load.Route, *process, error) { return l.startPeer("reverse", origin.CAFile) }},
		{"goproxy", func(l *lab) (*load.Route, *process, error) { return l.startPeer("goproxy", goproxyCA) }},
		{"mitmproxy", startMitmproxy},
		{"kz", startKZ},
	}
}

// goproxyCA is the file in which goproxy's role puts its certificate.
const goproxyCA = "goproxy-ca.pem"

func (l *lab) startPeer(role, ca string) (*load.Route, *process, error) {
	p, err := l.startRole(role, l.origin.addr)
	if err != nil {
		return nil, nil, err
	}
	roots, err := loadPool(l.path(ca))
	return &load.Route{Address: p.addr, Connect: true, Roots: roots, Token: wire.Value, Upload: wire.UploadValue}, p, err
}

// kzConfigFile is the name of kz's configuration.
const kzConfigFile = "kz.toml"

// kzConfig binds one secret with the default places, and one that may stand anywhere in a body.
const kzConfig = `[backends.local]
type = "env_file"
path = "secrets.env"

[secrets.API_KEY]
hosts = [%q, %q]

[secrets.UPLOAD_KEY]
hosts = [%q]
swap = ["header", "body:*"]

[egress]
allow_private = ["127.0.0.0/8"]
resolve = { "*.bench.test:443" = %q }
upstream_ca = %q
`

// startKZ starts a kz proxy that swaps, scrubs and audits, with files of its own.
func startKZ(l *lab) (*load.Route, *process, error) {
	dir, err := os.MkdirTemp(l.dir, "kz-proxy-")
	if err != nil {
		return nil, nil, err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := l.writeKZConfig(dir); err != nil {
		return nil, nil, err
	}
	p, err := l.start(nil, l.kz, "proxy", "--config", in(kzConfigFile), "--audit", in("audit.jsonl"), "--env-file", in("kz.env"), "--ca-dir", in("ca"))
	if err != nil {
		return nil, nil, err
	}
	var text []byte
	if err := eventually("kz proxy", func() bool { text, err = os.ReadFile(in("kz.env")); return err == nil }); err != nil {
		return nil, nil, fmt.Errorf("%w%s", err, l.said())
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	proxy, err := url.Parse(env["HTTPS_PROXY"])
	if err != nil {
		return nil, nil, err
	}
	roots, err := loadPool(in("ca/ca.pem"))
	p.addr = proxy.Host
	return &load.Route{
		Address: proxy.Host, Connect: true, Roots: roots, Token: env["API_KEY"], Upload: env["UPLOAD_KEY"],
		Credential: "Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.String())),
	}, p, err
}

// writeKZConfig puts kz's configuration and values into dir.
func (l *lab) writeKZConfig(dir string) error {
	config := fmt.Sprintf(kzConfig, wire.Host, "*."+wire.NewDomain, wire.UploadHost, l.origin.addr, l.path(origin.CAFile))
	values := "API_KEY=" + wire.Value + "\nUPLOAD_KEY=" + wire.UploadValue + "\n"
	return errors.Join(
		os.WriteFile(filepath.Join(dir, kzConfigFile), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "secrets.env"), []byte(values), 0o600))
}

// mitmScript has mitmproxy dial the origin, whatever the name, and stream what it would otherwise hold whole.
const mitmScript = `
def server_connect(data):
    data.server.address = ("127.0.0.1", %s)

def requestheaders(flow):
    flow.request.stream = flow.request.method == "PUT"

def responseheaders(flow):
    flow.response.stream = flow.request.method == "GET"
`

func startMitmproxy(l *lab) (*load.Route, *process, error) {
	program, err := exec.LookPath("mitmdump")
	if err != nil {
		return nil, nil, errMissing
	}
	_, originPort, err := net.SplitHostPort(l.origin.addr)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(l.path("mitm.py"), fmt.Appendf(nil, mitmScript, originPort), 0o600); err != nil {
		return nil, nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	addr := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		return nil, nil, err
	}
	p, err := l.start(nil, program, "-q", "--listen-host", "127.0.0.1", "--listen-port", fmt.Sprint(addr.Port), "--set", "confdir="+l.path("mitm"),
		"--set", "ssl_verify_upstream_trusted_ca="+l.path(origin.CAFile), "--set", "flow_detail=0", "-s", l.path("mitm.py"))
	if err != nil {
		return nil, nil, err
	}
	p.addr = addr.String()
	ready := func() bool {
		c, err := net.Dial("tcp", p.addr)
		return err == nil && c.Close() == nil
	}
	if err := eventually("mitmproxy", ready); err != nil {
		return nil, nil, fmt.Errorf("%w%s", err, l.said())
	}
	roots, err := loadPool(l.path("mitm/mitmproxy-ca-cert.pem"))
	return &load.Route{Address: p.addr, Connect: true, Roots: roots, Token: wire.Value, Upload: wire.UploadValue}, p, err
}
