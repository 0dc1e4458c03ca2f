package bed_test

import (
	"os"
	"strings"
	"testing"

	"kz/cmd/kz/config"
	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m, nil) }

func TestBundle(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test", "*.wild.test"]`)
	b.SecretValue("ODD_KEY", "a'b\"c\\d$e\nsecond line", `hosts = ["other.test"]`, `swap = ["body"]`)
	b.Backend("vault", `type = "hashicorp_vault"`, `address = "http://127.0.0.1:1"`)
	b.Reference("STRIPE_KEY", "", `backend = "vault"`, `path = "secret/stripe"`, `hosts = ["api.test"]`)
	b.Egress(`mode = "strict"`)
	cfg, err := config.Load(config.Options{Dir: b.Path("home"), File: b.WriteBundle(), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Bundle())
	}
	if len(cfg.Secrets) != 3 || cfg.Egress.Mode != "strict" || len(cfg.Egress.Resolve) < 10 || len(cfg.Backends) < 2 {
		t.Errorf("loaded %d secrets, %d pins from\n%s", len(cfg.Secrets), len(cfg.Egress.Resolve), b.Bundle())
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	v := b.Secret("API_KEY")
	b.Clean(bed.Result{Stdout: []byte("nothing")})
	if err := os.WriteFile(b.Path("home/f"), []byte(v), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []bed.Result{{}, {Stdout: []byte(v)}, {Stderr: []byte(v)}} {
		if b.Leaks(r) == nil {
			t.Error("a value in a file went unseen")
		}
	}
	if err := os.Remove(b.Path("home/f")); err != nil {
		t.Fatal(err)
	}
	if b.Leaks(bed.Result{Stdout: []byte(v)}) == nil || b.Leaks(bed.Result{Stderr: []byte(v)}) == nil {
		t.Error("a value in the output went unseen")
	}
	b.SetStored("API_KEY", "another-value-of-it")
	if leaks := b.Leaks(bed.Result{Stdout: []byte(v)}); len(leaks) == 0 || strings.Contains(leaks[0], v[:10]) {
		t.Errorf("a value of before: %v", leaks)
	}
}

func TestStores(t *testing.T) {
	t.Parallel()
	t.Run("Vault takes and gives a secret", func(t *testing.T) {
		t.Parallel()
		v := bed.NewVault(t)
		v.Put("secret/stripe", map[string]any{"value": "x"})
		got := v.Call("GET", "secret/data/stripe", nil)
		if got["data"].(map[string]any)["data"].(map[string]any)["value"] != "x" {
			t.Errorf("%v", got)
		}
	})
	t.Run("AWS has an address and credentials", func(t *testing.T) {
		t.Parallel()
		a := bed.NewAWS(t, awsfake.Options{})
		a.Put("x", "y")
		if env := strings.Join(a.Env(), " "); !strings.Contains(env, "AWS_ENDPOINT_URL="+a.URL) || a.ARN("x") == "" {
			t.Errorf("%s", env)
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	t.Run("kz gets nothing of this environment", func(t *testing.T) {
		res := b.KZ("version")
		res.Succeeds(t)
		if !strings.Contains(res.Output(), "kz") {
			t.Errorf("%s", res.Output())
		}
	})
	t.Run("a wrong flag is misuse", func(t *testing.T) {
		b.KZ("--no-such-flag").Exits(t, 2)
	})
}
