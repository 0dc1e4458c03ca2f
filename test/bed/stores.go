package bed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kz/resolver/resolvertest/awsfake"
)

// Vault is a running Vault core of its own, for one test.
type Vault struct {
	Addr      string // http://127.0.0.1:PORT
	Token     string // the root token
	UnsealKey string // hex

	t testing.TB
}

// NewVault starts test/vaultsrv: KV v2 at secret/, all else by its HTTP API.
func NewVault(t testing.TB) *Vault {
	t.Helper()
	path := os.Getenv("KZ_TEST_VAULT")
	if path == "" {
		path = filepath.Join(CacheDir(), "vaultsrv")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "the Vault server, which `test/run` builds or KZ_TEST_VAULT names")
	}
	cmd := exec.Command(path, "-watch-stdin", "-root-token", "root")
	in, err := cmd.StdinPipe() // closes with this process, whatever ends it
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting Vault: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("stopping Vault: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	f := strings.Fields(line)
	if err != nil || len(f) < 4 || f[0] != "READY" {
		t.Fatalf("starting Vault: first line %q: %v", line, err)
	}
	return &Vault{Addr: f[1], Token: "root", UnsealKey: strings.TrimPrefix(f[3], "unseal="), t: t}
}

// Call makes an API request (path without /v1/) with the root token, ends the test
// unless it succeeds, and returns the decoded answer.
func (v *Vault) Call(method, path string, body any) map[string]any {
	v.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.Addr+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", v.Token)
	c := http.Client{Timeout: 30 * time.Second}
	resp, err := c.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		v.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, text, err)
	}
	var out map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			v.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return out
}

// Put writes a secret of KV v2: Put("secret/stripe", …).
func (v *Vault) Put(path string, fields map[string]any) {
	v.t.Helper()
	mount, rest, _ := strings.Cut(path, "/")
	v.Call("POST", mount+"/data/"+rest, map[string]any{"data": fields})
}

// AWS is a Secrets Manager and STS that verify signatures, for one test.
type AWS struct {
	*awsfake.Server
	URL string
}

// NewAWS serves the fake in this process.
func NewAWS(t testing.TB, opts awsfake.Options) *AWS {
	t.Helper()
	fake := awsfake.New(opts)
	srv := httptest.NewServer(fake)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return &AWS{Server: fake, URL: srv.URL}
}

// Env is what a program needs to reach the fake, and nothing else of AWS, with the
// default key.
func (a *AWS) Env() []string {
	var env []string
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		env = append(env, fmt.Sprintf("%s=%s", name, a.URL))
	}
	return append(env,
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_ACCESS_KEY_ID="+awsfake.DefaultKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+awsfake.DefaultKey.SecretAccessKey,
	)
}
