//go:build unix

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/ca"
	leak "kz/test/canary"
	"kz/test/ports"
)

// patient is a machine and a user for kz doctor: a home, a project with a configuration in it, and no program on PATH but
// those that are put there.
type patient struct {
	t     *testing.T
	home  string
	env   []string
	args  []string
	value string // of API_KEY in the store

	config string // with an API on this machine as api.test
}

const patientConfig = `
[backends.local]
type = "env_file"
path = "../store.env"
[secrets.API_KEY]
backend = "local"
hosts = ["api.test"]
`

func newPatient(t *testing.T) *patient {
	t.Helper()
	home := t.TempDir()
	p := &patient{t: t, home: home, value: leak.Value("k-"), env: []string{
		"HOME=" + home, "PATH=" + filepath.Join(home, "bin"), "GORACE=" + os.Getenv("GORACE"), "TMPDIR=" + home,
		// What the machine of the tests has is not to count.
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
	}}
	api := &demoAPI{}
	l, err := api.listen("api.test")
	if err != nil {
		t.Fatal(err)
	}
	api.serve(l, func(http.ResponseWriter, *http.Request) {})
	t.Cleanup(func() { _ = api.server.Close() })
	p.write("api.pem", string(api.authority.CertPEM()))
	p.config = fmt.Sprintf("[egress]\nallow_private = [\"127.0.0.0/8\"]\nresolve = { \"api.test:443\" = %q }\nupstream_ca = \"../api.pem\"\n", api.address) + patientConfig
	p.write("store.env", "API_KEY="+p.value+"\n")
	p.write("project/kz.toml", p.config)
	p.args = []string{"doctor", "--config", "kz.toml"}
	return p
}

func (p *patient) path(name string) string { return filepath.Join(p.home, filepath.FromSlash(name)) }

func (p *patient) write(name, content string) {
	p.t.Helper()
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "bin/") {
		mode = 0o700
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(p.path(name)), 0o700), os.WriteFile(p.path(name), []byte(content), mode)); err != nil {
		p.t.Fatal(err)
	}
}

// kz runs kz in the project.
func (p *patient) kz(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	cmd := exec.Command("kz", args...)
	var out, errs strings.Builder
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.env, p.path("project"), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	for _, hit := range append(leak.New(p.value).In("standard output", []byte(out.String())), leak.New(p.value).In("standard error", []byte(errs.String()))...) {
		p.t.Errorf("the value is in it: %s", hit)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// diagnose is what kz doctor finds, as JSON.
func (p *patient) diagnose(more ...string) (d *diagnosis, code int) {
	p.t.Helper()
	d = &diagnosis{}
	code, stdout, stderr := p.kz(slices.Concat(p.args, []string{"--json"}, more)...)
	if err := json.Unmarshal([]byte(stdout), d); err != nil {
		p.t.Fatalf("exit code %d, and no JSON: %v\n%s%s", code, err, stdout, stderr)
	}
	return d, code
}

// ofMachine are the findings that depend on the machine of the tests, and not on the patient.
var ofMachine = []string{"terminal-typing", "ptrace", "exposed-docker", "exposed-store", "disk-full"}

func (d *diagnosis) finding(id string) *finding {
	for i := range d.Findings {
		if d.Findings[i].ID == id {
			return &d.Findings[i]
		}
	}
	return nil
}

// faults are what can be planted: what the doctor must call each, how much it weighs, and what its fix must say.
var faults = []struct {
	name  string
	plant func(t *testing.T, p *patient)
	id    string
	want  weight
	fix   string
}{
	{"a configuration that nobody has approved", func(_ *testing.T, p *patient) {
		p.write("project/.git/HEAD", "")
		p.write("project/.keyzero.toml", p.config)
		p.args = []string{"doctor"}
	}, "not-approved", weighsError, "`kz trust`"},
	{"a configuration with a mistake", func(_ *testing.T, p *patient) { p.write("project/kz.toml", p.config+"hots = []\n") },
		"config-invalid", weighsError, "hosts"},
	{"KEYZERO_ENV naming no section", func(_ *testing.T, p *patient) { p.env = append(p.env, "KEYZERO_ENV=prod") },
		"config-invalid", weighsError, ""},
	{"a secret without hosts", func(_ *testing.T, p *patient) {
		p.write("project/kz.toml", strings.Replace(p.config, `hosts = ["api.test"]`, "", 1))
	}, "hosts-missing", weighsError, "hosts = ["},
	{"a store without the secret", func(_ *testing.T, p *patient) { p.write("store.env", "OTHER=1\n") }, "store-failing", weighsError, "API_KEY"},
	{"a mask that was stored as the value", func(_ *testing.T, p *patient) {
		p.write("store.env", "API_KEY=kz_masked_"+strings.Repeat("0f", 16)+"\n")
	}, "value-mask", weighsError, "in place of the value"},
	{"a value that is too short to be scrubbed", func(_ *testing.T, p *patient) { p.write("store.env", "API_KEY=short\n") }, "value-short", weighsError, "scrub = false"},
	{"a value that fits no place", func(_ *testing.T, p *patient) {
		p.write("store.env", `API_KEY="line one\nline two of it"`+"\n")
		p.write("project/kz.toml", p.config+"swap = [\"header\"]\n")
	}, "value-unfit", weighsError, `swap = ["body"]`},
	{"a clock that is an hour ahead of the store's", plantClock, "clock-skew", weighsError, "set this machine's clock"},
	{"a host that is down", func(t *testing.T, p *patient) {
		p.write("project/kz.toml", regexp.MustCompile(`"127.0.0.1:\d+"`).ReplaceAllString(p.config, fmt.Sprintf("%q", ports.Nowhere(t))))
	}, "host-unreachable", weighsWarning, "upstream_proxy"},
	{"a host whose authority nobody knows", func(_ *testing.T, p *patient) {
		p.write("project/kz.toml", strings.Replace(p.config, "upstream_ca = \"../api.pem\"\n", "", 1))
	}, "host-unverified", weighsWarning, "upstream_ca"},
	{"a host in a network that may not be dialled", func(_ *testing.T, p *patient) {
		p.write("project/kz.toml", strings.Replace(p.config, "allow_private = [\"127.0.0.0/8\"]\n", "", 1))
	}, "host-private", weighsWarning, "allow_private"},
	{"a store that others may read", func(t *testing.T, p *patient) { chmod(t, p.path("store.env"), 0o644) }, "store-unsafe", weighsWarning, "chmod 600"},
	{"a Vault without TLS", func(_ *testing.T, p *patient) {
		p.write("project/kz.toml", p.config+"[backends.vault]\ntype = \"hashicorp_vault\"\naddress = \"http://vault.invalid:8200\"\n")
	}, "store-unsafe", weighsWarning, "https:// address"},
	{"a configuration that is not there", func(_ *testing.T, p *patient) { p.args[2] = "gone.toml" }, "config-invalid", weighsError, "--config"},
	{"a state directory that others may write to", func(t *testing.T, p *patient) {
		p.write(".local/state/kz/x", "")
		chmod(t, p.path(".local/state/kz"), 0o777)
	}, "state-directory", weighsError, "chmod 700"},
	{"an audit directory that is none", func(_ *testing.T, p *patient) { p.write(".local/state/kz/audit", "") }, "audit-unwritable", weighsError, "--audit FILE"},
	{"an installed authority that has ended", func(t *testing.T, p *patient) {
		keep(t, p, ca.Options{PermittedHosts: []string{"api.test"}, Lifetime: time.Hour, Now: func() time.Time { return time.Now().Add(-48 * time.Hour) }})
	}, "authority-ended", weighsWarning, "`kz ca install`"},
	{"an installed authority for other hosts", func(t *testing.T, p *patient) {
		keep(t, p, ca.Options{PermittedHosts: []string{"other.test"}, Lifetime: 20 * 24 * time.Hour})
	}, "authority-uncovered", weighsWarning, "`kz ca install`"},
	{"NO_PROXY that names a bound host", func(_ *testing.T, p *patient) { p.env = append(p.env, "NO_PROXY=localhost,.test") }, "no-proxy", weighsWarning, "take api.test out of NO_PROXY"},
	{"NO_PROXY that names others", func(_ *testing.T, p *patient) { p.env = append(p.env, "no_proxy=corp.example") }, "no-proxy", weighsNote, "nothing"},
	{"a proxy of the company, with a password", func(_ *testing.T, p *patient) {
		p.env = append(p.env, "HTTPS_PROXY=http://me:"+p.value+"@proxy.corp:3128")
	}, "upstream-proxy", weighsWarning, `upstream_proxy = "http://proxy.corp:3128"`},
	{"an authority of the company", func(t *testing.T, p *patient) {
		authority, err := ca.New(ca.Options{Name: "corp"})
		if err != nil {
			t.Fatal(err)
		}
		p.write("corp.pem", string(authority.CertPEM()))
		p.env = append(p.env, "SSL_CERT_FILE="+p.path("corp.pem"))
	}, "extra-roots", weighsWarning, "upstream_ca = "},
	{"a switch that turns verification off", func(_ *testing.T, p *patient) { p.env = append(p.env, "NODE_TLS_REJECT_UNAUTHORIZED=0") },
		"verification-off", weighsNote, "unset NODE_TLS_REJECT_UNAUTHORIZED"},
	{"a mask of another session", func(_ *testing.T, p *patient) {
		p.env = append(p.env, "OPENAI_API_KEY=kz_masked_"+strings.Repeat("0f", 16))
	}, "stale-mask", weighsWarning, "`kz put NAME`"},
	{"a credential in the environment", func(_ *testing.T, p *patient) { p.env = append(p.env, "API_KEY="+p.value) }, "exposed-environment", weighsWarning, "take them out of the files that export them"},
	{"a startup file of the shell that sets NO_PROXY", func(_ *testing.T, p *patient) {
		p.write(".profile", "export NO_PROXY=api.test\n")
		p.env = append(p.env, "SHELL=/bin/sh", "PATH=/usr/bin:/bin:"+p.path("bin"))

	}, "shell-startup", weighsWarning, `[ -n "$KZ_SESSION" ] || export NO_PROXY`},
	{"a Node.js that does not come to the proxy", func(_ *testing.T, p *patient) {
		p.write("bin/node", "#!/bin/sh\n[ \"$1\" = --version ] && echo v18.0.0 || exit 1\n")
	}, "runtime-direct", weighsWarning, "use Node 22.21, 24 or newer"},
	{"keys of AWS in a file", func(_ *testing.T, p *patient) { p.write(".aws/credentials", "[default]\n") }, "exposed-aws", weighsWarning, "aws sso login"},
	{"a token of Vault in a file", func(_ *testing.T, p *patient) { p.write(".vault-token", "hvs.x") }, "exposed-vault", weighsWarning, "rm ~/.vault-token"},
	{"a token of npm in a file", func(_ *testing.T, p *patient) { p.write(".npmrc", "//registry.npmjs.org/:_authToken=x\n") }, "exposed-registry", weighsWarning, "${NPM_TOKEN}"},
	{"an SSH agent with a key", plantAgent, "exposed-ssh-agent", weighsWarning, "ssh-add -D"},
	{"the login of an agent", func(_ *testing.T, p *patient) { p.write(".claude/.credentials.json", "{}") }, "exposed-agent", weighsWarning, "`kz add ANTHROPIC_API_KEY`"},
	{"the login of a tool", func(_ *testing.T, p *patient) { p.write(".pgpass", "*:*:*:me:x") }, "exposed-tool", weighsWarning, "`kz add NAME`"},
	{"a credential in a startup file", func(_ *testing.T, p *patient) { p.write(".zshrc", "alias x=y\nexport OPENAI_API_KEY='"+p.value+"'\n") },
		"exposed-startup", weighsWarning, "`kz put NAME`"},
	{"a dotenv file in the project", func(_ *testing.T, p *patient) { p.write("project/.env", "STRIPE_KEY="+p.value+"\n") }, "exposed-dotenv", weighsWarning, "`kz init`"},
}

// plantClock makes the store a Vault whose clock is an hour behind.
func plantClock(t *testing.T, p *patient) {
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"data":{"path":"secret/","type":"kv","options":{"version":"2"},"data":{"value":%q}}}`, p.value)
	}))
	t.Cleanup(vault.Close)
	p.env = append(p.env, "VAULT_TOKEN=hvs.test")
	p.write("project/kz.toml", fmt.Sprintf("[backends.vault]\ntype = \"hashicorp_vault\"\naddress = %q\n[secrets.API_KEY]\nbackend = \"vault\"\npath = \"secret/x\"\nfield = \"value\"\nhosts = [\"api.test\"]\n", vault.URL))
}

// plantAgent answers as an SSH agent with one key does, to whoever asks for its keys.
func plantAgent(t *testing.T, p *patient) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			question := make([]byte, 5)
			if _, err := c.Read(question); err == nil && string(question) == "\x00\x00\x00\x01\x0b" {
				_, _ = c.Write([]byte{0, 0, 0, 5, 12, 0, 0, 0, 1})
			}
			_ = c.Close()
		}
	}()
	p.env = append(p.env, "SSH_AUTH_SOCK="+l.Addr().String())
}

func keep(t *testing.T, p *patient, o ca.Options) {
	t.Helper()
	authority, err := ca.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p.write(".local/state/kz/x", "")
	if err := ca.Keep(p.path(".local/state/kz/ca"), authority); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			f.plant(t, p)
			d, code := p.diagnose()
			found := d.finding(f.id)
			if found == nil {
				t.Fatalf("%s is not among what it finds: %+v", f.id, d.Findings)
			}
			if found.Weight != f.want || !strings.Contains(found.Fix, f.fix) {
				t.Errorf("it says %+v; want it to be of weight %s, and %q in its fix", found, f.want, f.fix)
			}
			if want := map[weight]int{weighsError: exitUnhealthy}[f.want]; code != want || d.OK != (want == 0) {
				t.Errorf("exit code %d, want %d; ok is %v: %+v", code, want, d.OK, d.Findings)
			}
			if !slices.IsSortedFunc(d.Findings, func(a, b finding) int { return slices.Index(weights, a.Weight) - slices.Index(weights, b.Weight) }) {
				t.Errorf("not in order of weight: %+v", d.Findings)
			}
		})
	}
}

func TestDoctorFindsNothingWhereNothingIs(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	d, code := p.diagnose()
	for _, f := range d.Findings {
		if !slices.Contains(ofMachine, f.ID) {
			t.Errorf("it finds %+v", f)
		}
	}
	if code != 0 || !d.OK || !d.Swap || d.Form != 1 {
		t.Errorf("exit code %d, %+v", code, d)
	}
	// Nothing stays behind: no file in TMPDIR, no line in the audit.
	left, err := filepath.Glob(p.path("kz-*"))
	audits, _ := filepath.Glob(p.path(".local/state/kz/audit/*"))
	hidden, _ := filepath.Glob(p.path(".local/state/kz/audit/.*"))
	if err != nil || len(left)+len(audits)+len(hidden) > 0 {
		t.Errorf("there is left %v %v %v, %v", left, audits, hidden, err)
	}
}
