package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"kz/test/bed"
)

func TestReload(t *testing.T) {
	t.Parallel()
	t.Run("takes hosts and values over at once, in a proxy that goes on", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		old := b.Secret("API_KEY", `hosts = ["api.test"]`)
		p := b.StartProxy()
		before := p.Get("API_KEY")
		get := func(host string) bed.Result { return p.Client(bed.Self(t), "@get", "https://"+host+"/echo") }
		sent := func() string {
			all := b.Origin.Requests()
			if len(all) == 0 {
				return ""
			}
			return strings.TrimPrefix(all[len(all)-1].Header.Get("Authorization"), "Bearer ")
		}
		get("api.test").Succeeds(t)
		if sent() != old {
			t.Fatal("the first value is not swapped in")
		}

		value := "k-another-value-of-this-key-0815"
		b.SetStored("API_KEY", value)
		text := strings.Replace(b.Bundle(), `hosts = ["api.test"]`, `hosts = ["other.test"]`, 1) +
			"\n[secrets.NEW_KEY]\nbackend = \"local\"\nname = \"API_KEY\"\nhosts = [\"api.test\"]\n"
		if err := os.WriteFile(b.Path("etc/bundle.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		res := b.KZ("reload")
		res.Succeeds(t)
		b.Clean(res)
		for _, want := range []string{"new values of API_KEY", "NEW_KEY is new", "reloaded 1 session"} {
			if !strings.Contains(string(res.Stderr), want) {
				t.Errorf("it does not say %q: %s", want, res.Stderr)
			}
		}
		n := len(b.Origin.Requests())
		if res := get("api.test"); !strings.Contains(res.Output(), "egress_denied") && !strings.Contains(res.Output(), "Forbidden") || len(b.Origin.Requests()) != n {
			t.Errorf("a host that is bound no more: %s", res.Output())
		}
		res = get("other.test")
		res.Succeeds(t)
		b.Clean(res)
		if sent() != value || before != p.Get("API_KEY") {
			t.Error("the new value does not reach the new host under the old mask")
		}

		// A configuration with a problem changes nothing, but the values are fetched all the same.
		if err := os.WriteFile(b.Path("etc/bundle.toml"), []byte(strings.Replace(text, "other.test", "https://evil.test/", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		b.SetStored("API_KEY", old)
		res = b.KZ("reload")
		res.Exits(t, 125)
		if !strings.Contains(string(res.Stderr), "kz: error: kz proxy") {
			t.Errorf("it says %s", res.Stderr)
		}
		get("other.test").Succeeds(t)
		if sent() != old {
			t.Error("the value was not fetched")
		}
		b.Clean(p.Stop())
		b.KZ("reload").Exits(t, 125)
	})

	t.Run("takes nothing from a file that nobody has approved", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		file := b.Path("home/.keyzero.toml")
		write := func(text string) (hash string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:])
		}
		b.KZ("trust", "--yes", write(b.Bundle())).Succeeds(t)
		p := b.StartKZ("run", "--blind", "--quiet", "--audit", b.AuditFile(), "--", "/bin/sh", "-c", `echo up; read go; exec "$0" @get https://api.test/echo`, bed.Self(t))
		p.Await("up\n")
		hash := write(strings.Replace(b.Bundle(), bound, `hosts = ["evil.test"]`, 1))
		res := b.KZ("reload")
		res.Exits(t, 125)
		if !strings.Contains(string(res.Stderr), "not approved, or changed since") {
			t.Errorf("it says %s", res.Stderr)
		}
		if _, err := p.Stdin.Write([]byte("go\n")); err != nil {
			t.Fatal(err)
		}
		got := p.Wait()
		got.Succeeds(t)
		b.Clean(got, res)
		if len(received(t, b, "/echo")) != 1 {
			t.Error("the old policy did not stay")
		}
		b.KZ("trust", "--yes", hash).Succeeds(t)
	})

	t.Run("without a session it says so", func(t *testing.T) {
		t.Parallel()
		res := bed.New(t).KZ("reload")
		res.Exits(t, 125)
		if !strings.Contains(string(res.Stderr), "kz: error: no session of this user is running\nkz: hint: ") {
			t.Errorf("it says %s", res.Stderr)
		}
	})
}
