//go:build unix

package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

func TestExposure(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	put := func(name string) string {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	store := func(path string) *config.Config {
		return &config.Config{Backends: map[string]config.Backend{
			"local": {Type: config.EnvFile, Settings: map[string]config.Setting{"path": {Value: path}}},
			"vault": {Type: config.HashicorpVault},
		}}
	}
	say := func(cfg *config.Config, environ ...string) string {
		// The session's bus of whoever runs the test is not to count.
		a, _, stderr := testApp(append([]string{"HOME=" + home, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent", "DOCKER_HOST=/nonexistent"}, environ...)...)
		a.tellExposure(cfg)
		return strings.ReplaceAll(stderr.String(), ", docker", "")
	}
	if got := say(store(filepath.Join(home, "gone.env"))); got != "" && !strings.HasSuffix(got, "read or use docker\n") {
		t.Errorf("where nothing is there, it says %q", got)
	}
	put(".aws/credentials")
	put(".vault-token")
	secrets := put("project/secrets.env")
	if got, want := say(store(secrets)), "kz: not isolated: the program runs as you, and could still read or use ~/project/secrets.env, ~/.aws/credentials, ~/.vault-token\n"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	here := filepath.Join(home, "project")
	for _, name := range []string{".env", ".env.local"} {
		if err := os.WriteFile(filepath.Join(here, name), []byte("API_KEY=canary-1\nOTHER_TOKEN=canary-2\nLEVEL=3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, _, stderr := testApp("HOME="+home, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent", "DOCKER_HOST=/nonexistent")
	a.cwd = func() (string, error) { return here, nil }
	a.tellExposure(store(filepath.Join(here, ".env.local"))) // as a store it is named once
	if got, want := stderr.String(), "read or use credentials in .env, ~/project/.env.local, ~/.aws/credentials, "; !strings.Contains(got, want) || strings.Contains(got, "canary") {
		t.Errorf("beside dotenv files it says %q, want %q", got, want)
	}
	jwt := put("pod/token")
	pod := &config.Config{Backends: map[string]config.Backend{"vault": {Type: config.HashicorpVault,
		Settings: map[string]config.Setting{"auth": {Value: config.AuthKubernetes}, "jwt_path": {Value: jwt}}}}}
	if got := say(pod); !strings.Contains(got, "~/pod/token, ") {
		t.Errorf("with the token of a pod it says %q", got)
	}
	key := put("project/google.json")
	google := &config.Config{Backends: map[string]config.Backend{"gcp": {Type: config.GCPSecretManager,
		Settings: map[string]config.Setting{"credentials_file": {Value: key}}}}}
	if got := say(google, "AZURE_FEDERATED_TOKEN_FILE="+jwt); !strings.Contains(got, "~/project/google.json, ") || !strings.Contains(got, "~/pod/token") {
		t.Errorf("with the key file of a service account it says %q", got)
	}
	agent := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", agent)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := say(&config.Config{}, "SSH_AUTH_SOCK="+agent); !strings.Contains(got, ", the SSH agent") || strings.Count(got, "\n") != 1 {
		t.Errorf("with an agent it says %q", got)
	}
	stores := &config.Config{Backends: map[string]config.Backend{
		"ring": {Type: config.Keychain}, "op": {Type: config.OnePassword}, "second": {Type: config.OnePassword, Settings: map[string]config.Setting{"auth": {Value: config.AuthCLI}}},
		"machine": {Type: config.OnePassword, Settings: map[string]config.Setting{"auth": {Value: config.AuthServiceAccount}}},
	}}
	if got, want := say(stores), "read or use 1Password by op (backend op), 1Password by op (backend second), the keychain (backend ring), ~/.aws"; !strings.Contains(got, want) || strings.Contains(got, "machine") {
		t.Errorf("with stores that are open to the user it says %q, want %q in it", got, want)
	}
	if os.Geteuid() != 0 { // root may read anything
		if err := os.Chmod(secrets, 0); err != nil {
			t.Fatal(err)
		}
		if got := say(store(secrets)); strings.Contains(got, "secrets.env") {
			t.Errorf("a file that is closed to the user: %q", got)
		}
	}
}
