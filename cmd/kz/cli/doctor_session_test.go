//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/proxy/audit"
	"kz/resolver"
)

func TestDoctorsOwnSessionLetsNothingElseOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		open bool
		code string
	}{{"while runtimes are tried", false, "egress_denied"}, {"unless a command is run, which is then dialled for", true, "upstream_unreachable"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := testApp("HOME=" + t.TempDir())
			s, err := a.newDoctorSession(background(), c.open)
			if err != nil {
				t.Fatal(err)
			}
			defer s.end()
			if err := s.prove(background()); err != nil {
				t.Errorf("its own API is not reached: %v", err)
			}
			via, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(via)}}
			defer client.CloseIdleConnections()
			resp, err := client.Get("http://elsewhere.invalid/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.Header.Get("Kz-Error"); got != c.code {
				t.Errorf("another host: %s, %q; want %s", resp.Status, got, c.code)
			}
			dir := s.dir
			s.end()
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s is still there", dir)
			}
		})
	}
}

func TestWhatDoctorStartsIsInsideASession(t *testing.T) {
	t.Parallel()
	kz, err := exec.LookPath("kz")
	if err != nil {
		t.Fatal(err)
	}
	p := newPatient(t)
	p.write("bin/curl", "#!/bin/sh\nunset KZ_SESSION\n"+kz+" run --config ../kz.toml -- /bin/sh -c : 2>>\"$HOME/said\"\necho \"$?\" >>\"$HOME/said\"\n")
	d, _ := p.diagnose()
	said, err := os.ReadFile(p.path("said"))
	if err != nil || !strings.Contains(string(said), "is refused inside a blind session") {
		t.Errorf("a program that it starts runs kz: %v, %s", err, said)
	}
	if len(d.Runtimes) != 1 || d.Runtimes[0].Name != "curl" {
		t.Errorf("it tried %+v", d.Runtimes)
	}
}

func TestDoctorJudgesByWhatTheProxySaw(t *testing.T) {
	t.Parallel()
	request, broken, refused := audit.Event{Kind: audit.Request}, audit.Event{Kind: audit.Refusal}, audit.Event{Kind: audit.Refusal, Code: "proxy_credential"}
	for _, c := range []struct {
		name                   string
		events                 []audit.Event
		asked, swapped, leaked bool
		attempt                attempt
		want                   string
	}{
		{"a request with the value", []audit.Event{request}, true, true, false, attempt{}, "ok yes yes yes"},
		{"one without a token to swap", []audit.Event{request}, true, false, false, attempt{probe: probe{unsigned: true}}, "ok yes yes -"},
		{"a request, and no value", []audit.Event{request}, true, false, false, attempt{}, "unswapped yes yes no"},
		{"a handshake that was broken off", []audit.Event{broken}, true, false, false, attempt{}, "untrusted yes no -"},
		{"a tunnel that was left without a word", nil, true, false, false, attempt{}, "untrusted yes no -"},
		{"handshakes at first, then a request", []audit.Event{broken, request}, true, true, false, attempt{}, "ok yes yes yes"},
		{"no credential", []audit.Event{refused}, true, false, false, attempt{}, "credential yes - -"},
		{"nothing", nil, false, false, false, attempt{version: "1.0"}, "direct no - -"},
		{"nothing, for too long", nil, false, false, false, attempt{version: "1.0", slow: true}, "slow - - -"},
		{"nothing, of what does not work", nil, false, false, false, attempt{}, "broken - - -"},
		{"a Java without a compiler", nil, false, false, false, attempt{version: "17", output: "Module jdk.compiler not found"}, "untried - - -"},
		{"the value itself in its output", []audit.Event{request}, true, true, true, attempt{}, "leaked yes yes no"},
	} {
		r := c.attempt.judge(c.events, c.asked, c.swapped, c.leaked)
		if got := strings.Join([]string{r.State, r.Proxy, r.Trust, r.Swap}, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		fine := r.State == "ok" || r.State == "untried"
		if found := c.attempt.findings(r); fine != (len(found) == 0) || !fine && (found[0].ID != "runtime-"+r.State || found[0].Title == "") {
			t.Errorf("%s: it finds %+v", c.name, found)
		}
	}
	for _, p := range probes() {
		if p.name == "" || len(p.programs) == 0 || p.direct == "" || p.distrust == "" {
			t.Errorf("the probe %+v lacks what mends it", p)
		}
	}
}

func TestAProbeEndsWithAllThatItStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(background())
	defer cancel()
	ended := make(chan bool)
	go func() {
		defer close(ended)
		if out, code, slow := runProbe(ctx, dir, os.Environ(), []string{"/bin/sh", "-c", "sleep 600 & echo $! >new; mv new pid; wait"}); code == 0 || slow {
			t.Errorf("exit code %d, slow %v: %s", code, slow, out)
		}
	}()
	read := func() string {
		data, _ := os.ReadFile(filepath.Join(dir, "pid"))
		return strings.TrimSpace(string(data))
	}
	for until := time.Now().Add(time.Minute); read() == "" && time.Now().Before(until); {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	<-ended
	pid, err := strconv.Atoi(read())
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(state), ") Z ") {
			return // it is gone, or nobody has asked for its end yet
		}
		if time.Now().After(until) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("what it started goes on")
		}
	}
}

// TestWhatDoctorAdvisesIsThere holds that the commands and topics of its fixes exist.
func TestWhatDoctorAdvisesIsThere(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, x := range exposures {
		texts = append(texts, x.fix)
	}
	for _, p := range probes() {
		texts = append(texts, p.direct, p.distrust)
	}
	for _, fix := range refusalFixes {
		texts = append(texts, fix)
	}
	k := kindNamed("", "")
	texts = append(texts, k.direct, k.distrust)
	a, _, _ := testApp()
	root := newRootCmd(a)
	found := 0
	for _, m := range regexp.MustCompile("`kz ([a-z]+) ?([a-z]*)").FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		found++
		if m[1] == "help" {
			if _, ok := topicByName(m[2]); !ok {
				t.Errorf("there is no topic %s", m[2])
			}
		} else if c, _, err := root.Find(m[1:2]); err != nil || c == root {
			t.Errorf("there is no command %s: %v", m[1], err)
		}
	}
	if found < 20 {
		t.Errorf("only %d were looked for", found)
	}
}

func TestStoresAndValuesHaveTheirFaults(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*resolver.Error{
		"clock-skew":    {Kind: resolver.AccessDenied, Code: "RequestTimeTooSkewed"},
		"store-failing": {Kind: resolver.AccessDenied, Code: "AccessDeniedException"},
	} {
		if got := storeFault(err); got != want {
			t.Errorf("%v is %s", err, got)
		}
	}
	early := beforeBuild(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	if info, ok := debug.ReadBuildInfo(); ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.time" }) && early == nil {
		t.Error("a clock that stands before kz was made is not told")
	}
	for ahead, want := range map[time.Duration]weight{time.Second: "", -40 * time.Second: weighsWarning, 6 * time.Minute: weighsError, -time.Hour: weighsError} {
		f := skewed("aws", ahead)
		if f == nil && want != "" || f != nil && (f.Weight != want || strings.Contains(f.Title, "behind") != (ahead < 0)) {
			t.Errorf("%v ahead: %+v, want %q", ahead, f, want)
		}
	}
	if got := lastWords("Proxy http://kz:abcdefgh@127.0.0.1 refused\n"); got != "" {
		t.Errorf("words with a password are told: %s", got)
	}
	if got := lastWords("one\n  two \n  at step.one(x)\n\n"); got != ` said "two"` {
		t.Errorf("its last words are%s", got)
	}
}

func TestVersionsAreFoundInWhatProgramsSay(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{"curl 7.88.1 (x86_64) libcurl/7.88.1\n": "7.88.1", "v20.1.0": "20.1.0", "go version go1.26.8 linux/amd64": "1.26.8",
		"Picked up JAVA_TOOL_OPTIONS: -Dhttps.proxyHost=127.0.0.1\nopenjdk version \"17.0.15\" 2025": "17.0.15", "no number": ""} {
		if got := versionOf(said); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}

func TestNoProxyIsReadAsClientsDo(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{"api.test": true, ".test": true, "*.test": true, "*": true, "other,API.test": true, "x api.test:443": true, "": false,
		"pi.test": false, "xapi.test": false, "localhost,127.0.0.1": false, "api.test.example": false} {
		if got := pastProxy(list, "api.test"); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func TestAssignmentsOfCredentialsAreFound(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.write(".zshrc", `# export A_TOKEN=comment
export B_TOKEN="value"
C_TOKEN=value
PLAIN=sk-abcdefghijklmnopqrstuvwx
F_TOKEN=$(pass show f)
G_TOKEN=$OTHER
H_TOKEN=
echo I_TOKEN=value
B_TOKEN=again
KEPT_KEY=kz_masked_00000000000000000000000000000000
abcdefx=sk-abcdefghijklmnopqrstuvwx
EDITOR=vi
`)
	p.write(".config/fish/config.fish", "set -gx D_TOKEN value\nset D_TOKEN value\n")
	p.write(".zsh_history", ": 1700000000:0;export E_TOKEN=value\n: 1700000000:0;ls\n")
	a, _, _ := testApp("HOME=" + p.home)
	const want = "B_TOKEN in ~/.zshrc, C_TOKEN in ~/.zshrc, PLAIN in ~/.zshrc, a line in ~/.zshrc, D_TOKEN in ~/.config/fish/config.fish, E_TOKEN in ~/.zsh_history"
	if got := strings.Join(a.startupCredentials(), ", "); got != want {
		t.Errorf("found %s\nwant  %s", got, want)
	}
}

func TestKeysWithoutAPassphraseAreTold(t *testing.T) {
	t.Parallel()
	const bare = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ==\n-----END OPENSSH PRIVATE KEY-----\n"
	const closed = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI=\n-----END OPENSSH PRIVATE KEY-----\n"
	for text, want := range map[string]bool{bare: true, closed: false, "no key": false,
		"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n":                                                     true,
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n": false,
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n":                                         false} {
		if got := unprotected([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
