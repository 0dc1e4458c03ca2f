package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"kz/resolver"
	"kz/resolver/keychain"
	"kz/resolver/local"
	"kz/test/bed"
	"kz/test/canary"
)

// TestStoresOfFilesAndCommands has a value come from the stores that need no server. What opens them is taken from the child,
// or named where it cannot be.
func TestStoresOfFilesAndCommands(t *testing.T) {
	t.Parallel()
	t.Run("the local store, its key in the keychain", func(t *testing.T) {
		t.Parallel()
		b, bus := bed.New(t), bed.NewKeyring(t)
		b.Env = append(b.Env, "DBUS_SESSION_BUS_ADDRESS="+bus.Address)
		value, path := canary.Value("k-"), filepath.Join(t.TempDir(), "kz", "local.age")
		chain, err := keychain.New(keychain.Options{Getenv: func(string) string { return bus.Address }})
		if err != nil {
			t.Fatal(err)
		}
		s, err := local.New(local.Options{Path: path, Keychain: chain})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), resolver.Ref{ID: "API_KEY"}, resolver.NewSecret(value)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path + ".key"); err == nil {
			t.Error("the key is in a file")
		}
		b.Backend("mine", `type = "local"`, `path = "`+path+`"`)
		b.Reference("API_KEY", value, `backend = "mine"`, `hosts = ["api.test"]`)
		if out := reaches(t, b, value); !strings.Contains(out, "the keychain (key of backend mine)") {
			t.Errorf("the exposure is not told: %s", out)
		}
	})
	t.Run("a file of sops, its identity a secret", func(t *testing.T) {
		t.Parallel()
		b, dir := bed.New(t), t.TempDir()
		value := canary.Value("k-")
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		plain, path := filepath.Join(dir, "plain.yaml"), filepath.Join(dir, "secrets.yaml")
		if err := os.WriteFile(plain, []byte("api:\n  key: "+value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bed.Sops(t), "encrypt", "--age", id.Recipient().String(), "--output", path, plain)
		cmd.Env = []string{"HOME=" + dir}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if err := os.Remove(plain); err != nil {
			t.Fatal(err)
		}
		b.Env = append(b.Env, "OPENS_IT="+id.String(), "SOPS_AGE_KEY_FILE=/nonexistent")
		b.Backend("env", `type = "env"`)
		b.Backend("soaped", `type = "age"`, `path = "`+path+`"`, `identity = { secret = "OPENS_IT" }`)
		b.Reference("OPENS_IT", id.String(), `backend = "env"`)
		b.Reference("API_KEY", value, `backend = "soaped"`, `field = "api.key"`, `hosts = ["api.test"]`)
		if out := reaches(t, b, value); strings.Contains(out, "OPENS_IT=") || strings.Contains(out, "SOPS_AGE") {
			t.Errorf("the child can open the file: %s", out)
		}
	})
	t.Run("a command that needs a variable", func(t *testing.T) {
		t.Parallel()
		b, dir := bed.New(t), t.TempDir()
		value, login := canary.Value("k-"), canary.Value("l-")
		command := filepath.Join(dir, "get")
		script := "#!/bin/sh\n[ \"$1 $VAULT_OF_MINE\" = \"prod/key " + login + "\" ] || { echo no; env >&2; exit 1; }\nprintf '%s\\n' '" + value + "'\n"
		if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		b.Env = append(b.Env, "VAULT_OF_MINE="+login)
		b.Backend("tool", `type = "exec"`, `command = "`+command+`"`, `args = ["{id}"]`, `keep_env = ["VAULT_OF_MINE"]`)
		b.Reference("API_KEY", value, `backend = "tool"`, `name = "prod/key"`, `hosts = ["api.test"]`)
		out := reaches(t, b, value)
		if strings.Contains(out, "VAULT_OF_MINE=") || strings.Contains(out, login) {
			t.Errorf("the child can use the command: %s", out)
		}
		if !strings.Contains(out, "what "+command+" prints (backend tool)") {
			t.Errorf("the exposure is not told: %s", out)
		}
	})
}
