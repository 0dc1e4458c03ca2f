package vault_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/vault"
)

const rootToken = "root-canary-77aa01"

// server is a Vault core of its own process, shared by the tests of this package.
type server struct {
	addr   string
	serial atomic.Int32
}

var running struct {
	once sync.Once
	server
	cmd *exec.Cmd
	why string
}

func TestMain(m *testing.M) {
	for _, name := range os.Environ() { // nothing of this machine
		if name, _, _ := strings.Cut(name, "="); strings.HasPrefix(name, "VAULT_") {
			os.Unsetenv(name)
		}
	}
	code := m.Run()
	if running.cmd != nil {
		running.cmd.Process.Kill()
		running.cmd.Wait()
	}
	os.Exit(code)
}

// real returns the Vault core, starting it first. The binary is $KZ_TEST_VAULT,
// else ~/.cache/kz-test/vaultsrv; without one the test is skipped, or fails when
// KZ_TEST_REQUIRE is set.
func real(t *testing.T) *server {
	t.Helper()
	running.once.Do(func() {
		path := os.Getenv("KZ_TEST_VAULT")
		if path == "" {
			home, _ := os.UserHomeDir()
			path = filepath.Join(home, ".cache", "kz-test", "vaultsrv")
		}
		if _, err := os.Stat(path); err != nil {
			running.why = "there is no Vault to test against: build test/vaultsrv and set KZ_TEST_VAULT to the binary"
			return
		}
		cmd := exec.Command(path, "-root-token", rootToken, "-watch-stdin")
		out, err := cmd.StdoutPipe()
		if err == nil {
			_, err = cmd.StdinPipe() // held open for as long as this process lives
		}
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			running.why = err.Error()
			return
		}
		running.cmd = cmd
		line, _ := bufio.NewReader(out).ReadString('\n')
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "READY" {
			running.why = "the Vault server says " + line
			return
		}
		running.addr = fields[1]
		go io.Copy(io.Discard, out)
	})
	if running.addr == "" {
		if os.Getenv("KZ_TEST_REQUIRE") != "" || running.cmd != nil {
			t.Fatal(running.why)
		}
		t.Skip(running.why)
	}
	return &running.server
}

// do makes a request as root, and returns the answer.
func (s *server) do(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if raw, ok := body.(string); ok {
		text = []byte(raw)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.addr+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.answer(t, r)
}

// answer makes a request as root, and returns what comes back.
func (s *server) answer(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	r.Header.Set("X-Vault-Token", rootToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	out := map[string]any{"data": map[string]any{}}
	if resp.StatusCode == http.StatusNotFound && r.Method == "LIST" {
		return out
	}
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", r.Method, r.URL.Path, resp.StatusCode, answer)
	}
	json.Unmarshal(answer, &out)
	return out
}

// mount mounts an engine of the test's own and returns its path.
func (s *server) mount(t *testing.T, kind, version string) string {
	t.Helper()
	path := fmt.Sprintf("mount%d", s.serial.Add(1))
	body := map[string]any{"type": kind}
	if version != "" {
		body["options"] = map[string]string{"version": version}
	}
	s.do(t, "POST", "sys/mounts/"+path, body)
	return path
}

// token makes a token with one policy.
func (s *server) token(t *testing.T, policy string, more map[string]any) string {
	t.Helper()
	token, _ := s.tokenAndPolicy(t, policy, more)
	return token
}

func (s *server) tokenAndPolicy(t *testing.T, policy string, more map[string]any) (token, name string) {
	t.Helper()
	name = fmt.Sprintf("policy%d", s.serial.Add(1))
	s.writePolicy(t, name, policy)
	body := map[string]any{"policies": []string{name}}
	maps.Copy(body, more)
	return s.do(t, "POST", "auth/token/create", body)["auth"].(map[string]any)["client_token"].(string), name
}

func (s *server) writePolicy(t *testing.T, name, policy string) {
	t.Helper()
	s.do(t, "POST", "sys/policies/acl/"+name, map[string]string{"policy": policy})
}

func (s *server) open(t *testing.T, change func(*vault.Options)) *vault.Store {
	t.Helper()
	return open(t, s.addr, func(o *vault.Options) {
		o.Token = resolver.NewSecret(rootToken)
		if change != nil {
			change(o)
		}
	})
}

func open(t *testing.T, addr string, change func(*vault.Options)) *vault.Store {
	t.Helper()
	o := vault.Options{
		Address: addr, Token: resolver.NewSecret(fakeToken), Timeout: 20 * time.Second,
		Getenv: func(string) string { return "" }, Home: func() (string, error) { return t.TempDir(), nil },
	}
	if change != nil {
		change(&o)
	}
	store, err := vault.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a login that nobody waits for any more would hold a server up
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = store.Close(ctx)
	})
	return store
}
