// Package bed is what end-to-end tests stand on: it builds kz, lays a bundle with
// secrets and an origin that plays their APIs, runs programs under kz from an
// almost empty environment, and looks for values where none may be.
//
//	func TestMain(m *testing.M) { bed.Main(m, nil) }
//
//	func TestX(t *testing.T) {
//		b := bed.New(t)
//		key := b.Secret("API_KEY", `hosts = ["api.test"]`)
//		res := b.Run("/bin/sh", "-c", `curl -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)
//		res.Succeeds(t)
//		got := b.Origin.Requests()[0].Header.Get("Authorization") // "Bearer " + key
//		b.Clean(res)                                              // key is nowhere else
//	}
//
// A Bed's directory has store/ (the values, and nothing else that may hold them),
// etc/ (the bundle, the test CA), home/ (HOME of everything that runs) and state/
// (the audit file). Nothing of the machine's environment reaches kz but PATH.
//
// What a test needs and the machine lacks makes it skip, with a line that says what
// was left out; with KZ_TEST_REQUIRE=1 it fails. See need.go for the variables.
package bed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kz/test/canary"
	"kz/test/origin"
)

// Bed is one bundle with its origin and its directories. It is for one test;
// Run and Start may be called from several goroutines once the bundle is complete.
type Bed struct {
	Dir    string
	Origin *origin.Origin // the upstream; see Pin for who reaches what
	Flags  []string       // flags of `kz run` beside --blind, --config and --audit
	Env    []string       // NAME=value: what kz gets beside PATH, HOME and TMPDIR

	t        testing.TB
	kz       string
	backends []string
	secrets  []string
	egress   []string
	pins     map[string]string
	stored   map[string]string // the env_file's contents
	canaries map[string]*canary.Canary
}

// New makes a Bed with a fresh origin, which has the given names beside its own. It builds kz when no test has yet.
func New(t testing.TB, hosts ...string) *Bed {
	t.Helper()
	hosts = slices.Concat(origin.DefaultHosts, hosts)
	o, err := origin.Start(origin.Options{Hosts: hosts})
	if err != nil {
		t.Fatalf("starting the origin: %v", err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Errorf("stopping the origin: %v", err)
		}
	})
	b := &Bed{
		Dir: t.TempDir(), Origin: o, t: t, kz: KZ(t),
		pins: map[string]string{}, stored: map[string]string{}, canaries: map[string]*canary.Canary{},
	}
	for _, d := range []string{"store", "etc", "home/tmp", "state"} {
		if err := os.MkdirAll(b.Path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.write("etc/ca.pem", o.CAPEM())
	b.backends = append(b.backends, "[backends.local]\ntype = \"env_file\"\npath = "+quote(b.Path("store/secrets.env")))
	for _, host := range hosts {
		b.Pin(host+":443", "tls")
		b.Pin(host+":80", "plain")
	}
	return b
}

// Path is a path below the Bed's directory.
func (b *Bed) Path(name string) string { return filepath.Join(b.Dir, filepath.FromSlash(name)) }

// Secret adds a secret with a fresh value to the env_file store and returns the
// value. lines are the other lines of its table in TOML: hosts, swap, mask, ….
func (b *Bed) Secret(name string, lines ...string) string {
	v := canary.Value("k-")
	b.SecretValue(name, v, lines...)
	return v
}

// SecretValue is Secret with a value of the caller's.
func (b *Bed) SecretValue(name, value string, lines ...string) {
	b.t.Helper()
	b.SetStored(name, value)
	b.Reference(name, value, append([]string{`backend = "local"`, "name = " + quote(name)}, lines...)...)
}

// Reference adds a secret that lies in a store of the caller's: lines are the whole
// of its table. value is looked for by Clean; "" looks for nothing.
func (b *Bed) Reference(name, value string, lines ...string) {
	b.secrets = append(b.secrets, "[secrets."+name+"]\n"+strings.Join(lines, "\n"))
	b.Watch(name, value)
}

// Watch makes Clean look for one more value.
func (b *Bed) Watch(name, value string) {
	if len(value) >= 8 {
		b.canaries[name] = canary.New(value)
	}
}

// SetStored changes what the env_file store holds; a running kz sees it at its next
// refresh. The next run looks for both values.
func (b *Bed) SetStored(name, value string) {
	b.t.Helper()
	if old, ok := b.stored[name]; ok {
		b.Watch(name+" (before)", old)
	}
	b.stored[name] = value
	b.Watch(name, value)
	var file bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(b.stored)) {
		fmt.Fprintf(&file, "%s=%s\n", k, dotenv(b.stored[k]))
	}
	b.write("store/secrets.env", file.Bytes())
}

// Backend adds the table [backends.NAME].
func (b *Bed) Backend(name string, lines ...string) {
	b.backends = append(b.backends, "[backends."+name+"]\n"+strings.Join(lines, "\n"))
}

// Egress adds lines to [egress]. allow_private, resolve and upstream_ca are the
// Bed's own.
func (b *Bed) Egress(lines ...string) { b.egress = append(b.egress, lines...) }

// Pin sends a host:port (or a pattern) to a listener of the origin (see
// origin.Origin.Addr) or to an address. Unless pinned otherwise, the origin's
// hosts go to "tls" on port 443 and to "plain" on port 80.
func (b *Bed) Pin(hostport, to string) {
	if _, _, err := net.SplitHostPort(to); err != nil {
		to = b.Origin.Addr(to)
	}
	b.pins[hostport] = to
}

// Bundle is the configuration as it stands.
func (b *Bed) Bundle() string {
	var pins []string
	for _, k := range slices.Sorted(maps.Keys(b.pins)) {
		pins = append(pins, quote(k)+" = "+quote(b.pins[k]))
	}
	egress := append([]string{
		"[egress]", `allow_private = ["127.0.0.0/8"]`, "upstream_ca = " + quote(b.Path("etc/ca.pem")),
		"resolve = { " + strings.Join(pins, ", ") + " }",
	}, b.egress...)
	parts := slices.Concat(b.backends, b.secrets, []string{strings.Join(egress, "\n")})
	return strings.Join(parts, "\n\n") + "\n"
}

// WriteBundle writes Bundle to etc/bundle.toml and returns its path. Run does it too.
func (b *Bed) WriteBundle() string {
	b.t.Helper()
	b.write("etc/bundle.toml", []byte(b.Bundle()))
	return b.Path("etc/bundle.toml")
}

// AuditFile is where runs write their audit.
func (b *Bed) AuditFile() string { return b.Path("state/audit.jsonl") }

// Line is one line of the audit, as the documents describe it.
type Line struct {
	Time       string  `json:"time"`
	Session    string  `json:"session"`
	Request    string  `json:"request"`
	Kind       string  `json:"kind"`
	Method     string  `json:"method"`
	Host       string  `json:"host"`
	Port       int     `json:"port"`
	Path       string  `json:"path"`
	Status     int     `json:"status"`
	BytesOut   int64   `json:"bytes_out"`
	BytesIn    int64   `json:"bytes_in"`
	DurationMS float64 `json:"duration_ms"`
	Swapped    []struct{ Secret, Place string }
	Withheld   []struct{ Secret, Place, Reason string }
	Scrubbed   []struct {
		Secret, Where string
		Count         int
	}
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Audit reads the audit so far. A line that is not JSON fails the test.
func (b *Bed) Audit() []Line {
	b.t.Helper()
	file, err := os.ReadFile(b.AuditFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	var lines []Line
	for text := range bytes.Lines(file) {
		var l Line
		if err := json.Unmarshal(text, &l); err != nil {
			b.t.Errorf("reading the audit: %v: %s", err, text)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// Clean fails the test when a value of the Bed stands in what the results hold, or
// in any file below home/ and state/.
func (b *Bed) Clean(results ...Result) {
	b.t.Helper()
	for _, leak := range b.Leaks(results...) {
		b.t.Error(leak)
	}
}

// Leaks is what Clean complains of: one line per find, none with a value in it.
func (b *Bed) Leaks(results ...Result) []string {
	b.t.Helper()
	var leaks []string
	for _, name := range slices.Sorted(maps.Keys(b.canaries)) {
		c := b.canaries[name]
		hits, err := c.Files(b.Path("home"), b.Path("state"))
		if err != nil {
			b.t.Errorf("searching files: %v", err)
		}
		for _, r := range results {
			hits = append(hits, c.In("standard output", r.Stdout)...)
			hits = append(hits, c.In("standard error", r.Stderr)...)
		}
		for _, h := range hits {
			leaks = append(leaks, fmt.Sprintf("%s leaked: %s", name, h))
		}
	}
	return leaks
}

func (b *Bed) write(name string, content []byte) {
	b.t.Helper()
	// Written aside and renamed, so that a running kz never reads half of it.
	tmp := b.Path(name) + ".new"
	if err := errors.Join(os.WriteFile(tmp, content, 0o600), os.Rename(tmp, b.Path(name))); err != nil {
		b.t.Fatal(err)
	}
}

// quote writes a TOML basic string.
func quote(s string) string {
	q, _ := json.Marshal(s)
	return string(q)
}

// dotenv quotes a value for an env_file.
func dotenv(v string) string {
	if !strings.ContainsAny(v, "'\n\r") {
		return "'" + v + "'"
	}
	return strings.NewReplacer("$", `\$`).Replace(strconv.Quote(v))
}
