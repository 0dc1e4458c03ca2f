package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openTrust(t *testing.T, path string) *TrustStore {
	t.Helper()
	ts, err := OpenTrust(path)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func trustPath(t *testing.T) string { return filepath.Join(t.TempDir(), "state", "kz", "trust.json") }

func TestADiscoveredFileNeedsApprovalOfItsPathAndContent(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		"~/.config/keyzero/config.toml": "[backends.e]\ntype = 'env'",
		".keyzero.toml":                 "[secrets.A]",
		".keyzero.local.toml":           "[secrets.B]",
	})
	path := trustPath(t)
	ts := openTrust(t, path)
	cfg := tr.mustLoad()
	open := cfg.Untrusted(ts)
	if len(open) != 2 || filepath.Base(open[0].Path) != ".keyzero.toml" || filepath.Base(open[1].Path) != ".keyzero.local.toml" {
		t.Fatalf("untrusted are %+v", open)
	}
	for _, s := range open {
		if err := ts.Approve(s.RealPath, s.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	if open := cfg.Untrusted(ts); len(open) != 0 {
		t.Errorf("untrusted after approval are %+v", open)
	}
	again := openTrust(t, path)
	if open := tr.mustLoad().Untrusted(again); len(open) != 0 {
		t.Errorf("the approval was forgotten: %+v", open)
	}

	t.Run("a changed content", func(t *testing.T) {
		tr.write(".keyzero.toml", "[secrets.A]\nhosts = ['evil.example.com']")
		if open := tr.mustLoad().Untrusted(again); len(open) != 1 {
			t.Errorf("untrusted are %+v", open)
		}
		tr.write(".keyzero.toml", "[secrets.A]")
	})
	t.Run("the same content at another path", func(t *testing.T) {
		other := newTree(t, map[string]string{".keyzero.toml": "[backends.e]\ntype = 'env'\n[secrets.A]"})
		if open := other.mustLoad().Untrusted(again); len(open) != 1 {
			t.Errorf("untrusted are %+v", open)
		}
	})
	t.Run("going back to an older content", func(t *testing.T) {
		old := tr.mustLoad().Sources[1]
		tr.write(".keyzero.toml", "[secrets.A]\nname = 'B'")
		s := tr.mustLoad().Sources[1]
		if err := again.Approve(s.RealPath, s.SHA256); err != nil {
			t.Fatal(err)
		}
		if again.Approved(old.RealPath, old.SHA256) {
			t.Error("the older content is still approved")
		}
	})
	t.Run("a file given by name", func(t *testing.T) {
		o := tr.options()
		o.File = ".keyzero.toml"
		cfg, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if open := cfg.Untrusted(openTrust(t, trustPath(t))); len(open) != 0 {
			t.Errorf("untrusted are %+v", open)
		}
	})
}

func TestAnApprovalIsWrittenForTheUserAlone(t *testing.T) {
	t.Parallel()
	path := trustPath(t)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("a", 64)
	if err := openTrust(t, path).Approve("/a", sum); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]fs.FileMode{path: 0o600, dir: 0o700 | fs.ModeDir} {
		if info, err := os.Lstat(p); err != nil || info.Mode() != want && checksModes {
			t.Errorf("%s is %v, %v", p, info.Mode(), err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v, %v", left, err)
	}
	for _, bad := range [][2]string{{"relative", sum}, {"/a", ""}, {"/a", strings.Repeat("A", 64)}} {
		if err := openTrust(t, path).Approve(bad[0], bad[1]); err == nil {
			t.Errorf("approving %q is possible", bad)
		}
	}
	if openTrust(t, path).Approved("/b", "") {
		t.Error("nothing is approved")
	}
}

func TestApprovalsOfTwoStoresAddUp(t *testing.T) {
	t.Parallel()
	path := trustPath(t)
	a, b := openTrust(t, path), openTrust(t, path)
	sum := strings.Repeat("a", 64)
	if err := errors.Join(a.Approve("/a", sum), b.Approve("/b", sum)); err != nil {
		t.Fatal(err)
	}
	if ts := openTrust(t, path); !ts.Approved("/a", sum) || !ts.Approved("/b", sum) {
		t.Error("an approval was lost")
	}
}

func TestATrustStoreThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	good := `{"version":1,"approved":{"/a":"` + strings.Repeat("a", 64) + `"}}`
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{"damaged", func(t *testing.T, p string) { put(t, p, "{", 0o600) }, "it is damaged"},
		{"with something behind it", func(t *testing.T, p string) { put(t, p, good+"{}", 0o600) }, "it is damaged"},
		{"with unknown keys", func(t *testing.T, p string) { put(t, p, `{"version":1,"all":true}`, 0o600) }, "it is damaged"},
		{"with a hash that is none", func(t *testing.T, p string) { put(t, p, `{"version":1,"approved":{"/a":""}}`, 0o600) }, "it is damaged"},
		{"of another version", func(t *testing.T, p string) { put(t, p, `{"version":2}`, 0o600) }, "it is of another version of kz"},
		{"writable by others", func(t *testing.T, p string) { put(t, p, good, 0o620) }, "it may be written by others"},
		{"a link", func(t *testing.T, p string) {
			put(t, p+".real", good, 0o600)
			if err := os.Symlink(p+".real", p); err != nil {
				t.Fatal(err)
			}
		}, "it is not a regular file"},
		{"in a directory that others may write", func(t *testing.T, p string) {
			put(t, p, good, 0o600)
			if err := os.Chmod(filepath.Dir(p), 0o770); err != nil {
				t.Fatal(err)
			}
		}, "its directory may be written by others"},
		{"in a directory that is a link", func(t *testing.T, p string) {
			put(t, filepath.Join(filepath.Dir(p)+".real", "trust.json"), good, 0o600)
			if err := os.Symlink(filepath.Dir(p)+".real", filepath.Dir(p)); err != nil {
				t.Fatal(err)
			}
		}, "its directory is not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := trustPath(t)
			tt.prepare(t, path)
			_, err := OpenTrust(path)
			var h interface{ Hint() string }
			if !errors.Is(err, ErrTrustStore) || !errors.As(err, &h) || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("opening it: %v, want %s", err, tt.want)
			}
			// A store that was fine when it was opened is looked at again before it is written.
			if err := (&TrustStore{path: path}).Approve("/b", strings.Repeat("b", 64)); err == nil {
				t.Error("an approval can be written")
			}
		})
	}
	t.Run("a good one is read", func(t *testing.T) {
		t.Parallel()
		path := trustPath(t)
		put(t, path, good, 0o600)
		if !openTrust(t, path).Approved("/a", strings.Repeat("a", 64)) {
			t.Error("its approval is not known")
		}
	})
}

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func TestWhereTheTrustStoreIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h"}, "/h/.local/state/kz/trust.json"},
		{map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/kz/trust.json"},
		{map[string]string{"HOME": "/h", "XDG_STATE_HOME": "s"}, "/h/.local/state/kz/trust.json"},
		{nil, ""},
	} {
		if got, err := TrustPath(func(k string) string { return tt.env[k] }); got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("with %v it is %q, %v", tt.env, got, err)
		}
	}
}

func TestAnApprovalCoversWhatServicesSupply(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": "[backends.e]\ntype = 'env'\n[secrets.OPENAI_API_KEY]\n[production.secrets.SERPAPI_KEY]\nhosts = ['a.test']\n"})
	cfg := tr.mustLoad()
	s := cfg.Sources[0]
	if s.Supplied == "" || s.Approval() != s.SHA256+"+"+s.Supplied {
		t.Fatalf("the source is %+v", s)
	}
	for name, c := range map[string]struct {
		approval           string
		approved, outgrown bool
	}{
		"as it is now":                        {s.Approval(), true, true},
		"before kz knew of services":          {s.SHA256, false, true},
		"with other services":                 {s.SHA256 + "+" + strings.Repeat("a", 64), false, true},
		"with other bytes":                    {strings.Repeat("a", 64) + "+" + s.Supplied, false, false},
		"with other bytes and no service yet": {strings.Repeat("a", 64), false, false},
	} {
		t.Run("given "+name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "kz", "trust.json")
			if err := openTrust(t, path).Approve(s.RealPath, c.approval); err != nil {
				t.Fatal(err)
			}
			ts := openTrust(t, path)
			if approved := len(cfg.Untrusted(ts)) == 0; approved != c.approved || ts.Outgrown(s) != c.outgrown {
				t.Errorf("approved %v, outgrown %v", approved, ts.Outgrown(s))
			}
		})
	}
	if ts := openTrust(t, filepath.Join(t.TempDir(), "kz", "trust.json")); ts.Outgrown(s) {
		t.Error("a file that nobody has approved is outgrown")
	}
}

func TestWhatServicesSupplyIsWhatAnApprovalRemembers(t *testing.T) {
	t.Parallel()
	supplied := func(text string) string {
		return newTree(t, map[string]string{".keyzero.toml": "[backends.e]\ntype = 'env'\n" + text}).mustLoad().Sources[0].Supplied
	}
	one := supplied("[secrets.OPENAI_API_KEY]\n")
	for _, same := range []string{"# x\n[secrets.OPENAI_API_KEY]\n[secrets.OTHER]\nhosts = ['a.test']\n", "[secrets.OPENAI_API_KEY]\nmask = 'sk-{mask}'\n"} {
		if supplied(same) != one {
			t.Errorf("%q is supplied with something else", same)
		}
	}
	for _, other := range []string{"[secrets.ANTHROPIC_API_KEY]\n", "[secrets.OPENAI_API_KEY]\n[secrets.GROQ_API_KEY]\n", "[production.secrets.OPENAI_API_KEY]\n", "[secrets.SERPAPI_KEY]\n",
		"[secrets.SERPAPI_KEY]\nhosts = ['serpapi.com']\n", "[secrets.OPENAI]\nfields = ['apiKey', 'adminKey']\n"} {
		if got := supplied(other); got == one || got == "" {
			t.Errorf("%q is supplied with the same, or nothing: %q", other, got)
		}
	}
	for _, none := range []string{"[secrets.OPENAI_API_KEY]\nhosts = ['api.openai.com']\n", "[secrets.OPENAI_API_KEY]\nexpose = 'plain'\n", "[secrets.OTHER]\n", "[secrets.AZURE_OPENAI_API_KEY]\n"} {
		if got := supplied(none); got != "" {
			t.Errorf("%q is supplied with %q", none, got)
		}
	}
}
