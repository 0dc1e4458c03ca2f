package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/resolver"
	"kz/resolver/keychain"
	"kz/test/bed"
	"kz/test/canary"
)

// TestStoresOfADesktop has a value come from the stores that a person unlocks. What leads to them is taken from the child,
// or named where it cannot be.
func TestStoresOfADesktop(t *testing.T) {
	t.Parallel()
	t.Run("the keychain", func(t *testing.T) {
		t.Parallel()
		b, bus := bed.New(t), bed.NewKeyring(t)
		b.Env = append(b.Env, "DBUS_SESSION_BUS_ADDRESS="+bus.Address)
		value := canary.Value("k-")
		s, err := keychain.New(keychain.Options{Getenv: func(string) string { return bus.Address }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), resolver.Ref{ID: "API_KEY"}, resolver.NewSecret(value)); err != nil {
			t.Fatal(err)
		}
		b.Backend("ring", `type = "keychain"`)
		b.Reference("API_KEY", value, `backend = "ring"`, `hosts = ["api.test"]`)
		out := reaches(t, b, value)
		if !strings.Contains(out, "read or use the keychain (backend ring)") {
			t.Errorf("the exposure is not told: %s", out)
		}
		if !strings.Contains(out, "\nDBUS_SESSION_BUS_ADDRESS="+bus.Address) {
			t.Error("the child has no bus")
		}
	})
	t.Run("1Password, by the token of a service account", func(t *testing.T) {
		t.Parallel()
		bed.Python(t)
		b, dir := bed.New(t), t.TempDir()
		value, token := canary.Value("k-"), canary.Value("ops_")
		program, err := filepath.Abs("../../resolver/onepassword/testdata/op")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(dir, "op")); err != nil {
			t.Fatal(err)
		}
		state, err := json.Marshal(map[string]any{"token": token, "vaults": []any{map[string]any{"id": strings.Repeat("v", 26), "name": "Team"}},
			"items": []any{map[string]any{"id": strings.Repeat("i", 26), "title": "api", "vault": map[string]any{"id": strings.Repeat("v", 26)},
				"fields": []any{map[string]any{"id": "f", "type": "CONCEALED", "label": "credential", "value": value}}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "state.json"), state, 0o600); err != nil {
			t.Fatal(err)
		}
		b.Env = append(b.Env, "TOKEN_OF_OP="+token, "OP_DEVICE=abc")
		b.Backend("env", `type = "env"`)
		b.Backend("team", `type = "onepassword"`, `auth = "service_account"`, `token = { secret = "TOKEN_OF_OP" }`, `command = "`+filepath.Join(dir, "op")+`"`)
		b.Reference("TOKEN_OF_OP", token, `backend = "env"`)
		b.Reference("API_KEY", value, `backend = "team"`, `path = "op://Team/api/credential"`, `hosts = ["api.test"]`)
		if out := reaches(t, b, value); strings.Contains(out, "\nOP_") || strings.Contains(out, "TOKEN_OF_OP=") {
			t.Errorf("the child can use op: %s", out)
		}
		if wrong, err := os.ReadFile(filepath.Join(dir, "violations")); err == nil {
			t.Errorf("op was not called as it should be: %s", wrong)
		}
	})
}

// reaches runs a child blind that uses API_KEY and shows its environment, and returns what it wrote.
func reaches(t *testing.T, b *bed.Bed, value string) string {
	t.Helper()
	curl := bed.Program(t, "curl")
	res := b.Run(shell(`echo; env; ` + curl + ` -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
	res.Succeeds(t)
	if got := received(t, b, "/echo"); got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value")
	}
	b.Clean(res)
	return res.Output()
}
