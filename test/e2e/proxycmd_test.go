package e2e_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/ports"
)

// certificates reads a PEM file that must hold certificates and nothing else.
func certificates(t *testing.T, path string) int {
	t.Helper()
	rest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if strings.Contains(string(rest), "PRIVATE") {
				t.Errorf("%s holds a key", path)
			}
			return n
		}
		if block.Type != "CERTIFICATE" {
			t.Errorf("%s holds a %s", path, block.Type)
		}
	}
}

// outside runs argv as a container would: with the env file's variables and PATH.
func outside(t *testing.T, b *bed.Bed, env []string, argv ...string) bed.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = b.Path("home"), append([]string{"PATH=" + bed.Path}, env...), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Error(err)
		return bed.Result{Code: -1}
	}
	return bed.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: cmd.ProcessState.ExitCode()}
}

// nothingLeft looks for what an ended `kz proxy` may not leave behind: its listener, and files but those that it was
// told to keep.
func nothingLeft(t *testing.T, b *bed.Bed, proxyURL string, kept ...string) {
	t.Helper()
	u, err := url.Parse(proxyURL)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
		_ = conn.Close()
		t.Error("something still listens")
	}
	err = filepath.WalkDir(b.Path("home"), func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(b.Path("home"), path)
		if err == nil && !d.IsDir() && !slices.Contains(kept, name) {
			t.Errorf("left behind: %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range kept {
		if _, err := os.Stat(b.Path("home/" + name)); err != nil {
			t.Error(err)
		}
	}
}

// TestEnvFile looks at the env file from the moment it is there.
func TestEnvFile(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", bound)
	plain := b.Secret("PLAIN_KEY", `expose = "plain"`)
	b.Secret("OMITTED_KEY", `expose = "omit"`)
	file := b.Path("home/kz.env")
	kz := b.StartKZ("proxy", "--listen", "127.0.0.1:0", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--env-file", file, "--ca-dir", b.Path("home/new/ca"), "--client-ca-dir", "/x")
	var first []byte
	for end := time.Now().Add(30 * time.Second); first == nil; time.Sleep(50 * time.Microsecond) {
		text, err := os.ReadFile(file)
		if err == nil {
			first = append([]byte{}, text...)
		} else if time.Now().After(end) {
			t.Fatalf("no env file: %s", kz.Stderr())
		}
	}
	env := variables(strings.Split(string(first), "\n"))
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the env file: %v %v", info, err)
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(first) || first[len(first)-1] != '\n' {
		t.Errorf("the env file was not whole at once: %d bytes, then %d (%v)", len(first), len(again), err)
	}
	for line := range strings.Lines(string(first)) {
		if name, v, ok := strings.Cut(line, "="); !ok || strings.ContainsAny(name, " \"'") || strings.HasPrefix(v, `"`) {
			t.Errorf("not as docker reads it: %q", line)
		}
	}
	if !mask.MatchString(env["API_KEY"]) || env["PLAIN_KEY"] != "" || env["OMITTED_KEY"] != "" || strings.Contains(string(first), value) || strings.Contains(string(first), plain) {
		t.Error("the env file has other secrets than the masked ones")
	}
	if env["CURL_CA_BUNDLE"] != "/x/bundle.pem" || env["NODE_EXTRA_CA_CERTS"] != "/x/ca.pem" || env["KZ_SESSION"] == "" || env["http_proxy"] != env["HTTPS_PROXY"] {
		t.Errorf("the env file is\n%s", first)
	}

	ours := strings.ReplaceAll(string(first), "=/x/", "="+b.Path("home/new/ca")+"/") // as a mount would
	res := outside(t, b, strings.Fields(ours), shell(bed.Program(t, "curl")+` -sS -f -H "Authorization: Bearer $API_KEY" https://api.test/x`)...)
	res.Succeeds(t)
	if got := received(t, b, "/x"); got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value")
	}
	if n := certificates(t, b.Path("home/new/ca/ca.pem")); n != 1 {
		t.Errorf("ca.pem has %d certificates", n)
	}
	if n := certificates(t, b.Path("home/new/ca/bundle.pem")); n < 50 {
		t.Errorf("bundle.pem has %d certificates", n)
	}
	err = filepath.WalkDir(b.Path("home/new"), func(path string, d fs.DirEntry, err error) error {
		info, statErr := os.Stat(path)
		if want := map[bool]fs.FileMode{true: 0o755 | fs.ModeDir, false: 0o644}[d.IsDir()]; err != nil || statErr != nil || info.Mode() != want {
			t.Errorf("%s: %v %v %v", path, info.Mode(), err, statErr)
		}
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "PRIVATE KEY") {
			t.Errorf("%s holds a key", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}

	end := kz.Stop()
	end.Exits(t, 0)
	b.Clean(res, end)
	nothingLeft(t, b, env["HTTPS_PROXY"])
}

// TestProxyIsStrict reaches hosts that are neither bound nor allowed.
func TestProxyIsStrict(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", bound)
	b.Egress(`allow = ["other.test"]`)
	p := b.StartProxy()
	curl := bed.Program(t, "curl") + ` -sS -o /dev/null -w '%{http_connect} %{http_code}\n' `
	res := p.Client(shell(curl + `https://evil.test/x; ` + curl + `http://evil.test/x; ` + curl + `http://api.test/x; ` + curl +
		`https://api.test/x; ` + curl + `--cacert ` + b.Path("etc/ca.pem") + ` https://other.test/x`)...)
	res.Succeeds(t)
	if got := string(res.Stdout); got != "403 000\n000 403\n000 403\n200 200\n200 200\n" {
		t.Errorf("got %s", got)
	}
	b.Clean(res, p.Stop())
}

// TestProxyStops ends it while a request is being answered: that one is finished, and nothing new begun.
func TestProxyStops(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"--http1.1", "--http2"} {
		t.Run("what is in flight is finished ("+version+")", func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			b.Secret("API_KEY", bound)
			p := b.StartProxy()
			answer := make(chan bed.Result, 1)
			go func() {
				answer <- outside(t, b, p.Env, shell(bed.Program(t, "curl")+` -sS `+version+` -H "X-Key: $API_KEY" "https://api.test/slow?ms=500&n=8&body_ms=300"`)...)
			}()
			bed.Eventually(t, "the request is there", func() bool { return len(b.Origin.Requests()) > 0 })
			began := time.Now()
			if err := p.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			p.Await("stopping")
			if late := outside(t, b, p.Env, shell(bed.Program(t, "curl")+` -sS https://api.test/late`)...); late.Code != 7 {
				t.Errorf("a new client: exit code %d, %s", late.Code, late.Output())
			}
			res := <-answer
			end := p.Wait()
			took := time.Since(began)
			end.Exits(t, 0)
			if res.Code != 0 || string(res.Stdout) != "........" {
				t.Errorf("the client: exit code %d, %s", res.Code, res.Output())
			}
			if took > 9*time.Second {
				t.Errorf("stopping took %s", took)
			}
			b.Clean(res, end)
			nothingLeft(t, b, p.Get("HTTPS_PROXY"))
		})
	}

	t.Run("what does not end is given ten seconds", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		p := b.StartProxy()
		answer := make(chan bed.Result, 1)
		go func() { answer <- outside(t, b, p.Env, shell(bed.Program(t, "curl")+` -sS https://api.test/hang`)...) }()
		bed.Eventually(t, "the request is there", func() bool { return len(b.Origin.Requests()) > 0 })
		began := time.Now()
		p.Stop().Exits(t, 0)
		if took := time.Since(began); took < 9*time.Second || took > 15*time.Second {
			t.Errorf("stopping took %s", took)
		}
		if res := <-answer; res.Code == 0 {
			t.Errorf("the client is content: %s", res.Output())
		}
		nothingLeft(t, b, p.Get("HTTPS_PROXY"))
	})

	t.Run("a second signal ends it at once", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		p := b.StartProxy()
		go func() { outside(t, b, p.Env, shell(bed.Program(t, "curl")+` -sS https://api.test/hang`)...) }()
		bed.Eventually(t, "the request is there", func() bool { return len(b.Origin.Requests()) > 0 })
		began := time.Now()
		_ = p.Signal(syscall.SIGTERM)
		p.Await("stopping")
		_ = p.Signal(syscall.SIGTERM)
		if p.Wait(); time.Since(began) > 8*time.Second {
			t.Errorf("stopping took %s", time.Since(began))
		}
	})
}

// TestSessionFile starts the proxy again: clients that were started before go on with what they have.
func TestSessionFile(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", bound)
	session := b.Path("home/session")
	flags := []string{"--session-file", session, "--listen", ports.Free(t)}
	get := shell(bed.Program(t, "curl") + ` -sS -f -H "Authorization: Bearer $API_KEY" https://api.test/echo`)
	first := b.StartProxy(flags...)
	info, err := os.Stat(session)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the session file: %v %v", info, err)
	}
	res := first.Client(get...)
	res.Succeeds(t)
	ca, err := os.ReadFile(b.Path("home/ca/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	end := first.Stop()
	end.Exits(t, 0)
	b.Clean(res, end)
	nothingLeft(t, b, first.Get("HTTPS_PROXY"), "proxy.env", "session", "ca/ca.pem", "ca/bundle.pem", "ca/node-proxy.cjs", "ca/php.ini", "ca/wgetrc", "ca/truststore.p12")

	second := b.StartProxy(flags...)
	if !slices.Equal(first.Env, second.Env) {
		t.Errorf("the clients' environment has changed:\n%s\n%s", first.Env, second.Env)
	}
	if again, err := os.ReadFile(b.Path("home/ca/ca.pem")); err != nil || !bytes.Equal(ca, again) {
		t.Errorf("the CA has changed: %v", err)
	}
	b.Origin.Reset()
	res = first.Client(get...) // an old client
	res.Succeeds(t)
	if got := received(t, b, "/echo"); got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value for a mask of before")
	}
	b.Clean(res, second.Stop())

	for name, harm := range map[string]func() error{
		"that others can read": func() error { return os.Chmod(session, 0o644) },
		"that is damaged": func() error {
			return os.WriteFile(session, []byte(`{"version":1}`), 0o600)
		},
		"that is a link": func() error {
			return errors.Join(os.Rename(session, session+".old"), os.Symlink(session+".old", session))
		},
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		res := b.StartKZ(append([]string{"proxy", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--env-file", b.Path("home/x.env")}, flags...)...).Wait()
		if res.Code != 125 || !strings.Contains(res.Output(), "kz: hint: remove it to begin a new session") {
			t.Errorf("a session file %s: exit code %d, %s", name, res.Code, res.Output())
		}
		if _, err := os.Stat(b.Path("home/x.env")); err == nil {
			t.Errorf("a session file %s: there is an env file", name)
		}
		_ = os.Chmod(session, 0o600)
	}
}

// TestListen gives addresses that cannot be, and ones that are not loopback.
func TestListen(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", bound)
	for _, flags := range [][]string{
		{"--listen", "0.0.0.0:0"}, {"--listen", ":0"}, {"--listen", "[::]:0"}, {"--listen", "192.0.2.1:8080"}, {"--listen", "example.com:0"},
		{"--listen", "8080"}, {"--listen", "127.0.0.1"}, {"--listen", "http://127.0.0.1:0"}, {"--listen", "127.0.0.1:0", "--advertise", "http://x:1"},
		{"--listen", "0.0.0.0:0", "--advertise", ""}, {"--authority", "other"}, {"surplus"}, {"--no-such-flag"}, {"--log-level", "loud"},
	} {
		t.Run(strings.Join(flags, " ")+" is misuse", func(t *testing.T) {
			res := b.StartKZ(append([]string{"proxy", "--config", b.WriteBundle(), "--env-file", b.Path("home/no.env")}, flags...)...).Wait()
			if res.Code != 2 || strings.Count(res.Output(), "kz: error: ") != 1 || strings.Count(res.Output(), "kz: hint: ") != 1 {
				t.Errorf("exit code %d, %s", res.Code, res.Output())
			}
			if _, err := os.Stat(b.Path("home/no.env")); err == nil {
				t.Error("there is an env file")
			}
		})
	}
	t.Run("a port that is taken", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		res := b.StartKZ("proxy", "--config", b.WriteBundle(), "--audit", b.AuditFile(), "--env-file", b.Path("home/no.env"), "--listen", l.Addr().String()).Wait()
		if res.Code != 125 || !strings.Contains(res.Output(), "kz: hint: choose another address with --listen") {
			t.Errorf("exit code %d, %s", res.Code, res.Output())
		}
	})
	t.Run("what clients dial stands in the env file", func(t *testing.T) {
		p := b.StartProxy("--listen", "0.0.0.0:0", "--advertise", "host.docker.internal")
		u, err := url.Parse(p.Get("HTTPS_PROXY"))
		if err != nil || u.Hostname() != "host.docker.internal" || u.Port() == "" || u.Port() == "0" {
			t.Errorf("%v %v", u, err)
		}
		env := slices.Clone(p.Env)
		for i := range env {
			env[i] = strings.ReplaceAll(env[i], "host.docker.internal", "127.0.0.1")
		}
		res := outside(t, b, env, shell(bed.Program(t, "curl")+` -sS -f https://api.test/x`)...)
		res.Succeeds(t)
		if !strings.Contains(p.Stderr(), "kz: warning: ") || !strings.Contains(p.Stderr(), "reached from other machines") {
			t.Errorf("no warning: %s", p.Stderr())
		}
		b.Clean(res, p.Stop())
		p = b.StartProxy("--listen", "0.0.0.0:0", "--advertise", "gateway:8888")
		if !strings.HasSuffix(p.Get("https_proxy"), "@gateway:8888") {
			t.Errorf("%s", p.Env)
		}
		p.Stop().Exits(t, 0)
	})
}
